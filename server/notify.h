/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sd_notify(3) without libsystemd: a datagram to the socket that NOTIFY_SOCKET
 * names. Nothing happens where there is none.
 */
#ifndef ISTM_NOTIFY_H
#define ISTM_NOTIFY_H

/* @param state lines such as "READY=1" or "STOPPING=1" */
void notify_supervisor(const char *state);

#endif /* ISTM_NOTIFY_H */

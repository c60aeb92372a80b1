/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How well a unit is reached through a target port group (SPC-4 5.16.2.4):
 * ASYMMETRIC ACCESS STATE, as on the wire.
 */
#ifndef ISTM_TARGET_SCSI_ACCESS_H
#define ISTM_TARGET_SCSI_ACCESS_H

enum scsi_access {
	SCSI_ACCESS_OPTIMIZED,
	SCSI_ACCESS_NON_OPTIMIZED, /* all commands, but better elsewhere */
	SCSI_ACCESS_STANDBY,	   /* nothing that touches the medium */
	SCSI_ACCESS_UNAVAILABLE,   /* only what finds out about that */
	SCSI_ACCESS_NUM
};

#define SCSI_MAX_PORTS 16 /* target port groups, of one port each */

#endif /* ISTM_TARGET_SCSI_ACCESS_H */

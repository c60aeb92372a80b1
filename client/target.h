/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISTMCTL_TARGET_H
#define ISTMCTL_TARGET_H

#include "gen_ndr/istm.h"

/* "iqn", "ip", … as istmctl spells the kinds of initiator names. */
const char *ctl_id_method_name(enum IDMethod method);

#endif /* ISTMCTL_TARGET_H */

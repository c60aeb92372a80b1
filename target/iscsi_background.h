/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Work in the background (scsi_nexus_config.background). A lane's thread only.
 */
#ifndef ISTM_TARGET_ISCSI_BACKGROUND_H
#define ISTM_TARGET_ISCSI_BACKGROUND_H

#include "target/lane.h"
#include "target/scsi.h"

/* scsi_nexus_config.background, @private_data the session */
struct scsi_task *iscsi_background_new(struct scsi_nexus *nexus,
				       const struct scsi_task *task, bool only,
				       void *private_data);
/* Tell what uses the unit (NULL: all) to end: because it was reset, or because
 * it goes. */
void iscsi_background_end(struct lane *lane, const struct scsi_lu *lu,
			  bool reset);
/* Tell the copies that use the unit, and those nexuses have begun, to end. */
void iscsi_background_abort(struct lane *lane, const struct scsi_lu *lu,
			    const struct scsi_nexus_set *nexuses);
/* Do copies that have been told so still use it; @nexuses NULL: anyone's? */
bool iscsi_background_copies(struct lane *lane, const struct scsi_lu *lu,
			     const struct scsi_nexus_set *nexuses);
/* Does anything use the unit? */
bool iscsi_background_busy(struct lane *lane, const struct scsi_lu *lu);

#endif /* ISTM_TARGET_ISCSI_BACKGROUND_H */

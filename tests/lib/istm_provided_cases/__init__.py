# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods whose outcomes need snapshots, local mounts or a cluster, which
tests/providerd plays: the second part of the table in istm_cases."""

from istm_provided_cases.table import (  # noqa: F401
    CLUSTER, EXPORTED, TABLE, ProvidedState, cases)
from istm_provided_cases import (  # noqa: F401
    snapshot_mgr, snapshot, mounts, disks, enumerator, cluster)

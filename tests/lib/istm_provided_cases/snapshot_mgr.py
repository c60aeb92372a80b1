# SPDX-License-Identifier: GPL-3.0-or-later
"""ISnapshotMgr (3.38)."""

from istm_cases import UNKNOWN_GUID
from istm_client import *  # noqa: F403
from istm_provided_cases.table import (
    ERROR_DISK_FULL, GIVEN, case, filetime, prepared_only, rolling_back,
    snapshot_mounted, taken)

case('IWTGeneral.IsSnapshotsSupported', S_OK)
_method = 'ISnapshotMgr.PrepareCreateSnapshot'
case(_method, S_OK, 'an id is made', nWTD=lambda s: s.index,
     out=lambda s, a: a['pSnapshotId'] != NULL_GUID and
     s.all_snapshots() == [a['pSnapshotId']])
case(_method, S_OK, 'of a given id', nWTD=lambda s: s.index,
     pSnapshotId=GIVEN, out={'pSnapshotId': GIVEN},
     after=lambda s: s.all_snapshots() == [GIVEN])
case(_method, E_INVALIDARG, 'there is one of that id',
     nWTD=lambda s: s.index, pSnapshotId=GIVEN,
     before=lambda s: s.snapshots.PrepareCreateSnapshot(
         nWTD=s.index, pSnapshotId=GIVEN).ok())
case(_method, ERROR_FILE_NOT_FOUND, 'no disk', nWTD=4711)
case(_method, ERROR_FILE_NOT_FOUND, 'disabled comes before the type',
     nWTD=lambda s: s.index, before=lambda s: (
         s.disk1.put_Enable(bEnable=0).ok()))
case(_method, ERROR_INVALID_FUNCTION, 'of a snapshot', before=lambda s:
     s.exported(), nWTD=lambda s: s.shadow)
case(_method, ERROR_INVALID_FUNCTION, 'differencing',
     nWTD=lambda s: s.diff_disk().get_WTD().value)
_method = 'ISnapshotMgr.DoCreateSnapshot'
case(_method, S_OK, before=prepared_only,
     SnapshotId=lambda s: s.snap.get_Id().value,
     after=lambda s: abs(s.snap.get_TimeStamp().value - filetime()) < 6e8)
case(_method, S_OK, 'does not wait', before=lambda s: (
         prepared_only(s), s.providers.hold('create')),
     SnapshotId=lambda s: s.snap.get_Id().value,
     after=lambda s: s.providers.wait('create') is None)
case(_method, ERROR_FILE_NOT_FOUND, 'deleted', before=lambda s: (
         prepared_only(s), setattr(s, 'id', s.snap.get_Id().value),
         s.snapshots.DeleteSnapshot(SnapshotId=s.id).ok()),
     SnapshotId=lambda s: s.id)
_method = 'ISnapshotMgr.DoEndSnapshot'


def started(s):
    prepared_only(s)
    s.snapshots.DoCreateSnapshot(SnapshotId=s.snap.get_Id().value).ok()


def failing(s):
    s.providers.result('create', ERROR_DISK_FULL)
    started(s)


case(_method, S_OK, before=started, SnapshotId=lambda s:
     s.snap.get_Id().value)
case(_method, S_OK, 'once more', before=taken,
     SnapshotId=lambda s: s.snap.get_Id().value)
case(_method, ERROR_DISK_FULL, 'it was not taken', before=failing,
     SnapshotId=lambda s: s.snap.get_Id().value)
case(_method, ERROR_INVALID_OPERATION, 'never started', before=prepared_only,
     SnapshotId=lambda s: s.snap.get_Id().value)
case(_method, ERROR_FILE_NOT_FOUND, SnapshotId=UNKNOWN_GUID)


def waits(s):
    """DoEndSnapshot answers when the snapshot was taken, not before."""
    s.providers.hold('create')
    started(s)
    number = s.snap.get_Id().value
    other = s.behind('create("SnapshotMgr").DoEndSnapshot(SnapshotId=%r)' %
                     number)
    s.providers.wait('create')
    waiting = not other.answers_within(2)
    s.providers.release('create')
    return waiting and other.answer() == S_OK


case('ISnapshotMgr.GetSnapshot', S_OK, 'while another waits for the end',
     before=lambda s: setattr(s, 'waited', waits(s)),
     SnapshotId=lambda s: s.snap.get_Id().value,
     after=lambda s: s.waited)
case('ISnapshotMgr.GetSnapshot', S_OK, before=taken,
     SnapshotId=lambda s: s.snap.get_Id().value,
     out=lambda s, a: a.value.oid == s.snap.oid)
case('ISnapshotMgr.EnumSnapshots', S_OK, before=taken,
     out=lambda s, a: [x.oid for x in a.value.each()] == [s.snap.oid])
_method = 'ISnapshotMgr.DeleteSnapshot'
case(_method, S_OK, before=taken, SnapshotId=lambda s: s.snap.get_Id().value,
     after=lambda s: s.all_snapshots() == [])
case(_method, S_OK, 'prepared only', before=prepared_only,
     SnapshotId=lambda s: s.snap.get_Id().value,
     after=lambda s: s.all_snapshots() == [])
for _note, _before in (('mounted', snapshot_mounted),
                       ('rolling back', rolling_back)):
    case(_method, ERROR_SHARING_VIOLATION, _note, before=_before,
         SnapshotId=lambda s: s.snap.get_Id().value,
         after=lambda s: len(s.all_snapshots()) == 1)


def exported_and_assigned(s):
    s.exported()
    s.host2.AddWTDisk(nWTD=s.shadow).ok()


def exported_and_used(s):
    s.exported()
    s.in_use(s.shadow)


case(_method, S_OK, 'exported: the disk goes too',
     before=exported_and_assigned, SnapshotId=lambda s:
     s.snap.get_Id().value, after=lambda s: s.all_snapshots() ==
     s.mappings(s.host2) == [] and s.disks.GetWTDisk(
         nWTD=s.shadow).hresult == ERROR_FILE_NOT_FOUND)
case(_method, ERROR_DRIVE_LOCKED, 'an initiator uses the disk',
     before=exported_and_used, SnapshotId=lambda s: s.snap.get_Id().value,
     after=lambda s: len(s.all_snapshots()) == 1)
case(_method, ERROR_DISK_FULL, 'the provider fails', before=lambda s: (
         taken(s), s.providers.result('delete', ERROR_DISK_FULL)),
     SnapshotId=lambda s: s.snap.get_Id().value,
     after=lambda s: len(s.all_snapshots()) == 1)

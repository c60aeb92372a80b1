# SPDX-License-Identifier: GPL-3.0-or-later
"""ISnapshot (3.36): put back, shown as a disk."""

from istm_cases import MB, UNKNOWN_GUID
from istm_client import *  # noqa: F403
from istm_provided_cases.table import (
    ERROR_BUSY, ERROR_DISK_FULL, ERROR_IO_PENDING, EXPORTED, E_UNEXPECTED,
    MOUNTED, ROLLBACK, ProvidedState, case, deleted, disabled, filetime,
    mounted, prepared_only, rolling_back, snap, snapshot_mounted, status,
    taken)

case('ISnapshot.get_Id', S_OK, before=taken, on=snap,
     out=lambda s, a: s.all_snapshots() == [a.value])
case('ISnapshot.get_OrigWTD', S_OK, before=taken, on=snap,
     out=lambda s, a: a.value == s.index)
case('ISnapshot.get_TimeStamp', S_OK, before=taken, on=snap,
     out=lambda s, a: abs(a.value - filetime()) < 6e8)
case('ISnapshot.get_TimeStamp', S_OK, 'prepared only', before=prepared_only,
     on=snap, out=0)
case('ISnapshot.get_ExportedWTD', S_OK, 'not exported', before=taken,
     on=snap, out=0)
case('ISnapshot.get_ExportedWTD', S_OK, before=lambda s: s.exported(),
     on=snap, out=lambda s, a: a.value == s.shadow)
case('ISnapshot.get_Persistent', S_OK, before=taken, on=snap, out=1)
for _note, _before, _status in (
        ('idle', taken, 0), ('exported', lambda s: s.exported(), EXPORTED),
        ('mounted', snapshot_mounted, MOUNTED),
        ('rolling back', rolling_back, ROLLBACK)):
    case('ISnapshot.get_Status', S_OK, _note, before=_before, on=snap,
         out=_status)
for _name, _parameters in (
        ('Id', {'Id': UNKNOWN_GUID}), ('VssSnapshotId', {'Id': UNKNOWN_GUID}),
        ('VssSnapshotSetId', {'Id': UNKNOWN_GUID}), ('OrigWTD', {'nWTD': 1}),
        ('ExportedWTD', {'nWTD': 1}), ('Status', {'nStatus': 1})):
    case('ISnapshot.put_' + _name, E_NOTIMPL, before=taken, on=snap,
         **_parameters)
case('ISnapshot.Save', S_OK, before=taken, on=snap)
case('ISnapshot.Save', S_OK, 'prepared only', before=prepared_only, on=snap)
for _name in ('get_Id', 'get_OrigWTD', 'get_TimeStamp', 'get_ExportedWTD',
              'get_Persistent', 'get_Status', 'Save', 'Rollback',
              'AbortRollback', 'ExportAsWTDisk', 'GetVdsLunInfo', 'DVMount',
              'DVDismount'):
    case('ISnapshot.' + _name, ERROR_FILE_NOT_FOUND, 'deleted',
         before=deleted, on=snap, out=lambda s, a: True)


def reverting(percent, completion=0):
    """State after: as GetLunStatus and Status have it."""
    def check(s):
        return s.disk1.GetLunStatus().ok().value == {
            'dwLun': s.index, 'eStatus': istm.Reverting,
            'dwProgressPercent': percent, 'dwCompletionError': completion
        } and s.disk1.get_Status().value == istm.Reverting
    return check


def not_reverting(percent, completion):
    return lambda s: s.disk1.GetLunStatus().ok().value == {
        'dwLun': s.index, 'eStatus': istm.Idle, 'dwProgressPercent': percent,
        'dwCompletionError': completion} and status(0)(s)


_method = 'ISnapshot.Rollback'
case(_method, S_OK, before=taken, on=snap, after=lambda s:
     status(ROLLBACK)(s) and reverting(0)(s))
case(_method, ERROR_IO_PENDING, 'twice', before=rolling_back, on=snap,
     after=reverting(0))
case(_method, ERROR_SHARING_VIOLATION, 'to another one already',
     before=lambda s: (rolling_back(s), setattr(s, 'other', s.snapshot())),
     on=lambda s: s.other)
case(_method, ERROR_SHARING_VIOLATION, 'an initiator uses the disk',
     before=lambda s: (taken(s), s.in_use(s.index)), on=snap,
     after=status(0))
case(_method, ERROR_SHARING_VIOLATION, 'the disk is mounted',
     before=lambda s: (taken(s), mounted(s)), on=snap, after=status(0))
case(_method, ERROR_SHARING_VIOLATION, 'another one is mounted',
     before=lambda s: (snapshot_mounted(s), taken(s)), on=snap,
     after=status(0))
case(_method, ERROR_INVALID_HANDLE, 'disabled', before=disabled, on=snap,
     after=status(0))
case(_method, ERROR_FILE_NOT_FOUND, 'prepared only', before=prepared_only,
     on=snap)
case(_method, ERROR_FILE_NOT_FOUND, 'the disk is closed', before=lambda s: (
         taken(s), s.disks.CloseWTDisk(nWTD=s.index).ok()), on=snap)


def finished(hresult):
    def before(s):
        rolling_back(s)
        s.providers.progress(42)
        s.providers.finish(hresult)
    return before


case('IWTDisk3.GetLunStatus', S_OK, 'rolling back', before=lambda s: (
         rolling_back(s), s.providers.progress(42)), after=reverting(42))
case('IWTDisk3.GetLunStatus', S_OK, 'rolled back', before=finished(S_OK),
     after=not_reverting(100, 0))
case('IWTDisk3.GetLunStatus', S_OK, 'the rollback has failed',
     before=finished(ERROR_DISK_FULL),
     after=not_reverting(42, ERROR_DISK_FULL))
_method = 'ISnapshot.AbortRollback'
case(_method, S_OK, before=lambda s: (
         rolling_back(s), s.providers.progress(17)), on=snap,
     after=lambda s: not_reverting(17, E_ABORT)(s) and
     not s.providers.rolling_back())
case(_method, S_OK, 'none', before=taken, on=snap)


def log_in_to_reverting(s):
    """A unit that is being put back is none of the target's."""
    rolling_back(s)
    s.in_use(s.index)
    return s.session.luns()


case(_method, S_OK, 'the unit comes back', before=lambda s: setattr(
         s, 'seen', log_in_to_reverting(s)), on=snap,
     after=lambda s: s.index not in s.seen and s.session.luns() == [0] and
     s.seen in ([], [0]) and s.session.settle() is None)

_method = 'ISnapshot.ExportAsWTDisk'


def shows(s, a):
    """The answer is about a disk that shows the snapshot."""
    disk = s.get_disk(a['pWTD'])
    vendor = a['pVdsLunInfo']['m_deviceIdDescriptor']['m_rgIdentifiers'][1][
        'm_rgbIdentifier']
    return disk.get_Flags().value == 3 and \
        disk.get_Type().value == istm.WTDTypeFileBased and \
        disk.get_Size().value == 8 * MB and a['pWTD'] != s.index and \
        vendor[160:164] == a['pWTD'].to_bytes(4, 'little') and \
        vendor[164:] == uuid_bytes(s.snap.get_Id().value) and \
        s.snap.get_ExportedWTD().value == a['pWTD'] and \
        a['pVdsLunInfo'] == disk_vds(disk, vendor[164:])


def uuid_bytes(text):
    return string_to_bin(text)


def disk_vds(disk, snapshot):
    """What the disk says of itself, with the snapshot's id put in."""
    info = disk.GetVdsLunInfo().ok()['pVdsLunInfo']
    ids = info['m_deviceIdDescriptor']['m_rgIdentifiers']
    ids[1]['m_rgbIdentifier'] = ids[1]['m_rgbIdentifier'][:164] + snapshot
    return info


def old_stamp(s):
    taken(s)
    s.stamp = s.snap.get_TimeStamp().value


case(_method, S_OK, before=old_stamp, on=snap, out=shows,
     after=lambda s: status(EXPORTED)(s) and
     s.snap.get_TimeStamp().value > s.stamp)
case(_method, E_ABORT, 'exported already', before=lambda s: s.exported(),
     on=snap, after=status(EXPORTED))
case(_method, E_UNEXPECTED, 'prepared only', before=prepared_only, on=snap)
case(_method, ERROR_DISK_FULL, 'the provider fails', before=lambda s: (
         taken(s), s.providers.result('open', ERROR_DISK_FULL)), on=snap,
     after=lambda s: status(0)(s) and s.all_indices() == [s.index])


def exporting(s):
    """Another client's export is under way."""
    taken(s)
    s.providers.hold('open')
    number = s.snap.get_Id().value
    s.other = s.behind('create("SnapshotMgr").GetSnapshot(SnapshotId=%r)'
                       '.ok().value.ExportAsWTDisk()' % number)
    s.providers.wait('open')


def let_go(op):
    """State after: what was under way ends well."""
    def after(s):
        s.providers.release(op)
        return s.other.answer() == S_OK
    return after


case(_method, ERROR_BUSY, 'being exported', before=exporting, on=snap,
     after=let_go('open'))
case('ISnapshotMgr.DeleteSnapshot', ERROR_SHARING_VIOLATION,
     'being exported', before=exporting,
     SnapshotId=lambda s: s.snap.get_Id().value, after=let_go('open'))
case('ISnapshot.GetVdsLunInfo', S_OK, before=lambda s: s.exported(), on=snap,
     out=lambda s, a: shows(s, dict(a, pWTD=s.shadow)))
case('ISnapshot.GetVdsLunInfo', E_FAIL, 'not exported', before=taken,
     on=snap, out=lambda s, a: True)


def all_indices(s):
    return sorted(d.get_WTD().ok().value
                  for d in s.disks.EnumWTDisks().ok().value.each())


ProvidedState.all_indices = all_indices

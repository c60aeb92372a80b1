# SPDX-License-Identifier: GPL-3.0-or-later
"""Local mounts (3.36, 3.43, 3.44)."""

from istm_cases import MB
from istm_client import *  # noqa: F403
from istm_provided_cases.table import (
    ERROR_DISK_FULL, MOUNTED, NOT_MOUNTED, case, disabled, has, mounted,
    prepared_only, rolling_back, snap, snapshot_mounted, status, taken)
from istm_provided_cases.snapshot import let_go


def mount_points(s):
    return [m['szPath'] for m in s.disk1.EnumLMMountPoints().ok()
            .value.each()]


def snapshot_is_mounted(s):
    return status(MOUNTED)(s) and has(
        LMStatus=istm.MountSnapshot, LMType=istm.MountSnapshot,
        LMTimeStamp=s.snap.get_TimeStamp().value,
        LMCurrMountDeviceId='ISTM\\Disk%d&Snapshot' % s.index,
        LMSnapshotId=s.snap.get_Id().value)(s) and \
        mount_points(s) == ['C:\\mounts\\1', 'C:\\mounts\\2']


def disk_is_mounted(s):
    return has(LMStatus=istm.MountDirect, LMType=istm.MountDirect,
               LMTimeStamp=0, LMCurrMountDeviceId='ISTM\\Disk%d' % s.index,
               LMSnapshotId=NULL_GUID)(s) and len(mount_points(s)) == 2


_method = 'ISnapshot.DVMount'
case(_method, S_OK, before=taken, on=snap, after=snapshot_is_mounted)
case(_method, S_OK, 'once more', before=snapshot_mounted, on=snap,
     after=snapshot_is_mounted)
case(_method, S_OK, 'instead of another', before=lambda s: (
         snapshot_mounted(s), setattr(s, 'other', s.snap), taken(s)),
     on=snap, after=lambda s: snapshot_is_mounted(s) and
     s.other.get_Status().value == 0)
case(_method, S_OK, 'instead of the disk', before=lambda s: (
         mounted(s), taken(s)), on=snap, after=snapshot_is_mounted)
case(_method, E_FAIL, 'disabled', before=disabled, on=snap,
     after=NOT_MOUNTED)
case(_method, E_FAIL, 'not admissible', before=lambda s: (
         taken(s), s.disk1.put_LMWTManageMountPoint(bManage=0).ok()),
     on=snap, after=NOT_MOUNTED)
case(_method, E_INVALIDARG, 'prepared only', before=prepared_only, on=snap)
case(_method, ERROR_SHARING_VIOLATION, 'rolling back', before=rolling_back,
     on=snap, after=NOT_MOUNTED)
case(_method, ERROR_DISK_FULL, 'the provider fails', before=lambda s: (
         taken(s), s.providers.result('mount', ERROR_DISK_FULL)), on=snap,
     after=lambda s: NOT_MOUNTED(s) and status(0)(s))
case(_method, S_OK, 'while an initiator uses the disk', before=lambda s: (
         taken(s), s.in_use(s.index)), on=snap, after=snapshot_is_mounted)
_method = 'ISnapshot.DVDismount'
case(_method, S_OK, before=snapshot_mounted, on=snap, after=lambda s:
     NOT_MOUNTED(s) and status(0)(s) and mount_points(s) == [])
case(_method, ERROR_INVALID_OPERATION, 'not mounted', before=taken, on=snap)
case(_method, ERROR_INVALID_OPERATION, 'another one is', before=lambda s: (
         snapshot_mounted(s), setattr(s, 'other', s.snap), taken(s)),
     on=snap, after=lambda s: s.other.get_Status().value == MOUNTED)
case(_method, ERROR_INVALID_OPERATION, 'the disk is', before=lambda s: (
         mounted(s), taken(s)), on=snap, after=disk_is_mounted)
case(_method, ERROR_DISK_FULL, 'the provider fails', before=lambda s: (
         snapshot_mounted(s),
         s.providers.result('dismount', ERROR_DISK_FULL)), on=snap,
     after=lambda s: snapshot_is_mounted(s) and
     s.providers.result('dismount', 0) is None)

_method = 'IWTDisk.DVMountDirect'
case(_method, S_OK, after=disk_is_mounted)
case(_method, S_OK, 'once more', before=mounted, after=disk_is_mounted)
case(_method, S_OK, 'instead of a snapshot', before=snapshot_mounted,
     after=lambda s: disk_is_mounted(s) and status(0)(s))
case(_method, ERROR_INVALID_FUNCTION, 'of a snapshot',
     on=lambda s: s.exported())
case(_method, ERROR_SHARING_VIOLATION, 'rolling back', before=rolling_back,
     after=NOT_MOUNTED)
case(_method, ERROR_SHARING_VIOLATION, 'an initiator uses it',
     before=lambda s: s.in_use(s.index), after=NOT_MOUNTED)
case(_method, ERROR_DISK_FULL, 'the provider fails', before=lambda s:
     s.providers.result('mount', ERROR_DISK_FULL), after=NOT_MOUNTED)


def logged_in_while_mounted(s):
    """The units that an initiator sees then."""
    s.host1.AddWTDisk(nWTD=s.index).ok()
    mounted(s)
    s.log_in(s.host1)
    return s.session.luns()


case('IWTDisk.DVDismount', S_OK, 'initiators get it back', before=lambda s:
     setattr(s, 'seen', logged_in_while_mounted(s)), after=lambda s:
     s.session.settle() is None and s.session.capacity() == 8 * MB and
     s.disk1.get_Status().value == istm.InUse and s.hidden(s.seen))
case('IWTDisk.get_Status', S_OK, 'mounted: none of the initiator\'s',
     before=logged_in_while_mounted, out=istm.Idle)


def mounting(s):
    """Another client's mount is under way."""
    s.providers.hold('mount')
    s.other = s.behind('create("WTDiskMgr").GetWTDisk(nWTD=%d).ok().value'
                       '.DVMountDirect()' % s.index)
    s.providers.wait('mount')


case(_method, ERROR_SHARING_VIOLATION, 'being mounted', before=mounting,
     after=let_go('mount'))
_method = 'IWTDisk.DVDismount'
case(_method, S_OK, before=mounted, after=lambda s: NOT_MOUNTED(s) and
     mount_points(s) == [])
case(_method, ERROR_INVALID_OPERATION, 'mounted from a snapshot',
     before=snapshot_mounted, after=snapshot_is_mounted)
case(_method, ERROR_INVALID_OPERATION, 'not mounted', after=NOT_MOUNTED)
case(_method, E_FAIL, 'disabled', before=lambda s: (
         s.disk1.put_Enable(bEnable=0).ok()))
case(_method, ERROR_INVALID_FUNCTION, 'differencing',
     on=lambda s: s.diff_disk())
case(_method, ERROR_DISK_FULL, 'the provider fails', before=lambda s: (
         mounted(s), s.providers.result('dismount', ERROR_DISK_FULL)),
     after=lambda s: disk_is_mounted(s) and
     s.providers.result('dismount', 0) is None)
case('IWTDisk.EnumLMMountPoints', S_OK, before=mounted,
     out=lambda s, a: [m['szPath'] for m in a.value.each()] == [
         'C:\\mounts\\1', 'C:\\mounts\\2'])
case('IEnumLMMountPoint.Next', S_OK, before=mounted, on=lambda s:
     s.disk1.EnumLMMountPoints().ok().value, ulNumElements=1,
     out={'pElements': {'szPath': 'C:\\mounts\\1'},
          'pNumElementsReturned': 1})
case('IEnumLMMountPoint.Skip', S_FALSE, 'past the end', before=mounted,
     on=lambda s: s.disk1.EnumLMMountPoints().ok().value, ulNumElements=3)

_method = 'IWTDisk2.put_Enable'
case(_method, S_OK, 'disabling dismounts', before=mounted, bEnable=0,
     after=lambda s: NOT_MOUNTED(s) and mount_points(s) == [])
case(_method, S_OK, 'disabling dismounts a snapshot',
     before=snapshot_mounted, bEnable=0,
     after=lambda s: NOT_MOUNTED(s) and status(0)(s))
case(_method, ERROR_SHARING_VIOLATION, 'rolling back', before=rolling_back,
     bEnable=0, after=has(Enable=1))
case(_method, S_OK, 'enabling while rolling back', before=rolling_back,
     bEnable=1, after=has(Enable=1))

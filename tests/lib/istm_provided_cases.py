# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods whose outcomes need snapshots, local mounts or a cluster, which
tests/providerd plays: the second part of the table in istm_cases."""

import os
import select
import subprocess
import sys
import time

from iscsi_initiator import Session
from istm_cases import MB, UNKNOWN_GUID, Case, State
from istm_client import *  # noqa: F403
from providers import Providers

E_UNEXPECTED = 0x8000ffff
VSS_E_VOLUME_NOT_SUPPORTED = 0x8004230c
ERROR_BUSY = win32(170)
ERROR_IO_PENDING = win32(997)
ERROR_DEPENDENT_RESOURCE_EXISTS = win32(5001)
ERROR_DISK_FULL = win32(112)
ME = 'iqn.2026-01.org.example:me'
GIVEN = '0a0b0c0d-1111-2222-3333-444455556666'
EXPORTED, MOUNTED, ROLLBACK = 1, 2, 4


class ProvidedState(State):
    """Two targets, a disk, no snapshots, providers that succeed at once."""

    def __init__(self):
        super().__init__()
        self.providers = Providers()
        self.session = None

    def prepare(self):
        if self.session is not None:
            self.session.close()
            self.session = None
        self.providers.reset()
        for snapshot in list(self.snapshots.EnumSnapshots().ok()
                             .value.each()):
            snapshot.DVDismount()
            self.snapshots.DeleteSnapshot(
                SnapshotId=snapshot.get_Id().value).ok()
        for disk in list(self.disks.EnumWTDisks().ok().value.each()):
            disk.DVDismount()
        super().prepare()

    def default(self, interface):
        return super().default(interface)

    def snapshot(self, disk=None):
        """One that was taken of the disk; its object."""
        number = self.prepared(disk)
        self.snapshots.DoCreateSnapshot(SnapshotId=number).ok()
        self.snapshots.DoEndSnapshot(SnapshotId=number).ok()
        return self.get_snapshot(number)

    def prepared(self, disk=None):
        return self.snapshots.PrepareCreateSnapshot(
            nWTD=self.index if disk is None else disk).ok()['pSnapshotId']

    def get_snapshot(self, number):
        return self.snapshots.GetSnapshot(SnapshotId=number).ok().value

    def all_snapshots(self):
        return [s.get_Id().ok().value
                for s in self.snapshots.EnumSnapshots().ok().value.each()]

    def exported(self, snapshot=None):
        """A disk that shows a snapshot of the disk."""
        self.snap = snapshot or self.snapshot()
        self.shadow = self.snap.ExportAsWTDisk().ok()['pWTD']
        return self.get_disk(self.shadow)

    def log_in(self, host):
        host.AddID(pIDMethod={'eMethod': istm.IDIQN, 'szValue': ME}).ok()
        self.session = Session(os.environ['ISTM_PORTAL'], ME,
                               host.get_TargetIQN().ok().value)
        self.session.settle()

    def in_use(self, index):
        self.host1.AddWTDisk(nWTD=index).ok()
        self.log_in(self.host1)

    def hidden(self, luns):
        """No unit answered: at most the well-known LUN 0 was listed."""
        return luns in ([], [0])

    def behind(self, call):
        """Make a call from another client, while this one goes on."""
        return Behind(call)


class Behind:
    """A client in a process of its own: impacket has but one in each."""

    def __init__(self, call):
        self.process = subprocess.Popen(
            [sys.executable, '-c', 'from istm_client import *\n'
             'create = Client.from_environment().create\n'
             'print(%s.hresult, flush=True)\nos._exit(0)' % call],
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
            stdout=subprocess.PIPE)

    def answers_within(self, seconds):
        return bool(select.select([self.process.stdout], [], [],
                                  seconds)[0])

    def answer(self):
        return int(self.process.communicate(timeout=60)[0])


TABLE, CLUSTER = [], []


def case(method, wanted, note='', before=None, on=None, out=None, after=None,
         **parameters):
    TABLE.append(Case(method, wanted, parameters, note, before, on, out,
                      after))


def cluster_case(method, wanted, note='', before=None, on=None, out=None,
                 after=None, **parameters):
    CLUSTER.append(Case(method, wanted, parameters, note, before, on, out,
                        after))


def cases():
    return TABLE + CLUSTER


def has(**wanted):
    """State after: properties of the disk."""
    def check(s):
        return {n: s.disk1.call('get_' + n).ok().value
                for n in wanted} == wanted
    return check


def status(wanted):
    """State after: the snapshot's status."""
    return lambda s: s.snap.get_Status().ok().value == wanted


def taken(s):
    s.snap = s.snapshot()


def snap(s):
    """The snapshot that was made before, or a new one."""
    return s.snap


def prepared_only(s):
    s.snap = s.get_snapshot(s.prepared())


def deleted(s):
    """The object of a snapshot that has gone."""
    taken(s)
    s.snapshots.DeleteSnapshot(SnapshotId=s.snap.get_Id().value).ok()


def rolling_back(s):
    taken(s)
    s.snap.Rollback().ok()


def snapshot_mounted(s):
    taken(s)
    s.snap.DVMount().ok()


def mounted(s):
    s.disk1.DVMountDirect().ok()


def disabled(s):
    taken(s)
    s.disk1.put_Enable(bEnable=0).ok()


def filetime():
    return int((time.time() + 11644473600) * 10 ** 7)


NOT_MOUNTED = has(LMStatus=istm.DoNotMount, LMType=istm.DoNotMount,
                  LMTimeStamp=0, LMCurrMountDeviceId='',
                  LMSnapshotId=NULL_GUID)

# ------------------------------------------------- ISnapshotMgr (3.38)

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

# ---------------------------------------------------- ISnapshot (3.36)

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

# ------------------------------------- local mounts (3.36, 3.43, 3.44)


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

# ----------------------------------------------------- disks (3.43 to 3.48)

_method = 'IWTDiskMgr.DeleteWTDisk'
for _note, _before, _wanted in (
        ('a snapshot is mounted', snapshot_mounted, ERROR_SHARING_VIOLATION),
        ('mounted', mounted, ERROR_SHARING_VIOLATION),
        ('rolling back', rolling_back, ERROR_SHARING_VIOLATION),
        ('a snapshot is exported', lambda s: s.exported(),
         ERROR_DEPENDENT_RESOURCE_EXISTS),
        ('in use comes before mounted', lambda s: (
            snapshot_mounted(s), s.in_use(s.index)), ERROR_DRIVE_LOCKED),
        ('mounted comes before exported', lambda s: (
            s.exported(), snapshot_mounted(s)), ERROR_SHARING_VIOLATION)):
    case(_method, _wanted, _note, before=_before, nWTD=lambda s: s.index,
         after=lambda s: s.index in s.all_indices())
case(_method, S_OK, 'its snapshots go with it', before=taken,
     nWTD=lambda s: s.index, after=lambda s: s.all_snapshots() == [])
case(_method, S_OK, 'that shows a snapshot', before=lambda s: s.exported(),
     nWTD=lambda s: s.shadow, after=lambda s: status(0)(s) and
     s.all_indices() == [s.index])
_method = 'IWTDiskMgr2.CloseWTDisk'
case(_method, S_OK, 'mounted', before=mounted, nWTD=lambda s: s.index,
     after=lambda s: s.all_indices() == [])
case(_method, S_OK, 'rolling back: that ends', before=rolling_back,
     nWTD=lambda s: s.index, after=lambda s: s.all_indices() ==
     s.all_snapshots() == [] and not s.providers.rolling_back())
case(_method, S_OK, 'in use', before=lambda s: s.in_use(s.index),
     nWTD=lambda s: s.index, after=lambda s: s.all_indices() ==
     s.mappings() == [])
case('ILocalDeviceMgr.GrowWtFile', ERROR_SHARING_VIOLATION, 'rolling back',
     before=rolling_back, FilePath=volume_path('disk.vhd'),
     hyAdditionalSize=MB)

case('IWTDisk.get_SnapshotStorageUsedSize', S_OK, 'in use',
     before=lambda s: s.providers.tell('used', 4711), out=4711)
case('IWTDisk.get_SnapshotStorageUsedSize', S_OK, 'disabled',
     before=lambda s: (s.providers.tell('used', 4711),
                       s.disk1.put_Enable(bEnable=0).ok()), out=0)
for _name, _value in (('SnapshotStoragePath', ''),
                      ('SnapshotStorageSize', 0),
                      ('SnapshotStorageUsedSize', 0), ('Flags', 3)):
    case('IWTDisk.get_' + _name, S_OK, 'of a snapshot',
         before=lambda s: s.providers.tell('used', 4711),
         on=lambda s: s.exported(), out=_value)
case('IWTDisk.GetDeviceVolumeGuid', S_OK, 'of a snapshot',
     on=lambda s: s.exported(), out=lambda s, a: a.value ==
     s.disk1.GetDeviceVolumeGuid().ok().value)


def orphan(s):
    """The original is closed, the disk that shows its snapshot is not."""
    disk = s.exported()
    s.disks.CloseWTDisk(nWTD=s.index).ok()
    return disk


case('IWTDisk.GetDeviceVolumeGuid', ERROR_FILE_NOT_FOUND,
     'the original is gone', on=orphan)
for _method, _parameters in (
        ('EnumWTDisksOnSameVolume', {'nWTD': lambda s: s.index}),
        ('EnumWTDisksOnSameVolumeByPath', {'Path': 'C:\\'})):
    case('IWTDiskMgr.' + _method, S_OK, 'with one of a snapshot',
         before=lambda s: s.exported(), out=lambda s, a: sorted(
             d.get_WTD().value for d in a.value.each()) == sorted(
                 [s.index, s.shadow]), **_parameters)
case('IWTDiskMgr.EnumWTDisksOnSameVolume', S_OK, 'as one of a snapshot',
     before=lambda s: s.exported(), nWTD=lambda s: s.shadow,
     out=lambda s, a: len(list(a.value.each())) == 2)

_method = 'IWTDiskMgr2.CreateShadowWTDiskNonPersistent'
SHADOW = dict(nWTD=77, eDeviceType=istm.WTDTypeFileBased,
              DevicePath=volume_path('shadow.vhd'), Description='shadow',
              ResourceName='resource',
              SnapshotId=lambda s: s.snap.get_Id().value)


def non_persistent(s, a):
    disk = a['ppWTDisk'].query('IWTDisk3')
    return {n: disk.call('get_' + n).ok().value for n in (
        'WTD', 'Flags', 'DevicePath', 'Description', 'ResourceName',
        'ResourceState', 'Size')} == {
            'WTD': 77, 'Flags': 3, 'DevicePath': volume_path('shadow.vhd'),
            'Description': 'shadow', 'ResourceName': 'resource',
            'ResourceState': 2, 'Size': 8 * MB}


case(_method, S_OK, 'of a snapshot', before=taken, out=non_persistent,
     after=lambda s: status(EXPORTED)(s) and
     s.snap.get_ExportedWTD().value == 77, **SHADOW)
case(_method, S_OK, 'of a snapshot, next index', before=taken,
     out=lambda s, a: a['ppWTDisk'].get_WTD().value != s.index,
     **dict(SHADOW, nWTD=0xffffffff))
for _note, _wanted, _wrong in (
        ('NULL path', E_POINTER, {'DevicePath': None}),
        ('NULL description', E_POINTER, {'Description': None}),
        ('RAM', E_INVALIDARG, {'eDeviceType': istm.WTDTypeRamBased}),
        ('on a volume', E_INVALIDARG,
         {'eDeviceType': istm.WTDTypeVolumeBased}),
        ('malformed', E_INVALIDARG, {'DevicePath': 'no path'}),
        ('a root', E_INVALIDARG, {'DevicePath': 'C:\\'}),
        ('path in use', ERROR_ALREADY_EXISTS,
         {'DevicePath': volume_path('disk.vhd')}),
        ('index in use', ERROR_ALREADY_EXISTS, {'nWTD': lambda s: s.index}),
        ('unknown snapshot', ERROR_FILE_NOT_FOUND,
         {'SnapshotId': UNKNOWN_GUID})):
    case(_method, _wanted, _note, before=taken, after=lambda s:
         status(0)(s) and s.all_indices() == [s.index],
         **dict(SHADOW, **_wrong))
case(_method, E_ABORT, 'exported already', before=lambda s: s.exported(),
     **SHADOW)

# ---------------------------------------------------- IEnumSnapshot (3.15)


def two(s):
    """Two snapshots, and an enumerator over them."""
    s.two = [s.snapshot(), s.snapshot()]
    s.enumerator = s.snapshots.EnumSnapshots().ok().value
    return s.enumerator


def left(wanted):
    return lambda s: s.enumerator.Next(
        ulNumElements=0)['pNumElementsReturned'] == wanted


case('IEnumSnapshot.Next', S_OK, on=two, ulNumElements=1, after=left(1),
     out=lambda s, a: a['pNumElementsReturned'] == 1 and
     a['pElements'].oid == s.two[0].oid)
case('IEnumSnapshot.Next', S_OK, 'none: how many are left', on=two,
     ulNumElements=0, out={'pElements': None, 'pNumElementsReturned': 2})
case('IEnumSnapshot.Next', E_FAIL, 'two', on=two, ulNumElements=2,
     after=left(2))
case('IEnumSnapshot.Skip', S_OK, on=two, ulNumElements=2, after=left(0))
case('IEnumSnapshot.Skip', S_FALSE, on=two, ulNumElements=3, after=left(0))


def one_deleted(s):
    enum = two(s)
    s.snapshots.DeleteSnapshot(SnapshotId=s.two[0].get_Id().value).ok()
    return enum


case('IEnumSnapshot.Next', S_OK, 'one has gone since', on=one_deleted,
     ulNumElements=1, after=left(0),
     out=lambda s, a: a['pElements'].oid == s.two[1].oid)

# ------------------------------------------------------------- in a cluster

cluster_case('IWTGeneral2.IsClustered', S_OK)
cluster_case('ILocalDeviceMgr2.EnumResourceGroup', S_OK, out=lambda s, a: [
    g['szName'] for g in a.value.each()] == ['SAN', 'Elsewhere'])
cluster_case('ILocalDeviceMgr2.EnumLocalResourceGroup', S_OK,
             out=lambda s, a: [g['szName']
                               for g in a.value.each()] == ['SAN'])
_method = 'ILocalDeviceMgr2.GetResourceGroupGuid'
cluster_case(_method, S_OK, ResourceGroup='SAN', out=lambda s, a:
             a.value == '00000001-0000-0000-0000-000000000000')
cluster_case(_method, S_OK, 'in other case', ResourceGroup='san',
             out=lambda s, a: a.value != NULL_GUID)
cluster_case(_method, ERROR_INVALID_HANDLE, ResourceGroup='none')
cluster_case(_method, E_INVALIDARG, 'empty', ResourceGroup='')
_method = 'ILocalDeviceMgr2.GetResourceGroupFromPath'
cluster_case(_method, S_OK, FilePath='C:\\x.vhd', out='SAN')
cluster_case(_method, E_INVALIDARG, FilePath='no path')
_method = 'ILocalDeviceMgr2.GetResourceGroupOwner'
for _group, _node in ('SAN', 'node1'), ('Elsewhere', 'node2'):
    cluster_case(_method, S_OK, _group, ResourceGroup=_group, out=_node)
cluster_case(_method, ERROR_INVALID_HANDLE, ResourceGroup='none')
cluster_case(_method, E_POINTER, 'empty', ResourceGroup='')
_method = 'ILocalDeviceMgr2.RenameResourceGroup'
cluster_case(_method, S_OK, ResourceGroup='Elsewhere',
             NewResourceGroup='Renamed', after=lambda s:
             s.device.RenameResourceGroup(
                 ResourceGroup='Renamed',
                 NewResourceGroup='Elsewhere').hresult == S_OK)
cluster_case(_method, ERROR_INVALID_HANDLE, ResourceGroup='none',
             NewResourceGroup='new')
cluster_case(_method, E_INVALIDARG, 'to the empty name', ResourceGroup='SAN',
             NewResourceGroup='')


def group_enum(s):
    s.enumerator = s.device.EnumResourceGroup().ok().value
    return s.enumerator


cluster_case('IEnumResourceGroup.Next', S_OK, on=group_enum, ulNumElements=1,
             out=lambda s, a: a['pNumElementsReturned'] == 1 and
             a['pElements']['szName'] == 'SAN', after=left(1))
cluster_case('IEnumResourceGroup.Next', S_OK, 'none', on=group_enum,
             ulNumElements=0, out=lambda s, a:
             a['pNumElementsReturned'] == 2, after=left(2))
cluster_case('IEnumResourceGroup.Next', E_FAIL, 'two', on=group_enum,
             ulNumElements=2)
cluster_case('IEnumResourceGroup.Skip', S_OK, on=group_enum, ulNumElements=2,
             after=left(0))
cluster_case('IEnumResourceGroup.Skip', S_FALSE, on=group_enum,
             ulNumElements=3, after=left(0))
cluster_case('IEnumResourceGroup.Skip', E_INVALIDARG, on=group_enum,
             ulNumElements=0)
cluster_case('IEnumResourceGroup.Reset', S_OK, on=lambda s: (
    group_enum(s), s.enumerator.Skip(ulNumElements=2))[0], after=left(2))
cluster_case('IEnumResourceGroup.Clone', S_OK, on=group_enum)
cluster_case('IWTDisk2.get_ResourceGroupName', S_OK, out='SAN')
cluster_case('ILocalDeviceMgr2.EnumVolumes2', S_OK, out=lambda s, a: [
    v['szResourceGroup'] for v in a.value.each()] == ['SAN'])
cluster_case('ILocalDeviceMgr2.GetVolumeInfo', S_OK, VolumePath='C:\\',
             out=lambda s, a: a['pVolumeInfo']['szResourceGroup'] == 'SAN')
cluster_case('IWTDisk3.get_ResourceState', S_OK, 'online', out=2)
cluster_case('IWTDisk3.get_ResourceState', S_OK, 'offline', out=3,
             before=lambda s: s.providers.tell('state', 3))


def offline(s):
    taken(s)
    s.providers.tell('state', 3)


for _method in (
        'get_Guid', 'get_SerialNumber', 'get_Type', 'get_Flags', 'get_Status',
        'get_Assigned', 'get_Description', 'put_Description',
        'put_DevicePath', 'get_Size', 'get_SnapshotStoragePath',
        'put_SnapshotStoragePath', 'get_SnapshotStorageSize',
        'put_SnapshotStorageSize', 'get_SnapshotStorageUsedSize',
        'get_LMType', 'get_LMStatus', 'get_LMTimeStamp',
        'get_LMCurrMountDeviceId', 'get_LMSnapshotId', 'Save',
        'DVMountDirect', 'DVDismount', 'EnumLMMountPoints', 'GetVdsLunInfo',
        'GetDeviceVolumeGuid'):
    cluster_case('IWTDisk.' + _method, ERROR_INVALID_FUNCTION, 'offline',
                 before=offline, out=lambda s, a: True)
for _method in 'IWTDisk2.get_Enable', 'IWTDisk2.put_Enable', \
        'IWTDisk3.get_VhdType', 'IWTDisk3.get_ParentPath', \
        'IWTDisk3.get_AllocatedSize', 'IWTDisk3.get_CacheParent', \
        'IWTDisk3.put_CacheParent', 'IWTDisk3.GetLunStatus':
    cluster_case(_method, ERROR_INVALID_FUNCTION, 'offline', before=offline,
                 out=lambda s, a: True)
for _method, _out in (('IWTDisk.get_WTD', lambda s, a: a.value == s.index),
                      ('IWTDisk.get_DevicePath', lambda s, a:
                       a.value == volume_path('disk.vhd')),
                      ('IWTDisk2.get_ResourceName', ''),
                      ('IWTDisk2.get_ResourceGroupName', 'SAN'),
                      ('IWTDisk2.IsAlive', None)):
    cluster_case(_method, S_OK, 'offline', before=offline, out=_out)
# Targets (3.21, 3.23): all but their names and what is always the same.
def host_offline(s):
    s.host1.AddWTDisk(nWTD=s.index).ok()
    s.iqn = s.host1.get_TargetIQN().ok().value
    s.providers.tell('state', 3)


ALWAYS = ('get_Name', 'put_Name', 'get_ResourceName', 'put_ResourceName',
          'get_ResourceState', 'CheckTargetRedirect', 'put_Status',
          'put_LastLogIn', 'SetCHAPInfoByBlob', 'put_ResourceGroupName',
          'put_ResourceState')
for _interface, _method in sorted(METHODS):
    if _interface == 'IHost3' and _method not in ALWAYS:
        cluster_case('IHost3.' + _method, ERROR_INVALID_FUNCTION, 'offline',
                     before=host_offline, out=lambda s, a: True)
cluster_case('IHost.get_Name', S_OK, 'offline', before=host_offline,
             out='first')
cluster_case('IHost.put_Name', S_OK, 'offline', before=host_offline,
             Name='renamed',
             after=lambda s: s.host1.get_Name().value == 'renamed')
cluster_case('IHost2.put_ResourceName', S_OK, 'offline', before=host_offline,
             resourceName='a name',
             after=lambda s: s.host1.get_ResourceName().value == 'a name')
cluster_case('IHost3.get_ResourceState', S_OK, 'online', out=2)
cluster_case('IHost3.get_ResourceState', S_OK, 'offline', out=3,
             before=host_offline)
cluster_case('IHost.put_Description', S_OK, 'online', Description='x',
             after=lambda s: s.host1.get_Description().value == 'x')


def both(s):
    return sorted([s.host1.oid, s.host2.oid])


cluster_case('IHostMgr.NewHost', E_INVALIDARG, 'needs a group',
             HostName='third')
cluster_case('IHostMgr2.NewHost2', S_OK, 'in no group', HostName='third')
cluster_case('IHostMgr2.NewHost2', S_OK, 'in a group', HostName='third',
             ResourceGroup='SAN')
cluster_case('IHostMgr2.NewHost2', E_INVALIDARG, 'in an unknown group',
             HostName='third', ResourceGroup='none')
for _method, _out in (('IHostMgr.EnumHosts', 'ppEnumHost'),
                      ('IHostMgr3.EnumAllClusterHosts', 'EnumHost')):
    cluster_case(_method, S_OK, 'online', out=lambda s, a, o=_out: sorted(
        h.oid for h in a[o].each()) == both(s))
cluster_case('IHostMgr.EnumHosts', S_OK, 'offline', before=host_offline,
             out=lambda s, a: list(a.value.each()) == [])
cluster_case('IHostMgr3.EnumAllClusterHosts', S_OK, 'offline',
             before=host_offline, out=lambda s, a: sorted(
                 h.oid for h in a.value.each()) == both(s))
cluster_case('IHostMgr.GetHost', S_OK, 'offline', before=host_offline,
             HostName='first', out=lambda s, a: a['ppHost'].oid ==
             s.host1.oid)
cluster_case('IHostMgr.GetHostByTargetIQN', ERROR_FILE_NOT_FOUND, 'offline',
             before=host_offline, TargetIQN=lambda s: s.iqn)
cluster_case('IHostMgr.DeleteHost', S_OK, 'offline', before=host_offline,
             HostName='first')
cluster_case('ISnapshot.DVDismount', ERROR_INVALID_FUNCTION, 'offline',
             before=offline, on=snap)
_method = 'IWTDiskMgr4.ClusterNotifyWTDiskDeletion2'
cluster_case(_method, E_INVALIDARG, nWTD=4711)
cluster_case(_method, S_OK, nWTD=lambda s: s.index,
             after=lambda s: s.all_indices() == [])
cluster_case(_method, S_OK, 'of a snapshot', before=lambda s: s.exported(),
             nWTD=lambda s: s.shadow, bShadowDisk=1,
             after=lambda s: status(0)(s) and s.all_indices() == [s.index])
cluster_case('IWTDiskMgr4.EnumAllClusterWTDisks', S_OK, out=lambda s, a: [
    d.get_WTD().value for d in a.value.each()] == [s.index])

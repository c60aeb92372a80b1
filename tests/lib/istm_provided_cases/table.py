# SPDX-License-Identifier: GPL-3.0-or-later
"""The two tables, the state that each case begins with, and what brings it
about."""

import os
import select
import subprocess
import sys
import time

from iscsi_initiator import Session
from istm_cases import Case, State
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
        return int(self.process.communicate(timeout=200)[0])


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

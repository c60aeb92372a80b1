# SPDX-License-Identifier: GPL-3.0-or-later
"""The table, the state that each case begins with, and values of several
interfaces."""

import os

from istm_client import *  # noqa: F403

MB = 1 << 20
SECRET = 'sixteen bytes 16'
OTHER_SECRET = 'another secret'
SECRETS = [SECRET, OTHER_SECRET]
IQN = 'iqn.2026-01.org.example:target'
INITIATOR = {'eMethod': istm.IDIQN, 'szValue': 'iqn.2026-01.org.example:me'}
UNKNOWN_GUID = '11111111-2222-3333-4444-555555555555'
UNKNOWN_DISK = 4711
VOLUME_NAMES = ('C:\\', 'C:\\x.vhd')


def addresses(n=''):
    return os.environ['ISTM_PORTAL' + n].rsplit(':', 1)[0]


class State(Server):
    """Two targets and a disk, none of them in use."""

    def prepare(self):
        self.clear()
        self.host1 = self.host('first')
        self.host2 = self.host('second')
        self.index = self.disk('disk.vhd', description='a disk')
        self.disk1 = self.get_disk(self.index)

    def default(self, interface):
        for prefix, name in (
                ('IHostMgr', 'hosts'), ('IHost', 'host1'),
                ('IWTDiskMgr', 'disks'), ('IWTDisk', 'disk1'),
                ('ILocalDeviceMgr', 'device'), ('IWTGeneral', 'general'),
                ('ISnapshotMgr', 'snapshots'), ('ISnsMgr', 'sns'),
                ('ISessionManager', 'sessions')):
            if interface.startswith(prefix):
                return getattr(self, name)
        return None

    def ram_disk(self):
        index = self.disks.CreateWTDisk(
            eDeviceType=istm.WTDTypeRamBased, DevicePath=str(8 * MB),
            Description='', bClearPartTable=0, bForceDismount=0).ok()['pWTD']
        return self.get_disk(index)

    def diff_disk(self):
        """A disk on a differencing file over C:\\parent.vhd."""
        self.file('parent.vhd')
        self.device.CreateDiffWtFile(
            FilePath=volume_path('child.vhd'),
            ParentPath=volume_path('parent.vhd')).ok()
        index = self.disks.CreateWTDisk(
            eDeviceType=istm.WTDTypeFileBased,
            DevicePath=volume_path('child.vhd'), Description='',
            bClearPartTable=0, bForceDismount=0).ok()['pWTD']
        return self.get_disk(index)

    def enum(self, of=None):
        """An enumerator with two items: the targets."""
        return self.hosts.EnumHosts().ok().value

    def mappings(self, host=None):
        host = host or self.host1
        return [(m['dwLun'], m['dwWTD']) for m in
                host.EnumWTDiskLunMappings().ok().value.each()]

    def ids(self):
        return list(self.host1.EnumIDs().ok().value.each())

    def exists(self, name):
        return os.path.exists(local_path(name))

    def write(self, name, data=b'x'):
        with open(local_path(name), 'wb') as file:
            file.write(data)


class Case:
    def __init__(self, method, wanted, parameters, note='', before=None,
                 on=None, out=None, after=None):
        self.interface, self.method = method.split('.')
        self.wanted = wanted
        self.parameters = parameters
        self.before, self.on, self.out = before, on, out
        self.after = after
        self.name = '%s %s%s' % (method, hresult_name(wanted),
                                 note and ' ' + note)


TABLE = []


def case(method, wanted, note='', before=None, on=None, out=None, after=None,
         **parameters):
    TABLE.append(Case(method, wanted, parameters, note, before, on, out,
                      after))


def cases():
    return TABLE

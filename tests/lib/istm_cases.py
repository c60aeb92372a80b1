# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods of MS-ISTM and their documented outcomes, as one table.

A case is: method, HRESULT, parameters, and where it matters what is done
before, on which object, what is returned and what holds after. Sections are
those of the specification; spec/notes.md has the judgements where it is silent.
"""

import os
import socket

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


def answers(method, wanted, *notes):
    """The same answer whatever is given."""
    case(method, wanted)


# ------------------------------------------------ IHost (3.21), 2 and 3


def prop(interface, name, parameter, out, default, values, wrong=(),
         on=None):
    """A property: default, values that are accepted, values that are not."""
    get, put = '%s.get_%s' % (interface, name), '%s.put_%s' % (
        interface, name)
    if default is not None:
        case(get, S_OK, 'default', out={out: default}, on=on)
    for value in values:
        case(put, S_OK, repr(value)[:40] if 'Secret' not in name else '',
             on=on, after=lambda s, value=value: (
                 (on(s) if on else s.default(interface)).call(
                     'get_' + name).ok().value == value),
             **{parameter: value})
    for value, error in wrong:
        case(put, error, repr(value)[:40], on=on, after=lambda s: (
            default is None or (on(s) if on else s.default(interface)).call(
                'get_' + name).ok().value == default), **{parameter: value})


case('IHost.get_Guid', S_OK,
     out=lambda s, a: a['pGuid'] not in (
         NULL_GUID, s.host2.get_Guid().value))
prop('IHost', 'Enable', 'bEnable', 'pEnable', 1, [0, 1])
prop('IHost', 'Name', 'Name', 'pName', 'first',
     ['renamed', 'DatabaseTarget', 'first', 'iqn.2026-01.org.example:name'],
     [('second', ERROR_FILE_EXISTS), ('', ERROR_INVALID_DATA),
      (None, ERROR_INVALID_DATA), ('with space', ERROR_INVALID_DATA),
      ('under_score', ERROR_INVALID_DATA), ('x' * 300, ERROR_INVALID_DATA)])
for _name, _out in (('Enable', 'pEnable'), ('EnableCHAP', 'pEnable'),
                    ('EnableReverseCHAP', 'pEnable'),
                    ('EnforceIdleTimeoutDetection', 'pEnable'),
                    ('ListenAllNetworkAdapters', 'pListenAll')):
    # 2.2: a Boolean is 0 or 1 when it is returned.
    case('IHost.put_' + _name, S_OK, '255 is true',
         after=lambda s, n=_name, o=_out: s.host1.call(
             'get_' + n).ok()[o] == 1, **{'b' + _out[1:]: 255})
for _name in 'CHAPUserName', 'ReverseCHAPUserName':
    case('IHost.put_' + _name, S_OK, 'NULL', UserName=None,
         after=lambda s, n=_name: s.host1.call('get_' + n).value == '')
for _name in 'CHAPSecret', 'ReverseCHAPSecret':
    # Puts do not validate (3.21.4.19, .25).
    for _secret in None, 'short', SECRET * 20:
        case('IHost.put_' + _name, S_OK, 'of %d' % len(_secret or ''),
             Secret=_secret, after=lambda s, n=_name, v=_secret: s.host1.call(
                 'get_' + n).value == (v or ''))
case('IHost.put_Name', S_OK, 'leaves the IQN',
     before=lambda s: setattr(s, 'iqn', s.host1.get_TargetIQN().value),
     Name='renamed', after=lambda s: s.host1.get_TargetIQN().value == s.iqn)
prop('IHost', 'Description', 'Description', 'pDescription', '',
     ['a description', 'gr\u00fc\u00df \U0001f4be', ''])
case('IHost.put_Description', S_OK, 'NULL', Description=None,
     after=lambda s: s.host1.get_Description().value == '')
case('IHost.get_TargetIQN', S_OK,
     out=lambda s, a: a['pTargetIQN'].startswith('iqn.'))
case('IHost.put_TargetIQN', S_OK, TargetIQN=IQN,
     after=lambda s: s.host1.get_TargetIQN().value == IQN)
case('IHost.put_TargetIQN', ERROR_FILE_EXISTS, 'of another target',
     before=lambda s: s.host2.put_TargetIQN(TargetIQN=IQN).ok(),
     TargetIQN=IQN)
case('IHost.put_TargetIQN', S_OK, 'in other case', TargetIQN=IQN.upper(),
     after=lambda s: s.host1.get_TargetIQN().value == IQN and
     s.hosts.GetHostByTargetIQN(
         TargetIQN=IQN.title()).ok()['ppHost'].oid == s.host1.oid)
case('IHost.put_TargetIQN', S_OK, 'its own', before=lambda s:
     s.host1.put_TargetIQN(TargetIQN=IQN).ok(), TargetIQN=IQN,
     after=lambda s: s.host1.get_TargetIQN().value == IQN)
case('IHost.put_TargetIQN', S_OK, 'of 4.5, whose month has one digit',
     TargetIQN='iqn.1991-5.com.contoso:test-server-istmtarget-target')
for _wrong in ('', None, 'iqn with spaces', 'iqn.2026-01.org:' + 'x' * 300):
    case('IHost.put_TargetIQN', ERROR_INVALID_DATA, repr(_wrong)[:40],
         TargetIQN=_wrong)
case('IHost.get_Status', S_OK, out=istm.HostStatusIdle)
answers('IHost.put_Status', E_NOTIMPL)
case('IHost.get_LastLogIn', S_OK, 'never', out=0)
answers('IHost.put_LastLogIn', E_NOTIMPL)
prop('IHost', 'EnableCHAP', 'bEnable', 'pEnable', 0, [1, 0])
prop('IHost', 'CHAPUserName', 'UserName', 'pUserName', '', ['user', ''])
prop('IHost', 'CHAPSecret', 'Secret', 'pSecret', '', [SECRET, ''])
prop('IHost', 'EnableReverseCHAP', 'bEnable', 'pEnable', 0, [1, 0])
prop('IHost', 'ReverseCHAPUserName', 'UserName', 'pUserName', '', ['user'])
prop('IHost', 'ReverseCHAPSecret', 'Secret', 'pSecret', '', [SECRET])
for _name, _default in (('TargetMaxRecvDataSegmentLength', 65536),
                        ('TargetFirstBurstLength', 65536),
                        ('TargetMaxBurstLength', 262144)):
    prop('IHost', _name, 'nLength', 'pLength', _default, [512, 16777215],
         [(511, E_INVALIDARG), (16777216, E_INVALIDARG), (0, E_INVALIDARG),
          (0xffffffff, E_INVALIDARG)])
prop('IHost', 'NumRecvBuffers', 'nNumBuffers', 'pNumBuffers', 10, [1, 128],
     [(0, E_INVALIDARG), (129, E_INVALIDARG)])
prop('IHost', 'EnforceIdleTimeoutDetection', 'bEnable', 'pEnable', 1, [0])

case('IHost.EnumIDs', S_OK, out=lambda s, a: list(a.value.each()) == [])
for _method, _value in (
        (istm.IDDNSName, 'client.example.org'),
        (istm.IDIPAddress, '192.0.2.1'),
        (istm.IDMACAddress, '00-11-22-AA-BB-CC'),
        (istm.IDIQN, 'iqn.1991-05.com.contoso:test-server'),
        (istm.IDIPv6Address, '2001:db8:0:0:0:0:0:1')):
    case('IHost.AddID', S_OK, _value,
         pIDMethod={'eMethod': _method, 'szValue': _value},
         after=lambda s, m=_method, v=_value: [
             (i['eMethod'], i['szValue'].lower()) for i in s.ids()] ==
         [(m, v.lower())])
case('IHost.AddID', S_OK, 'once more', pIDMethod=INITIATOR,
     before=lambda s: s.host1.AddID(pIDMethod=INITIATOR).ok(),
     after=lambda s: s.ids() == [INITIATOR])
for _method, _value, _same in (
        (istm.IDIQN, 'iqn.2026-01.org.example:x', 'IQN.2026-01.ORG.EXAMPLE:X'),
        (istm.IDDNSName, 'a.example.org', 'A.Example.ORG'),
        (istm.IDMACAddress, '00-11-22-AA-BB-CC', '00-11-22-aa-bb-cc'),
        (istm.IDIPv6Address, '2001:db8:0:0:0:0:0:1',
         '2001:DB8:0000:0000:0000:0000:0000:0001')):
    _id = {'eMethod': _method, 'szValue': _value}
    case('IHost.AddID', S_OK, 'the same, spelled ' + _same,
         pIDMethod={'eMethod': _method, 'szValue': _same},
         before=lambda s, i=_id: s.host1.AddID(pIDMethod=i).ok(),
         after=lambda s, i=_id: s.ids() == [i])
    case('IHost.RemoveID', S_OK, 'spelled ' + _same,
         pIDMethod={'eMethod': _method, 'szValue': _same},
         before=lambda s, i=_id: s.host1.AddID(pIDMethod=i).ok(),
         after=lambda s: s.ids() == [])
for _method, _wrong in (
        (istm.IDIQN, ''), (istm.IDIQN, 'iqn with spaces'),
        (istm.IDIQN, 'nonsense'), (istm.IDDNSName, 'no name'),
        (istm.IDDNSName, '-.-'), (istm.IDIPAddress, '192.0.2'),
        (istm.IDIPAddress, '192.0.2.256'), (istm.IDIPAddress, '2001:db8::1'),
        (istm.IDMACAddress, '00-11-22-AA-BB'),
        (istm.IDMACAddress, '00-11-22-AA-BB-CG'),
        (istm.IDIPv6Address, '192.0.2.1'), (istm.IDIPv6Address, '2001:db8'),
        (istm.IDIPv6Address, '2001:db8:0:0:0:0:0:1/64'),
        (istm.IDNetBiosName, 'x' * 16), (istm.IDNetBiosName, '')):
    case('IHost.AddID', ERROR_INVALID_DATA, '%d %r' % (_method, _wrong),
         pIDMethod={'eMethod': _method, 'szValue': _wrong},
         after=lambda s: s.ids() == [])
    case('IHost.RemoveID', S_OK, 'of none: %d %r' % (_method, _wrong),
         pIDMethod={'eMethod': _method, 'szValue': _wrong},
         before=lambda s: s.host1.AddID(pIDMethod=INITIATOR).ok(),
         after=lambda s: s.ids() == [INITIATOR])
case('IHost.AddID', E_INVALIDARG, 'IDInvalid',
     pIDMethod={'eMethod': istm.IDInvalid, 'szValue': 'x'})
case('IHost.AddID', E_INVALIDARG, 'method 6',
     pIDMethod={'eMethod': 6, 'szValue': 'x'})
case('IHost.RemoveID', S_OK, pIDMethod=INITIATOR,
     before=lambda s: s.host1.AddID(pIDMethod=INITIATOR).ok(),
     after=lambda s: s.ids() == [])
case('IHost.RemoveID', S_OK, 'unknown', pIDMethod=INITIATOR)
case('IHost.RemoveAllIDs', S_OK,
     before=lambda s: s.host1.AddID(pIDMethod=INITIATOR).ok(),
     after=lambda s: s.ids() == [])
case('IHost.RemoveAllIDs', S_OK, 'none')

case('IHost.EnumWTDiskLunMappings', S_OK,
     before=lambda s: s.host1.AddWTDisk(nWTD=s.index).ok(),
     out=lambda s, a: list(a.value.each()) == [
         {'dwLun': 0, 'dwWTD': s.index}])
case('IHost.AddWTDisk', S_OK, nWTD=lambda s: s.index,
     after=lambda s: s.mappings() == [(0, s.index)])
case('IHost.AddWTDisk', S_OK, 'once more', nWTD=lambda s: s.index,
     before=lambda s: s.host1.AddWTDisk(nWTD=s.index).ok(),
     after=lambda s: s.mappings() == [(0, s.index)])
case('IHost.AddWTDisk', S_OK, 'to two targets', nWTD=lambda s: s.index,
     before=lambda s: s.host2.AddWTDisk(nWTD=s.index).ok(),
     after=lambda s: s.mappings() == s.mappings(s.host2) == [(0, s.index)])
case('IHost.AddWTDisk', ERROR_FILE_NOT_FOUND, nWTD=UNKNOWN_DISK)


def lun_of_second(s):
    """LUN 0 free, LUN 1 taken."""
    s.second = s.disk('second.vhd')
    s.host1.AddWTDisk(nWTD=s.index).ok()
    s.host1.AddWTDisk(nWTD=s.second).ok()
    s.host1.RemoveWTDisk(nWTD=s.index).ok()


case('IHost.AddWTDisk', S_OK, 'takes the lowest free LUN',
     before=lun_of_second, nWTD=lambda s: s.index,
     after=lambda s: s.mappings() == [(0, s.index), (1, s.second)])
case('IHost.RemoveWTDisk', S_OK, nWTD=lambda s: s.index,
     before=lambda s: s.host1.AddWTDisk(nWTD=s.index).ok(),
     after=lambda s: s.mappings() == [])
case('IHost.RemoveWTDisk', ERROR_FILE_NOT_FOUND, 'not assigned',
     nWTD=lambda s: s.index)
case('IHost.RemoveWTDisk', ERROR_FILE_NOT_FOUND, 'no disk',
     nWTD=UNKNOWN_DISK)
case('IHost.RemoveAllWTDisks', S_OK, before=lun_of_second,
     after=lambda s: s.mappings() == [])
case('IHost.RemoveAllWTDisks', S_OK, 'none')
case('IHost.SetWTDiskLunMapping', S_OK, before=lun_of_second,
     nWTD=lambda s: s.second, nNewLun=127,
     after=lambda s: s.mappings() == [(127, s.second)])
case('IHost.SetWTDiskLunMapping', E_INVALIDARG, 'LUN 128',
     before=lun_of_second, nWTD=lambda s: s.second, nNewLun=128)
case('IHost.SetWTDiskLunMapping', ERROR_FILE_NOT_FOUND, 'not assigned',
     before=lun_of_second, nWTD=lambda s: s.index, nNewLun=5)
case('IHost.SetWTDiskLunMapping', S_OK, 'the LUN that it has',
     before=lun_of_second, nWTD=lambda s: s.second, nNewLun=1,
     after=lambda s: s.mappings() == [(1, s.second)])
case('IHost.SetWTDiskLunMapping', ERROR_FILE_NOT_FOUND, 'no disk',
     before=lun_of_second, nWTD=UNKNOWN_DISK, nNewLun=5)
case('IHost.SetWTDiskLunMapping', E_INVALIDARG, 'the LUN before the disk',
     before=lun_of_second, nWTD=UNKNOWN_DISK, nNewLun=0xffffffff)
case('IHost.SetWTDiskLunMapping', ERROR_FILE_EXISTS,
     'a taken LUN before the disk', before=lun_of_second,
     nWTD=UNKNOWN_DISK, nNewLun=1,
     after=lambda s: s.mappings() == [(1, s.second)])
case('IHost.SetWTDiskLunMapping', ERROR_FILE_EXISTS, 'LUN taken',
     before=lambda s: (lun_of_second(s),
                       s.host1.AddWTDisk(nWTD=s.index).ok()),
     nWTD=lambda s: s.index, nNewLun=1)


def host_portals(s):
    """Addresses of the portals that serve the target."""
    return [p['szIpAddress'] for p in
            s.host1.EnumPortals().ok().value.each()]


def restricted(s):
    """Served by the first portal only."""
    s.host1.AddPortal(IpAddress=addresses()).ok()
    s.host1.put_ListenAllNetworkAdapters(bListenAll=0).ok()


prop('IHost', 'ListenAllNetworkAdapters', 'bListenAll', 'pListenAll', 1,
     [0, 1])
case('IHost.EnumPortals', S_OK, 'all of the server',
     out=lambda s, a: sorted(p['szIpAddress'] for p in a.value.each()) ==
     sorted(p['szIpAddress'] for p in
            s.device.EnumPortals().ok().value.each()))
case('IHost.EnumPortals', S_OK, 'the one it has', before=restricted,
     out=lambda s, a: list(a.value.each()) == [
         s.device.GetPortal(IpAddress=addresses()).ok().value])
case('IHost.put_ListenAllNetworkAdapters', S_OK, 'leaves those it has',
     before=restricted, bListenAll=1, after=lambda s: (
         len(host_portals(s)) > 1,
         s.host1.put_ListenAllNetworkAdapters(bListenAll=0).ok(),
         host_portals(s)) == (True, {}, [addresses()]))
case('IHost.AddPortal', S_OK, before=restricted, IpAddress=addresses('2'),
     after=lambda s: sorted(host_portals(s)) == sorted(
         [addresses(), addresses('2')]))
case('IHost.AddPortal', S_OK, 'once more', before=restricted,
     IpAddress=addresses(), after=lambda s: host_portals(s) == [addresses()])
case('IHost.AddPortal', S_OK, 'does not restrict it',
     IpAddress=addresses(), after=lambda s: len(host_portals(s)) > 1 and
     s.host1.get_ListenAllNetworkAdapters().value == 1)
for _address in 'none', '', None, '192.0.2', '192.0.2.1:3260':
    case('IHost.AddPortal', E_INVALIDARG, repr(_address), before=restricted,
         IpAddress=_address,
         after=lambda s: host_portals(s) == [addresses()])
case('IHost.AddPortal', ERROR_FILE_NOT_FOUND, 'of another machine',
     before=restricted, IpAddress='192.0.2.254',
     after=lambda s: host_portals(s) == [addresses()])
case('IHost.RemovePortal', S_OK, before=restricted, IpAddress=addresses(),
     after=lambda s: host_portals(s) == [])
for _address in '192.0.2.254', 'none', None:
    case('IHost.RemovePortal', S_OK, 'not there: %r' % _address,
         before=restricted, IpAddress=_address,
         after=lambda s: host_portals(s) == [addresses()])
case('IHost.RemoveAllPortals', S_OK, before=lambda s: (
    restricted(s), s.host1.AddPortal(IpAddress=addresses('2')).ok()),
    after=lambda s: host_portals(s) == [])
case('IHost.RemoveAllPortals', S_OK, 'none',
     after=lambda s: len(host_portals(s)) > 1)

ALL_PROCESSORS = sum(1 << i for i in os.sched_getaffinity(0) if i < 32)
ONE_PROCESSOR = ALL_PROCESSORS & -ALL_PROCESSORS
prop('IHost', 'Processor', 'nProcessor', 'pProcessor', ALL_PROCESSORS,
     [ONE_PROCESSOR, ALL_PROCESSORS],
     [(0, E_INVALIDARG), (~ALL_PROCESSORS & 0xffffffff, E_INVALIDARG)])

case('IHost.SetCHAPInfoByBlob', E_NOTIMPL, nBlobSize=0)
case('IHost.Save', S_OK)
for _kind, _other in (('', 'Reverse'), ('Reverse', '')):
    _method = 'IHost.Validate%sChapSecret' % _kind
    for _secret, _wanted in (('x' * 11, ERROR_BAD_LENGTH),
                             ('x' * 12, S_OK), ('x' * 16, S_OK),
                             ('x' * 17, ERROR_BAD_LENGTH),
                             ('', ERROR_BAD_LENGTH),
                             (None, ERROR_BAD_LENGTH)):
        case(_method, _wanted, 'of %d' % len(_secret or ''), Secret=_secret)
    case(_method, ERROR_DUP_NAME, 'the other secret', Secret=SECRET,
         before=lambda s, other=_other: s.host1.call(
             'put_%sCHAPSecret' % other, Secret=SECRET).ok())
    case(_method, S_OK, 'the same secret again', Secret=SECRET,
         before=lambda s, kind=_kind: s.host1.call(
             'put_%sCHAPSecret' % kind, Secret=SECRET).ok(),
         after=lambda s, kind=_kind: s.host1.call(
             'get_%sCHAPSecret' % kind).value == SECRET)
    case(_method, S_OK, 'stores nothing', Secret=OTHER_SECRET,
         after=lambda s, kind=_kind: s.host1.call(
             'get_%sCHAPSecret' % kind).value == '')
case('IHost.CheckTargetRedirect', S_FALSE, LocalConnectAddr='192.0.2.1')

prop('IHost2', 'ResourceName', 'resourceName', 'pResourceName', '',
     ['a name'], [('', E_INVALIDARG), (None, E_INVALIDARG)])
case('IHost2.get_ResourceGroupName', S_OK, out='')
answers('IHost2.put_ResourceGroupName', E_NOTIMPL)
case('IHost2.SaveToStream', E_ACCESSDENIED)
case('IHost2.EnumSessions', S_OK, out=lambda s, a: list(a.value.each()) == [])
case('IHost3.get_ResourceState', S_OK, out=-1)
answers('IHost3.put_ResourceState', E_NOTIMPL)



def deleted(s):
    """An interface pointer whose target has been deleted."""
    host = s.hosts.NewHost(HostName='gone').ok()['ppNewHost'].query('IHost3')
    s.hosts.DeleteHost(HostName='gone').ok()
    return host


for _interface, _method in sorted(METHODS):
    if _interface == 'IHost3':
        _wanted = ERROR_FILE_NOT_FOUND
        if _method in ('put_Status', 'put_LastLogIn', 'SetCHAPInfoByBlob',
                       'put_ResourceGroupName', 'put_ResourceState'):
            _wanted = E_NOTIMPL
        elif _method == 'SaveToStream':
            _wanted = E_ACCESSDENIED
        case('IHost3.' + _method, _wanted, 'of a deleted target', on=deleted)

# --------------------------------------------- IHostMgr (3.25), 2 and 3


def host_names(s):
    return sorted(h.get_Name().ok().value
                  for h in s.hosts.EnumHosts().ok().value.each())


def all_hosts(s, a):
    return sorted(h.get_Name().value for h in a.value.each()) == [
        'first', 'second']


case('IHostMgr.EnumHosts', S_OK, out=all_hosts)
for _method in 'IHostMgr.NewHost', 'IHostMgr2.NewHost2':
    case(_method, S_OK, HostName='third',
         out=lambda s, a: a['ppNewHost'].get_Name().value == 'third',
         after=lambda s: host_names(s) == ['first', 'second', 'third'])
    case(_method, E_INVALIDARG, 'empty', HostName='')
    case(_method, E_INVALIDARG, 'NULL', HostName=None)
    case(_method, ERROR_FILE_EXISTS, HostName='first')
    case(_method, ERROR_INVALID_DATA, 'a space', HostName='a b')
    case(_method, ERROR_INVALID_DATA, 'too long', HostName='x' * 300)
for _method, _parameter in (('IHostMgr.GetHost', 'HostName'),
                            ('IHostMgr.GetHostByTargetIQN', 'TargetIQN')):
    case(_method, S_OK,
         out=lambda s, a: a['ppHost'].oid == s.host1.oid,
         **{_parameter: lambda s, p=_parameter: 'first' if p == 'HostName'
            else s.host1.get_TargetIQN().value})
    case(_method, E_INVALIDARG, 'empty', **{_parameter: ''})
    case(_method, E_INVALIDARG, 'NULL', **{_parameter: None})
    case(_method, ERROR_FILE_NOT_FOUND, **{_parameter: 'none'})
case('IHostMgr.DeleteHost', S_OK, HostName='first',
     after=lambda s: host_names(s) == ['second'])
case('IHostMgr.DeleteHost', S_OK, 'saved, with a disk', HostName='first',
     before=lambda s: (s.host1.AddWTDisk(nWTD=s.index).ok(),
                       s.host1.Save().ok()),
     after=lambda s: host_names(s) == ['second'])
case('IHostMgr.DeleteHost', E_INVALIDARG, 'empty', HostName='')
case('IHostMgr.DeleteHost', ERROR_FILE_NOT_FOUND, HostName='none')
case('IHostMgr2.NewHostNonPersistent', S_OK, HostName='third',
     ResourceName='resource',
     out=lambda s, a: a['ppNewHost'].query(
         'IHost2').get_ResourceName().value == 'resource')
case('IHostMgr2.NewHostNonPersistent', ERROR_FILE_EXISTS, HostName='first',
     ResourceName='')
for _wrong, _wanted in (('', E_INVALIDARG), (None, E_INVALIDARG),
                        ('a b', ERROR_INVALID_DATA),
                        ('x' * 300, ERROR_INVALID_DATA)):
    case('IHostMgr2.NewHostNonPersistent', _wanted, repr(_wrong)[:20],
         HostName=_wrong, ResourceName='',
         after=lambda s: host_names(s) == ['first', 'second'])
case('IHostMgr2.NewHost2', S_OK, 'in a group', HostName='third',
     ResourceGroup='any', out=lambda s, a: a['ppNewHost'].query(
         'IHost2').get_ResourceGroupName().value == '')
case('IHostMgr2.OpenHost', E_ACCESSDENIED)
for _wrong in '', None:
    case('IHostMgr2.CloseHost', ERROR_FILE_NOT_FOUND, repr(_wrong),
         HostName=_wrong, after=lambda s: host_names(s) == [
             'first', 'second'])
case('IHostMgr2.CloseHost', S_OK, 'with a disk', HostName='first',
     before=lambda s: s.host1.AddWTDisk(nWTD=s.index).ok(),
     after=lambda s: s.disk1.get_Assigned().value == 0)
case('IHostMgr2.CloseHost', S_OK, HostName='first',
     after=lambda s: host_names(s) == ['second'])
case('IHostMgr2.CloseHost', ERROR_FILE_NOT_FOUND, HostName='none')
case('IHostMgr3.EnumAllClusterHosts', S_OK, out=all_hosts)

# ------------------------------------------ IWTDisk (3.43), 2 and 3


def ram(s):
    return s.ram_disk()


case('IWTDisk.get_Guid', S_OK, out=lambda s, a: a['pGuid'] != NULL_GUID)
case('IWTDisk.get_SerialNumber', S_OK,
     out=lambda s, a: len(a['pSerialNumber']) > 0)
case('IWTDisk.get_WTD', S_OK, out=lambda s, a: a['pWTD'] == s.index)
case('IWTDisk.get_Type', S_OK, out=istm.WTDTypeFileBased)
case('IWTDisk.get_Type', S_OK, 'RAM', on=ram, out=istm.WTDTypeRamBased)
case('IWTDisk.get_Flags', S_OK, out=1)
case('IWTDisk.get_Status', S_OK, out=istm.Idle)
case('IWTDisk.get_Assigned', S_OK, out=0)
case('IWTDisk.get_Assigned', S_OK, 'to a target', out=1,
     before=lambda s: s.host1.AddWTDisk(nWTD=s.index).ok())
case('IWTDisk.get_Size', S_OK, out=8 * MB)
case('IWTDisk.get_Size', S_OK, 'RAM', on=ram, out=8 * MB)
for _name in ('WTD', 'Type', 'Flags', 'Status', 'Assigned', 'LMType',
              'LMCurrMountDeviceId'):
    answers('IWTDisk.put_' + _name, E_NOTIMPL)
prop('IWTDisk', 'Description', 'Description', 'pDescription', 'a disk',
     ['another', ''])
case('IWTDisk.get_DevicePath', S_OK, out=volume_path('disk.vhd'))
case('IWTDisk.put_DevicePath', S_OK, DevicePath=volume_path('new.vhd'),
     before=lambda s: s.file('new.vhd'),
     after=lambda s: s.disk1.get_DevicePath().value == volume_path('new.vhd'))
case('IWTDisk.get_SnapshotStoragePath', S_OK,
     out=lambda s, a: a.value is not None)
case('IWTDisk.get_SnapshotStoragePath', S_OK, 'disabled', out='',
     before=lambda s: s.disk1.put_Enable(bEnable=0).ok())
case('IWTDisk.get_SnapshotStoragePath', E_INVALIDARG, 'RAM', on=ram)
case('IWTDisk.put_SnapshotStoragePath', S_OK, SnapshotStoragePath='C:\\',
     after=lambda s: s.disk1.get_SnapshotStoragePath().value == 'C:\\')
case('IWTDisk.put_SnapshotStoragePath', E_INVALIDARG, 'RAM', on=ram,
     SnapshotStoragePath='C:\\')
case('IWTDisk.put_SnapshotStorageSize', S_OK, nSize=320 * MB,
     after=lambda s: s.disk1.get_SnapshotStorageSize().value == 320 * MB)
case('IWTDisk.put_SnapshotStorageSize', S_OK, '-1: unlimited',
     nSize=(1 << 64) - 1,
     after=lambda s: s.disk1.get_SnapshotStorageSize().value == (1 << 64) - 1)
for _size in 0, 320 * MB - 1, (1 << 64) - 2:
    case('IWTDisk.put_SnapshotStorageSize', E_INVALIDARG, str(_size),
         nSize=_size)
case('IWTDisk.put_SnapshotStorageSize', E_INVALIDARG, 'RAM', on=ram,
     nSize=320 * MB)


def disable_with_storage(s):
    s.disk1.put_SnapshotStorageSize(nSize=400 * MB).ok()
    s.disk1.put_Enable(bEnable=0).ok()


def storage_size_when_enabled(s):
    s.disk1.put_Enable(bEnable=1).ok()
    return s.disk1.get_SnapshotStorageSize().value == 400 * MB


case('IWTDisk.put_SnapshotStorageSize', S_OK, 'disabled: unchanged',
     before=disable_with_storage, nSize=320 * MB,
     after=storage_size_when_enabled)
case('IWTDisk.get_SnapshotStorageSize', S_OK, 'disabled',
     before=disable_with_storage, out=0)
case('IWTDisk.get_SnapshotStorageSize', E_INVALIDARG, 'RAM', on=ram)
case('IWTDisk.get_SnapshotStorageUsedSize', S_OK, out=0)
case('IWTDisk.get_SnapshotStorageUsedSize', E_INVALIDARG, 'RAM', on=ram)
case('IWTDisk.get_LMType', S_OK, out=istm.DoNotMount)
case('IWTDisk.get_LMStatus', S_OK, out=istm.DoNotMount)
case('IWTDisk.get_LMTimeStamp', S_OK, out=0)
case('IWTDisk.get_LMCurrMountDeviceId', S_OK, out='')
case('IWTDisk.get_LMSnapshotId', S_OK, out=NULL_GUID)
case('IWTDisk.Save', S_OK)
prop('IWTDisk', 'LMWTManageMountPoint', 'bManage', 'pManage', 1, [0, 1])
prop('IWTDisk', 'LMMountPoint', 'Path', 'pPath', '',
     ['C:\\mounts', 'C:\\a\\b', ''],
     [('no path', E_INVALIDARG), ('C:\\', E_INVALIDARG),
      ('C:\\disk.vhd', E_INVALIDARG), ('C:\\..\\x', E_INVALIDARG),
      ('Z:\\x', ERROR_PATH_NOT_FOUND)])
case('IWTDisk.put_LMMountPoint', S_OK, 'NULL', Path=None,
     after=lambda s: s.disk1.get_LMMountPoint().value == '')
# Nothing here mounts; with what does: istm_provided.
case('IWTDisk.DVMountDirect', E_NOTIMPL,
     after=lambda s: s.disk1.get_LMStatus().value == istm.DoNotMount)
case('IWTDisk.DVMountDirect', E_FAIL, 'disabled',
     before=lambda s: s.disk1.put_Enable(bEnable=0).ok())
case('IWTDisk.DVMountDirect', E_FAIL, 'not admissible',
     before=lambda s: s.disk1.put_LMWTManageMountPoint(bManage=0).ok())
case('IWTDisk.DVMountDirect', E_INVALIDARG, 'RAM', on=ram)
case('IWTDisk.DVDismount', ERROR_INVALID_HANDLE)
case('IWTDisk.DVDismount', E_FAIL, 'disabled',
     before=lambda s: s.disk1.put_Enable(bEnable=0).ok())
case('IWTDisk.EnumLMMountPoints', S_OK,
     out=lambda s, a: list(a.value.each()) == [])


def fully_qualified():
    """The machine's name with its domain, where the resolver knows it."""
    host = socket.gethostname()
    try:
        name = socket.getaddrinfo(host, None, flags=socket.AI_CANONNAME)[0][3]
    except OSError:
        return host
    return name if '.' in name and '.' not in host and \
        not name.startswith('localhost') else host


def vds(s, a):
    info = a['pVdsLunInfo']
    ids = info['m_deviceIdDescriptor']['m_rgIdentifiers']
    host = fully_qualified().encode()
    vendor = ids[1]['m_rgbIdentifier']
    return (info['m_version'] == 1 and info['m_BusType'] == 1 and
            [i['m_CodeSet'] for i in ids] == [1, 1] and
            [i['m_Type'] for i in ids] == [3, 0] and
            len(ids[0]['m_rgbIdentifier']) == 16 and
            ids[0]['m_rgbIdentifier'][0] >> 4 == 6 and
            len(vendor) == 180 and
            vendor[:10] == b'sapporo21\0' and
            vendor[10:160].rstrip(b'\0') == host and
            int.from_bytes(vendor[160:164], 'little') == s.index and
            vendor[164:] == bytes(16) and
            s.disk1.get_SerialNumber().value in (
                info['m_szSerialNumber'] or '').replace('\0', ''))


case('IWTDisk.GetVdsLunInfo', S_OK, out=vds)
case('IWTDisk.GetDeviceVolumeGuid', S_OK,
     out=lambda s, a: '{%s}' % a.value == next(
         s.device.EnumVolumes().ok().value.each())['szGuid'])
case('IWTDisk.GetDeviceVolumeGuid', E_INVALIDARG, 'RAM', on=ram)
prop('IWTDisk2', 'Enable', 'bEnable', 'pEnable', 1, [0, 1])
prop('IWTDisk2', 'ResourceName', 'ResourceName', 'pResourceName', '',
     ['a name'], [('', E_INVALIDARG), (None, E_INVALIDARG)])
case('IWTDisk2.get_ResourceGroupName', S_OK, out='')
answers('IWTDisk2.put_ResourceGroupName', E_NOTIMPL)
case('IWTDisk2.IsAlive', S_OK)
case('IWTDisk2.SaveToStream', E_ACCESSDENIED)
case('IWTDisk3.get_VhdType', S_OK, out=istm.FixedVhd)
case('IWTDisk3.get_VhdType', S_OK, 'RAM', on=ram, out=istm.InvalidVhd)
case('IWTDisk3.get_ParentPath', S_OK, out=lambda s, a: not a.value)
case('IWTDisk3.get_AllocatedSize', S_OK, out=0)
case('IWTDisk3.get_CacheParent', S_OK, out=0)
case('IWTDisk3.put_CacheParent', E_INVALIDARG, 'fixed', CacheParent=1)
case('IWTDisk3.get_ResourceState', S_OK, out=-1)
answers('IWTDisk3.put_ResourceState', E_NOTIMPL)
case('IWTDisk3.GetLunStatus', S_OK, out=lambda s, a: a.value == {
    'dwLun': s.index, 'eStatus': istm.Idle, 'dwProgressPercent': 0,
    'dwCompletionError': 0})
case('IWTDisk3.GetLunStatus', E_FAIL, 'disabled',
     before=lambda s: s.disk1.put_Enable(bEnable=0).ok())


def diff(s):
    return s.diff_disk()


case('IWTDisk3.get_VhdType', S_OK, 'differencing', on=diff,
     out=istm.DifferencingVhd)
case('IWTDisk.get_Size', S_OK, 'differencing', on=diff, out=8 * MB)
case('IWTDisk3.get_ParentPath', S_OK, 'differencing', on=diff,
     out=volume_path('parent.vhd'))
case('IWTDisk3.get_AllocatedSize', S_OK, 'differencing, nothing written',
     on=diff, out=0)
case('IWTDisk3.put_CacheParent', S_OK, 'differencing', CacheParent=1,
     before=lambda s: setattr(s, 'child', s.diff_disk()),
     on=lambda s: s.child,
     after=lambda s: s.child.get_CacheParent().value == 1)
case('IWTDisk.get_SnapshotStoragePath', S_OK, 'differencing', on=diff,
     out='')
case('IWTDisk.put_SnapshotStoragePath', E_INVALIDARG, 'differencing',
     on=diff, SnapshotStoragePath='C:\\')
case('IWTDisk.get_SnapshotStorageSize', S_OK, 'differencing', on=diff, out=0)
case('IWTDisk.put_SnapshotStorageSize', E_INVALIDARG, 'differencing',
     on=diff, nSize=320 * MB)
case('IWTDisk.get_SnapshotStorageUsedSize', S_OK, 'differencing', on=diff,
     out=0)
case('IWTDisk.DVDismount', ERROR_INVALID_FUNCTION, 'differencing', on=diff)
case('IWTDisk.DVMountDirect', ERROR_INVALID_FUNCTION, 'differencing', on=diff)

# ------------------------------------------- IWTDiskMgr (3.46) to 4


def paths(enum):
    return sorted(d.get_DevicePath().ok().value for d in enum.each())


def all_disks(s, a):
    return paths(a.value) == [volume_path('disk.vhd')]


def disk_paths(s):
    return paths(s.disks.EnumWTDisks().ok().value)


def all_disks_left(s):
    return disk_paths(s) == [volume_path('disk.vhd')]


CREATE = dict(eDeviceType=istm.WTDTypeFileBased,
              DevicePath=volume_path('new.vhd'), Description='new',
              bClearPartTable=0, bForceDismount=0)


def create(method, wanted, note='', **kw):
    parameters = dict(CREATE)
    if 'NonPersistent' in method:
        parameters.update(nWTD=0xffffffff, ResourceName='')
    parameters.update({k: kw.pop(k) for k in list(kw) if k in parameters})
    kw.setdefault('before', lambda s: s.file('new.vhd'))
    case(method, wanted, note, **kw, **parameters)


case('IWTDiskMgr.EnumWTDisks', S_OK, out=all_disks)
for _method, _malformed in (
        ('IWTDiskMgr.CreateWTDisk', E_FAIL),
        ('IWTDiskMgr2.CreateWTDiskNonPersistent', E_INVALIDARG)):
    create(_method, S_OK, out=lambda s, a: True,
           after=lambda s: disk_paths(s) == [
               volume_path('disk.vhd'), volume_path('new.vhd')])
    create(_method, S_OK, 'RAM', eDeviceType=istm.WTDTypeRamBased,
           DevicePath=str(8 * MB), out=lambda s, a: True)
    create(_method, E_POINTER, 'no path', DevicePath=None)
    create(_method, E_POINTER, 'no description', Description=None)
    create(_method, E_INVALIDARG, 'on a volume',
           eDeviceType=istm.WTDTypeVolumeBased)
    create(_method, E_INVALIDARG, 'of type 3', eDeviceType=3)
    create(_method, _malformed, 'malformed', DevicePath='no path')
    create(_method, _malformed, 'empty', DevicePath='')
    create(_method, _malformed, 'outside', DevicePath='C:\\..\\..\\x.vhd')
    create(_method, ERROR_ALREADY_EXISTS, 'path in use',
           DevicePath=volume_path('disk.vhd'))
    create(_method, ERROR_ALREADY_EXISTS, 'path in use, other case',
           DevicePath=volume_path('DISK.VHD'))
    create(_method, ERROR_FILE_NOT_FOUND, 'no file',
           DevicePath=volume_path('none.vhd'))
create_shadow = 'IWTDiskMgr2.CreateShadowWTDiskNonPersistent'
SHADOW = dict(eDeviceType=istm.WTDTypeFileBased,
              DevicePath=volume_path('new.vhd'), Description='new',
              nWTD=0xffffffff, ResourceName='')
case(create_shadow, S_OK, 'of no snapshot', out=lambda s, a: True,
     before=lambda s: s.file('new.vhd'), **SHADOW)
case(create_shadow, ERROR_FILE_NOT_FOUND, 'of an unknown snapshot',
     SnapshotId=UNKNOWN_GUID, **SHADOW)
case(create_shadow, E_POINTER, 'no path', **dict(SHADOW, DevicePath=None))
case(create_shadow, ERROR_ALREADY_EXISTS, 'path in use',
     **dict(SHADOW, DevicePath=volume_path('disk.vhd')))
create('IWTDiskMgr2.CreateWTDiskNonPersistent', S_OK, 'index 99', nWTD=99,
       out=lambda s, a: a['ppWTDisk'].get_WTD().value == 99 and
       a['ppWTDisk'].query('IWTDisk3').get_ResourceState().value == 2)
create('IWTDiskMgr2.CreateWTDiskNonPersistent', ERROR_ALREADY_EXISTS,
       'index in use', nWTD=lambda s: s.index)
case('IWTDiskMgr.CreateShadowWTDisk', E_NOTIMPL)
case('IWTDiskMgr.DeleteWTDisk', S_OK, nWTD=lambda s: s.index,
     after=lambda s: disk_paths(s) == [] and s.exists('disk.vhd'))
case('IWTDiskMgr.DeleteWTDisk', S_OK, 'unknown', nWTD=UNKNOWN_DISK)
case('IWTDiskMgr.DeleteWTDisk', S_OK, 'assigned', nWTD=lambda s: s.index,
     before=lambda s: (s.host1.AddWTDisk(nWTD=s.index).ok(),
                       s.host2.AddWTDisk(nWTD=s.index).ok()),
     after=lambda s: s.mappings() == s.mappings(s.host2) == [])
case('IWTDiskMgr.GetWTDisk', S_OK, nWTD=lambda s: s.index,
     out=lambda s, a: a['ppWTDisk'].oid == s.disk1.oid)
case('IWTDiskMgr.GetWTDisk', ERROR_FILE_NOT_FOUND, nWTD=UNKNOWN_DISK)
case('IWTDiskMgr.EnumWTDisksOnSameVolumeByPath', S_OK, Path='C:\\',
     out=all_disks)
case('IWTDiskMgr.EnumWTDisksOnSameVolumeByPath', E_INVALIDARG, 'empty',
     Path='')
case('IWTDiskMgr.EnumWTDisksOnSameVolumeByPath', E_INVALIDARG, 'malformed',
     Path='no path')
case('IWTDiskMgr.EnumWTDisksOnSameVolumeByPath', ERROR_FILE_NOT_FOUND,
     'no such volume', Path='Z:\\')
case('IWTDiskMgr.EnumWTDisksOnSameVolumeByPath', S_OK, 'not of memory',
     Path='C:\\x.vhd', before=ram, out=all_disks)
case('IWTDiskMgr.EnumWTDisksOnSameVolume', S_OK, nWTD=lambda s: s.index,
     out=all_disks)
case('IWTDiskMgr.EnumWTDisksOnSameVolume', ERROR_FILE_NOT_FOUND,
     nWTD=UNKNOWN_DISK)
case('IWTDiskMgr.DVMountSelectedWTDisksSnapshotNow', S_OK)


def deleted_disk(s):
    """An interface pointer to a disk that has gone."""
    disk = s.disks.GetWTDisk(nWTD=s.index).ok().value
    s.disks.DeleteWTDisk(nWTD=s.index).ok()
    return disk


# Of other servers' disks: istm_import.
_method = 'IWTDiskMgr.ImportWTDisk'
case(_method, E_POINTER, 'NULL')
case(_method, S_OK, 'that is known already',
     pWTDisk=lambda s: s.disks.GetWTDisk(nWTD=s.index).ok().value,
     after=all_disks_left)
case(_method, ERROR_FILE_NOT_FOUND, 'that has been deleted',
     pWTDisk=deleted_disk)
case(_method, E_INVALIDARG, 'no disk at all',
     pWTDisk=lambda s: s.hosts.GetHost(HostName='first').ok().value)
case('IWTDiskMgr2.OpenWTDisk', E_ACCESSDENIED)
case('IWTDiskMgr2.CloseWTDisk', S_OK, nWTD=lambda s: s.index,
     after=lambda s: disk_paths(s) == [])
case('IWTDiskMgr2.CloseWTDisk', S_OK, 'unknown', nWTD=UNKNOWN_DISK)
case('IWTDiskMgr3.ClusterNotifyWTDiskDeletion', E_NOTIMPL)
case('IWTDiskMgr4.EnumAllClusterWTDisks', S_OK, out=all_disks)
case('IWTDiskMgr4.ClusterNotifyWTDiskDeletion2', ERROR_INVALID_OPERATION)

# ------------------------------------ ILocalDeviceMgr (3.30), 2 and 3

FILE = volume_path('file.vhd')
HOSTILE = ['C:\\..\\etc\\passwd', '\\\\server\\share\\x.vhd',
           'C:\\x.vhd:stream', 'C:\\NUL', '\\\\.\\PhysicalDrive0']
ELSEWHERE = ['Z:\\x.vhd', '/etc/passwd']


def volume_ok(v):
    return v['szMountPoint'] == 'C:\\' and v['szFileSystem'] == 'NTFS' and \
        v['hySize'] > 0 and v['bValidWTVolume'] == 1 and len(v['szGuid']) == 38


def physical_disks():
    """Sizes of the disks that have a device behind them."""
    found = []
    for name in os.listdir('/sys/block'):
        folder = os.path.join('/sys/block', name)
        if os.path.exists(os.path.join(folder, 'device')) and \
                not name.startswith('sr'):
            with open(os.path.join(folder, 'size')) as file:
                found.append(int(file.read()) * 512)
    return sorted(size for size in found if size)


def all_physical_disks(s, a):
    found = list(a.value.each())
    return sorted(d['hySize'] for d in found) == physical_disks() and \
        [d['dwIndex'] for d in found] == list(range(len(found))) and \
        all(d['szWin32Path'] == '\\\\.\\PhysicalDrive%d' % d['dwIndex']
            and d.get('szResourceGroup', '') == '' for d in found)


case('ILocalDeviceMgr.EnumDisks', S_OK, out=all_physical_disks)
case('ILocalDeviceMgr2.EnumDisks2', S_OK, out=all_physical_disks)
case('ILocalDeviceMgr.EnumVolumes', S_OK,
     out=lambda s, a: [volume_ok(v) for v in a.value.each()] == [True])
case('ILocalDeviceMgr2.EnumVolumes2', S_OK,
     out=lambda s, a: [volume_ok(v) and v['szResourceGroup'] == '' and
                       0 < v['hyFreeSpace'] <= v['hySize'] and
                       v['MaxFileSize'] > 0
                       for v in a.value.each()] == [True])
for _path in VOLUME_NAMES:
    case('ILocalDeviceMgr2.GetVolumeInfo', S_OK, _path, VolumePath=_path,
         out=lambda s, a: volume_ok(a['pVolumeInfo']))
for _path in 'Z:\\', '', None, 'no path', '/etc':
    case('ILocalDeviceMgr2.GetVolumeInfo', ERROR_FILE_NOT_FOUND, repr(_path),
         VolumePath=_path)
case('ILocalDeviceMgr.GetDriveInfo', S_OK, Drive='C:\\',
     out=lambda s, a: a['pDriveInfo']['szDrive'] == 'C:\\' and
     0 < a['pDriveInfo']['hyFreeSpace'] <= a['pDriveInfo']['hySize'])
for _drive in 'c:\\', 'C:':
    case('ILocalDeviceMgr.GetDriveInfo', S_OK, _drive, Drive=_drive,
         out=lambda s, a: a['pDriveInfo']['szDrive'] == 'C:\\')
for _drive in 'Z:\\', '', None, 'CC', '\\\\.\\C:':
    case('ILocalDeviceMgr.GetDriveInfo', ERROR_FILE_NOT_FOUND, repr(_drive),
         Drive=_drive)
answers('ILocalDeviceMgr.CreateVolume', E_NOTIMPL)
case('ILocalDeviceMgr.IsDiskPartAvailable', S_OK, out=1)

_method = 'ILocalDeviceMgr.IsValidWtDevice'
case(_method, S_OK, DevicePath=volume_path('disk.vhd'))
case(_method, E_INVALIDARG, 'NULL', DevicePath=None)
case(_method, E_INVALIDARG, 'malformed', DevicePath='no path')
case(_method, ERROR_PATH_NOT_FOUND, 'the root of a drive', DevicePath='C:\\')
case(_method, ERROR_FILE_NOT_FOUND, DevicePath=volume_path('none.vhd'))
for _path in HOSTILE:
    case(_method, E_INVALIDARG, _path, DevicePath=_path)
case(_method, S_OK, 'differencing', DevicePath=volume_path('child.vhd'),
     before=lambda s: s.diff_disk())
case(_method, ERROR_INVALID_DATA, 'no VHD', DevicePath=volume_path('x.vhd'),
     before=lambda s: s.write('x.vhd', b'x' * 4096))
case(_method, ERROR_INVALID_DATA, 'empty', DevicePath=volume_path('x.vhd'),
     before=lambda s: s.write('x.vhd', b''))

_method = 'ILocalDeviceMgr.CreateWtFile'


def size_is(size):
    return lambda s: os.stat(local_path('file.vhd')).st_size == size + 512


for _sparse in 0, 1:
    case(_method, S_OK, 'sparse %d' % _sparse, FilePath=FILE,
         hyFileSize=8 * MB, bSparse=_sparse, after=size_is(8 * MB))
case(_method, S_OK, 'rounded down to MB', FilePath=FILE,
     hyFileSize=9 * MB + 4711, bSparse=1, after=size_is(9 * MB))
case(_method, S_OK, 'overwrites', FilePath=FILE, hyFileSize=8 * MB,
     bSparse=1, before=lambda s: s.write('file.vhd', b'x' * (10 * MB)),
     after=size_is(8 * MB))
case(_method, E_INVALIDARG, 'malformed', FilePath='no path',
     hyFileSize=8 * MB)
case(_method, E_INVALIDARG, 'NULL', FilePath=None, hyFileSize=8 * MB)
case(_method, E_INVALIDARG, 'a directory', FilePath=volume_path('folder'),
     hyFileSize=8 * MB,
     before=lambda s: os.makedirs(local_path('folder'), exist_ok=True))
case(_method, E_INVALIDARG, 'a directory comes before the size',
     FilePath='no path', hyFileSize=0)
for _size, _wanted in ((0, E_INVALIDARG), (MB - 1, E_INVALIDARG),
                       (MB, ERROR_BAD_LENGTH), (8 * MB - 1, ERROR_BAD_LENGTH),
                       (2 * MB * MB + MB, ERROR_BAD_LENGTH),
                       ((1 << 63) - 1, ERROR_BAD_LENGTH)):
    case(_method, _wanted, '%d bytes' % _size, FilePath=FILE,
         hyFileSize=_size, after=lambda s: not s.exists('file.vhd'))
for _path in HOSTILE:
    case(_method, E_INVALIDARG, _path, FilePath=_path, hyFileSize=8 * MB)
for _path in ELSEWHERE:
    case(_method, ERROR_PATH_NOT_FOUND, _path, FilePath=_path,
         hyFileSize=8 * MB)

_method = 'ILocalDeviceMgr3.CreateDiffWtFile'
CHILD = volume_path('child.vhd')


def parent(s):
    s.file('parent.vhd')


case(_method, S_OK, FilePath=CHILD, ParentPath=volume_path('parent.vhd'),
     before=parent, after=lambda s: s.exists('child.vhd') and
     os.stat(local_path('child.vhd')).st_size < MB)
case(_method, S_OK, 'overwrites', FilePath=CHILD,
     ParentPath=volume_path('parent.vhd'),
     before=lambda s: (parent(s), s.write('child.vhd', b'x' * (10 * MB))),
     after=lambda s: os.stat(local_path('child.vhd')).st_size < MB)
for _note, _wrong in (
        ('NULL path', dict(FilePath=None)),
        ('NULL parent', dict(ParentPath=None)),
        ('malformed path', dict(FilePath='no path')),
        ('malformed parent', dict(ParentPath='no path')),
        ('outside', dict(FilePath='C:\\..\\child.vhd')),
        ('its own parent', dict(FilePath=volume_path('parent.vhd')))):
    case(_method, E_INVALIDARG, _note, before=parent, **dict(dict(
        FilePath=CHILD, ParentPath=volume_path('parent.vhd')), **_wrong))
case(_method, E_INVALIDARG, 'a directory', FilePath=volume_path('folder'),
     ParentPath=volume_path('parent.vhd'), before=lambda s: (
         parent(s), os.makedirs(local_path('folder'), exist_ok=True)))
case(_method, E_INVALIDARG, 'the parent is no VHD', FilePath=CHILD,
     ParentPath=volume_path('x.vhd'),
     before=lambda s: s.write('x.vhd', b'x' * 4096))
case(_method, E_INVALIDARG, 'the parent is differencing', FilePath=CHILD,
     ParentPath=volume_path('middle.vhd'),
     before=lambda s: (parent(s), s.device.CreateDiffWtFile(
         FilePath=volume_path('middle.vhd'),
         ParentPath=volume_path('parent.vhd')).ok()))
case(_method, ERROR_FILE_NOT_FOUND, 'no parent', FilePath=CHILD,
     ParentPath=volume_path('none.vhd'))

_method = 'ILocalDeviceMgr.GrowWtFile'
case(_method, E_INVALIDARG, 'differencing', FilePath=CHILD,
     hyAdditionalSize=MB, before=lambda s: (
         parent(s), s.device.CreateDiffWtFile(
             FilePath=CHILD, ParentPath=volume_path('parent.vhd')).ok()))
case(_method, S_OK, FilePath=FILE, hyAdditionalSize=MB,
     before=lambda s: s.file('file.vhd'), after=size_is(9 * MB))
case(_method, S_OK, 'rounded down to MB', FilePath=FILE,
     hyAdditionalSize=2 * MB - 1, before=lambda s: s.file('file.vhd'),
     after=size_is(9 * MB))
case(_method, S_OK, 'of a disk', FilePath=volume_path('disk.vhd'),
     hyAdditionalSize=8 * MB,
     after=lambda s: s.disk1.get_Size().value == 16 * MB)
case(_method, E_INVALIDARG, 'less than 1 MB', FilePath=FILE,
     hyAdditionalSize=MB - 1, before=lambda s: s.file('file.vhd'))
case(_method, E_INVALIDARG, 'malformed', FilePath='no path',
     hyAdditionalSize=MB)
case(_method, E_INVALIDARG, 'missing', FilePath=FILE, hyAdditionalSize=MB)
case(_method, E_INVALIDARG, 'no VHD', FilePath=FILE, hyAdditionalSize=MB,
     before=lambda s: s.write('file.vhd', b'x' * 4096))
case(_method, ERROR_BAD_LENGTH, 'too big', FilePath=FILE,
     hyAdditionalSize=1 << 42, before=lambda s: s.file('file.vhd'))
case(_method, ERROR_BAD_LENGTH, 'unsigned', FilePath=FILE,
     hyAdditionalSize=(1 << 64) - 1, before=lambda s: s.file('file.vhd'))

_method = 'ILocalDeviceMgr.DeleteWtFile'
case(_method, S_OK, FilePath=FILE, before=lambda s: s.file('file.vhd'),
     after=lambda s: not s.exists('file.vhd'))
case(_method, E_INVALIDARG, 'malformed', FilePath='no path')
case(_method, E_INVALIDARG, 'NULL', FilePath=None)
case(_method, ERROR_FILE_NOT_FOUND, FilePath=FILE)
case(_method, ERROR_SHARING_VIOLATION, 'of a disk',
     FilePath=volume_path('disk.vhd'),
     after=lambda s: s.exists('disk.vhd'))

_method = 'ILocalDeviceMgr.IsPathValid'
case(_method, S_OK, 'a free path', FilePath=FILE)
case(_method, S_OK, 'a file', FilePath=FILE,
     before=lambda s: s.file('file.vhd'))
for _path in ['no path', '', None, 'C:\\'] + HOSTILE:
    case(_method, E_FAIL, repr(_path), FilePath=_path)
case(_method, E_FAIL, 'a directory', FilePath=volume_path('folder'),
     before=lambda s: os.makedirs(local_path('folder'), exist_ok=True))
case(_method, ERROR_DEVICE_IN_USE, FilePath=volume_path('disk.vhd'))
case(_method, ERROR_PATH_NOT_FOUND, 'no such volume', FilePath='Z:\\x.vhd')

_method = 'ILocalDeviceMgr.IsPathNtfs'
case(_method, S_OK, Path=FILE)
case(_method, S_FALSE, 'no such volume', Path='Z:\\x.vhd')
case(_method, E_INVALIDARG, 'malformed', Path='no path')
case(_method, E_INVALIDARG, 'NULL', Path=None)

_method = 'ILocalDeviceMgr.DoesFileExist'
case(_method, S_OK, FilePath=volume_path('disk.vhd'))
case(_method, S_OK, 'in other case', FilePath=volume_path('DISK.vhd'))
case(_method, E_FAIL, FilePath=FILE)
case(_method, E_INVALIDARG, 'malformed', FilePath='no path')
case(_method, E_INVALIDARG, 'NULL', FilePath=None)

case('ILocalDeviceMgr.EnumDirectory', S_OK,
     out=lambda s, a: a.value.name == 'IDirectoryEnum')


def portal_ok(p):
    return p['Guid'] != NULL_GUID and p['dwPort'] == 3260 and \
        p['bListen'] == 1 and p['bSecure'] == 0 and p['bValid'] == 1 and \
        '::' not in p['szIpAddress']


def all_portals(s, a):
    found = list(a.value.each())
    return all(portal_ok(p) for p in found) and \
        {addresses(), addresses('2')} <= {p['szIpAddress'] for p in found}


case('ILocalDeviceMgr.EnumPortals', S_OK, out=all_portals)
case('ILocalDeviceMgr2.EnumLocalPortals', S_OK, out=all_portals)
case('ILocalDeviceMgr2.EnumLocalPortals', S_OK, 'of a group',
     ResourceGroup='any', out=all_portals)
case('ILocalDeviceMgr.GetPortal', S_OK, IpAddress=addresses(),
     out=lambda s, a: portal_ok(a['pPortal']) and
     a['pPortal']['szIpAddress'] == addresses())
for _address in '192.0.2.254', 'none', '', None:
    case('ILocalDeviceMgr.GetPortal', ERROR_FILE_NOT_FOUND, repr(_address),
         IpAddress=_address)


def can_connect(port):
    try:
        socket.create_connection((addresses('2'), port), 30).close()
        return True
    except OSError:
        return False


def restored(check):
    """Check, then put the portal back."""
    def after(s):
        good = check(s)
        s.device.SetPortalConfig(IpAddress=addresses('2'), nPort=3260,
                                 bUse=1).ok()
        return good and can_connect(3260)
    return after


_method = 'ILocalDeviceMgr.SetPortalConfig'
case(_method, S_OK, 'another port', IpAddress=addresses('2'), nPort=3999,
     bUse=1, after=restored(
         lambda s: can_connect(3999) and not can_connect(3260)))
case(_method, S_OK, 'do not listen', IpAddress=addresses('2'), nPort=3260,
     bUse=0, after=restored(
         lambda s: not can_connect(3260) and s.device.GetPortal(
             IpAddress=addresses('2')).ok().value['bListen'] == 0))
case(_method, ERROR_FILE_NOT_FOUND, IpAddress='192.0.2.254', nPort=3260,
     bUse=1)
case(_method, ERROR_FILE_NOT_FOUND, 'comes before the port',
     IpAddress='192.0.2.254', nPort=0, bUse=1)
for _port in 0, 65536, 0xffffffff:
    case(_method, E_INVALIDARG, 'port %d' % _port, IpAddress=addresses('2'),
         nPort=_port, bUse=1)
for _wait in 0, 1:
    case('ILocalDeviceMgr.DeviceManagerRescan', S_OK, bSynchronous=_wait)
case('ILocalDeviceMgr.GetProcessors', S_OK,
     out=lambda s, a: bin(a.value).count('1') == min(
         32, len(os.sched_getaffinity(0))))

answers('ILocalDeviceMgr2.EnumResourceGroup', E_NOTIMPL)
answers('ILocalDeviceMgr2.EnumLocalResourceGroup', E_NOTIMPL)
_method = 'ILocalDeviceMgr2.GetResourceGroupGuid'
case(_method, E_INVALIDARG, 'empty', ResourceGroup='')
case(_method, ERROR_INVALID_HANDLE, ResourceGroup='group')
_method = 'ILocalDeviceMgr2.GetResourceGroupFromPath'
case(_method, S_OK, FilePath=FILE, out='')
case(_method, E_INVALIDARG, 'malformed', FilePath='no path')
_method = 'ILocalDeviceMgr2.RenameResourceGroup'
case(_method, E_INVALIDARG, 'empty', ResourceGroup='',
     NewResourceGroup='new')
case(_method, E_INVALIDARG, 'to the empty name', ResourceGroup='group',
     NewResourceGroup='')
case(_method, ERROR_INVALID_HANDLE, ResourceGroup='group',
     NewResourceGroup='new')
_method = 'ILocalDeviceMgr2.GetResourceGroupOwner'
case(_method, E_POINTER, 'empty', ResourceGroup='')
case(_method, ERROR_INVALID_HANDLE, ResourceGroup='group')

# ------------------------------------------------- IDirectoryEnum (3.3)


def browser(s):
    return s.device.EnumDirectory().ok().value


def found_first(s):
    found = browser(s)
    s.first = found.FindFirst(bstrSearchPath='C:\\').ok()['pDirectoryData']
    return found


def found_all(s):
    found = found_first(s)
    while found.FindNext().hresult == S_OK:
        pass
    return found


case('IDirectoryEnum.GetDriveString', E_NOTIMPL, on=browser)
case('IDirectoryEnum.FindFirst', S_OK, on=browser, bstrSearchPath='C:\\',
     out=lambda s, a: a['pDirectoryData']['szFullPath'] ==
     'C:\\' + a['pDirectoryData']['szFileName'])
case('IDirectoryEnum.FindFirst', S_OK, 'a file', on=browser,
     bstrSearchPath='C:\\*.vhd', out=lambda s, a: a['pDirectoryData'] == {
         'szFileName': 'disk.vhd', 'szFullPath': 'C:\\disk.vhd',
         'eType': istm.File})
case('IDirectoryEnum.FindFirst', S_OK, 'while another is open',
     on=found_first, bstrSearchPath='C:\\')
case('IDirectoryEnum.FindFirst', win32(18), 'an empty directory',
     on=browser, bstrSearchPath='C:\\folder',
     before=lambda s: os.makedirs(local_path('folder'), exist_ok=True))
for _path in '', None, 'no path', 'C:\\..', 'C:\\none':
    case('IDirectoryEnum.FindFirst', {
        'C:\\none': ERROR_PATH_NOT_FOUND}.get(_path, E_INVALIDARG),
        repr(_path), on=browser, bstrSearchPath=_path)
case('IDirectoryEnum.FindNext', S_OK, on=found_first,
     before=lambda s: s.write('x.vhd'),
     out=lambda s, a: a['pDirectoryData'] != s.first)
case('IDirectoryEnum.FindNext', ERROR_NO_MORE_FILES, on=found_all)
case('IDirectoryEnum.FindNext', ERROR_INVALID_HANDLE, 'before FindFirst',
     on=browser)
case('IDirectoryEnum.FindClose', S_OK, on=found_first)
case('IDirectoryEnum.FindClose', S_OK, 'before FindFirst', on=browser)

# ------------------------------- ISessionManager (3.34), ISessionManager2


def nothing(s, a):
    return list(a.value.each()) == []


case('ISessionManager.EnumSessions', S_OK, out=nothing)
case('ISessionManager2.EnumSessions2', S_OK, out=nothing)
for _method, _more in (('EnumConnections', {}), ('GetSession', {}),
                       ('GetConnection', {'CID': 0})):
    case('ISessionManager2.' + _method, E_INVALIDARG, 'TSIH 0', TSIH=0,
         **_more)
    case('ISessionManager2.' + _method, ERROR_FILE_NOT_FOUND, TSIH=4711,
         **_more)

# ------------------------------------------------- ISnapshotMgr (3.38)

case('ISnapshotMgr.EnumSnapshots', S_OK, out=nothing)
case('ISnapshotMgr.GetSnapshot', ERROR_FILE_NOT_FOUND,
     SnapshotId=UNKNOWN_GUID)
case('ISnapshotMgr.PrepareCreateSnapshot', ERROR_FILE_NOT_FOUND,
     nWTD=UNKNOWN_DISK)
case('ISnapshotMgr.PrepareCreateSnapshot', ERROR_FILE_NOT_FOUND, 'disabled',
     nWTD=lambda s: s.index,
     before=lambda s: s.disk1.put_Enable(bEnable=0).ok())
case('ISnapshotMgr.PrepareCreateSnapshot', ERROR_INVALID_FUNCTION, 'RAM',
     nWTD=lambda s: s.ram_disk().get_WTD().value)
case('ISnapshotMgr.PrepareCreateSnapshot', ERROR_INVALID_FUNCTION,
     'differencing', nWTD=lambda s: s.diff_disk().get_WTD().value)
case('ISnapshotMgr.PrepareCreateSnapshot', VSS_E_NOT_SUPPORTED,
     nWTD=lambda s: s.index)
for _method in 'DoCreateSnapshot', 'DoEndSnapshot':
    case('ISnapshotMgr.' + _method, ERROR_FILE_NOT_FOUND,
         SnapshotId=UNKNOWN_GUID)
case('ISnapshotMgr.DeleteSnapshot', S_OK, 'unknown',
     SnapshotId=UNKNOWN_GUID)
case('ISnapshotMgr.ImportSnapshot', E_NOTIMPL)

# ------------------------------------------------------- ISnsMgr (3.40)


def sns_names(s):
    return [n['szName'] for n in s.sns.EnumSnsServers().ok().value.each()]


SNS = {'SnsServerName': 'isns.example.org'}


def without_sns(s):
    s.sns.RemoveSnsServer(**SNS)


def with_sns(s):
    s.sns.AddSnsServer(**SNS).ok()


case('ISnsMgr.AddSnsServer', S_OK, before=without_sns,
     after=lambda s: sns_names(s) == ['isns.example.org'], **SNS)
case('ISnsMgr.AddSnsServer', S_OK, 'once more', before=with_sns,
     after=lambda s: sns_names(s) == ['isns.example.org'], **SNS)
case('ISnsMgr.AddSnsServer', E_INVALIDARG, 'empty', SnsServerName='')
case('ISnsMgr.AddSnsServer', E_INVALIDARG, 'too long', SnsServerName='x' * 600)
case('ISnsMgr.AddSnsServer', E_INVALIDARG, 'NULL', SnsServerName=None)
case('ISnsMgr.AddSnsServer', S_OK, 'in other case', before=with_sns,
     SnsServerName='ISNS.Example.ORG',
     after=lambda s: sns_names(s) == ['isns.example.org'])
case('ISnsMgr.RemoveSnsServer', S_OK, 'in other case', before=with_sns,
     SnsServerName='ISNS.Example.ORG', after=lambda s: sns_names(s) == [])
for _name in '', None:
    case('ISnsMgr.RemoveSnsServer', ERROR_FILE_NOT_FOUND, repr(_name),
         SnsServerName=_name)
case('ISnsMgr.EnumSnsServers', S_OK, before=with_sns,
     out=lambda s, a: list(a.value.each()) == [
         {'szName': 'isns.example.org', 'bDHCPDiscovered': 0}])
case('ISnsMgr.RemoveSnsServer', S_OK, before=with_sns,
     after=lambda s: sns_names(s) == [], **SNS)
case('ISnsMgr.RemoveSnsServer', ERROR_FILE_NOT_FOUND, before=without_sns,
     **SNS)
case('ISnsMgr.EnumCachedInitiators', S_OK, out=nothing)

# ---------------------------------------- IWTGeneral (3.52), IWTGeneral2

case('IWTGeneral.get_Guid', S_OK, out=lambda s, a: a.value != NULL_GUID)
case('IWTGeneral.get_Name', S_OK, 'default',
     out=lambda s, a: a.value.lower().split('.')[0] ==
     socket.gethostname().lower().split('.')[0])
case('IWTGeneral.put_Name', S_OK, Name='a name',
     after=lambda s: s.general.get_Name().value == 'a name')
for _name in '', None:
    # Not specified: the default (3.52.4.2).
    case('IWTGeneral.put_Name', S_OK, repr(_name), Name=_name,
         before=lambda s: s.general.put_Name(Name='a name').ok(),
         after=lambda s: s.general.get_Name().value.lower() ==
         socket.gethostname().lower().split('.')[0])
case('IWTGeneral.get_License', S_OK,
     out=lambda s, a: a.value['bDemo'] == 0 and a.value['nNumSeats'] > 0)
case('IWTGeneral.get_WTCliPath', S_OK, out=lambda s, a: len(a.value) > 0)
case('IWTGeneral.CheckAccess', S_OK)
case('IWTGeneral.AddLicense', E_NOTIMPL)
case('IWTGeneral.IsSnapshotsSupported', S_FALSE)
# With an interface pointer: istm_notify.
case('IWTGeneral.RegisterNotification', E_POINTER, 'NULL', lCookie=1)
case('IWTGeneral.UnregisterNotification', E_POINTER, 'NULL')
for _everyday, _day, _start in (1, 0, 132000000000000000), (0, 6, 1), (
        0, 0, 0):
    _schedule = {'bEveryday': _everyday, 'eDay': _day, 'hyStartTime': _start}
    case('IWTGeneral.DVSetSnapshotSchedule', S_OK, 'from %d' % _start,
         Schedule=_schedule, after=lambda s, v=_schedule:
         s.general.DVGetSnapshotSchedule().ok().value == v)
case('IWTGeneral.DVGetSnapshotSchedule', S_OK,
     before=lambda s: s.general.DVSetSnapshotSchedule(Schedule={
         'bEveryday': 1, 'eDay': 3, 'hyStartTime': 864000000000}).ok(),
     out={'pSchedule': {'bEveryday': 1, 'eDay': 3,
                        'hyStartTime': 864000000000}})
case('IWTGeneral.DVSetSnapshotSchedule', E_INVALIDARG, 'on day 7',
     Schedule={'bEveryday': 0, 'eDay': 7, 'hyStartTime': 1})
case('IWTGeneral2.IsClustered', S_FALSE)

# ------------------------------------------------ IEnum* (3.4 to 3.20)


def two_targets(s):
    return s.hosts.EnumHosts().ok().value


def at_the_end(s):
    enum = two_targets(s)
    list(enum.each())
    return enum


case('IEnumHost.Next', S_OK, on=two_targets, ulNumElements=1,
     out=lambda s, a: a['pNumElementsReturned'] == 1 and
     a['pElements'].oid in (s.host1.oid, s.host2.oid))
case('IEnumHost.Next', S_OK, 'none: how many are left', on=two_targets,
     ulNumElements=0, out={'pElements': None, 'pNumElementsReturned': 2})
case('IEnumHost.Next', E_FAIL, 'two', on=two_targets, ulNumElements=2)
case('IEnumHost.Next', S_FALSE, 'at the end', on=at_the_end, ulNumElements=1,
     out={'pElements': None, 'pNumElementsReturned': 0})
case('IEnumHost.Next', S_OK, 'none left', on=at_the_end, ulNumElements=0,
     out={'pElements': None, 'pNumElementsReturned': 0})


def skipped(n, wanted_left):
    def on(s):
        s.enumerator = two_targets(s)
        return s.enumerator

    def after(s):
        return s.enumerator.Next(
            ulNumElements=0)['pNumElementsReturned'] == wanted_left
    return dict(on=on, after=after, ulNumElements=n)


case('IEnumHost.Skip', S_OK, **skipped(1, 1))
case('IEnumHost.Skip', S_OK, 'to the end', **skipped(2, 0))
case('IEnumHost.Skip', S_FALSE, 'past the end', **skipped(3, 0))
case('IEnumHost.Skip', S_FALSE, 'far past the end', **skipped(0xffffffff, 0))
case('IEnumHost.Skip', E_INVALIDARG, 'nothing', **skipped(0, 2))
case('IEnumHost.Reset', S_OK, on=at_the_end)
case('IEnumHost.Clone', S_OK, on=two_targets)

# Where each enumerator comes from, and how many items it then has.
ENUMERATORS = {
    'IEnumCachedInitiator': lambda s: s.sns.EnumCachedInitiators(),
    'IEnumDisk': lambda s: s.device.EnumDisks(),
    'IEnumDisk2': lambda s: s.device.EnumDisks2(),
    'IEnumIDMethod': lambda s: (s.host1.AddID(pIDMethod=INITIATOR).ok(),
                                s.host1.EnumIDs())[1],
    'IEnumLMMountPoint': lambda s: s.disk1.EnumLMMountPoints(),
    'IEnumPortal': lambda s: s.device.EnumPortals(),
    'IEnumSession': lambda s: s.sessions.EnumSessions(),
    'IEnumSession2': lambda s: s.sessions.EnumSessions2(),
    'IEnumSnapshot': lambda s: s.snapshots.EnumSnapshots(),
    'IEnumSnsServer': lambda s: (with_sns(s), s.sns.EnumSnsServers())[1],
    'IEnumVolume': lambda s: s.device.EnumVolumes(),
    'IEnumVolume2': lambda s: s.device.EnumVolumes2(),
    'IEnumWTDisk': lambda s: s.disks.EnumWTDisks(),
    'IEnumWTDiskLunMapping': lambda s: (
        s.host1.AddWTDisk(nWTD=s.index).ok(),
        s.host1.EnumWTDiskLunMappings())[1],
}
EMPTY = ['IEnumCachedInitiator', 'IEnumLMMountPoint', 'IEnumSession',
         'IEnumSession2', 'IEnumSnapshot']
if not physical_disks():
    EMPTY += ['IEnumDisk', 'IEnumDisk2']
for _interface, _make in ENUMERATORS.items():
    _wanted = S_FALSE if _interface in EMPTY else S_OK

    def _on(s, make=_make):
        return make(s).ok().value
    case(_interface + '.Next', _wanted, on=_on, ulNumElements=1,
         out=lambda s, a, w=_wanted: a['pNumElementsReturned'] == (w == S_OK))
    case(_interface + '.Next', E_FAIL, 'two', on=_on, ulNumElements=2)
    case(_interface + '.Skip', _wanted, on=_on, ulNumElements=1)
    case(_interface + '.Reset', S_OK, on=_on)
    case(_interface + '.Clone', S_OK, on=_on)

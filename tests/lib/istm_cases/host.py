# SPDX-License-Identifier: GPL-3.0-or-later
"""IHost, IHost2, IHost3 (3.21, 3.23, 3.24)."""

import os

from istm_client import *  # noqa: F403
from istm_cases.table import (
    INITIATOR, IQN, OTHER_SECRET, SECRET, UNKNOWN_DISK, addresses, case)


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
case('IHost.put_Status', E_NOTIMPL)
case('IHost.get_LastLogIn', S_OK, 'never', out=0)
case('IHost.put_LastLogIn', E_NOTIMPL)
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
case('IHost2.put_ResourceGroupName', E_NOTIMPL)
case('IHost2.SaveToStream', E_ACCESSDENIED)
case('IHost2.EnumSessions', S_OK, out=lambda s, a: list(a.value.each()) == [])
case('IHost3.get_ResourceState', S_OK, out=-1)
case('IHost3.put_ResourceState', E_NOTIMPL)



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

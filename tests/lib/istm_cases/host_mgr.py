# SPDX-License-Identifier: GPL-3.0-or-later
"""IHostMgr to IHostMgr3 (3.25, 3.27, 3.29)."""

from istm_client import *  # noqa: F403
from istm_cases.table import case


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

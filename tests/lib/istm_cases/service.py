# SPDX-License-Identifier: GPL-3.0-or-later
"""ISessionManager, ISnapshotMgr, ISnsMgr, IWTGeneral (3.34, 3.38, 3.40, 3.52)."""

import socket

from istm_client import *  # noqa: F403
from istm_cases.table import UNKNOWN_DISK, UNKNOWN_GUID, case

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

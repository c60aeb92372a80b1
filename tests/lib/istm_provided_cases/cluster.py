# SPDX-License-Identifier: GPL-3.0-or-later
"""In a cluster (3.21 to 3.51)."""

from istm_client import *  # noqa: F403
from istm_provided_cases.table import cluster_case, snap, status, taken
from istm_provided_cases.enumerator import left

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

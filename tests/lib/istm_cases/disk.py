# SPDX-License-Identifier: GPL-3.0-or-later
"""IWTDisk to IWTDisk3 (3.43 to 3.45)."""

import socket

from istm_client import *  # noqa: F403
from istm_cases.table import MB, case
from istm_cases.host import prop


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
    case('IWTDisk.put_' + _name, E_NOTIMPL)
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
case('IWTDisk2.put_ResourceGroupName', E_NOTIMPL)
case('IWTDisk2.IsAlive', S_OK)
case('IWTDisk2.SaveToStream', E_ACCESSDENIED)
case('IWTDisk3.get_VhdType', S_OK, out=istm.FixedVhd)
case('IWTDisk3.get_VhdType', S_OK, 'RAM', on=ram, out=istm.InvalidVhd)
case('IWTDisk3.get_ParentPath', S_OK, out=lambda s, a: not a.value)
case('IWTDisk3.get_AllocatedSize', S_OK, out=0)
case('IWTDisk3.get_CacheParent', S_OK, out=0)
case('IWTDisk3.put_CacheParent', E_INVALIDARG, 'fixed', CacheParent=1)
case('IWTDisk3.get_ResourceState', S_OK, out=-1)
case('IWTDisk3.put_ResourceState', E_NOTIMPL)
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

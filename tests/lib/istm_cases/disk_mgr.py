# SPDX-License-Identifier: GPL-3.0-or-later
"""IWTDiskMgr to IWTDiskMgr4 (3.46, 3.48, 3.50, 3.51)."""

from istm_client import *  # noqa: F403
from istm_cases.table import MB, UNKNOWN_DISK, UNKNOWN_GUID, case
from istm_cases.disk import ram


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

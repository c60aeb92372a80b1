# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and their snapshots (3.43 to 3.48)."""

from istm_cases import MB, UNKNOWN_GUID
from istm_client import *  # noqa: F403
from istm_provided_cases.table import (
    ERROR_DEPENDENT_RESOURCE_EXISTS, EXPORTED, case, mounted, rolling_back,
    snapshot_mounted, status, taken)

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

# SPDX-License-Identifier: GPL-3.0-or-later
"""ILocalDeviceMgr to ILocalDeviceMgr3 (3.30, 3.32, 3.33)."""

import os
import socket

from istm_client import *  # noqa: F403
from istm_cases.table import MB, VOLUME_NAMES, addresses, case

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
case('ILocalDeviceMgr.CreateVolume', E_NOTIMPL)
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

case('ILocalDeviceMgr2.EnumResourceGroup', E_NOTIMPL)
case('ILocalDeviceMgr2.EnumLocalResourceGroup', E_NOTIMPL)
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

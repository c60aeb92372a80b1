# SPDX-License-Identifier: GPL-3.0-or-later
"""IDirectoryEnum (3.3)."""

import os

from istm_client import *  # noqa: F403
from istm_cases.table import case


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

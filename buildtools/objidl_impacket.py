# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python side of objidl.py: a module for impacket.

For each structure an NDRSTRUCT, for each method a DCOMCALL and its
DCOMANSWER, named IHost_get_Name and IHost_get_NameResponse. Inherited methods
are those of the interface that declares them: bind to the IID of the
interface that is used.

    from impacket.dcerpc.v5.dcomrt import ...
    import istm
    call = istm.IHost_get_Name()
    answer = interface.request(call, iid=istm.IID_IHost, ...)
    answer['pName']['asData'], answer['ErrorCode']

IIDS, CLSIDS and METHODS hold the tables by name.
"""

PRELUDE = '''# Generated from %(source)s by objidl.py: do not edit.
"""%(source)s for impacket; see buildtools/objidl_impacket.py."""

from impacket.dcerpc.v5.dcomrt import (
    DCOMANSWER, DCOMCALL, HRESULT_ARRAY, MInterfacePointer,
    PMInterfacePointer, PMInterfacePointer_ARRAY, REMINTERFACEREF_ARRAY,
    REMQIRESULT, STDOBJREF)
from impacket.dcerpc.v5.dcom.oaut import BSTR, FLAGGED_WORD_BLOB
from impacket.dcerpc.v5.dtypes import (
    GUID, LONG, LPSTR, NULL, UCHAR, ULONG, ULONGLONG, USHORT)
from impacket.dcerpc.v5.ndr import (
    NDRENUM, NDRPOINTER, NDRSTRUCT, NDRUniConformantArray, NDRUniFixedArray)
from impacket.dcerpc.v5.enum import Enum
from impacket.uuid import string_to_bin, uuidtup_to_bin


class GUID_ARRAY(NDRUniConformantArray):
    item = GUID


class BYTE_ARRAY(NDRUniConformantArray):
    item = 'c'


class REMQIRESULT_ARRAY(NDRUniConformantArray):
    item = REMQIRESULT


class PREMQIRESULT_ARRAY(NDRPOINTER):
    referent = (('Data', REMQIRESULT_ARRAY),)


class _FixedArray(NDRUniFixedArray):
    """An inline array of numbers; its value is its bytes."""
    size = 0
    width = 1
    align = 1

    def getDataLen(self, data, offset=0):
        return self.size * self.width

    def getAlignment(self):
        return self.align

    def __init__(self, data=None, isNDR64=False):
        NDRUniFixedArray.__init__(self, data, isNDR64)
        if data is None:
            self.fields['Data'] = b'\\x00' * (self.size * self.width)


def _fixed(size, width):
    return type('_Fixed%%dx%%d' %% (size, width), (_FixedArray,),
                {'size': size, 'width': width, 'align': width})


def wchar(text, size):
    """The bytes of a WCHAR array of so many elements."""
    data = text.encode('utf-16le')
    if len(data) > 2 * size:
        raise ValueError('%%r does not fit' %% text)
    return data.ljust(2 * size, b'\\x00')


def from_wchar(data):
    """The text in a WCHAR array."""
    data = bytes(data)
    units = [data[i:i + 2] for i in range(0, len(data), 2)]
    if b'\\x00\\x00' in units:
        units = units[:units.index(b'\\x00\\x00')]
    return b''.join(units).decode('utf-16le', 'replace')


def bstr(text):
    """A value for a BSTR parameter. impacket's own class fails outside the
    basic plane, and has no NULL BSTR: None becomes what Windows sends."""
    value = BSTR()
    value['ReferentID'] = 0x72657355
    blob = FLAGGED_WORD_BLOB()
    if text is None:
        blob['cBytes'], blob['clSize'] = 0xffffffff, 0
        units = []
    else:
        data = text.encode('utf-16le')
        units = [int.from_bytes(data[i:i + 2], 'little')
                 for i in range(0, len(data), 2)]
        blob['cBytes'], blob['clSize'] = len(data), len(units)
    blob.fields['asData']['Data'] = units
    value.fields['Data'] = blob
    return value


def from_bstr(value):
    """The text of a BSTR parameter of an answer, or None."""
    if value.fields['ReferentID'] == 0:
        return None
    blob = value.fields['Data']
    if blob['cBytes'] == 0xffffffff:
        return None
    units = blob.fields['asData']['Data']
    return b''.join(u.to_bytes(2, 'little') for u in units).decode(
        'utf-16le', 'replace')


class VDS_STORAGE_IDENTIFIER(NDRSTRUCT):
    pass


class PBYTE_ARRAY(NDRPOINTER):
    referent = (('Data', BYTE_ARRAY),)


VDS_STORAGE_IDENTIFIER.structure = (
    ('m_CodeSet', USHORT),
    ('m_Type', USHORT),
    ('m_cbIdentifier', ULONG),
    ('m_rgbIdentifier', PBYTE_ARRAY),
)


class VDS_STORAGE_IDENTIFIER_ARRAY(NDRUniConformantArray):
    item = VDS_STORAGE_IDENTIFIER


class PVDS_STORAGE_IDENTIFIER_ARRAY(NDRPOINTER):
    referent = (('Data', VDS_STORAGE_IDENTIFIER_ARRAY),)


class VDS_STORAGE_DEVICE_ID_DESCRIPTOR(NDRSTRUCT):
    structure = (
        ('m_version', ULONG),
        ('m_cIdentifiers', ULONG),
        ('m_rgIdentifiers', PVDS_STORAGE_IDENTIFIER_ARRAY),
    )


class VDS_INTERCONNECT(NDRSTRUCT):
    structure = (
        ('m_addressType', USHORT),
        ('m_cbPort', ULONG),
        ('m_pbPort', PBYTE_ARRAY),
        ('m_cbAddress', ULONG),
        ('m_pbAddress', PBYTE_ARRAY),
    )


class VDS_INTERCONNECT_ARRAY(NDRUniConformantArray):
    item = VDS_INTERCONNECT


class PVDS_INTERCONNECT_ARRAY(NDRPOINTER):
    referent = (('Data', VDS_INTERCONNECT_ARRAY),)


class VDS_LUN_INFORMATION(NDRSTRUCT):
    structure = (
        ('m_version', ULONG),
        ('m_DeviceType', UCHAR),
        ('m_DeviceTypeModifier', UCHAR),
        ('m_bCommandQueuing', LONG),
        ('m_BusType', USHORT),
        ('m_szVendorId', LPSTR),
        ('m_szProductId', LPSTR),
        ('m_szProductRevision', LPSTR),
        ('m_szSerialNumber', LPSTR),
        ('m_diskSignature', GUID),
        ('m_deviceIdDescriptor', VDS_STORAGE_DEVICE_ID_DESCRIPTOR),
        ('m_cInterconnects', ULONG),
        ('m_rgInterconnects', PVDS_INTERCONNECT_ARRAY),
    )

'''

# pidl's name of a base type: impacket's class and the width of an element
TYPES = {
    'uint8': ('UCHAR', 1), 'uint16': ('USHORT', 2), 'uint32': ('ULONG', 4),
    'int32': ('LONG', 4), 'hyper': ('ULONGLONG', 8), 'HRESULT': ('ULONG', 4),
    'GUID': ('GUID', 16), 'BSTR': ('BSTR', 4),
}


def emit(idl, source):
    from objidl import BASE_TYPES

    def name_of(type_):
        if type_ in BASE_TYPES:
            return TYPES[BASE_TYPES[type_][0]][0]
        if type_ in idl.enums:
            return 'USHORT'
        return type_

    def member(p):
        if p.array is None:
            return name_of(p.type)
        width = TYPES[BASE_TYPES[p.type][0]][1]
        return '_fixed(%d, %d)' % (p.array, width)

    def param(p):
        if idl.is_interface(p.type):
            return ('PMInterfacePointer_ARRAY' if 'size_is' in p.attrs
                    else 'PMInterfacePointer')
        if 'size_is' not in p.attrs:
            return name_of(p.type)
        if p.type == 'MInterfacePointer':
            return 'PMInterfacePointer_ARRAY'
        if p.attrs['size_is'].startswith(','):
            return 'P%s_ARRAY' % p.type
        return {'char': 'BYTE_ARRAY'}.get(p.type, '%s_ARRAY' % p.type)

    def structure(fields):
        if not fields:
            return ['    structure = ()']
        return (['    structure = ('] +
                ["        ('%s', %s)," % f for f in fields] + ['    )'])

    out = [PRELUDE % {'source': source}]
    for name, items in idl.enums.items():
        out.append('')
        # One of the enumerators is called None.
        out += ['%s = %d' % (i + '_' * (i == 'None'), v & 0xffff)
                for i, v in items]
    for name, fields in idl.structs.items():
        out += ['', '', 'class %s(NDRSTRUCT):' % name]
        out += structure([(p.name, member(p)) for p in fields])
    out.append('')
    for i in idl.interfaces.values():
        for opnum, m in enumerate(i.methods, i.first_opnum):
            out += ['', '', 'class %s(DCOMCALL):' % m.call,
                    '    opnum = %d' % opnum]
            out += structure([(p.name, param(p)) for p in m.params
                              if p.is_in])
            out += ['', '', 'class %sResponse(DCOMANSWER):' % m.call]
            out += structure([(p.name, param(p)) for p in m.params
                              if p.is_out] + [('ErrorCode', 'ULONG')])
    out += ['', '', 'IIDS = {']
    out += ["    '%s': uuidtup_to_bin(('%s', '0.0'))," % (i.name, i.iid)
            for i in idl.interfaces.values()]
    out += ['}', '', 'CLSIDS = {']
    out += ["    '%s': string_to_bin('%s')," % (n, c)
            for n, c, _ in idl.classes]
    out += ['}', '', '# (interface, opnum): (name, call, answer), inherited '
            'ones too', 'METHODS = {']
    for i in idl.interfaces.values():
        for member_ in i.chain():
            for opnum, m in enumerate(member_.methods, member_.first_opnum):
                out.append("    ('%s', %d): ('%s', %s, %sResponse)," % (
                    i.name, opnum, m.name, m.call, m.call))
    out += ['}', '']
    for i in idl.interfaces.values():
        out.append("IID_%s = IIDS['%s']" % (i.name, i.name))
    for n, _, _ in idl.classes:
        out.append("CLSID_%s = CLSIDS['%s']" % (n, n))
    return '\n'.join(out) + '\n'

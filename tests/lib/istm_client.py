# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of MS-ISTM for the interop tests, on impacket's dcomrt.

It knows every method from the Python module that the build generates from
istm.idl, calls any of them by name, and returns its HRESULT with the [out]
values, whatever the HRESULT is:

    client = Client.from_environment()
    mgr = client.create('HostMgr', 'IHostMgr')
    answer = mgr.NewHost(HostName='a')
    answer.hresult, answer['ppNewHost'].get_Name()['pName']

Strings are Python strings, None a NULL BSTR; GUIDs are strings; structures are
dictionaries; [out] interface pointers are objects or None.
"""

import contextlib
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(
    os.environ.get('ISTM_BUILD') or os.path.join(
        os.path.dirname(os.path.abspath(__file__)), '../../build/default'),
    'librpc'))

import istm  # noqa: E402
from impacket.dcerpc.v5 import dcomrt, transport  # noqa: E402
from impacket.dcerpc.v5.dcom.oaut import BSTR  # noqa: E402
from impacket.dcerpc.v5.dcomrt import (  # noqa: E402
    DCOMConnection, INTERFACE, OBJREF, PMInterfacePointer)
from impacket.dcerpc.v5.dtypes import GUID, NULL  # noqa: E402
from impacket.dcerpc.v5.ndr import (  # noqa: E402
    NDRSTRUCT, NDRPOINTER, NDRPOINTERNULL, NDRUniConformantArray)
from impacket.uuid import bin_to_string, string_to_bin  # noqa: E402



class _DaemonTimer(threading.Timer):
    """For impacket's pings: a test that fails must not wait for them."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.daemon = True


dcomrt.Timer = _DaemonTimer


def _recv(self, forceRecv=0, count=0):
    """impacket's own waits for ever where the server has gone."""
    if not count:
        return self.get_socket().recv(8192)
    data = b''
    while len(data) < count:
        more = self.get_socket().recv(count - len(data))
        if not more:
            raise ConnectionError('the server closed the connection')
        data += more
    return data


transport.TCPTransport.recv = _recv

S_OK = 0
S_FALSE = 1
E_NOTIMPL = 0x80004001
E_NOINTERFACE = 0x80004002
E_POINTER = 0x80004003
E_ABORT = 0x80004004
E_FAIL = 0x80004005
VSS_E_NOT_SUPPORTED = 0x8004232f


def win32(code):
    return 0x80070000 | code


ERROR_INVALID_FUNCTION = win32(1)
ERROR_FILE_NOT_FOUND = win32(2)
ERROR_PATH_NOT_FOUND = win32(3)
E_ACCESSDENIED = win32(5)
ERROR_INVALID_HANDLE = win32(6)
ERROR_INVALID_DATA = win32(13)
ERROR_INVALID_DRIVE = win32(15)
ERROR_NO_MORE_FILES = win32(18)
ERROR_BAD_LENGTH = win32(24)
ERROR_SHARING_VIOLATION = win32(32)
ERROR_HANDLE_EOF = win32(38)
ERROR_DUP_NAME = win32(52)
ERROR_FILE_EXISTS = win32(80)
E_INVALIDARG = win32(87)
ERROR_DRIVE_LOCKED = win32(108)
ERROR_ALREADY_EXISTS = win32(183)
ERROR_UNSUPPORTED_TYPE = win32(1630)
ERROR_DEVICE_IN_USE = win32(2404)
ERROR_INVALID_OPERATION = win32(4317)

NAMES = {}
for _name, _value in list(globals().items()):
    if _name.isupper() and isinstance(_value, int):
        NAMES[_value] = _name


def hresult_name(value):
    return NAMES.get(value, '0x%08x' % value)


# (interface, method name): (opnum, call, answer)
METHODS = {(i, m[0]): (opnum,) + m[1:]
           for (i, opnum), m in istm.METHODS.items()}
INTERFACES = {bytes(iid)[:16]: name for name, iid in istm.IIDS.items()}
NULL_GUID = '00000000-0000-0000-0000-000000000000'


class Answer(dict):
    """The [out] values of a call by name, and its hresult."""

    def __init__(self, hresult, values):
        super().__init__(values)
        self.hresult = hresult

    @property
    def value(self):
        """The only [out] value."""
        (value,) = self.values()
        return value

    def ok(self):
        """self, if the call succeeded."""
        if self.hresult & 0x80000000:
            raise AssertionError('failed with ' + hresult_name(self.hresult))
        return self


def is_structure(kind):
    return isinstance(kind, type) and issubclass(kind, NDRSTRUCT) \
        and not issubclass(kind, (GUID, BSTR))


def is_wchar(kind):
    return isinstance(kind, type) and getattr(kind, 'width', 0) == 2


def encode(call, name, kind, value):
    """Set one parameter or member."""
    if kind is BSTR:
        call.fields[name] = istm.bstr(value)
    elif kind is GUID:
        call[name] = string_to_bin(value or NULL_GUID)
    elif kind is PMInterfacePointer:
        if value is None:
            call[name] = NULL
        else:
            data = value.objref()
            call[name]['ulCntData'] = len(data)
            call[name]['abData'] = list(data)
    elif is_structure(kind):
        for member, member_kind in kind.structure:
            if value and member in value:
                encode(call[name], member, member_kind, value[member])
            elif isinstance(member_kind, type) and \
                    issubclass(member_kind, NDRPOINTER):
                call[name][member] = NULL
            elif is_structure(member_kind):
                encode(call[name], member, member_kind, None)
    elif is_wchar(kind):
        call[name] = value if isinstance(value, bytes) \
            else istm.wchar(value, kind.size)
    elif value is not None:
        call[name] = value


def decode(client, holder, name, kind):
    """The value of one parameter or member."""
    if kind is BSTR:
        return istm.from_bstr(holder.fields[name])
    if kind is PMInterfacePointer:
        pointer = holder.fields[name]
        if pointer['ReferentID'] == 0:
            return None
        return client.unmarshal(b''.join(holder[name]['abData']))
    if isinstance(kind, type) and issubclass(kind, NDRPOINTER):
        if isinstance(holder.fields[name], NDRPOINTERNULL) or \
                holder.fields[name]['ReferentID'] == 0:
            return None
        referent = holder.fields[name].fields['Data']
        if isinstance(referent, NDRUniConformantArray):
            items = referent.fields['Data']
            if isinstance(items, (bytes, bytearray)) or all(
                    isinstance(i, bytes) for i in items):
                return b''.join(bytes([i]) if isinstance(i, int) else i
                                for i in items)
            return [structure(client, item) for item in items]
        return holder[name]
    if kind is GUID:
        return bin_to_string(holder[name]).lower()
    if is_structure(kind):
        return structure(client, holder.fields[name])
    if is_wchar(kind):
        return istm.from_wchar(holder[name])
    value = holder[name]
    if isinstance(value, bytes) and len(value) == 1:
        return value[0]
    return value


def structure(client, holder):
    return {name: decode(client, holder, name, kind)
            for name, kind in holder.structure}


class Object:
    """An interface pointer; its methods are called by name."""

    def __init__(self, client, name, interface):
        self.client = client
        self.name = name
        self.interface = interface

    def __getattr__(self, method):
        if (self.name, method) not in METHODS:
            raise AttributeError('%s has no %s' % (self.name, method))

        def call(**parameters):
            return self.call(method, **parameters)
        return call

    @property
    def oid(self):
        return self.interface.get_oid()

    @property
    def ipid(self):
        return self.interface.get_iPid()

    def request(self, method, **parameters):
        _, call_class, _ = METHODS[self.name, method]
        call = call_class()
        unknown = set(parameters) - {n for n, _ in call.structure}
        if unknown:
            raise TypeError('%s.%s has no parameter %s' % (
                self.name, method, ', '.join(unknown)))
        for name, kind in call.structure:
            encode(call, name, kind, parameters.get(name))
        call['ORPCthis'] = self.interface.get_cinstance().get_ORPCthis()
        call['ORPCthis']['flags'] = 0
        return call

    def call(self, method, **parameters):
        return self.send(method, self.request(method, **parameters))

    def send(self, method, request):
        dce = self.client.bound(self)
        dce.call(request.opnum, request, self.ipid)
        _, _, answer_class = METHODS[self.name, method]
        answer = answer_class(dce.recv())
        values = {name: decode(self.client, answer, name, kind)
                  for name, kind in answer.structure if name != 'ErrorCode'}
        return Answer(answer['ErrorCode'], values)

    def query(self, name):
        """QueryInterface."""
        unknown = dcomrt.IRemUnknown(self.interface)
        result = unknown.RemQueryInterface(1, (istm.IIDS[name],))
        # impacket takes the OXID for the OID here.
        found = INTERFACE(self.interface.get_cinstance(), None,
                          self.interface.get_ipidRemUnknown(),
                          result.get_iPid(), oxid=result.get_oxid(),
                          oid=self.oid, target=self.interface.get_target())
        return Object(self.client, name, found)

    def release(self):
        dcomrt.IRemUnknown(self.interface).RemRelease()

    def objref(self):
        return self.interface.get_objRef()

    def each(self):
        """All elements of an enumerator."""
        while True:
            answer = self.Next(ulNumElements=1)
            if answer.hresult == S_FALSE:
                return
            answer.ok()
            yield answer['pElements']


class Client:
    def __init__(self, server, user, password, domain=''):
        self.server = server
        self.contexts = {}
        self.credentials = user, password, domain
        self.connection = None

    @classmethod
    def from_environment(cls, second=False):
        n = '2' if second else ''
        return cls(os.environ['ISTM_SERVER'], os.environ['ISTM_USER' + n],
                   os.environ['ISTM_PASSWORD' + n],
                   os.environ.get('ISTM_DOMAIN', ''))

    def create(self, cls, interface=None):
        """Activate a class and ask for an interface."""
        interface = interface or 'I' + cls
        if self.connection is None:
            self.connection = DCOMConnection(
                self.server, *self.credentials, oxidResolver=True)
        found = self.connection.CoCreateInstanceEx(
            istm.CLSIDS[cls], istm.IIDS[interface])
        return Object(self, interface, found)

    def unmarshal(self, data):
        iid = bytes(OBJREF(data)['iid'])
        interface = self.any_interface
        return Object(self, INTERFACES[iid], INTERFACE(
            interface.get_cinstance(), data, interface.get_ipidRemUnknown(),
            target=self.server))

    def bound(self, obj):
        """A presentation context for the object's interface. impacket would
        negotiate one anew whenever the interface changes."""
        self.any_interface = obj.interface
        iid = istm.IIDS[obj.name]
        if iid not in self.contexts:
            obj.interface.connect(iid)
            self.contexts[iid] = obj.interface.get_dce_rpc()
        return self.contexts[iid]

    def close(self):
        with contextlib.suppress(Exception):
            self.connection.disconnect()
        INTERFACE.CONNECTIONS.pop(self.server, None)
        if DCOMConnection.PINGTIMER is not None:
            DCOMConnection.PINGTIMER.cancel()
            DCOMConnection.PINGTIMER = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Tap:
    """Cases in TAP; exits with 1 if one failed."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, detail=''):
        self.count += 1
        self.failed += not good
        print('%s %d - %s' % ('ok' if good else 'not ok', self.count,
                              name.replace('#', '')))
        if not good and detail:
            for line in str(detail).splitlines():
                print('# ' + line)
        return good

    def same(self, found, wanted, name):
        return self.ok(found == wanted, name,
                       'found %r, not %r' % (found, wanted))

    def hresult(self, answer, wanted, name):
        return self.ok(answer.hresult == wanted, name, 'answered %s, not %s' % (
            hresult_name(answer.hresult), hresult_name(wanted)))

    def done(self):
        print('1..%d' % self.count)
        sys.stdout.flush()
        # impacket's ping timer would keep the process for two minutes.
        os._exit(1 if self.failed or not self.count else 0)


def restart(crash=False):
    """Stop the sandbox's server and start it again."""
    status = os.spawnv(os.P_WAIT, os.environ[
        'ISTM_CRASH' if crash else 'ISTM_RESTART'], ['restart'])
    if status != 0:
        raise AssertionError('restart: status %d' % status)


def until(check, seconds=200):
    """Wait for something that must come, as the server hears of sessions from
    its lanes: what @check returns once that is true, or at the end."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def rewrite_conf(text):
    """Put another smb.conf in the place of the server's, which may be reading
    it at any time after a SIGHUP."""
    path = os.environ['ISTM_CONF']
    with open(path + '.new', 'w', encoding='utf-8') as file:
        file.write(text)
    os.replace(path + '.new', path)


def volume_path(name):
    """A client's path of a file in the sandbox's volume."""
    return os.environ['ISTM_VOLUME'] + name


def local_path(name):
    """The same file on this machine."""
    return os.path.join(os.environ['ISTM_VOLUME_DIR'],
                        name.replace('\\', '/'))


class Server:
    """The sandbox's server with its seven classes, and what tests prepare."""

    CLASSES = {
        'hosts': ('HostMgr', 'IHostMgr3'),
        'disks': ('WTDiskMgr', 'IWTDiskMgr4'),
        'device': ('LocalDeviceMgr', 'ILocalDeviceMgr3'),
        'sessions': ('SessionManager', 'ISessionManager2'),
        'snapshots': ('SnapshotMgr', 'ISnapshotMgr'),
        'sns': ('SnsMgr', 'ISnsMgr'),
        'general': ('WTGeneral', 'IWTGeneral2'),
    }

    def __init__(self):
        self.connect()

    def connect(self):
        self.client = Client.from_environment()
        for name, (cls, interface) in self.CLASSES.items():
            setattr(self, name, self.client.create(cls, interface))

    def restart(self, crash=False):
        self.client.close()
        restart(crash)
        self.connect()

    def file(self, name='disk.vhd', size=8 << 20):
        """A fixed VHD; returns its path."""
        path = volume_path(name)
        self.device.CreateWtFile(FilePath=path, hyFileSize=size,
                                 bSparse=1).ok()
        return path

    def disk(self, name='disk.vhd', size=8 << 20, description=''):
        """A disk on a new file; returns its index."""
        path = self.file(name, size)
        return self.disks.CreateWTDisk(
            eDeviceType=istm.WTDTypeFileBased, DevicePath=path,
            Description=description, bClearPartTable=0,
            bForceDismount=0).ok()['pWTD']

    def get_disk(self, index):
        return self.disks.GetWTDisk(nWTD=index).ok()['ppWTDisk'].query(
            'IWTDisk3')

    def host(self, name='target'):
        """A new target that nobody has saved."""
        return self.hosts.NewHost2(HostName=name).ok()['ppNewHost'].query(
            'IHost3')

    def clear(self):
        """Delete all targets, disks and files."""
        for host in list(self.hosts.EnumHosts().ok()['ppEnumHost'].each()):
            self.hosts.DeleteHost(
                HostName=host.get_Name().ok()['pName']).ok()
        for disk in list(self.disks.EnumWTDisks().ok()
                         ['ppEnumWTDisk'].each()):
            self.disks.DeleteWTDisk(nWTD=disk.get_WTD().ok()['pWTD']).ok()
        folder = os.environ['ISTM_VOLUME_DIR']
        for where, _, files in os.walk(folder):
            for name in files:
                if name.endswith('.vhd'):
                    os.unlink(os.path.join(where, name))

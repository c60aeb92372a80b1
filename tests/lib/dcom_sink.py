# SPDX-License-Identifier: GPL-3.0-or-later
"""A DCOM client's side of callbacks, for tests: an OXID resolver and an object
exporter with IStatusNotify objects, from [C706] and [MS-DCOM] and nothing of
the server's. The exporter asks for no authentication unless it is given an
account: it says so in its resolver's answer."""

import os
import socket
import socketserver
import struct
import threading
import uuid

import istm
from ntlm_acceptor import Acceptor, Refused

NDR20 = uuid.UUID('8a885d04-1ceb-11c9-9fe8-08002b104860').bytes_le
RESOLVER = uuid.UUID('99fcfec4-5260-101b-bbcb-00aa0021347a').bytes_le
REM_UNKNOWN = uuid.UUID('00000131-0000-0000-c000-000000000046').bytes_le
WTDISK = bytes(istm.IIDS['IWTDisk'])[:16]
STATUS_NOTIFY = uuid.UUID('312cc019-d5cd-4ca7-8c10-9e0a661f147e').bytes_le
BIND, BIND_ACK, REQUEST, RESPONSE, FAULT, ALTER, ALTER_ACK = \
    11, 12, 0, 2, 3, 14, 15
AUTH3 = 16
NONE, INTEGRITY, PRIVACY = 1, 5, 6
ACCESS_DENIED = 5
SIGNATURE = 16  # bytes of NTLM's


class Connection(socketserver.BaseRequestHandler):
    """Enough of connection-oriented RPC ([C706] 12.6)."""

    def exactly(self, count):
        data = b''
        while len(data) < count:
            more = self.request.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def handle(self):
        self.contexts = {}
        self.security, self.trailer = None, b''
        try:
            while True:
                head = self.exactly(16)
                kind, flags = head[2], head[3]
                length, auth = struct.unpack('<HH', head[8:12])
                call, = struct.unpack('<L', head[12:16])
                body, self.trailer, token = self.split(
                    self.exactly(length - 16), auth)
                if kind in (BIND, ALTER):
                    answer = self.bind(body)
                    self.reply(kind + 1, call, answer, self.verify(token))
                elif kind == AUTH3:
                    self.verify(token)
                elif kind == REQUEST:
                    self.call(flags, call, self.unwrap(head, body, token))
        except (EOFError, ConnectionError):
            pass
        except Refused as reason:
            self.server.refused.append(str(reason))

    @staticmethod
    def split(body, auth):
        """Body, sec_trailer and token ([C706] 13.2.6.1)."""
        if not auth:
            return body, b'', b''
        at = len(body) - auth - 8
        return body[:at], body[at:at + 8], body[at + 8:]

    def verify(self, token):
        """A step of the authentication: the token to answer with."""
        if not token:
            return b''
        if self.security is None:
            self.level = self.trailer[1]
            self.security = Acceptor(*self.server.account)
        answer = self.security.step(token)
        if self.security.done:
            self.server.authenticated.append((self.security.user, self.level))
        return answer

    def unwrap(self, head, body, token):
        """NTLM signs the whole PDU; privacy covers what begins with the
        stub."""
        if self.security is None:
            return body
        if not self.security.done:
            raise Refused('a call before the authentication ended')
        start = 24 if head[3] & 0x80 else 8
        stub = self.security.unwrap(head + body[:start], body[start:],
                                    self.trailer, token,
                                    self.level == PRIVACY)
        return body[:start] + stub[:len(stub) - self.trailer[2]]

    def reply(self, kind, call, body, token=b''):
        sign = self.security is not None and kind == RESPONSE
        pad = -len(body) % (16 if sign else 4) if sign or token else 0
        body += bytes(pad)
        auth = self.trailer[:2] + bytes([pad, 0]) + self.trailer[4:] \
            if sign or token else b''
        length = SIGNATURE if sign else len(token)
        head = struct.pack('<BBBB4sHHL', 5, 0, kind, 3, b'\x10\0\0\0',
                           16 + len(body) + len(auth) + length, length, call)
        if sign:
            stub, token = self.security.wrap(head + body[:8], body[8:], auth,
                                             self.level == PRIVACY)
            body = body[:8] + stub
        self.request.sendall(head + body + auth + token)

    def bind(self, body):
        count, at, results = body[8], 12, b''
        for _ in range(count):
            context, transfers = struct.unpack_from('<HB', body, at)
            interface = body[at + 4:at + 20]
            offered = [body[at + 24 + 20 * i:at + 40 + 20 * i]
                       for i in range(transfers)]
            at += 24 + 20 * transfers
            if interface in self.server.interfaces and NDR20 in offered:
                self.contexts[context] = interface
                results += struct.pack('<HH', 0, 0) + NDR20 + \
                    struct.pack('<L', 2)
            else:
                results += struct.pack('<HH', 2, 1) + bytes(20)
        port = b'%d\0' % self.server.server_address[1]
        body = struct.pack('<HHLH', 5840, 5840, 0x1234, len(port)) + port
        body += bytes(-len(body) % 4)
        return body + struct.pack('<BBH', count, 0, 0) + results

    def call(self, flags, call, body):
        _, context, opnum = struct.unpack('<LHH', body[:8])
        target, stub = None, body[8:]
        if flags & 0x80:
            target, stub = stub[:16], stub[16:]
        if self.server.account and self.security is None:
            answer = ACCESS_DENIED
        else:
            answer = self.server.interfaces[self.contexts[context]](
                opnum, target, stub)
        if isinstance(answer, int):
            self.reply(FAULT, call, struct.pack('<LHBBLL', 0, context, 0, 0,
                                                answer, 0))
        elif answer is not None:
            self.reply(RESPONSE, call, struct.pack(
                '<LHBB', len(answer), context, 0, 0) + answer)


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address, interfaces, account=None):
        super().__init__((address, 0), Connection)
        self.interfaces = interfaces
        self.account = account
        self.authenticated, self.refused = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def close(self):
        self.shutdown()
        self.server_close()


def dual_strings(*strings):
    """DUALSTRINGARRAY's contents ([MS-DCOM] 2.2.19), as (units, offset)."""
    units = []
    for text in strings:
        units += [7] + [ord(c) for c in text] + [0]
    units += [0]
    offset = len(units)
    return units + [0, 0], offset


class Sink:
    """One IStatusNotify object. @result answers, None never answers."""

    def __init__(self, client, result=0):
        self.client = client
        self.result = result
        self.ipid = os.urandom(16)
        self.oid = int.from_bytes(os.urandom(8), 'little')
        self.told = []

    def objref(self, refs=5, iid=STATUS_NOTIFY, signature=0x574f454d):
        units, offset = dual_strings('%s[%d]' % (
            self.client.address, self.client.resolver.port))
        return struct.pack('<LL16sLLQQ16sHH', signature, 1, iid, 0, refs,
                           self.client.oxid, self.oid, self.ipid, len(units),
                           offset) + struct.pack('<%dH' % len(units), *units)


class Disk(Sink):
    """An IWTDisk object with the properties that an import asks for; @result
    is what each of them ends with."""

    def __init__(self, client, result=0, **properties):
        super().__init__(client, result)
        self.properties = dict(
            guid=uuid.uuid4(), type=istm.WTDTypeFileBased, flags=1, path='',
            description='imported')
        self.properties.update(properties)

    def objref(self, refs=5, iid=WTDISK, signature=0x574f454d):
        return super().objref(refs, iid, signature)

    def answer(self, opnum):
        """The [out] value of a getter, by opnum, marshalled."""
        p = self.properties
        if opnum == 3:
            return p['guid'].bytes_le
        if opnum == 7:
            return struct.pack('<HH', p['type'], 0)
        if opnum == 9:
            return struct.pack('<L', p['flags'])
        text = (p['path'] if opnum == 17 else p['description']).encode(
            'utf-16-le')
        return struct.pack('<LLLL', 0x72657355, len(text) // 2, len(text),
                           len(text) // 2) + text + bytes(-len(text) % 4)


class SinkClient:
    """One process of a client: resolver, exporter, sinks. @account: (user,
    password, domain) that callers of the exporter need, at @level."""

    def __init__(self, address, account=None, level=NONE):
        self.address = address
        self.level = level
        self.oxid = int.from_bytes(os.urandom(8), 'little')
        self.rem_unknown = os.urandom(16)
        self.sinks = []
        self.pinged, self.pings, self.released = [], 0, []
        self.changed = threading.Condition()
        self.resolver = Listener(address, {RESOLVER: self.resolve})
        self.exporter = Listener(address, {
            STATUS_NOTIFY: self.notify, REM_UNKNOWN: self.release,
            WTDISK: self.disk_property}, account)

    def sink(self, result=0):
        self.sinks.append(Sink(self, result))
        return self.sinks[-1]

    def disk(self, result=0, **properties):
        self.sinks.append(Disk(self, result, **properties))
        return self.sinks[-1]

    def wait(self, condition, seconds=200):
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def noted(self):
        with self.changed:
            self.changed.notify_all()

    def resolve(self, opnum, _, stub):
        if opnum == 4:
            oxid, = struct.unpack('<Q', stub[:8])
            if oxid != self.oxid:
                return 1910
            units, offset = dual_strings('%s[%d]' % (self.address,
                                                     self.exporter.port))
            body = struct.pack('<LLHH', 0x20000, len(units), len(units),
                               offset) + struct.pack('<%dH' % len(units),
                                                     *units)
            body += bytes(-len(body) % 4)
            return body + self.rem_unknown + struct.pack(
                '<LHHL', self.level, 5, 7, 0)
        if opnum == 2:
            count, = struct.unpack_from('<H', stub, 10)
            if count:
                # SetId 8, three shorts and 2 of padding, referent, max count
                self.pinged += struct.unpack_from('<%dQ' % count, stub, 24)
            self.noted()
            return struct.pack('<QHHL', 0x5e7, 0, 0, 0)
        if opnum == 1:
            self.pings += struct.unpack('<Q', stub[:8])[0] == 0x5e7
            self.noted()
            return struct.pack('<L', 0)
        return 0x1c010002

    def release(self, opnum, target, stub):
        if opnum == 5 and target == self.rem_unknown:
            # ORPCTHIS is 32 bytes without extensions
            count, _, _ = struct.unpack_from('<HHL', stub, 32)
            for i in range(count):
                self.released.append(struct.unpack_from('<16sLL', stub,
                                                        40 + 24 * i)[:2])
        self.noted()
        return struct.pack('<LLL', 0, 0, 0)

    def notify(self, opnum, target, stub):
        sink = next((s for s in self.sinks if s.ipid == target), None)
        if sink is None:
            return 0x80010108
        if opnum == 3:
            request = istm.IStatusNotify_LunListChanged(stub)
            sink.told.append(('list', request['lCookie']))
        else:
            request = istm.IStatusNotify_LunStatusUpdate(stub)
            status = request['pLunStatus']
            sink.told.append((
                'status', request['lCookie'], status['dwLun'],
                status['eStatus'], status['dwProgressPercent'],
                status['dwCompletionError']))
        self.noted()
        if sink.result is None:
            return None
        return struct.pack('<LLL', 0, 0, sink.result)

    def disk_property(self, opnum, target, stub):
        disk = next((s for s in self.sinks if s.ipid == target), None)
        if disk is None:
            return 0x80010108
        disk.told.append(opnum)
        self.noted()
        return struct.pack('<LL', 0, 0) + disk.answer(opnum) + \
            struct.pack('<L', disk.result)

    def close(self):
        self.resolver.close()
        self.exporter.close()


def closed_port(address):
    """A port where nobody listens."""
    with socket.socket() as s:
        s.bind((address, 0))
        return s.getsockname()[1]

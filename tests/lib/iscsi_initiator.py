# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of an iSCSI initiator as it takes to hold a session open (RFC 7143),
for tests of what the management sees of it."""

import hashlib
import socket
import struct

NONE, CRC32C = 'None', 'CRC32C'

# Bytes of a data segment that any target takes (RFC 7143 13.12).
SEGMENT = 8192


class LoginRefused(Exception):
    """Status-Class and Status-Detail, RFC 7143 11.13.5."""

    def __init__(self, status_class, status_detail):
        super().__init__('login refused: 0x%02x%02x' % (
            status_class, status_detail))
        self.status = (status_class, status_detail)


CHECK_CONDITION, CONFLICT = 2, 0x18


class CommandFailed(Exception):
    """status, and sense as (key, ASC, ASCQ) of a CHECK CONDITION."""

    def __init__(self, status, data):
        self.status, self.sense = status, None
        if status == CHECK_CONDITION:
            if data[0] & 0x7f >= 0x72:      # descriptor format
                self.sense = (data[1] & 15, data[2], data[3])
            else:
                self.sense = (data[2] & 15, data[12], data[13])
        super().__init__('status 0x%02x, sense %s' % (status, self.sense))


def chap_digest(identifier, secret, challenge):
    return hashlib.md5(bytes([int(identifier)]) + secret.encode() +
                       challenge).hexdigest()


class Session:
    """Logs in at once; target None makes it a discovery session."""

    def __init__(self, portal, initiator, target=None, isid=b'\x80\0\0\0\0\1',
                 user=None, secret=None, header_digest=NONE,
                 mutual=False):
        host, port = portal.rsplit(':', 1)
        self.sock = socket.create_connection((host.strip('[]'), int(port)),
                                             timeout=200)
        self.isid = isid
        self.tsih = 0
        self.cid = 1
        self.exp_stat_sn = 0
        self.cmd_sn = 0     # of the last command; 1 is the first
        self.itt = 1
        self.local = self.sock.getsockname()
        keys = {'InitiatorName': initiator}
        if target is None:
            keys['SessionType'] = 'Discovery'
        else:
            keys.update(SessionType='Normal', TargetName=target)
        keys['AuthMethod'] = 'CHAP,None' if user else 'None'
        # Security negotiation first, then operational parameters.
        answer = self.step(0, 1, keys, transit=not user)
        if user:
            self.chap(answer, user, secret, mutual)
        answer = self.step(1, 3, {'HeaderDigest': header_digest,
                                  'DataDigest': NONE})
        assert answer.get('HeaderDigest', NONE) == header_digest

    def chap(self, answer, user, secret, mutual):
        """RFC 7143 12.1.3. With @mutual what the target answers is in
        self.proof: its name, and whether it knows a secret."""
        answer = self.step(0, 1, {'CHAP_A': '5'}, transit=False)
        value = bytes.fromhex(answer['CHAP_C'][2:])
        keys = {'CHAP_N': user, 'CHAP_R': '0x' + chap_digest(
            answer['CHAP_I'], secret, value)}
        mine = bytes(range(16))
        if mutual:
            keys.update(CHAP_I='7', CHAP_C='0x' + mine.hex())
        answer = self.step(0, 1, keys)
        self.proof = (answer.get('CHAP_N'), lambda secret: answer.get(
            'CHAP_R') == '0x' + chap_digest(7, secret, mine))

    def step(self, csg, nsg, keys, transit=True):
        """One login request and its response."""
        data = b''.join(b'%s=%s\0' % (k.encode(), v.encode())
                        for k, v in keys.items())
        flags = (0x80 if transit else 0) | csg << 2 | (nsg if transit else 0)
        header = struct.pack(
            '>BBBBB3s6sHIHHII16x', 0x43, flags, 0, 0, 0,
            struct.pack('>I', len(data))[1:], self.isid, self.tsih, 1,
            self.cid, 0, 1, self.exp_stat_sn)
        self.sock.sendall(header + data + b'\0' * (-len(data) % 4))
        return self.response()

    def receive(self, length):
        data = b''
        while len(data) < length:
            more = self.sock.recv(length - len(data))
            if not more:
                raise ConnectionError('the target closed the connection')
            data += more
        return data

    def response(self):
        header = self.receive(48)
        length = int.from_bytes(header[5:8], 'big')
        data = self.receive(length + -length % 4)[:length]
        assert header[0] & 0x3f == 0x23, 'no login response: %r' % header[:1]
        if header[36]:
            raise LoginRefused(header[36], header[37])
        self.tsih = int.from_bytes(header[14:16], 'big')
        self.exp_stat_sn = int.from_bytes(header[24:28], 'big') + 1
        return dict(pair.decode().split('=', 1)
                    for pair in data.split(b'\0') if pair)

    def command(self, cdb, length=0, lun=0, out=b''):
        """Run a command that reads at most so many bytes or writes these (up
        to 8192 as immediate data, the rest as R2Ts ask for it); returns
        (status, data), data being the sense data of a CHECK CONDITION."""
        assert not (out and length)
        first = out[:SEGMENT]
        self.cmd_sn += 1
        self.itt += 1
        header = struct.pack(
            '>BBHIQIIII16s', 1,
            0x80 | (0x40 if length else 0) | (0x20 if out else 0), 0,
            len(first), lun << 48, self.itt, length or len(out), self.cmd_sn,
            self.exp_stat_sn, cdb.ljust(16, b'\0'))
        self.sock.sendall(header + first + b'\0' * (-len(first) % 4))
        data = b''
        while True:
            header = self.receive(48)
            size = int.from_bytes(header[5:8], 'big')
            segment = self.receive(size + -size % 4)[:size]
            opcode = header[0] & 0x3f
            if opcode == 0x20:      # NOP-In that wants no answer
                continue
            assert int.from_bytes(header[16:20], 'big') == self.itt
            if opcode == 0x31:
                self.data_out(header, out)
                continue
            if opcode == 0x25:      # Data-In
                data += segment
                if not header[1] & 1:
                    continue
                status = header[3]
            else:
                assert opcode == 0x21, 'PDU of type 0x%02x' % opcode
                status = header[3]
            self.exp_stat_sn = int.from_bytes(header[24:28], 'big') + 1
            if status == 2:
                data = segment[2:]  # behind SenseLength
            return status, data

    def data_out(self, r2t, out):
        """What an R2T asks for (RFC 7143 11.7, 11.8)."""
        at, length = struct.unpack('>II', r2t[40:48])
        end = at + length
        number = 0
        while at < end:
            part = out[at:min(at + SEGMENT, end)]
            self.sock.sendall(struct.pack(
                '>BBHI8s4s4s4xI4xII4x', 5, 0x80 if at + len(part) == end else 0,
                0, len(part), r2t[8:16], r2t[16:20], r2t[20:24],
                self.exp_stat_sn, number, at) + part)
            at += len(part)
            number += 1

    def run(self, cdb, length=0, lun=0, out=b''):
        """The same; a status that is not GOOD raises CommandFailed."""
        status, data = self.command(cdb, length, lun, out)
        if status:
            raise CommandFailed(status, data)
        return data

    def send_targets(self, value='All', tags=False):
        """{target's name: [its addresses]}, RFC 7143 appendix C; with their
        portal group tags, if wanted."""
        self.cmd_sn += 1
        self.itt += 1
        data = b'SendTargets=%s\0' % value.encode()
        header = struct.pack(
            '>BBHI8xIIII16x', 0x44, 0x80, 0, len(data), self.itt, 0xffffffff,
            self.cmd_sn, self.exp_stat_sn)
        self.sock.sendall(header + data + b'\0' * (-len(data) % 4))
        header = self.receive(48)
        assert header[0] & 0x3f == 0x24, 'PDU of type 0x%02x' % header[0]
        length = int.from_bytes(header[5:8], 'big')
        data = self.receive(length + -length % 4)[:length]
        self.exp_stat_sn = int.from_bytes(header[24:28], 'big') + 1
        found = {}
        for pair in data.split(b'\0')[:-1]:
            key, value = pair.decode().split('=', 1)
            if key == 'TargetName':
                name = value
                found[name] = []
            else:
                assert key == 'TargetAddress'
                found[name].append(value if tags
                                   else value.rsplit(',', 1)[0])
        return found

    def write(self, lba, data, lun=0):
        """WRITE(10) of blocks of 512 bytes with immediate data; its status."""
        self.cmd_sn += 1
        self.itt += 1
        self.sock.sendall(struct.pack(
            '>BBHIQIIII16s', 1, 0x80 | 0x20, 0, len(data), lun << 48,
            self.itt, len(data), self.cmd_sn, self.exp_stat_sn,
            struct.pack('>BBIBHB', 0x2a, 0, lba, 0, len(data) // 512, 0)
            .ljust(16, b'\0')) + data)
        while True:
            header = self.receive(48)
            size = int.from_bytes(header[5:8], 'big')
            self.receive(size + -size % 4)
            if header[0] & 0x3f != 0x20:    # NOP-In that wants no answer
                break
        assert header[0] & 0x3f == 0x21, 'PDU of type 0x%02x' % header[0]
        self.exp_stat_sn = int.from_bytes(header[24:28], 'big') + 1
        return header[3]

    def read(self, lba, blocks, lun=0):
        status, data = self.command(struct.pack(
            '>BBIBHB', 0x28, 0, lba, 0, blocks, 0), 512 * blocks, lun)
        assert status == 0, 'READ: status %d' % status
        return data

    def capacity16(self, lun=0):
        """Bytes, by READ CAPACITY(16)."""
        status, data = self.command(
            bytes([0x9e, 0x10]) + bytes(11) + b'\x20', 32, lun)
        assert status == 0, 'READ CAPACITY(16): status %d' % status
        last, block = struct.unpack('>QI', data[:12])
        return (last + 1) * block

    def test_unit_ready(self, lun=0):
        """(sense key, ASC, ASCQ), or None when the unit is ready."""
        status, sense = self.command(bytes(6), lun=lun)
        return CommandFailed(status, sense).sense if status == 2 else None

    def settle(self, lun=0):
        """Take the unit attentions that wait; the last answer."""
        for _ in range(10):
            answer = self.test_unit_ready(lun)
            if answer is None or answer[0] != 6:
                return answer
        return answer

    def inquiry(self, page=None, lun=0):
        cdb = bytes([0x12, page is not None, page or 0, 0, 255, 0])
        status, data = self.command(cdb, 255, lun)
        assert status == 0, 'INQUIRY: status %d' % status
        return data

    def capacity(self, lun=0):
        """Bytes, by READ CAPACITY(10)."""
        status, data = self.command(b'\x25', 8, lun)
        assert status == 0, 'READ CAPACITY: status %d' % status
        last, block = struct.unpack('>II', data)
        return (last + 1) * block

    def luns(self):
        status, data = self.command(
            b'\xa0'.ljust(8, b'\0') + b'\x10\0', 4096)
        assert status == 0, 'REPORT LUNS: status %d' % status
        return [int.from_bytes(data[i:i + 2], 'big')
                for i in range(8, len(data), 8)]

    def closed(self):
        """Whether the target closes the connection (it may say why first)."""
        try:
            while self.sock.recv(4096):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.sock.close()

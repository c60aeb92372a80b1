# SPDX-License-Identifier: GPL-3.0-or-later
"""PERSISTENT RESERVE IN and OUT (SPC-4 6.15, 6.16) over a session of
iscsi_initiator, as sg_persist has them."""

import struct

from iscsi_initiator import CONFLICT, CommandFailed

(REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT,
 REGISTER_AND_IGNORE, REGISTER_AND_MOVE) = range(8)

WRITE_EXCLUSIVE = 1
EXCLUSIVE_ACCESS = 3
WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5
EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6
WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7
EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8


def reserve_out(session, action, key=0, action_key=0, type_=0, aptpl=False,
                all_tg_pt=False, ports=None):
    """@ports: TransportIDs for SPEC_I_PT."""
    more = b''
    flags = (1 if aptpl else 0) | (4 if all_tg_pt else 0)
    if ports is not None:
        flags |= 8
        more = b''.join(ports)
        more = struct.pack('>I', len(more)) + more
    data = struct.pack('>QQ4xB3x', key, action_key, flags) + more
    session.run(struct.pack('>BBB2xIx', 0x5f, action, type_, len(data)),
                out=data)


def move(session, key, new_key, port, transport_id, unregister=True,
         aptpl=False):
    data = struct.pack('>QQxBHI', key, new_key,
                       (2 if unregister else 0) | (1 if aptpl else 0), port,
                       len(transport_id)) + transport_id
    session.run(struct.pack('>BBB2xIx', 0x5f, REGISTER_AND_MOVE, 0,
                            len(data)), out=data)


def conflicts(function, *arguments, **more):
    """Does the command end with RESERVATION CONFLICT?"""
    try:
        function(*arguments, **more)
    except CommandFailed as failed:
        if failed.status == CONFLICT:
            return True
        raise
    return False


def reserve_in(session, action, length=8192):
    return session.run(struct.pack('>BB5xHx', 0x5e, action, length), length)


def keys(session):
    """PRGENERATION and the registered keys."""
    data = reserve_in(session, 0)
    generation, length = struct.unpack('>II', data[:8])
    return generation, [int.from_bytes(data[i:i + 8], 'big')
                        for i in range(8, 8 + length, 8)]


def reservation(session):
    """(key, type), or None."""
    data = reserve_in(session, 1)
    if int.from_bytes(data[4:8], 'big') == 0:
        return None
    return int.from_bytes(data[8:16], 'big'), data[21] & 15


def capabilities(session):
    return reserve_in(session, 2, 8)


def full_status(session):
    """[(key, holder, all target ports, port, TransportID)]"""
    data = reserve_in(session, 3)
    found, at = [], 8
    while at < 8 + int.from_bytes(data[4:8], 'big'):
        size = int.from_bytes(data[at + 20:at + 24], 'big')
        found.append((int.from_bytes(data[at:at + 8], 'big'),
                      bool(data[at + 12] & 1), bool(data[at + 12] & 2),
                      int.from_bytes(data[at + 18:at + 20], 'big'),
                      data[at + 24:at + 24 + size]))
        at += 24 + size
    return found


def transport_id(name, isid=None):
    """Of iSCSI (SPC-4 7.6.4.6)."""
    if isid is not None:
        name += ',i,0x' + isid.hex()
    text = name.encode() + b'\0'
    text = text.ljust(max(20, len(text) + -len(text) % 4), b'\0')
    return struct.pack('>BBH', 0x05 if isid is None else 0x45, 0,
                       len(text)) + text


def read_block(session, lba=0):
    return session.run(struct.pack('>BBIBHB', 0x28, 0, lba, 0, 1, 0), 512)


def write_block(session, lba=0, data=b'\0' * 512):
    session.run(struct.pack('>BBIBHB', 0x2a, 0, lba, 0, len(data) // 512, 0),
                out=data)

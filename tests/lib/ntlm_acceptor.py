# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of NTLM in SPNEGO ([MS-NLMP], [MS-SPNG]) for one account,
for tests of the server as a client."""

import hmac
import os
import struct

from impacket import ntlm
from impacket.spnego import SPNEGO_NegTokenInit, SPNEGO_NegTokenResp, TypesMech

NTLMSSP = TypesMech['NTLMSSP - Microsoft NTLM Security Support Provider']
# Names alone: without a time clients send no MIC, and no mechListMIC either.
AV_NETBIOS_COMPUTER, AV_NETBIOS_DOMAIN = 1, 2


class Refused(Exception):
    """Wrong account or password, or a signature that is wrong."""


class Direction:
    """What one side signs and seals with."""

    def __init__(self, flags, key, side):
        self.flags = flags
        self.signing = ntlm.SIGNKEY(flags, key, side)
        self.handle = ntlm.ARC4.new(ntlm.SEALKEY(flags, key, side)).encrypt
        self.sequence = 0

    def signature(self, message):
        made = ntlm.SIGN(self.flags, self.signing, message, self.sequence,
                         self.handle).getData()
        self.sequence += 1
        return made


class Acceptor:
    """One security context."""

    def __init__(self, user, password, domain):
        self.account = user, password, domain
        self.challenge = os.urandom(8)
        self.flags = 0
        self.user = None
        self.done = False
        self.from_client = self.to_client = None

    def step(self, token):
        """Answer a token; done is set by the last."""
        if token[:1] == b'\x60':
            init = SPNEGO_NegTokenInit(token)
            if init['MechTypes'][0] != NTLMSSP:
                raise Refused('mechanisms %r' % init['MechTypes'])
            answer = SPNEGO_NegTokenResp()
            answer['NegState'] = b'\x01'  # accept-incomplete
            answer['SupportedMech'] = NTLMSSP
            answer['ResponseToken'] = self.challenged(init['MechToken'])
            return answer.getData()
        self.authenticate(SPNEGO_NegTokenResp(token)['ResponseToken'])
        self.done = True
        answer = SPNEGO_NegTokenResp()
        answer['NegState'] = b'\x00'  # accept-completed
        return answer.getData()

    def challenged(self, negotiate):
        wanted = struct.unpack_from('<L', negotiate, 12)[0]
        self.flags = wanted & (
            ntlm.NTLMSSP_NEGOTIATE_UNICODE | ntlm.NTLMSSP_NEGOTIATE_NTLM |
            ntlm.NTLMSSP_NEGOTIATE_SIGN | ntlm.NTLMSSP_NEGOTIATE_SEAL |
            ntlm.NTLMSSP_NEGOTIATE_ALWAYS_SIGN | ntlm.NTLMSSP_NEGOTIATE_128 |
            ntlm.NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY |
            ntlm.NTLMSSP_NEGOTIATE_KEY_EXCH) | \
            ntlm.NTLMSSP_NEGOTIATE_TARGET_INFO | ntlm.NTLMSSP_REQUEST_TARGET
        name = 'SINK'.encode('utf-16le')
        info = b''.join(struct.pack('<HH', kind, len(name)) + name for kind in
                        (AV_NETBIOS_DOMAIN, AV_NETBIOS_COMPUTER)) + bytes(4)
        return struct.pack(
            '<8sLHHLL8s8sHHL', b'NTLMSSP\0', 2, len(name), len(name), 48,
            self.flags, self.challenge, bytes(8), len(info), len(info),
            48 + len(name)) + name + info

    def authenticate(self, token):
        answer = ntlm.NTLMAuthChallengeResponse()
        answer.fromString(token)
        user, password, domain = self.account
        self.user = answer['user_name'].decode('utf-16le')
        theirs = answer['domain_name'].decode('utf-16le')
        if (self.user, theirs) != (user, domain):
            raise Refused('%s\\%s' % (theirs, self.user))
        key = ntlm.NTOWFv2(user, password, domain)
        proof, rest = answer['ntlm'][:16], answer['ntlm'][16:]
        if not hmac.compare_digest(
                ntlm.hmac_md5(key, self.challenge + rest), proof):
            raise Refused('wrong password')
        session = ntlm.hmac_md5(key, proof)
        if self.flags & ntlm.NTLMSSP_NEGOTIATE_KEY_EXCH:
            session = ntlm.generateEncryptedSessionKey(
                session, answer['session_key'])
        self.from_client = Direction(self.flags, session, 'Client')
        self.to_client = Direction(self.flags, session, 'Server')

    def unwrap(self, before, data, after, signature, sealed):
        """@data in the clear; the PDU's other parts are signed with it."""
        data = self.from_client.handle(data) if sealed else data
        if self.from_client.signature(before + data + after) != signature:
            raise Refused('wrong signature')
        return data

    def wrap(self, before, data, after, sealed):
        """(data, signature)"""
        out = self.to_client.handle(data) if sealed else data
        return out, self.to_client.signature(before + data + after)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk DCOM to the istmd of a sandbox, one message at a time.

impacket's dcomrt does the encoding; its classes DCOMConnection and INTERFACE
hide what tests want to see (several interfaces at once, HRESULTs, connections),
so that this module has its own.
"""

import os
import re
import subprocess
import sys
import time
import traceback

from impacket.dcerpc.v5 import dcomrt, transport
from impacket.dcerpc.v5.dtypes import NULL
from impacket.dcerpc.v5.rpcrt import (
    DCERPCException, RPC_C_AUTHN_GSS_NEGOTIATE, RPC_C_AUTHN_LEVEL_NONE,
    RPC_C_AUTHN_LEVEL_PKT_PRIVACY, RPC_C_AUTHN_WINNT)
from impacket.uuid import generate

import istm
import remunknown

PRIVACY = RPC_C_AUTHN_LEVEL_PKT_PRIVACY
NONE = RPC_C_AUTHN_LEVEL_NONE
NTLM = RPC_C_AUTHN_WINNT
SPNEGO = RPC_C_AUTHN_GSS_NEGOTIATE

IID_IUNKNOWN = dcomrt.IID_IUnknown
IID_CLASS_FACTORY = dcomrt.IID_IClassFactory

S_OK, S_FALSE = 0, 1
S_NOTALLINTERFACES = 0x00080012
E_NOTIMPL = 0x80004001
E_NOINTERFACE = 0x80004002
E_FAIL = 0x80004005
E_ACCESSDENIED = 0x80070005
E_OUTOFMEMORY = 0x8007000e
E_INVALIDARG = 0x80070057
REGDB_E_CLASSNOTREG = 0x80040154
RPC_E_DISCONNECTED = 0x80010108
RPC_E_INVALID_IPID = 0x80010113
RPC_E_INVALID_OBJECT = 0x80010114
RPC_E_VERSION_MISMATCH = 0x80010110
FAULT_ACCESS_DENIED = 5
NCA_OP_RNG_ERROR = 0x1c010002
RPC_X_BAD_STUB_DATA = 0x000006f7
OR_INVALID_OXID, OR_INVALID_OID, OR_INVALID_SET = 1910, 1911, 1912

SERVER = os.environ.get("ISTM_SERVER")
RPC_PORT = int(os.environ.get("ISTM_RPC_PORT", "135"))


def iid(name):
    """The IID of an interface of ISTM, without version."""
    return istm.IIDS[name][:16]


def syntax(uuid):
    """The RPC interface (UUID and version 0.0) of a COM interface."""
    return uuid[:16] + b"\0\0\0\0"


class Credentials:
    def __init__(self, user, password, domain=None):
        self.user, self.password = user, password
        self.domain = domain or os.environ["ISTM_DOMAIN"]


ADMIN = Credentials(os.environ.get("ISTM_USER", ""),
                    os.environ.get("ISTM_PASSWORD", ""),
                    os.environ.get("ISTM_DOMAIN", "-"))
OTHER = Credentials(os.environ.get("ISTM_USER2", ""),
                    os.environ.get("ISTM_PASSWORD2", ""),
                    os.environ.get("ISTM_DOMAIN", "-"))


def connect(port, credentials=ADMIN, level=PRIVACY, auth=NTLM, server=None):
    """A connection without a bind."""
    t = transport.DCERPCTransportFactory(
        "ncacn_ip_tcp:%s[%d]" % (server or SERVER, port))
    t.set_connect_timeout(200)
    dce = t.get_dce_rpc()
    if credentials is not None and level != NONE:
        t.set_credentials(credentials.user, credentials.password,
                          credentials.domain)
        dce.set_auth_type(auth)
    dce.set_auth_level(level)
    dce.connect()
    t.get_socket().settimeout(200)
    return dce


class Fault(Exception):
    """The server has answered with a fault PDU."""

    def __init__(self, status):
        Exception.__init__(self, "fault 0x%08x" % status)
        self.status = status


def request(dce, call, uuid=None):
    """Make a call and return its answer, whatever result that has. Faults
    come as Fault: impacket's own request() loses their numbers."""
    last = []
    transport_recv = dce.get_rpc_transport().recv

    def recv(*args, **kw):
        data = transport_recv(*args, **kw)
        last.append(data)
        return data

    dce.call(call.opnum, call, uuid)
    dce.get_rpc_transport().recv = recv
    try:
        answer = dce.recv()
    except DCERPCException:
        data = b"".join(last)
        if len(data) >= 28 and data[2] == 3:
            raise Fault(int.from_bytes(data[24:28], "little")) from None
        raise
    finally:
        dce.get_rpc_transport().recv = transport_recv
    module = sys.modules[type(call).__module__]
    return getattr(module, type(call).__name__ + "Response")(answer)


def fault_of(call):
    """The status of the fault that the call gets; -1 for an answer."""
    try:
        call()
    except Fault as fault:
        return fault.status
    return -1


def orpc_this(version=(5, 7)):
    this = dcomrt.ORPCTHIS()
    this["version"]["MajorVersion"], this["version"]["MinorVersion"] = version
    this["cid"] = generate()
    this["extensions"] = NULL
    this["flags"] = 0
    return this


class ObjRef:
    """A marshalled interface pointer, taken apart."""

    def __init__(self, data):
        data = data if isinstance(data, bytes) else b"".join(data)
        flags = dcomrt.OBJREF(data)["flags"]
        assert flags == dcomrt.FLAGS_OBJREF_STANDARD, flags
        ref = dcomrt.OBJREF_STANDARD(data)
        self.iid = ref["iid"]
        self.std = ref["std"]
        self.ipid = self.std["ipid"]
        self.oid = self.std["oid"]
        self.oxid = self.std["oxid"]
        self.refs = self.std["cPublicRefs"]
        self.resolver = ref["saResAddr"]


def pointer(field):
    """An [out] interface pointer as ObjRef, None if NULL."""
    try:
        data = field["abData"]
    except (KeyError, TypeError, AttributeError):
        return None
    return ObjRef(data) if data else None


def bindings(dsa):
    """([string bindings], [security providers]) of a DUALSTRINGARRAY."""
    words = dsa["aStringArray"]
    split = dsa["wSecurityOffset"]
    strings, i = [], 0
    while words[i]:
        end = words.index(0, i + 1)
        strings.append((words[i], "".join(map(chr, words[i + 1:end]))))
        i = end + 1
    assert i + 1 == split, (i, split)
    security, i = [], split
    while words[i]:
        security.append(words[i])
        i = words.index(0, i + 2) + 1
    assert i + 1 == dsa["wNumEntries"]
    return strings, security


def _property(blob, clsid, data):
    """Append one activation property, padded to eight bytes."""
    uuid = dcomrt.CLSID()
    uuid["Data"] = clsid
    blob["CustomHeader"]["pclsid"].append(uuid)
    data += b"\xfa" * (-len(data) % 8)
    size = dcomrt.DWORD()
    size["Data"] = len(data)
    blob["CustomHeader"]["pSizes"].append(size)
    return data


def _bytes(struct):
    return struct.getData() + struct.getDataReferents()


def activation_properties(clsid, iids, version=(5, 7), protseqs=(7,)):
    blob = dcomrt.ACTIVATION_BLOB()
    blob["CustomHeader"]["destCtx"] = 2
    blob["CustomHeader"]["pdwReserved"] = NULL

    info = dcomrt.InstantiationInfoData()
    info["classId"] = clsid
    info["cIID"] = len(iids)
    for uuid in iids:
        item = dcomrt.IID()
        item["Data"] = uuid[:16]
        info["pIID"].append(item)
    info["clientCOMVersion"]["MajorVersion"] = version[0]
    info["clientCOMVersion"]["MinorVersion"] = version[1]
    size = len(_bytes(info))
    info["thisSize"] = size + -size % 8
    data = _property(blob, dcomrt.CLSID_InstantiationInfo, _bytes(info))

    context = dcomrt.ActivationContextInfoData()
    context["pIFDClientCtx"] = NULL
    context["pIFDPrototypeCtx"] = NULL
    data += _property(blob, dcomrt.CLSID_ActivationContextInfo,
                      _bytes(context))

    location = dcomrt.LocationInfoData()
    location["machineName"] = NULL
    data += _property(blob, dcomrt.CLSID_ServerLocationInfo, _bytes(location))

    scm = dcomrt.ScmRequestInfoData()
    scm["pdwReserved"] = NULL
    scm["remoteRequest"]["cRequestedProtseqs"] = len(protseqs)
    for protseq in protseqs:
        scm["remoteRequest"]["pRequestedProtseqs"].append(protseq)
    data += _property(blob, dcomrt.CLSID_ScmRequestInfo, _bytes(scm))

    blob["Property"] = data
    objref = dcomrt.OBJREF_CUSTOM()
    objref["iid"] = dcomrt.IID_IActivationPropertiesIn[:16]
    objref["clsid"] = dcomrt.CLSID_ActivationPropertiesIn
    objref["pObjectData"] = blob.getData()
    objref["ObjectReferenceSize"] = len(objref["pObjectData"]) + 8
    return objref.getData()


class Activation:
    """The answer to an activation."""

    def __init__(self, hresult, packet):
        self.hresult = hresult
        self.results, self.pointers = [], []
        data = b"".join(packet["ppActProperties"]["abData"]) \
            if packet["ppActProperties"] else b""
        if not data:
            return
        blob = dcomrt.ACTIVATION_BLOB(
            dcomrt.OBJREF_CUSTOM(data)["pObjectData"])
        sizes = [s["Data"] for s in blob["CustomHeader"]["pSizes"]]
        out = dcomrt.PropsOutInfo()
        text = blob["Property"][:sizes[0]]
        out.fromStringReferents(text[out.fromString(text):])
        self.results = [r["Data"] & 0xffffffff for r in out["phresults"]]
        self.pointers = [pointer(p) for p in out["ppIntfData"]]
        scm = dcomrt.ScmReplyInfoData()
        text = blob["Property"][sizes[0]:sizes[0] + sizes[1]]
        scm.fromStringReferents(text[scm.fromString(text):])
        reply = scm["remoteReply"]
        self.oxid = reply["Oxid"]
        self.rem_unknown = reply["ipidRemUnknown"]
        self.authn_hint = reply["authnHint"]
        self.version = (reply["serverVersion"]["MajorVersion"],
                        reply["serverVersion"]["MinorVersion"])
        self.strings, self.security = bindings(reply["pdsaOxidBindings"])

    @property
    def port(self):
        return int(re.search(r"\[(\d+)\]$", self.strings[0][1]).group(1))


def activate(dce, clsid, iids, class_object=False, bind=True, **kw):
    """Ask for a class of that name, or CLSID, and interfaces of it."""
    if bind:
        dce.bind(dcomrt.IID_IRemoteSCMActivator)
    call = dcomrt.RemoteGetClassObject() if class_object \
        else dcomrt.RemoteCreateInstance()
    call["ORPCthis"] = orpc_this(kw.pop("this_version", (5, 7)))
    if not class_object:
        call["pUnkOuter"] = NULL
    clsid = istm.CLSIDS[clsid] if clsid in istm.CLSIDS else clsid
    data = activation_properties(clsid[:16], iids, **kw)
    call["pActProperties"]["ulCntData"] = len(data)
    call["pActProperties"]["abData"] = list(data)
    packet = request(dce, call)
    return Activation(packet["ErrorCode"] & 0xffffffff, packet)


class Session:
    """An activated class and one connection to its objects."""

    def __init__(self, clsid="WTGeneral", iids=("IWTGeneral",),
                 credentials=ADMIN, server=None, auth=NTLM):
        self.credentials, self.server, self.auth = credentials, server, auth
        self.scm = connect(RPC_PORT, credentials, auth=auth, server=server)
        self.activation = activate(self.scm, clsid, [
            iid(i) if isinstance(i, str) else i for i in iids])
        self.dce = None
        self.bound = None
        if self.activation.pointers:
            self.dce = self.open()

    @property
    def ipid(self):
        return self.activation.pointers[0].ipid

    def open(self, level=PRIVACY, credentials=None):
        return connect(self.activation.port, credentials or self.credentials,
                       level, self.auth, self.server)

    def use(self, interface):
        """Present that interface on the session's connection."""
        uuid = syntax(istm.IIDS.get(interface, interface))
        if self.bound is None:
            self.dce.bind(uuid)
        elif uuid != self.bound:
            self.dce = self.dce.alter_ctx(uuid)
        self.bound = uuid

    def call(self, interface, call, ipid=None, version=(5, 7), **fields):
        """Return (HRESULT, answer)."""
        self.use(interface)
        call["ORPCthis"] = orpc_this(version)
        for name, value in fields.items():
            call[name] = value
        answer = request(self.dce, call, ipid or self.ipid)
        return answer["ErrorCode"] & 0xffffffff, answer

    def rem_unknown(self, call, **fields):
        return self.call(dcomrt.IID_IRemUnknown2, call,
                         self.activation.rem_unknown, **fields)

    def query(self, iids, refs=1, ipid=None):
        call = remunknown.IRemUnknown_RemQueryInterface()
        call["ripid"] = ipid or self.ipid
        call["cRefs"] = refs
        call["cIids"] = len(iids)
        for uuid in iids:
            item = dcomrt.IID()
            item["Data"] = uuid
            call["iids"].append(item)
        return self.rem_unknown(call)

    def release(self, ipid, refs):
        return self.change_refs(dcomrt.RemRelease(), ipid, refs)

    def add_ref(self, ipid, refs):
        return self.change_refs(dcomrt.RemAddRef(), ipid, refs)

    def change_refs(self, call, ipid, refs):
        call["cInterfaceRefs"] = 1
        ref = dcomrt.REMINTERFACEREF()
        ref["ipid"] = ipid
        ref["cPublicRefs"] = refs
        ref["cPrivateRefs"] = 0
        call["InterfaceRefs"].append(ref)
        return self.rem_unknown(call)

    def statistics(self):
        """What dcomd's runtime holds, a dict."""
        hr, answer = self.call("IWTGeneral",
                               istm.IWTGeneral_get_WTCliPath())
        assert hr == S_OK, hex(hr)
        text = istm.from_bstr(answer.fields["pWtCliPath"])
        return {k: int(v) for k, v in
                (item.split("=") for item in text.split())}

    def command(self, text):
        """Of dcomd's (tests/dcomd/service.c)."""
        hr, _ = self.call("IWTGeneral", istm.IWTGeneral_AddLicense(),
                          License=istm.bstr(text))
        assert hr == S_OK, hex(hr)

    def pass_time(self, ms):
        """For references and ping sets, without waiting."""
        self.command("pass %d" % ms)

    def close(self):
        for dce in (self.dce, self.scm):
            if dce is not None:
                dce.disconnect()


# ---- reporting ----------------------------------------------------------

CASES = []


def case(function):
    """Decorator: one test case, named by its docstring."""
    CASES.append(function)
    return function


def equal(got, wanted, what=""):
    def show(value):
        return hex(value) if isinstance(value, int) else repr(value)
    assert got == wanted, "%s is %s, not %s" % (what, show(got), show(wanted))


def until(condition, seconds=200):
    """Wait for something that must come; how long it takes is no matter."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.05)


def log_text():
    with open(os.environ["ISTM_LOG"], encoding="utf-8",
              errors="replace") as log:
        return log.read()


def configure(**options):
    """Restart the server with more of `istm:…` (underscores for blanks)."""
    with open(os.environ["ISTM_CONF"], "a", encoding="utf-8") as conf:
        for name, value in options.items():
            conf.write("\tistm:%s = %s\n" % (name.replace("_", " "), value))
    subprocess.run([os.environ["ISTM_RESTART"]], check=True)


def run():
    """Run all cases, print TAP, exit."""
    print("1..%d" % len(CASES))
    failed = False
    for number, function in enumerate(CASES, 1):
        name = " ".join(function.__doc__.split())
        try:
            function()
            print("ok %d - %s" % (number, name))
        except Exception:  # pylint: disable=broad-except
            failed = True
            print("not ok %d - %s" % (number, name))
            for line in traceback.format_exc().splitlines():
                print("# " + line)
        sys.stdout.flush()
    sys.exit(failed)


__all__ = [n for n in dir() if not n.startswith("_")]

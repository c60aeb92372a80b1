# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets that are compared: how each is set up, where it listens, which
process's CPU time counts. All run in one sandbox, in one network namespace,
with files of the same size and content on the same file system."""

import os
import shutil
import signal
import subprocess
import time

INITIATOR = "iqn.2026-01.org.example:bench"
PATIENCE = 60


class Unavailable(Exception):
    """This peer cannot take part; the text says why."""


def cpu_ns(pid):
    """CPU time of a process and all its threads, ended ones too."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory_kib(pid, field):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise Unavailable("no %s of process %d" % (field, pid))


def fill_file(path, size, piece=None):
    """Give a file content, in the page cache and on disk, so that neither
    holes nor delayed write-back are measured.

    In pieces of a page: with large folios in the cache, which larger writes
    make, ext4 of recent kernels takes ten times as long for a small write
    (docs/performance.md), whatever the target. BENCH_FILL says otherwise."""
    piece = piece or int(os.environ.get("BENCH_FILL", "4096"))
    chunk = os.urandom(piece)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for offset in range(0, size, piece):
            os.pwrite(fd, chunk, offset)
        os.fsync(fd)
    finally:
        os.close(fd)


class Peer:
    """What a load generator has to know of a target."""

    name = None
    address = None
    port = None
    target = None
    lun = 0
    pid = None
    process = None
    # Rows that would take forever or that it does not know are left out.
    max_sessions = 1 << 20
    digests = True

    def start(self, folder, size):
        raise NotImplementedError

    def spawn(self, command, folder, **kw):
        log = os.path.join(folder, self.name + ".log")
        with open(log, "wb") as f:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=f,
                stderr=subprocess.STDOUT, **kw)
        self.pid = self.process.pid
        return log

    def wait_port(self, log):
        """Until somebody listens; seen in /proc, so that no peer has to cope
        with a connection that says nothing."""
        wanted = ":%04X" % self.port
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with open("/proc/net/tcp", encoding="ascii") as f:
                if any(line.split()[1].endswith(wanted) and
                       line.split()[3] == "0A" for line in
                       f.read().splitlines()[1:]):
                    return
            time.sleep(0.05)
        with open(log, encoding="utf-8", errors="replace") as f:
            raise Unavailable("does not serve: " + f.read()[-400:].strip())

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Istmd(Peer):
    """The sandbox's server; a fixed VHD through the whole stack."""

    name = "istmd"
    target = "iqn.2026-01.org.example:bench"

    def __init__(self):
        portal = os.environ["ISTM_PORTAL"]
        self.address, _, port = portal.rpartition(":")
        self.port = int(port)
        self.read_pid()

    def read_pid(self):
        with open(os.environ["ISTM_PIDFILE"], encoding="ascii") as f:
            self.pid = int(f.read())

    @staticmethod
    def ctl(*args):
        done = subprocess.run([os.environ["ISTMCTL"], *args], text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise Unavailable("istmctl %s: %s" % (" ".join(args),
                                                  done.stdout.strip()))
        return done.stdout

    def start(self, folder, size):
        # Thin to the daemon, then written out here: what --sparse leaves out.
        self.ctl("disk", "create", "C:\\bench.vhd", "%dM" % (size >> 20),
                 "--sparse")
        fill_file(os.path.join(os.environ["ISTM_VOLUME_DIR"], "bench.vhd"),
                  size)
        self.ctl("target", "create", "bench", "--iqn", self.target)
        self.ctl("target", "map", "bench", "0")
        self.ctl("target", "allow", "bench", INITIATOR)
        # It would go on taking for holes what were holes when it looked.
        self.restart()

    def add_disk(self, name, lun):
        """Map a VHD that lies in the volume already."""
        disks = self.ctl("disk", "list").count("\n")
        self.ctl("disk", "import", "C:\\" + name)
        self.ctl("target", "map", "bench", str(max(disks - 1, 1)), "--lun",
                 str(lun))

    def restart(self, lanes=None):
        """With another number of lanes, if one is given."""
        if lanes is not None:
            self.set_option("lanes", lanes)
        subprocess.run([os.environ["ISTM_RESTART"]], check=True)
        self.read_pid()

    def configure(self, option, value):
        """Set a parametric option, or remove it, and start anew."""
        self.set_option(option, value)
        self.restart()

    @staticmethod
    def set_option(option, value):
        conf = os.environ["ISTM_CONF"]
        with open(conf, encoding="utf-8") as f:
            lines = [line for line in f
                     if not line.strip().startswith("istm:%s =" % option)]
        with open(conf, "w", encoding="utf-8") as f:
            for line in lines:
                f.write(line)
                if line.strip() == "[global]" and value is not None:
                    f.write("\tistm:%s = %s\n" % (option, value))

    def stop(self):
        pass  # the sandbox does


class Tgt(Peer):
    """tgtd of Debian's package tgt, on a file in the page cache."""

    name = "tgt"
    target = "iqn.2026-01.org.example:tgt"
    port = 3261

    def start(self, folder, size):
        if shutil.which("tgtd") is None:
            raise Unavailable("tgtd is not installed (package tgt)")
        self.address = os.environ["ISTM_SERVER"]
        path = os.path.join(folder, "tgt.img")
        fill_file(path, size)
        # A control port and socket of its own: the system may run another.
        control = str(1000 + os.getpid() % 30000)
        environ = dict(os.environ,
                       TGT_IPC_SOCKET=os.path.join(folder, "tgt"))
        log = self.spawn(
            ["tgtd", "-C", control, "-f", "-d", "0", "--iscsi",
             "portal=%s:%d" % (self.address, self.port)], folder,
            env=environ)
        self.wait_port(log)
        for command in (
                "--mode target --op new --tid 1 -T " + self.target,
                # Offered, not demanded: off unless the initiator asks.
                "--mode target --op update --tid 1 --name HeaderDigest"
                " --value CRC32C,None",
                "--mode target --op update --tid 1 --name DataDigest"
                " --value CRC32C,None",
                "--mode logicalunit --op new --tid 1 --lun 1 -b " + path,
                "--mode target --op bind --tid 1 -I ALL"):
            done = subprocess.run(
                ["tgtadm", "-C", control, "--lld", "iscsi"] +
                command.split(), env=environ, text=True, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
            if done.returncode:
                raise Unavailable("tgtadm: " + done.stdout.strip())

    lun = 1

    def stop(self):
        # SIGTERM is ignored as long as there is a target.
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


ISTGT_CONF = """
[Global]
  NodeBase "iqn.2026-01.org.example"
  PidFile {folder}/istgt.pid
  AuthFile {folder}/istgt-auth.conf
  LogFacility "local7"
  Timeout 30
  NopInInterval 20
  DiscoveryAuthMethod None
  MaxSessions 128
  MaxConnections 4
  MaxR2T 32
  MaxOutstandingR2T 16
  DefaultTime2Wait 2
  DefaultTime2Retain 60
  FirstBurstLength 262144
  MaxBurstLength 1048576
  MaxRecvDataSegmentLength 262144
  InitialR2T Yes
  ImmediateData Yes
  DataPDUInOrder Yes
  DataSequenceInOrder Yes
  ErrorRecoveryLevel 0
[UnitControl]
  AuthMethod None
  AuthGroup None
  Portal UC1 127.0.0.1:3264
  Netmask 127.0.0.1
[PortalGroup1]
  Portal DA1 {address}:{port}
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask ALL
[LogicalUnit1]
  TargetName istgt
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod None
  AuthGroup None
  UseDigest Auto
  UnitType Disk
  QueueDepth 64
  LUN0 Storage {folder}/istgt.img {mib}MB
"""


class Istgt(Peer):
    """istgt of Debian's package."""

    name = "istgt"
    target = "iqn.2026-01.org.example:istgt"
    port = 3262
    max_sessions = 8  # a login sleeps for a second

    def start(self, folder, size):
        program = os.environ.get("ISTGT") or shutil.which("istgt")
        if program is None:
            raise Unavailable("istgt is not installed (package istgt)")
        self.address = os.environ["ISTM_SERVER"]
        fill_file(os.path.join(folder, "istgt.img"), size)
        conf = os.path.join(folder, "istgt.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(ISTGT_CONF.format(folder=folder, address=self.address,
                                      port=self.port, mib=size >> 20))
        with open(os.path.join(folder, "istgt-auth.conf"), "w",
                  encoding="ascii") as f:
            os.fchmod(f.fileno(), 0o600)
        self.wait_port(self.spawn([program, "-D", "-c", conf], folder))


class Limit(Peer):
    """Our responder, which answers from memory and does nothing else."""

    name = "limit"
    target = "iqn.2026-01.org.example:limit"
    port = 3263

    def __init__(self, programs):
        self.program = os.path.join(programs, "iscsi_responder")

    def start(self, folder, size):
        self.address = os.environ["ISTM_SERVER"]
        self.wait_port(self.spawn(
            [self.program, "-a", self.address, "-p", str(self.port), "-m",
             str(size >> 20)], folder))

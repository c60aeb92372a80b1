# SPDX-License-Identifier: GPL-3.0-or-later
"""A private istmd: one folder with its smb.conf, accounts, state and volume.

Used by buildtools/run ('make run') and by tests/sandbox. Nothing outside of the
folder is touched, and no Samba daemon is needed.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

PR_SET_PDEATHSIG = 1
ADDR_NO_RANDOMIZE = 0x0040000

LIBC = ctypes.CDLL(None, use_errno=True)

# Folder of the instance -> smb.conf parameter that points there.
FOLDERS = {
    "private": "private dir",
    "lock": "lock directory",
    "state": "state directory",
    "cache": "cache directory",
    "run": "pid directory",
    "ncalrpc": "ncalrpc dir",
}


class Failed(Exception):
    """The daemon did not start or did not stop; the text says why."""


class Instance:
    """Where everything of one istmd is."""

    def __init__(self, folder, build="default", daemon="server/istmd"):
        self.folder = folder
        self.build = os.path.join(TOP, "build", build)
        self.flavour = build
        self.daemon = os.path.join(self.build, daemon)
        self.istmctl = os.path.join(self.build, "client", "istmctl")
        self.conf = os.path.join(folder, "smb.conf")
        self.log = os.path.join(folder, "istmd.log")
        self.volume = os.path.join(folder, "volume")
        self.pidfile = os.path.join(folder, "run", "istmd.pid")

    def make_folders(self):
        """Return the folders that were not there before."""
        made = []
        for name in list(FOLDERS) + ["volume"]:
            path = os.path.join(self.folder, name)
            if not os.path.isdir(path):
                # Samba wants its private folders closed to others.
                os.makedirs(path, mode=0o755 if name == "volume" else 0o700)
                made.append(path)
        return made

    def write_conf(self, name, options):
        """Write smb.conf: 'name' is machine and account domain."""
        lines = ["[global]",
                 "\tnetbios name = " + name,
                 "\tworkgroup = WORKGROUP",
                 "\tserver role = standalone server",
                 "\tpassdb backend = tdbsam:%s/private/passdb.tdb"
                 % self.folder,
                 # Not nobody, who is one of the accounts of the sandbox.
                 "\tguest account = daemon",
                 "\tlogging = file",
                 "\tlog file = " + self.log,
                 "\tmax log size = 0",
                 "\tload printers = no",
                 "\tdisable spoolss = yes"]
        for folder, parameter in FOLDERS.items():
            lines.append("\t%s = %s/%s" % (parameter, self.folder, folder))
        for key, value in options.items():
            lines.append("\t%s = %s" % (key, value))
        with open(self.conf, "w", encoding="utf-8") as conf:
            conf.write("\n".join(lines) + "\n")

    def add_accounts(self, accounts):
        """Enter Unix accounts, a dict of name: password, into the tdbsam."""
        script = os.path.join(TOP, "buildtools", "account")
        given = "".join("%s\n%s\n" % pair for pair in accounts.items())
        done = subprocess.run([script, self.conf], input=given, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise Failed("cannot make the accounts %s:\n%s" % (
                ", ".join(accounts), done.stdout))

    def log_tail(self, lines=30):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""


class Server:
    """The process of one istmd, from start to stop."""

    def __init__(self, instance, environ=None, arguments=()):
        self.instance = instance
        self.environ = dict(os.environ, **(environ or {}))
        self.arguments = list(arguments)
        self.process = None

    def start(self, timeout=240):
        """Return when the daemon says READY=1 (sd_notify); else Failed."""
        instance = self.instance
        if not os.access(instance.daemon, os.X_OK):
            raise Failed("there is no %s: run make%s" % (
                instance.daemon, "" if instance.flavour == "default"
                else " " + instance.flavour))
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Abstract: gone with the socket, and no path that can be too long.
        notify.bind("")
        name = notify.getsockname().decode()
        environ = dict(self.environ, NOTIFY_SOCKET="@" + name[1:])
        parent = os.getpid()

        def before_exec():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            if instance.flavour == "tsan":
                # gcc 12's runtime knows no address space layout with more
                # than 28 random bits.
                LIBC.personality(ADDR_NO_RANDOMIZE)

        with open(instance.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [instance.daemon, "--foreground", "--no-process-group",
                 "--configfile=" + instance.conf] + self.arguments,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environ, cwd=instance.folder, start_new_session=True,
                preexec_fn=before_exec)
        try:
            deadline = time.monotonic() + timeout
            while True:
                readable = select.select([notify], [], [], 0.05)[0]
                if readable and b"READY=1" in notify.recv(4096).split(b"\n"):
                    return
                if not readable and self.process.poll() is not None:
                    status = self.process.returncode
                    self.process = None
                    raise Failed("istmd ended with %s while starting" %
                                 describe(status))
                if time.monotonic() > deadline:
                    self.kill()
                    raise Failed("istmd was not ready within %d s" % timeout)
        finally:
            notify.close()

    def stop(self, timeout=240):
        """SIGTERM; return the exit status, or raise Failed and kill it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as late:
            self.process.send_signal(signal.SIGABRT)
            self.kill()
            raise Failed("istmd had not stopped %d s after SIGTERM" %
                         timeout) from late
        self.process = None
        return status

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def describe(status):
    if status < 0:
        return signal.Signals(-status).name
    return "status %d" % status

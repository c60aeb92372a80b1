# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a script in a QEMU guest; do what it asks for; tell its results as TAP.

What the script calls 'pass NAME' for is a TAP line; 'fail WHY' ends it; 'host COMMAND ARGUMENT...'
calls a function of the test, of the caller's dictionary, and prints what that
returns; an exception fails the script. tests/guest/lib has the other half.
"""

import os
import shlex
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
GUEST = os.path.join(HERE, "..", "guest")
TAIL = 60


class _Host:
    """Answers the guest's requests, one line each, one at a time."""

    def __init__(self, commands):
        self.commands = commands
        # QEMU's user network shows the guest our loopback as 10.0.2.2.
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                with connection.makefile("r", encoding="utf-8") as lines:
                    words = shlex.split(lines.readline())
                try:
                    reply = self.commands[words[0]](*words[1:])
                    answer = "ok" if reply is None else "ok %s" % reply
                # Whatever it is, the guest's script shall end with it.
                except Exception as error:  # pylint: disable=W0718
                    answer = "%s: %s" % (type(error).__name__, error)
                connection.sendall(answer.encode() + b"\n")


def _tail(console):
    """What the script printed last comes last: where logs are cut, it stays."""
    state = next((number for number, line in enumerate(console)
                  if line.startswith("GUEST-STATE ")), len(console))
    return console[state:][-TAIL:] + console[:state][-TAIL // 3:]


def run(script, variables=None, commands=None, memory=512, qemu="", passed=0,
        programs=()):
    """Print TAP; return whether the script has succeeded.

    'qemu' are more of its options; 'passed' tests were told before; 'programs'
    of the host are in the guest's /programs.
    """
    host = _Host(commands or {})
    arguments = ["%s=%s" % item for item in (variables or {}).items()]
    arguments.append("HOST_PORT=%d" % host.port)
    process = subprocess.Popen(
        [os.path.join(GUEST, "boot"), "--memory", str(memory),
         "--qemu=" + qemu,
         *["--program=" + program for program in programs],
         os.path.join(GUEST, "scripts", script), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace")
    console = []
    why = ""
    log = open(os.path.join(os.environ["ISTM_SANDBOX_DIR"], script + ".log"),
               "w", encoding="utf-8")
    for line in process.stdout:
        line = line.rstrip()
        console.append(line)
        print(line, file=log, flush=True)
        if line.startswith("GUEST-PASS "):
            passed += 1
            print("ok %d - %s" % (passed, line.split(" ", 1)[1]), flush=True)
        elif line.startswith("GUEST-FAIL "):
            why = ": " + line.split(" ", 1)[1]
    status = process.wait()
    if status:
        for line in _tail(console):
            print("# " + line)
        print("not ok %d - %s in the guest: status %d%s" % (
            passed + 1, script, status, why.replace("#", "")))
        return False
    print("1..%d" % passed)
    return True


class Server:
    """The sandbox's istmd, as a test uses it."""

    def __init__(self):
        self.portals = [os.environ["ISTM_PORTAL"], os.environ["ISTM_PORTAL2"]]

    @staticmethod
    def istmctl(*arguments):
        done = subprocess.run([os.environ["ISTMCTL"], *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        if done.returncode:
            raise RuntimeError("istmctl %s: %s" % (
                " ".join(arguments), done.stderr.strip()))
        return done.stdout

    def disk(self, name, size, *options):
        """Make a disk; return its number."""
        self.istmctl("disk", "create", os.environ["ISTM_VOLUME"] + name, size,
                     *options)
        self.disks = getattr(self, "disks", -1) + 1
        return str(self.disks)

    def target(self, name, iqn, disks=(), initiators=()):
        self.istmctl("target", "create", name, "--iqn", iqn)
        for disk in disks:
            self.istmctl("target", "map", name, disk)
        for initiator in initiators:
            self.istmctl("target", "allow", name, initiator)

    def secret(self, verb, target, user, secret):
        """Verb: chap or reverse-chap."""
        path = os.path.join(os.environ["ISTM_SANDBOX_DIR"], "secret")
        with open(path, "w", encoding="ascii") as file:
            file.write(secret + "\n")
        self.istmctl("target", verb, target, "--chap-user", user,
                     "--secret-file", path)

    @staticmethod
    def file(name):
        return os.path.join(os.environ["ISTM_VOLUME_DIR"], name)

    @classmethod
    def allocated(cls, name):
        """Bytes that a file of the volume takes on the host's disk."""
        return os.stat(cls.file(name)).st_blocks * 512

    @classmethod
    def configure(cls, **options):
        """Add to [global], underscores for blanks; start the server again."""
        with open(os.environ["ISTM_CONF"], "a", encoding="utf-8") as file:
            for name, value in options.items():
                file.write("\tistm:%s = %s\n" % (name.replace("_", " "),
                                                 value))
        cls.restart()

    @staticmethod
    def crash():
        subprocess.run([os.environ["ISTM_CRASH"]], check=True)

    @staticmethod
    def restart():
        subprocess.run([os.environ["ISTM_RESTART"]], check=True)


def main(ran):
    sys.exit(0 if ran else 1)

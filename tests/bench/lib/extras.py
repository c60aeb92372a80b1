# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured besides the rows of the table."""

import os
import resource
import subprocess
import time

from lib import peers, report, rows

NAMES = ("logins", "memory", "lanes", "sessions", "cache", "dcom",
         "management", "creation")
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
PROGRAMS = os.path.join(TOP, "build", "default", "tests", "bench")

# Of the generator: a session is a descriptor.
DESCRIPTORS = 4096


def allow_descriptors():
    """So many, for this process's children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (min(DESCRIPTORS, hard), hard))


class Extras:
    """Of a Bench: needs its load(), command(), istmd, options and more."""

    def lines(self, title, *lines):
        self.more.setdefault(title, []).extend(lines)
        for line in lines:
            print("%s: %s" % (title, line), flush=True)

    def logins(self):
        runs = {p: [] for p in self.peers if p.max_sessions > 8}
        for _ in range(self.options.rounds):
            for peer, results in runs.items():
                results.append(self.load("iscsi_load", peer, "-L", "1000"))
        for peer, results in runs.items():
            self.lines(
                "1,000 logins one after another",
                "%-6s %.3f s, %.0f CPU µs each" % (
                    peer.name, report.middle(results, "seconds"),
                    report.middle(results, "cpu_us")))

    def hold(self, sessions):
        process = subprocess.Popen(
            self.command("iscsi_load", self.istmd, "-s", str(sessions), "-o"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline().strip() != "open":
            raise peers.Unavailable("cannot open %d sessions" % sessions)
        return process

    def memory(self):
        """Anonymous memory of the process; sockets' buffers are the
        kernel's."""
        pid, title = self.istmd.pid, "Memory of istmd"
        self.lines(title, "resident: %.1f MiB, of it its own %.1f MiB" % (
            peers.memory_kib(pid, "VmRSS") / 1024,
            peers.memory_kib(pid, "RssAnon") / 1024))
        # The first sessions fill the pools that later ones use.
        sessions = 500
        process = self.hold(10)
        before = peers.memory_kib(pid, "RssAnon")
        more = self.hold(sessions)
        idle = peers.memory_kib(pid, "RssAnon")
        cpu = peers.cpu_ns(pid)
        time.sleep(2)
        cpu = peers.cpu_ns(pid) - cpu
        for each in process, more:
            each.communicate("")
        self.lines(title, "idle session: %.1f KiB (%d more)" % (
            (idle - before) / sessions, sessions),
            "CPU with %d idle sessions: %.3f %% of a core" % (
                sessions + 10, cpu / 2e7))
        self.istmd.restart()  # with pools that no load has filled
        pid = self.istmd.pid
        before = peers.memory_kib(pid, "RssAnon")
        process = subprocess.Popen(
            self.command("iscsi_load", self.istmd, "-s", "64", "-q", "4",
                         "-T", "1.5", "-W", "0"), stdout=subprocess.DEVNULL)
        time.sleep(1)
        loaded = peers.memory_kib(pid, "RssAnon")
        process.wait()
        self.lines(title, "loaded session: %.1f KiB, of it 16 KiB data in"
                   " flight (64 sessions x QD 4)" % ((loaded - before) / 64))

    def lanes(self):
        """Two lanes over one, by what a lane costs as well."""
        row = rows.by_key("read-64x4")
        for lanes in 1, 2:
            self.istmd.restart(lanes)
            runs = [self.load("iscsi_load", self.istmd, *row.arguments(),
                              "-T", str(self.options.seconds), "-W", "0.3")
                    for _ in range(self.options.rounds)]
            self.lines(
                "Lanes (%s; the generator uses a core)" % row.title,
                "%d: %.1f k, %.2f CPU µs per I/O" % (
                    lanes, report.middle(runs, "iops") / 1000,
                    report.middle(runs, "cpu_us")))
        self.istmd.restart(self.options.lanes)

    def sessions(self):
        depth = 4  # the same batch for all
        for sessions in 1, 10, 100, 1000:
            runs = [self.load("iscsi_load", self.istmd, "-s", str(sessions),
                              "-q", str(depth), "-T",
                              str(self.options.seconds), "-W", "0.3")
                    for _ in range(self.options.rounds)]
            self.lines(
                "Sessions (4 KiB random read)",
                "%4d x QD %-2d: %.1f k, %.2f CPU µs per I/O, p99 %.0f µs" % (
                    sessions, depth, report.middle(runs, "iops") / 1000,
                    report.middle(runs, "cpu_us"),
                    report.middle(runs, "p99")))

    def calls(self, count):
        return [os.path.join(PROGRAMS, "istm-calls"), "--server",
                os.environ["ISTM_SERVER"], "-s",
                os.environ["ISTM_CONF"] + ".client", "-n", str(count), "-U",
                "%s\\%s%%%s" % (os.environ["ISTM_DOMAIN"],
                                os.environ["ISTM_USER"],
                                os.environ["ISTM_PASSWORD"])]

    def side_load(self):
        """One that leaves room for others."""
        return self.load("iscsi_load", self.istmd, "-q", "4", "-T",
                         str(max(2, self.options.seconds)), "-W", "0.3")

    def compare(self, title, quiet, busy):
        self.lines(title, *[
            "%s: %.1f k, p50 %.0f, p99 %.0f, p99.9 %.0f µs" % (
                name, report.middle(runs, "iops") / 1000,
                *(report.middle(runs, k) for k in ("p50", "p99", "p999")))
            for name, runs in (("without", quiet), ("with", busy))],
            "p99 with : without = %.2f" % report.median(
                b["p99"] / q["p99"] for q, b in zip(quiet, busy)))

    def management(self):
        """A client that makes 1,000 calls a second."""
        quiet, busy = [], []
        for _ in range(self.options.rounds):
            quiet.append(self.side_load())
            process = subprocess.Popen(
                self.calls(1000000) + ["--rate", "1000"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.3)
            busy.append(self.side_load())
            running = process.poll() is None
            process.kill()
            process.wait()
            self.istmd.ctl("target", "delete", "istm-calls")
            if not running:
                raise peers.Unavailable("istm-calls ended early")
        self.compare("1,000 RPC calls a second beside a load (4 KiB read,"
                     " QD 4)", quiet, busy)

    def creation(self):
        """A disk of 20 GiB is written out."""
        name, size = "C:\\creation.vhd", 20
        quiet = [self.side_load() for _ in range(self.options.rounds)]
        busy = []
        start = time.monotonic()
        with subprocess.Popen([os.environ["ISTMCTL"], "disk", "create", name,
                               "%dG" % size], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as process:
            time.sleep(0.3)
            while len(busy) < self.options.rounds and \
                    process.poll() is None:
                busy.append(self.side_load())
            output = process.communicate()[0]
        took = time.monotonic() - start
        if process.returncode:
            raise peers.Unavailable("istmctl disk create: " + output.strip())
        index = self.istmd.ctl("disk", "list").splitlines()[-1].split()[0]
        self.istmd.ctl("disk", "delete", index, "--file")
        title = "A disk of %d GiB is written out beside a load (4 KiB read," \
            " QD 4)" % size
        self.compare(title, quiet, busy)
        self.lines(title, "%.1f s, %.2f GB/s" % (took, size * 1.073741824 /
                                                 took))

    def cache(self):
        """The modes of istm:disk cache."""
        keys = "read-qd32", "write-qd32", "seqread", "seqwrite"
        for mode in "writeback", "writethrough", "none", "directsync":
            self.istmd.configure("disk cache", mode)
            for key in keys:
                row = rows.by_key(key)
                runs = [self.load("iscsi_load", self.istmd, *row.arguments(),
                                  "-T", str(self.options.seconds), "-W",
                                  "0.3")
                        for _ in range(self.options.rounds)]
                self.lines(
                    "Modes of istm:disk cache",
                    "%-12s %-29s %8.1f k, %.2f GB/s, %6.1f CPU µs per I/O, "
                    "p50 %5.0f, p99 %5.0f µs" % (
                        mode, row.title,
                        *(report.middle(runs, k) / 1000
                          for k in ("iops", "mb_s")),
                        *(report.middle(runs, k)
                          for k in ("cpu_us", "p50", "p99"))))
        self.istmd.configure("disk cache", None)

    def dcom(self):
        done = subprocess.run(self.calls(1000), text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120)
        if done.returncode:
            raise peers.Unavailable("istm-calls: " + done.stderr.strip())
        self.lines("DCOM calls at packet privacy (1,000 each)",
                   *done.stdout.splitlines())

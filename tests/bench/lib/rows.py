# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: the rows of the table, and what each is to reach."""

import dataclasses

K4 = 4096
K256 = 262144


@dataclasses.dataclass
class Row:
    """One load. The floors are ratios: to tgt, unless they say otherwise;
    *_same* to the row named in 'same' (without digests, on a fixed disk)."""

    key: str
    title: str
    size: int = K4
    sessions: int = 1
    depth: int = 32
    write: bool = False
    sequential: bool = False
    header_digest: bool = False
    data_digest: bool = False
    tool: str = "iscsi_load"
    lun: int = None
    peers: tuple = ()  # only these; none: all
    # at least this much of tgt's IOPS, at most this much of its CPU per I/O
    iops: float = None
    cpu: float = None
    # at most this much of tgt's, and of the limit's, median latency
    p50: float = None
    p50_limit: float = None
    same: str = None
    iops_same: float = None

    @property
    def digests(self):
        return self.header_digest or self.data_digest

    def arguments(self):
        result = ["-b", str(self.size), "-s", str(self.sessions), "-q",
                  str(self.depth)]
        for flag, on in (("-w", self.write), ("-S", self.sequential),
                         ("-H", self.header_digest),
                         ("-D", self.data_digest)):
            if on:
                result.append(flag)
        return result


FOUR = dict(iops=4, cpu=0.22)
TABLE = [
    Row("read-qd1", "4 KiB random read, QD 1", depth=1, p50=0.75,
        p50_limit=1.3),
    Row("read-qd32", "4 KiB random read, QD 32", **FOUR),
    Row("write-qd32", "4 KiB random write, QD 32", write=True, **FOUR),
    Row("read-8x8", "4 KiB random read, 8 sessions × QD 8", sessions=8,
        depth=8, **FOUR),
    Row("write-8x8", "4 KiB random write, 8 sessions × QD 8", sessions=8,
        depth=8, write=True, **FOUR),
    Row("read-64x4", "4 KiB random read, 64 sessions × QD 4", sessions=64,
        depth=4, **FOUR),
    Row("write-64x4", "4 KiB random write, 64 sessions × QD 4",
        sessions=64, depth=4, write=True, **FOUR),
    Row("seqread", "256 KiB sequential read, QD 8", size=K256, depth=8,
        sequential=True, iops=1.9, cpu=0.35),
    Row("seqwrite", "256 KiB sequential write, QD 8", size=K256, depth=8,
        sequential=True, write=True, iops=2.2, cpu=0.35),
]

BOTH = dict(header_digest=True, data_digest=True)
DIGESTS = [
    Row("read-qd32-hd", "4 KiB random read, QD 32, header digest",
        header_digest=True, same="read-qd32", iops_same=0.85),
    Row("read-qd32-digests", "4 KiB random read, QD 32, both digests",
        same="read-qd32", iops_same=0.85, **BOTH),
    Row("write-qd32-digests", "4 KiB random write, QD 32, both digests",
        write=True, same="write-qd32", iops_same=0.85, **BOTH),
    Row("seqread-digests", "256 KiB sequential read, QD 8, both digests",
        size=K256, depth=8, sequential=True, same="seqread", iops_same=0.8,
        **BOTH),
    Row("seqwrite-digests", "256 KiB sequential write, QD 8, both digests",
        size=K256, depth=8, sequential=True, write=True, same="seqwrite",
        iops_same=0.8, **BOTH),
]

LIBISCSI = [
    Row("libiscsi-read", "libiscsi: 4 KiB random read, QD 32",
        tool="libiscsi_load", iops=3),
    Row("libiscsi-write", "libiscsi: 4 KiB random write, QD 32",
        tool="libiscsi_load", write=True, iops=1.7),
]

# LUN 1 is a dynamic VHD, written once from end to end.
FORMATS = [
    Row("dynamic-read", "dynamic VHD: 4 KiB random read, QD 32", lun=1,
        peers=("istmd",), same="read-qd32", iops_same=0.9),
    Row("dynamic-write", "dynamic VHD: 4 KiB random write, QD 32", lun=1,
        write=True, peers=("istmd",), same="write-qd32", iops_same=0.9),
]

GROUPS = {
    "table": TABLE,
    "digests": DIGESTS,
    "libiscsi": LIBISCSI,
    "formats": FORMATS,
}


def by_key(key):
    return next(r for group in GROUPS.values() for r in group if r.key == key)

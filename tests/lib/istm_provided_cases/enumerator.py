# SPDX-License-Identifier: GPL-3.0-or-later
"""IEnumSnapshot (3.15)."""

from istm_client import *  # noqa: F403
from istm_provided_cases.table import case


def two(s):
    """Two snapshots, and an enumerator over them."""
    s.two = [s.snapshot(), s.snapshot()]
    s.enumerator = s.snapshots.EnumSnapshots().ok().value
    return s.enumerator


def left(wanted):
    return lambda s: s.enumerator.Next(
        ulNumElements=0)['pNumElementsReturned'] == wanted


case('IEnumSnapshot.Next', S_OK, on=two, ulNumElements=1, after=left(1),
     out=lambda s, a: a['pNumElementsReturned'] == 1 and
     a['pElements'].oid == s.two[0].oid)
case('IEnumSnapshot.Next', S_OK, 'none: how many are left', on=two,
     ulNumElements=0, out={'pElements': None, 'pNumElementsReturned': 2})
case('IEnumSnapshot.Next', E_FAIL, 'two', on=two, ulNumElements=2,
     after=left(2))
case('IEnumSnapshot.Skip', S_OK, on=two, ulNumElements=2, after=left(0))
case('IEnumSnapshot.Skip', S_FALSE, on=two, ulNumElements=3, after=left(0))


def one_deleted(s):
    enum = two(s)
    s.snapshots.DeleteSnapshot(SnapshotId=s.two[0].get_Id().value).ok()
    return enum


case('IEnumSnapshot.Next', S_OK, 'one has gone since', on=one_deleted,
     ulNumElements=1, after=left(0),
     out=lambda s, a: a['pElements'].oid == s.two[1].oid)

# SPDX-License-Identifier: GPL-3.0-or-later
"""IEnum* (3.4 to 3.20)."""

from istm_client import *  # noqa: F403
from istm_cases.table import INITIATOR, case
from istm_cases.device import physical_disks
from istm_cases.service import with_sns


def two_targets(s):
    return s.hosts.EnumHosts().ok().value


def at_the_end(s):
    enum = two_targets(s)
    list(enum.each())
    return enum


case('IEnumHost.Next', S_OK, on=two_targets, ulNumElements=1,
     out=lambda s, a: a['pNumElementsReturned'] == 1 and
     a['pElements'].oid in (s.host1.oid, s.host2.oid))
case('IEnumHost.Next', S_OK, 'none: how many are left', on=two_targets,
     ulNumElements=0, out={'pElements': None, 'pNumElementsReturned': 2})
case('IEnumHost.Next', E_FAIL, 'two', on=two_targets, ulNumElements=2)
case('IEnumHost.Next', S_FALSE, 'at the end', on=at_the_end, ulNumElements=1,
     out={'pElements': None, 'pNumElementsReturned': 0})
case('IEnumHost.Next', S_OK, 'none left', on=at_the_end, ulNumElements=0,
     out={'pElements': None, 'pNumElementsReturned': 0})


def skipped(n, wanted_left):
    def on(s):
        s.enumerator = two_targets(s)
        return s.enumerator

    def after(s):
        return s.enumerator.Next(
            ulNumElements=0)['pNumElementsReturned'] == wanted_left
    return dict(on=on, after=after, ulNumElements=n)


case('IEnumHost.Skip', S_OK, **skipped(1, 1))
case('IEnumHost.Skip', S_OK, 'to the end', **skipped(2, 0))
case('IEnumHost.Skip', S_FALSE, 'past the end', **skipped(3, 0))
case('IEnumHost.Skip', S_FALSE, 'far past the end', **skipped(0xffffffff, 0))
case('IEnumHost.Skip', E_INVALIDARG, 'nothing', **skipped(0, 2))
case('IEnumHost.Reset', S_OK, on=at_the_end)
case('IEnumHost.Clone', S_OK, on=two_targets)

# Where each enumerator comes from, and how many items it then has.
ENUMERATORS = {
    'IEnumCachedInitiator': lambda s: s.sns.EnumCachedInitiators(),
    'IEnumDisk': lambda s: s.device.EnumDisks(),
    'IEnumDisk2': lambda s: s.device.EnumDisks2(),
    'IEnumIDMethod': lambda s: (s.host1.AddID(pIDMethod=INITIATOR).ok(),
                                s.host1.EnumIDs())[1],
    'IEnumLMMountPoint': lambda s: s.disk1.EnumLMMountPoints(),
    'IEnumPortal': lambda s: s.device.EnumPortals(),
    'IEnumSession': lambda s: s.sessions.EnumSessions(),
    'IEnumSession2': lambda s: s.sessions.EnumSessions2(),
    'IEnumSnapshot': lambda s: s.snapshots.EnumSnapshots(),
    'IEnumSnsServer': lambda s: (with_sns(s), s.sns.EnumSnsServers())[1],
    'IEnumVolume': lambda s: s.device.EnumVolumes(),
    'IEnumVolume2': lambda s: s.device.EnumVolumes2(),
    'IEnumWTDisk': lambda s: s.disks.EnumWTDisks(),
    'IEnumWTDiskLunMapping': lambda s: (
        s.host1.AddWTDisk(nWTD=s.index).ok(),
        s.host1.EnumWTDiskLunMappings())[1],
}
EMPTY = ['IEnumCachedInitiator', 'IEnumLMMountPoint', 'IEnumSession',
         'IEnumSession2', 'IEnumSnapshot']
if not physical_disks():
    EMPTY += ['IEnumDisk', 'IEnumDisk2']
for _interface, _make in ENUMERATORS.items():
    _wanted = S_FALSE if _interface in EMPTY else S_OK

    def _on(s, make=_make):
        return make(s).ok().value
    case(_interface + '.Next', _wanted, on=_on, ulNumElements=1,
         out=lambda s, a, w=_wanted: a['pNumElementsReturned'] == (w == S_OK))
    case(_interface + '.Next', E_FAIL, 'two', on=_on, ulNumElements=2)
    case(_interface + '.Skip', _wanted, on=_on, ulNumElements=1)
    case(_interface + '.Reset', S_OK, on=_on)
    case(_interface + '.Clone', S_OK, on=_on)

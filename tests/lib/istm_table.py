# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the tables of cases: the HRESULT, the [out] values, the state after,
and one line in the audit log for each call of a method that can change state
(whatever it answers), none for others."""

import os
import re
import traceback

import istm_cases
from istm_client import NULL_GUID, S_OK

# Those that cannot change anything; all others are in the audit log.
READS = re.compile('get_|Get|Enum|Is|Check|Find|Validate|DVGet|'
                   '(Next|Skip|Reset|Clone|DoesFileExist|SaveToStream)$')
AUDIT = re.compile(r'audit: (\S+) from (\S+): (\w+)::(\w+): (.*): '
                   r'(0x[0-9a-f]{8})$', re.M)


class Log:
    """What the server has logged since it was asked last."""

    def __init__(self):
        self.file = open(os.environ['ISTM_LOG'], encoding='utf-8',
                         errors='replace')

    def news(self):
        return self.file.read()


def in_audit_log(tap, news, method, hresult, name):
    """Who, from where, which method, on what, and the result."""
    found = [m.groups() for m in AUDIT.finditer(news)]
    if READS.match(method):
        tap.same(found, [], name + ': not in the audit log')
        return
    if not tap.ok(len(found) == 1 and found[0][3] == method and
                  found[0][5] == '0x%08x' % hresult and
                  os.environ['ISTM_USER'].lower() in found[0][0].lower() and
                  found[0][4], name + ': in the audit log',
                  found or news[-500:]):
        return
    audited.add(method)


audited = set()


def run(tap, state, log, case):
    interface, method = case.interface, case.method
    name = case.name
    try:
        if case.before:
            case.before(state)
        obj = case.on(state) if case.on else state.default(interface)
        parameters = {k: v(state) if callable(v) else v
                      for k, v in case.parameters.items()}
        log.news()
        answer = obj.call(method, **parameters)
        news = log.news()
        if not tap.hresult(answer, case.wanted, name):
            return
        if case.out is not None and not callable(case.out):
            if len(answer) == 1 and not isinstance(case.out, dict):
                tap.same(answer.value, case.out, name + ': value')
            else:
                tap.same(dict(answer), case.out, name + ': values')
        elif case.out:
            tap.ok(case.out(state, answer), name + ': values', dict(answer))
        elif case.wanted & 0x80000000:
            tap.ok(not any(v for v in answer.values()
                           if not isinstance(v, dict)
                           and v != NULL_GUID), name + ': nothing returned',
                   dict(answer))
        if case.after:
            tap.ok(case.after(state), name + ': state after')
        in_audit_log(tap, news, method, answer.hresult, name)
        tap.ok(not any(s in news for s in istm_cases.SECRETS),
               name + ': no secret in the log', news[-500:])
    except Exception:
        tap.ok(False, name, traceback.format_exc())


def run_all(tap, state, cases):
    log = Log()
    dirty = True
    for case in cases:
        if dirty:
            state.prepare()
        run(tap, state, log, case)
        # Getters leave the state alone, and so does what is refused.
        dirty = case.before or case.on or (
            not READS.match(case.method) and not case.wanted & 0x80000000)

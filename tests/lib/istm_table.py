# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the tables of cases: the HRESULT, the [out] values, the state after,
and a line in the audit log where the state changes."""

import os
import traceback

import istm_cases
from istm_client import NULL_GUID, S_OK

CHANGES = ('put_', 'Add', 'Remove', 'Set', 'Save', 'New', 'Delete', 'Close',
           'Create', 'Grow', 'DVSet', 'DVMountDirect', 'DVDismount', 'Import',
           'Rollback', 'Abort', 'Export', 'Prepare', 'Do', 'Rename')
NO_CHANGES = ('DoesFileExist',)


class Log:
    """What the server has logged since it was asked last."""

    def __init__(self):
        self.file = open(os.environ['ISTM_LOG'], encoding='utf-8',
                         errors='replace')

    def news(self):
        return self.file.read()


def is_change(method):
    return method == 'DVMount' or (
        method.startswith(CHANGES) and method not in NO_CHANGES)


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
        if case.wanted == S_OK and is_change(method) and not case.silent:
            news = log.news()
            tap.ok('audit: ' in news and method in news,
                   name + ': in the audit log', news[-500:])
            tap.ok(not any(s in news for s in istm_cases.SECRETS),
                   name + ': no secret in the log', news[-500:])
    except Exception:
        tap.ok(False, name, traceback.format_exc())


def run_all(tap, state, cases):
    log = Log()
    previous = None
    for case in cases:
        # Getters leave the state alone.
        if previous is None or is_change(previous.method) or \
                previous.before or case.before or previous.on:
            state.prepare()
        run(tap, state, log, case)
        previous = case

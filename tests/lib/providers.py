# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands the engines of tests/providerd (see its providers.c)."""

import glob
import os
import socket
import time

OPS = 'create', 'delete', 'open', 'mount', 'dismount'


class Providers:
    def __init__(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind('')      # a name of the kernel's choice
        self.sock.settimeout(200)

    def ask(self, *words):
        self.sock.sendto(' '.join(map(str, words)).encode(),
                         b'\0istm-providers')
        return self.sock.recv(256).decode()

    def tell(self, *words):
        answer = self.ask(*words)
        assert answer == 'ok', (words, answer)

    def result(self, op, hresult):
        """What @op ends with from now on."""
        self.tell('result', op, '%x' % hresult)

    def hold(self, op):
        self.tell('hold', op)

    def release(self, op):
        self.tell('release', op)

    def wait(self, op, wanted=1):
        """Until so many requests wait."""
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            if int(self.ask('waiting', op)) == wanted:
                return
            time.sleep(0.01)
        raise AssertionError('%d of %s never wait' % (wanted, op))

    def progress(self, percent):
        self.tell('progress', percent)

    def finish(self, hresult=0):
        self.tell('finish', '%x' % hresult)

    def rolling_back(self):
        return self.ask('progress', 0) == 'ok'

    def reset(self):
        for op in OPS:
            self.result(op, 0)
            self.release(op)
        self.ask('finish', '80004004')
        self.tell('used', 0)
        self.tell('state', 2)


def cluster(there):
    """Whether there is one after the next restart."""
    (store,) = glob.glob(os.path.join(os.environ['ISTM_SANDBOX_DIR'], '**',
                                      'istm.tdb'), recursive=True)
    flag = os.path.join(os.path.dirname(store), 'cluster')
    if there:
        open(flag, 'w').close()
    elif os.path.exists(flag):
        os.unlink(flag)

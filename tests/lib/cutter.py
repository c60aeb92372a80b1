# SPDX-License-Identifier: GPL-3.0-or-later
"""A path to a server that can be cut: TCP forwarding with a switch.

    path = Path(("192.0.2.1", 3260))    # listens at path.port of loopback
    path.cut()        # resets all connections, refuses new ones
    path.silence()    # passes on nothing, tells nobody
    path.mend()
"""

import socket
import struct
import threading

CHUNK = 256 * 1024


def listen():
    """At a port that was asked for: such a socket keeps it when it is shut
    down. (listener, port); none of those that connections get for themselves
    (ip_local_port_range)."""
    for port in range(20000, 32000):
        try:
            return socket.create_server(("127.0.0.1", port)), port
        except OSError:
            pass
    raise OSError("no port to listen at")


class Path:
    def __init__(self, server):
        self.server = server
        self.listener, self.port = listen()
        # Who is cut off gets no connection, as where nobody listens: one that
        # ends at once keeps iscsid busy with errors of those before.
        self.listens = threading.Event()
        self.listens.set()
        self.lock = threading.Lock()
        self.sockets = set()
        self.refuses = False
        self.passes = threading.Event()
        self.passes.set()
        # What has gone through, for a test that wants to see it used.
        self.octets = 0
        # Called with (connection's number, to the server?, data) for each
        # piece.
        self.record = None
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self.listens.clear()
        with self.lock:
            self.refuses = True
            self.listener.shutdown(socket.SHUT_RDWR)
        self._reset()
        self.passes.set()

    def silence(self):
        self.passes.clear()

    def mend(self):
        # Connections that were silent are gone too, as after a reboot of
        # whatever was between.
        if not self.passes.is_set():
            self._reset()
        with self.lock:
            if self.refuses:
                self.listener.listen()
            self.refuses = False
        self.listens.set()
        self.passes.set()

    def _reset(self):
        with self.lock:
            for sock in self.sockets:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.sockets.clear()

    def _accept(self):
        while True:
            self.listens.wait()
            try:
                inside, _ = self.listener.accept()
            except OSError:
                continue  # shut down by cut()
            try:
                outside = socket.create_connection(self.server, timeout=10)
            except OSError:
                inside.close()
                continue
            outside.settimeout(None)
            with self.lock:
                if self.refuses:
                    inside.close()
                    outside.close()
                    continue
                self.sockets |= {inside, outside}
            self.connections += 1
            for pair in (inside, outside), (outside, inside):
                threading.Thread(
                    target=self._forward, daemon=True,
                    args=(*pair, self.connections, pair[0] is inside)).start()

    def _forward(self, source, sink, number, to_server):
        try:
            while True:
                data = source.recv(CHUNK)
                if not data:
                    break
                # Silent: what is read here is never passed on, for mend()
                # resets the connection first.
                self.passes.wait()
                if self.record:
                    self.record(number, to_server, data)
                sink.sendall(data)
                self.octets += len(data)
        except OSError:
            pass
        with self.lock:
            self.sockets -= {source, sink}
        for sock in source, sink:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

"""A relay between `weir` and the broker that records when the first Fetch request passes: a start as the broker sees
it.

In Kafka's protocol each request begins with four bytes of length, then two of the API key; the API key of Fetch is 1.
"""

import socket
import struct
import threading
import time

API_KEY_FETCH = 1


class FirstFetch:
    """`with FirstFetch(port, broker_port) as relay:` listens on `port`; `relay.at` is the monotonic time of the first Fetch, or None."""

    def __init__(self, port, broker_port):
        self.port, self.broker_port, self.at, self.sockets = port, broker_port, None, []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.start(self.accept)
        return self

    def __exit__(self, *_):
        # Ends every wait, since the threads find their sockets shut.
        for end in [self.listener, *self.sockets]:
            shut(end)
            end.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                broker = socket.create_connection(("127.0.0.1", self.broker_port), timeout=10)
            except OSError:
                return
            for end in (client, broker):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets += [client, broker]
            self.start(self.forward, client, broker, Requests())
            self.start(self.forward, broker, client, None)

    def forward(self, source, target, requests):
        try:
            while data := source.recv(1 << 20):
                if requests is not None and self.at is None and API_KEY_FETCH in requests.keys_in(data):
                    self.at = time.monotonic()
                target.sendall(data)
        except OSError:
            pass
        shut(source)
        shut(target)

    def start(self, work, *arguments):
        threading.Thread(target=work, args=arguments, daemon=True).start()


class Requests:
    """Cuts a stream of bytes into requests and gives their API keys."""

    def __init__(self):
        self.pending = b""

    def keys_in(self, data):
        self.pending += data
        keys = []
        while len(self.pending) >= 6:
            length, key = struct.unpack(">ih", self.pending[:6])
            if len(self.pending) < 4 + length:
                break
            keys.append(key)
            self.pending = self.pending[4 + length :]
        return keys


def shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass

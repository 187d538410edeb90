"""A scenario's own Kafka (tests/services/kafka). It is up when the block begins; when the block ends, it is down and
its disk space is free."""

import random
import shutil
import socket

from . import process

REPO_SCRIPT = "tests/services/kafka"


class Broker:
    """`with Broker(dir) as broker:` gives `bootstrap`. With `watched_port`, a second listener advertises that port."""

    def __init__(self, dir, watched_port=None):
        self.dir, self.watched_port = dir, watched_port

    def __enter__(self):
        port, controller_port, inner_port = free_ports(3)
        self.dir.mkdir(parents=True)
        if self.watched_port is not None:
            (self.dir / "extra.properties").write_text(watched_listener(port, controller_port, inner_port, self.watched_port))
        self.bootstrap, self.inner_port = f"127.0.0.1:{port}", inner_port
        process.run([REPO_SCRIPT, "up", self.dir, port, controller_port], deadline_seconds=120)
        return self

    def __exit__(self, *_):
        process.run([REPO_SCRIPT, "down", self.dir], deadline_seconds=60)
        shutil.rmtree(self.dir, ignore_errors=True)

    def topic(self, name, partitions):
        process.run([REPO_SCRIPT, "topic", self.dir, name, partitions], deadline_seconds=60)
        return name


def watched_listener(port, controller_port, inner_port, watched_port):
    return (
        f"listeners=PLAINTEXT://127.0.0.1:{port},WATCHED://127.0.0.1:{inner_port},CONTROLLER://127.0.0.1:{controller_port}\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{port},WATCHED://127.0.0.1:{watched_port}\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,WATCHED:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
    )


def free_ports(count):
    """Different ports on which nothing listens, below those that systems give to clients."""
    found = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found

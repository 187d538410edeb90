"""How long a start takes: from exec to the first Fetch request on the wire, and to the first commit."""

import time

from ..harness import documents, programs
from ..harness.broker import free_ports
from ..harness.first_fetch import FirstFetch
from ..harness.process import Background, until
from ..harness.result import Metric, Result, gathered

RECORDS = 200_000
PARTITIONS = 6
# These runs are short, so there are more of them.
RUNS_AT_LEAST = 5


def run(session):
    starts = max(session.runs, RUNS_AT_LEAST)
    result = Result(
        "Start",
        "From exec of `weir run` over the rides job to its first Fetch request, as a relay before the broker sees it, and to the first "
        f"commit of {RECORDS // 2_000}K records. The topic has {PARTITIONS} partitions, and there is no checkpoint and no table yet. "
        f"{starts} starts.",
        ["what"],
        [Metric("ms", "ms", 0)],
    )
    samples = {"first Fetch request": [], "first commit": []}
    (watched_port,) = free_ports(1)
    with session.broker(watched_port) as broker:
        topic = broker.topic("rides", PARTITIONS)
        session.programs.produce_rides(broker.bootstrap, topic, RECORDS)
        for _ in range(starts):
            dir = session.dir()
            document = documents.rides(dir, f"127.0.0.1:{watched_port}", topic, RECORDS // 2)
            command = session.programs.command(document, dir)
            with FirstFetch(watched_port, broker.inner_port) as relay:
                with Background(command, dir / "log", env=programs.ENVIRONMENT) as weir:
                    until("the first Fetch request", lambda: relay.at, 60, weir, every_seconds=0.001)
                    until("the first commit", lambda: programs.epochs(dir) > 0, 60, every_seconds=0.001)
                    committed = time.monotonic()
                    weir.wait(60)
                samples["first Fetch request"].append({"ms": (relay.at - weir.started) * 1e3})
                samples["first commit"].append({"ms": (committed - weir.started) * 1e3})
    for what, runs in samples.items():
        result.add({"what": what}, gathered(runs))
    return result

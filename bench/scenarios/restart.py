"""From SIGKILL to the next commit, with little state and with 200 MB of it."""

import time

from ..harness import documents, programs
from ..harness.process import Background, until
from ..harness.result import Metric, Result

RIDES = 4_000_000
PARTITIONS = 6
EPOCHS_BEFORE_KILL = 3
# A group takes some eleven bytes in the state files. This is more than needed, so that records are left to continue
# with.
KEYS = 1_000_000
WINDOWS = 24
STATE_BYTES = 200e6
RECORDS_PER_EPOCH = 250_000
# A first epoch that never comes must end the wait.
WITHIN_SECONDS = 300


def run(session):
    result = Result(
        "SIGKILL to the next commit",
        "A run is killed between two commits and started again at once; the time ends when the next epoch is committed. Epochs are of "
        f"{RIDES // 40_000}K rides (the rides job, next to no state), and of {RECORDS_PER_EPOCH // 1000}K records (sum, average and count "
        f"by key in five-minute windows, killed with state files of {STATE_BYTES / 1e6:.0f} MB and more).",
        ["pipeline"],
        [Metric("ms", "SIGKILL to commit, ms", 0), Metric("stored_mb", "state files, MB", 0), Metric("groups", "groups, K", 0, per=1e3)],
    )
    with session.broker() as broker:
        topic = broker.topic("rides", PARTITIONS)
        session.programs.produce_rides(broker.bootstrap, topic, RIDES)
        dir = session.dir()
        rides = documents.rides(dir, broker.bootstrap, topic, RIDES // 40)
        result.add({"pipeline": "rides"}, killed(session, dir, rides, lambda: programs.epochs(dir) >= EPOCHS_BEFORE_KILL))
    with session.broker() as broker:
        topic = broker.topic("keyed", PARTITIONS)
        shape = ["--keys", KEYS, "--windows", WINDOWS]
        session.programs.bench("produce", broker.bootstrap, topic, KEYS * WINDOWS, *shape)
        dir = session.dir()
        keyed = documents.windowed(dir, broker.bootstrap, topic, WINDOWS, RECORDS_PER_EPOCH)
        result.add({"pipeline": "200 MB of keyed state"}, killed(session, dir, keyed, lambda: stored_bytes(dir) >= STATE_BYTES))
    return result


def killed(session, dir, document, ready):
    """Kills `weir` when it is `ready`, then `runs` times after the first commit that follows a start."""
    command = session.programs.command(document, dir)
    samples = {"ms": [], "stored_mb": [], "groups": []}
    at = None
    for number in range(session.runs + 1):
        before = programs.epochs(dir)
        with Background(command, dir / "log", env=programs.ENVIRONMENT) as weir:
            until("the next commit", lambda: programs.epochs(dir) > before, WITHIN_SECONDS, weir)
            if at is not None:
                samples["ms"].append((time.monotonic() - at) * 1e3)
                last = programs.progress(dir)[-1]
                samples["stored_mb"].append(last["stateStoredBytes"] / 1e6)
                samples["groups"].append(sum(operator["numRowsTotal"] for operator in last["stateOperators"]))
                session.say(f"kill {number}: {samples['ms'][-1]:.0f} ms")
            until("enough to be killed with", ready, WITHIN_SECONDS, weir, every_seconds=0.02)
            at = weir.kill()
    return samples


def stored_bytes(dir):
    reports = programs.progress(dir)
    return reports[-1]["stateStoredBytes"] if reports else 0

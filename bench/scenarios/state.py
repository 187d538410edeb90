"""Memory and time of epochs with much state: a million keys in each of twelve open windows, and ten million keys."""

import statistics
from datetime import datetime

from ..harness import documents
from ..harness.result import CPU, RESIDENT, STATE, Metric, Result, gathered
from ..harness.session import state

PARTITIONS = 6
RECORDS_PER_EPOCH = 1_000_000
# Each group is created once and changed once.
TURNS = 2
# Keys and windows.
POINTS = [(1_000_000, 12), (10_000_000, 1)]
# This many keys do not fit into the small memory limit.
TOO_MANY_KEYS = 10_000_000
LITTLE_MEMORY = "512Mi"
EXIT_OUT_OF_MEMORY = 6


def run(session):
    records_per_epoch = session.count(RECORDS_PER_EPOCH)
    result = Result(
        "Much state",
        f"Sum, average and count by key in five-minute windows that stay open until the end. Every group comes {TURNS} times; epochs are "
        f"of {records_per_epoch / 1e6:g}M records. An epoch's time is from the close of the one before to its own, in the second half "
        "of the run, when all groups are there.",
        ["keys", "windows"],
        [
            CPU,
            RESIDENT,
            Metric("epoch_ms", "epoch, ms (median of a run)", 0),
            Metric("epoch_max_ms", "longest epoch, ms", 0),
            Metric("close_to_commit_ms", "close to commit, ms", 0),
            Metric("groups", "groups, M", 1, per=1e6),
            STATE,
            Metric("stored_mib", "state files, MiB", 0),
        ],
    )
    for keys, windows in POINTS:
        keys = session.count(keys)
        with session.broker() as broker:
            topic = broker.topic("keyed", PARTITIONS)
            count = keys * windows * TURNS
            session.programs.bench("produce", broker.bootstrap, topic, count, "--keys", keys, "--windows", windows)
            runs = []
            for _ in range(session.runs):
                dir = session.dir()
                ran = session.programs.run(pipeline(dir, broker, topic, windows, records_per_epoch), dir)
                of = {**ran.figures(), **state(ran), **epoch_times(ran.progress)}
                session.say(f"{keys} keys × {windows} windows: {of['resident_mib']:.0f} MiB, epochs of {of['epoch_ms']:.0f} ms")
                runs.append(of)
            result.add({"keys": keys, "windows": windows}, gathered(runs))
            if keys == TOO_MANY_KEYS:
                dir = session.dir()
                document = pipeline(dir, broker, topic, windows, records_per_epoch)
                said = session.programs.refused(document, dir, "--memory", LITTLE_MEMORY, status=EXIT_OUT_OF_MEMORY)
                result.notes.append(f"{keys / 1e6:g}M keys with `--memory {LITTLE_MEMORY}` end with exit code {EXIT_OUT_OF_MEMORY}: “{said}”")
    return result


def pipeline(dir, broker, topic, windows, records_per_epoch):
    return documents.windowed(dir, broker.bootstrap, topic, windows, records_per_epoch, documents.AVAILABLE_NOW)


def epoch_times(reports):
    """The durations of the epochs in the second half, from close to close, since reading goes on while the previous
    epoch is committed."""
    late = reports[len(reports) // 2 :]
    closed_ms = [datetime.fromisoformat(report["timestamp"]).timestamp() * 1e3 for report in late]
    periods = [after - before for before, after in zip(closed_ms, closed_ms[1:])] or [0]
    commits = [report["durationMs"]["triggerExecution"] for report in late]
    return {"epoch_ms": statistics.median(periods), "epoch_max_ms": max(periods), "close_to_commit_ms": statistics.median(commits)}

"""How long a commit takes as the table gets more versions, up to 10,000, with log checkpoints.

`weir` reports durations in whole milliseconds, and a commit to a local disk takes less than one. So the means come from
file times: an epoch's manifest is the last file before its commit, and `_delta_log/N.json` is the commit.
"""

import json
import statistics
from dataclasses import dataclass

from ..harness import documents
from ..harness.file_times import FileTimes
from ..harness.result import Metric, Plot, Result, gathered

VERSIONS = 10_000
RECORDS_PER_EPOCH = 10
# Points, each with the number of versions up to it that count.
POINTS = [(10, 9), (100, 50), (1_000, 500), (5_000, 500), (10_000, 500)]


def run(session):
    versions = session.count(VERSIONS, least=1_000)
    points = [(version, taken) for version, taken in POINTS if version <= versions]
    result = Result(
        "Versions of the table",
        f"A pipeline without windows whose epochs are of about {RECORDS_PER_EPOCH} records, AvailableNow over one partition into a local "
        "table. A commit is from the epoch's manifest to its version in the table's log, by the times of the two files (the p99 is of "
        "what `weir` reports, which has the manifest in it); a period is from one version to the next, with the reading and the data "
        "file. Each is over the versions before the point: " + ", ".join(f"{taken} before {version:,}" for version, taken in points) + ".",
        ["versions"],
        [
            Metric("commit_us", "commit, µs (mean)", 0),
            Metric("commit_p99_ms", "commit, whole ms (p99)", 0),
            Metric("period_us", "period, µs (mean)", 0),
        ],
        Plot("versions", [Metric("commit_us", "commit, µs", 0)], log_x=True),
    )
    samples = {version: [] for version, _ in points}
    with session.broker() as broker:
        topic = broker.topic("small", 1)
        session.programs.bench("produce", broker.bootstrap, topic, (versions + 100) * RECORDS_PER_EPOCH)
        for number in range(1, session.runs + 1):
            dir = session.dir()
            document = documents.copied(dir, broker.bootstrap, topic, RECORDS_PER_EPOCH, documents.AVAILABLE_NOW)
            with FileTimes(dir / "checkpoint" / "epochs") as manifests:
                ran = session.programs.run(document, dir)
            reported_ms = {report["batchId"]: report["durationMs"]["commit"] for report in ran.progress}
            commits = commits_of(dir / "table" / "_delta_log", manifests.ns, reported_ms)
            for version, taken in points:
                samples[version].append(around(commits, version, taken))
            checkpoints = len(list((dir / "table" / "_delta_log").glob("*.checkpoint*.parquet")))
            session.say(f"run {number}: {len(commits)} versions, {checkpoints} log checkpoints")
            result.notes.append(f"Run {number}: {len(commits)} versions, {checkpoints} log checkpoints written beside the commits.")
    for version, runs in samples.items():
        result.add({"versions": version}, gathered(runs))
    return result


@dataclass(frozen=True)
class Commit:
    """A version and its epoch; times in nanoseconds."""

    at: int
    # The following fields are None for the version that creates the table, which belongs to no epoch.
    decided_at: int | None
    # As reported by `weir` itself, in whole milliseconds.
    reported_ms: int | None


def commits_of(log, decided_ns, reported_ms):
    """The commits by version, from 0 on; `decided_ns` is by the manifest's file name, `reported_ms` by epoch."""
    commits = []
    while (file := log / f"{len(commits):020}.json").exists():
        epoch = epoch_of(file)
        commits.append(Commit(file.stat().st_mtime_ns, decided_ns.get(f"{epoch:020}.json"), reported_ms.get(epoch)))
    return commits


def epoch_of(file):
    """The epoch whose transaction the commit has; 0, which is not an epoch, if it has none."""
    actions = (json.loads(line) for line in file.read_text().splitlines())
    return next((action["txn"]["version"] for action in actions if "txn" in action), 0)


def around(commits, version, taken):
    """The figures of the last `taken` commits up to the version."""
    first = max(1, version - taken)
    those = commits[first:version]
    took_ns = [commit.at - commit.decided_at for commit in those if commit.decided_at is not None]
    return {
        "commit_us": statistics.mean(took_ns) / 1e3,
        "commit_p99_ms": percentile([commit.reported_ms for commit in those], 99),
        "period_us": (those[-1].at - commits[first - 1].at) / len(those) / 1e3,
    }


def percentile(values, percent):
    """The least value that this many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-len(ordered) * percent // 100) - 1)]

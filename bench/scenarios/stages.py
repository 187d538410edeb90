"""Where the time goes: the rides job and a job with a million keys under `perf`, by stage of the data's way, and as flame graphs."""

import os
import pathlib
import shutil

from ..harness import documents, process, stacks
from ..harness.failure import Failed
from ..harness.programs import ENVIRONMENT, progress, summary
from ..harness.result import Metric, Result

RIDES = 10_000_000
PARTITIONS = 6
EPOCHS = 10
KEYS, WINDOWS = 1_000_000, 6
RECORDS_PER_EPOCH = 1_000_000
# The frequency is prime, so that samples do not keep step with periodic work. The stack dumps are large enough to reach
# the thread's beginning.
RECORD = ["perf", "record", "-q", "-F", "499", "--call-graph", "dwarf,16384"]
JOBS = {"rides": "rides, CPU-s per million", "keys": "a million keys, CPU-s per million"}


def run(session):
    if shutil.which("perf") is None:
        raise Failed("there is no perf: install it (Debian: linux-perf)")
    result = Result(
        "Where the time goes",
        f"Both jobs, once each, under `perf record`, {RECORD[4]} samples per second of a core. A sample is its innermost known frame's: allocations, "
        "copies and the kernel belong to the stage that called them. *Consume* is librdkafka's own threads: network, unpacking, a message "
        "made of each record; *take over* is reading its queue and giving messages back. *State* is merging lanes' groups, sorting, "
        "writing and compacting them.",
        ["stage"],
        [Metric(job, title, 3) for job, title in JOBS.items()],
    )
    by_job = {"rides": of_rides(session), "keys": of_keys(session)}
    for stage in stacks.STAGES:
        result.add({"stage": stage}, {job: [figures[stage]] for job, figures in by_job.items()})
    for job, title in JOBS.items():
        result.notes.append(f"[Flame graph: {title.split(',')[0]}](stages-{job}.svg)")
    return result


def of_rides(session):
    count = session.count(RIDES)
    with session.broker() as broker:
        topic = broker.topic("rides", PARTITIONS)
        session.programs.produce_rides(broker.bootstrap, topic, count)
        dir = session.dir()
        return profiled(session, "rides", dir, documents.rides(dir, broker.bootstrap, topic, count // EPOCHS))


def of_keys(session):
    keys = session.count(KEYS)
    with session.broker() as broker:
        topic = broker.topic("keyed", PARTITIONS)
        session.programs.bench("produce", broker.bootstrap, topic, keys * WINDOWS, "--keys", keys, "--windows", WINDOWS)
        dir = session.dir()
        document = documents.windowed(dir, broker.bootstrap, topic, WINDOWS, session.count(RECORDS_PER_EPOCH))
        return profiled(session, "keys", dir, document)


def profiled(session, job, dir, document):
    """CPU-seconds per million records of each stage. Writes the flame graph to the report's folder."""
    data = dir / "perf.data"
    command = [*RECORD, "-o", data, "--", *session.programs.command(document, dir), "--summary", dir / "summary.json"]
    process.run(command, 900, env=ENVIRONMENT)
    script = process.run(["perf", "script", "--no-inline", "-i", data, "-F", "comm,ip,sym"], 900).stdout
    samples = list(stacks.of_script(script))
    ran = summary(dir)
    per_million = ran["cpu_seconds"] / (ran["records_read"] / 1e6)
    shares = stacks.shares(samples)
    session.say(f"{job}: {len(samples)} samples, {per_million:.3f} CPU-s per million, {len(progress(dir))} epochs")
    (dir / "folded").write_text(stacks.folded(samples))
    graph = process.run([flamegraph(), "--title", JOBS[job].split(",")[0], dir / "folded"], 120).stdout
    (session.out / f"stages-{job}.svg").write_text(graph)
    return {stage: share * per_million for stage, share in shares.items()}


def flamegraph():
    cache = pathlib.Path(os.environ.get("WEIR_CACHE", pathlib.Path.home() / ".cache" / "weir"))
    found = shutil.which("inferno-flamegraph", path=f"{cache}/inferno/bin{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise Failed("there is no inferno-flamegraph: `make bench-stages` installs it")
    return found

"""The time from a record's timestamp in Kafka to the commit of its row: p50 and p99, by rate and by the trigger's
interval."""

import urllib.error
import urllib.request

import duckdb

from ..harness import documents, programs
from ..harness.broker import free_ports
from ..harness.failure import Failed
from ..harness.process import Background, until
from ..harness.result import Metric, Plot, Result, gathered

PARTITIONS = 6
# The first rate is half of the rides job's target.
RATES = [800_000, 50_000]
INTERVALS_SECONDS = [1, 5]
SECONDS = 40
# The producer, the broker and the pipeline warm up; records of this time do not count.
WARM_UP_SECONDS = 10
# More than an interval brings, so that only the trigger closes epochs.
RECORDS_PER_EPOCH = 50_000_000
WITHIN_SECONDS = 300
# The share of the rate that must be reached; below it the figures would belong to another rate.
REACHED_AT_LEAST = 0.95


def run(session):
    seconds = max(WARM_UP_SECONDS + 10, round(SECONDS * session.scale))
    result = Result(
        "Latency",
        f"A pipeline without windows into a local Delta table, while a producer sends for {seconds} s (the first {WARM_UP_SECONDS} s don't "
        "count) on the same cores. Each record has the time at which the producer handed it to its client as its timestamp in Kafka and "
        "as its column `ts`; its row is committed when `_delta_log/N.json` of its version is there. Half of an interval is what a record "
        "waits for the trigger on average.",
        ["rate", "interval"],
        [
            Metric("p50_ms", "p50, ms", 0),
            Metric("p99_ms", "p99, ms", 0),
            Metric("greatest_ms", "greatest, ms", 0),
            Metric("reached_per_second", "reached, K records/s", 0, per=1e3),
            Metric("cpu_per_million", "CPU-s per million", 3),
            Metric("resident_mib", "resident, MiB", 0),
        ],
        Plot("interval", [Metric("p50_ms", "p50, ms", 0), Metric("p99_ms", "p99, ms", 0)], curves="rate"),
    )
    for rate in RATES:
        for interval in INTERVALS_SECONDS:
            runs = []
            for _ in range(session.runs):
                with session.broker() as broker:
                    runs.append(once(session, broker, rate, interval, seconds))
                of = runs[-1]
                reached = f"{of['reached_per_second']:.0f} records/s"
                session.say(f"{rate}/s, {interval} s: p50 {of['p50_ms']:.0f} ms, p99 {of['p99_ms']:.0f} ms, {reached}")
            result.add({"rate": f"{rate // 1000}K/s", "interval": f"{interval} s"}, gathered(runs))
            least = min(run["reached_per_second"] for run in runs)
            if least < rate * REACHED_AT_LEAST:
                result.notes.append(
                    f"{rate // 1000}K/s, {interval} s: the producer reached {least / 1e3:.0f}K/s only, so the figures are of that rate."
                )
    return result


def once(session, broker, rate, interval, seconds):
    topic, count, dir = broker.topic("live", PARTITIONS), rate * seconds, session.dir()
    trigger = {"type": "Interval", "interval": f"{interval}s"}
    document = documents.copied(dir, broker.bootstrap, topic, RECORDS_PER_EPOCH, trigger)
    (http,) = free_ports(1)
    command = session.programs.command(document, dir, "--http", f"127.0.0.1:{http}", "--summary", dir / "summary.json")
    with Background(command, dir / "log", env=programs.ENVIRONMENT) as weir:
        until("the pipeline is ready", lambda: is_ready(http), 60, weir, every_seconds=0.05)
        live = ["--rate", rate, "--now"]
        made = session.programs.bench("produce", broker.bootstrap, topic, count, *live, deadline_seconds=seconds * 10)
        until("every record is committed", lambda: committed(dir) >= count, WITHIN_SECONDS, weir, every_seconds=0.2)
        weir.stop()
    summary = programs.summary(dir)
    return {
        **latencies(dir / "table", count),
        "reached_per_second": count / made["wall_seconds"],
        "cpu_per_million": summary["cpu_seconds"] / (count / 1e6),
        "resident_mib": summary["rss_bytes_max"] / programs.MIB,
    }


def latencies(table, count):
    """The latencies of all rows that were produced after the warm-up: the commit's time minus the row's own."""
    data = duckdb.connect()
    data.execute("set threads = 2")
    log = f"{table}/_delta_log/*.json"
    commits = [(str(file), file.stat().st_mtime_ns / 1e6) for file in sorted((table / "_delta_log").glob("*.json"))]
    data.execute("create table commits (file varchar, at_ms double)")
    data.executemany("insert into commits values (?, ?)", commits)
    # One action per line; the files of a version are its `add`s.
    data.execute(
        "create table added as select path, at_ms "
        "from (select filename, json->>'$.add.path' as path from read_ndjson_objects(?, filename = true)) "
        "join commits on file = filename where path is not null",
        [log],
    )
    files = [f"{table}/{path}" for (path,) in data.execute("select path from added").fetchall()]
    data.execute(
        "create table rows as select at_ms - epoch_ms(ts) as ms, ts from read_parquet(?, filename = true) "
        "join added on filename = ? || '/' || path",
        [files, str(table)],
    )
    (rows,) = data.execute("select count(*) from rows").fetchone()
    if rows != count:
        raise Failed(f"the table {table} has {rows} rows, and {count} records were produced")
    after = f"ts >= (select min(ts) from rows) + interval {WARM_UP_SECONDS} seconds"
    (p50, p99), greatest = data.execute(f"select quantile_cont(ms, [0.5, 0.99]), max(ms) from rows where {after}").fetchone()
    return {"p50_ms": p50, "p99_ms": p99, "greatest_ms": greatest}


def committed(dir):
    reports = programs.progress(dir)
    return reports[-1]["totals"]["numInputRows"] if reports else 0


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False

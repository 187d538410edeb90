"""`weir` and `weir-bench` as a scenario starts them, and the figures of their runs."""

import json
import os
import pathlib
import shutil
import time
from dataclasses import dataclass

from . import process

MIB = 2**20
# Warnings only, since writing to a terminal is not part of the cost.
ENVIRONMENT = {**os.environ, "WEIR_LOG": "warn"}


@dataclass
class Run:
    """A run of `weir` that has ended."""

    wall_seconds: float
    summary: dict
    progress: list

    @property
    def records(self):
        return self.summary["records_read"]

    def figures(self):
        """The figures that every scenario about cost has."""
        return {
            "cpu_per_million": self.summary["cpu_seconds"] / (self.records / 1e6),
            "records_per_second": self.records / self.wall_seconds,
            "resident_mib": self.summary["rss_bytes_max"] / MIB,
        }


class Programs:
    def __init__(self, dir):
        self.weir, self.weir_bench = pathlib.Path(dir) / "weir", pathlib.Path(dir) / "weir-bench"

    def command(self, document, dir, *more):
        return [self.weir, "run", *document, "--progress", dir / "progress.jsonl", *more]

    def run(self, document, dir, *more, deadline_seconds=900):
        """Runs `weir`, and measures the wall time from exec to exit."""
        began = time.monotonic()
        process.run([*self.command(document, dir, *more), "--summary", dir / "summary.json"], deadline_seconds, env=ENVIRONMENT)
        return Run(time.monotonic() - began, summary(dir), progress(dir))

    def refused(self, document, dir, *more, status, deadline_seconds=900):
        """The output of `weir` when it ends with `status`."""
        done = process.run(self.command(document, dir, *more), deadline_seconds, expect=status, env=ENVIRONMENT)
        return next(line for line in reversed(done.stderr.splitlines()) if line.startswith("error: ")).removeprefix("error: ")

    def bench(self, what, bootstrap, topic, count, *more, deadline_seconds=900):
        """Runs `consume`, `decode` or `produce`, and returns its JSON object."""
        command = self.bench_command(what, bootstrap, topic, count, *more)
        return json.loads(process.run(command, deadline_seconds).stdout)

    def bench_command(self, what, bootstrap, topic, count, *more):
        return [self.weir_bench, "--bootstrap", bootstrap, "--topic", topic, "--count", count, what, *more]

    def produce_rides(self, bootstrap, topic, count):
        """24 hours of event time, up to two minutes of disorder, one in a thousand late."""
        command = [self.weir, "produce", "rides", "--bootstrap", bootstrap, "--topic", topic, "--rate", "max", "--count", count]
        spread = ["--seed", 1, "--disorder", "2m", "--late", "0.001", "--start", "2026-01-01T00:00:00Z", "--span", "24h"]
        process.run(command + spread, deadline_seconds=900)


def summary(dir):
    return json.loads((dir / "summary.json").read_text())


def progress(dir):
    """The reports of the committed epochs. Reads whole lines only, since the last one may not be complete."""
    file = dir / "progress.jsonl"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def epochs(dir):
    """The number of reports, which is cheaper than reading them."""
    file = dir / "progress.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def emptied(dir):
    """Makes the folder exist and be empty."""
    shutil.rmtree(dir, ignore_errors=True)
    dir.mkdir(parents=True)
    return dir

"""One invocation of the benchmarks: where it writes, how much it does, and the parts that most scenarios consist of."""

import pathlib
import sys
from dataclasses import dataclass

from .broker import Broker
from .programs import MIB, Programs, emptied
from .result import gathered


@dataclass
class Session:
    out: pathlib.Path
    work: pathlib.Path
    programs: Programs
    runs: int
    # A factor for the counts that the scenarios name.
    scale: float

    def count(self, records, least=10_000):
        return max(least, round(records * self.scale))

    def broker(self, watched_port=None):
        return Broker(emptied(self.work / "broker") / "kafka", watched_port)

    def dir(self, name="run"):
        """An empty folder for one run of `weir`, without what the run before left."""
        return emptied(self.work / name)

    def clear(self):
        """Deletes everything that a scenario left on the disk."""
        emptied(self.work)

    def say(self, text):
        print(f"  {text}", file=sys.stderr, flush=True)

    def cost(self, bootstrap, topic, count, document, *of_document):
        """Samples by metric. Bare consume and `weir` take turns, so that other work on the machine affects both.
        `document` is one of `documents`; its arguments after the topic follow."""
        figures = []
        for number in range(1, self.runs + 1):
            consumed = self.programs.bench("consume", bootstrap, topic, count)["cpu_seconds_per_million"]
            dir = self.dir()
            run = self.programs.run(document(dir, bootstrap, topic, *of_document), dir)
            of = run.figures()
            figures.append({**of, "consume_cpu_per_million": consumed, "times_consume": of["cpu_per_million"] / consumed, **state(run)})
            self.say(f"run {number}: {of['cpu_per_million']:.3f} CPU-s per million, {of['records_per_second'] / 1e6:.2f} M records/s")
        return gathered(figures)


def state(run):
    """The most groups that windows held, and the number of rows that came out."""
    operators = [operator for report in run.progress for operator in report["stateOperators"]]
    return {
        "state_mib": max((report["stateMemoryBytes"] for report in run.progress), default=0) / MIB,
        "stored_mib": max((report["stateStoredBytes"] for report in run.progress), default=0) / MIB,
        "groups": max((operator["numRowsTotal"] for operator in operators), default=0),
        "rows_out": sum(run.summary["rows_written"].values()),
    }

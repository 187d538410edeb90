"""A scenario's result: rows of samples, one row per point of a series, which the report turns into medians, tables and
plots."""

import statistics
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    digits: int
    # A sample is divided by this before it is shown.
    per: float = 1


CPU = Metric("cpu_per_million", "CPU-s per million", 3)
RATE = Metric("records_per_second", "M records/s", 2, per=1e6)
RESIDENT = Metric("resident_mib", "resident, MiB", 0)
RATIO = Metric("times_consume", "× bare consume", 2)
STATE = Metric("state_mib", "state in memory, MiB", 0)
CONSUME = Metric("consume_cpu_per_million", "bare consume, CPU-s per million", 3)


@dataclass(frozen=True)
class Plot:
    """One curve per value of `curves`, or one for each metric of `metrics`, over the dimension `x`."""

    x: str
    metrics: list
    log_x: bool = False
    log_y: bool = False
    curves: str | None = None


@dataclass
class Result:
    title: str
    about: str
    dimensions: list
    metrics: list
    plot: Plot | None = None
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def add(self, point, samples):
        """`point`: a value for each dimension. `samples`: a list for each metric, or `None` where there is nothing to
        measure."""
        self.rows.append({"point": point, "samples": {key: values for key, values in samples.items() if values}})

    def as_json(self):
        rows = [{**row, "summary": {key: summary(values) for key, values in row["samples"].items()}} for row in self.rows]
        return {**asdict(self), "rows": rows}


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "samples": len(values)}


def gathered(figures):
    """Turns a list of runs' figures into lists of samples by metric."""
    return {key: [of[key] for of in figures] for key in figures[0]}

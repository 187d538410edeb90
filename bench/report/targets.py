"""Weir's targets, and whether it reaches them; the median decides. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    text: str
    limit: float
    unit: str
    digits: int
    # Maps the results by scenario to a figure; None if it was not measured.
    measured: callable
    at_least: bool = False

    def verdict(self, results):
        """(limit, measured, verdict) as the report shows them."""
        limit = f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"
        figure = self.measured(results)
        if figure is None:
            return limit, "", "not measured"
        met = figure >= self.limit if self.at_least else figure <= self.limit
        return limit, f"{figure:.{self.digits}f}", "met" if met else "**unmet**"


def median(scenario, metric, per=1, **point):
    """The figure of the row whose point has these values; of the first one if there are several."""

    def of(results):
        for row in results.get(scenario, {}).get("rows", []):
            if point.items() <= row["point"].items() and metric in row["summary"]:
                return row["summary"][metric]["median"] / per
        return None

    return of


def growth(scenario, metric, first, last):
    """The metric at the point `last` divided by the metric at `first`."""

    def of(results):
        at_first, at_last = (median(scenario, metric, **point)(results) for point in (first, last))
        return None if at_first is None or at_last is None else at_last / at_first

    return of


FEW, MANY = {"versions": 100}, {"versions": 10_000}
WEIR = {"what": "weir run"}

TARGETS = [
    Target("rides into Delta", 0.7, "CPU-s per million", 3, median("rides", "cpu_per_million", **WEIR)),
    Target("rides into Delta, beside a bare consume of the same turn", 2.7, "×", 2, median("rides", "times_consume", **WEIR)),
    Target("rides into Delta, wall", 1.6, "M records/s", 2, median("rides", "records_per_second", per=1e6, **WEIR), at_least=True),
    Target("rides into Delta, resident", 120, "MiB", 0, median("rides", "resident_mib", **WEIR)),
    Target("1M keys × 12 open windows, resident", 2048, "MiB", 0, median("state", "resident_mib", keys=1_000_000, windows=12)),
    Target("exec to the first fetch", 200, "ms", 0, median("start", "ms", what="first Fetch request")),
    Target("SIGKILL to the next commit, 200 MB of state", 5, "s", 2, median("restart", "ms", per=1e3, pipeline="200 MB of keyed state")),
    Target("commit at version 10,000 beside version 100", 1.5, "×", 2, growth("versions", "commit_us", FEW, MANY)),
]

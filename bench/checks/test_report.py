"""Tests that the report says what was measured, and nothing better."""

import unittest

from ..harness.result import Metric, Plot, Result
from ..report import markdown, peers
from ..report.targets import TARGETS, Target, growth, median
from ..report.plots import curves

MEASURED = {
    "runs": 3,
    "scale": 1.0,
    "date": "2026-01-01 00:00 UTC",
    "commit": "abc",
    "load": {"minute": 0.5, "busy_cores": 0.1},
    "seconds": 90.0,
}
MACHINE = {
    **{"date": "2026-01-01 00:00 UTC", "cpu": "Some", "cores": 2, "memory_gib": 8.0, "kernel": "Linux 6"},
    **{"load": MEASURED["load"], "weir": "weir 0.1.0", "commit": "abc", "rustc": "1", "kafka": "4", "librdkafka": "2"},
}


def result(points, **samples):
    made = Result("Title", "About.", ["x"], [Metric("ms", "took, ms", 1), Metric("kb", "size, MB", 2, per=1e3), Metric("none", "never", 0)])
    for index, point in enumerate(points):
        made.add({"x": point}, {key: values[index] for key, values in samples.items()})
    return {**made.as_json(), "measured": MEASURED}


class Tables(unittest.TestCase):
    def test_cell_has_the_median_and_the_range_of_its_samples(self):
        table = markdown.table(result([1_000, "many"], ms=[[3.04, 1.0, 2.0], [5.0, 5.0, 5.0]], kb=[[1500.0], []]))
        self.assertEqual(
            table.splitlines(),
            ["| x | took, ms | size, MB |", "| --- | --- | --- |", "| 1,000 | 2.0 (1.0–3.0) | 1.50 |", "| many | 5.0 |  |"],
        )

    def test_page_says_which_scenario_failed_and_why(self):
        page = markdown.page(MACHINE, {"keys": {"title": "Keys", "failed": "no broker", "measured": MEASURED}}, {})
        self.assertIn("## Keys\n\n**Failed:** no broker", page)
        self.assertIn("| not measured |", page)

    def test_page_says_what_was_measured_elsewhere_or_with_fewer_records(self):
        other = {**result([1], ms=[[1.0]]), "measured": {**MEASURED, "commit": "old", "scale": 0.1}}
        page = markdown.page(MACHINE, {"keys": other}, {})
        self.assertIn("some scenarios were measured at old", page)
        self.assertIn("Some counts were scaled by 0.1", page)
        self.assertIn("3 runs, counts × 0.1; 2026-01-01 00:00 UTC, commit old; load 0.5, 0.1 cores busy before; 1.5 min.", page)

    def test_peers_are_held_against_weir(self):
        weir, other = (
            {"cpu_seconds_per_million": cpu, "records_per_second": 1e6, "memory_mib_max": mib} for cpu, mib in [(0.5, 100), (6, 1_500)]
        )
        ratios = {"flink": {"cpu_seconds_per_million": 12.0, "memory_mib_max": 15.0}}
        found = {"engines": {"weir": weir, "flink": other}, "ratios": ratios, "conditions": {"runs": 3, "at": "now"}}
        self.assertEqual(
            peers.section(found)[-1].splitlines()[2:],
            ["| weir | 0.50 | 1,000,000 | 100 |  |  |", "| flink | 6.00 | 1,000,000 | 1,500 | 12.0 | 15.0 |"],
        )


class Verdicts(unittest.TestCase):
    def test_limit_itself_is_met_and_a_little_more_is_not(self):
        results = {"s": result([7], ms=[[5.0, 1.0, 9.0]])}
        most = lambda limit: Target("t", limit, "ms", 1, median("s", "ms", x=7)).verdict(results)
        least = lambda limit: Target("t", limit, "ms", 1, median("s", "ms", x=7), at_least=True).verdict(results)
        self.assertEqual(most(5), ("≤ 5 ms", "5.0", "met"))
        self.assertEqual(most(4.99)[2], "**unmet**")
        self.assertEqual(least(5), ("≥ 5 ms", "5.0", "met"))
        self.assertEqual(least(5.01)[2], "**unmet**")

    def test_what_was_not_measured_is_neither(self):
        failed = {"rides": {"title": "r", "failed": "x", "measured": MEASURED}}
        self.assertEqual({target.verdict(failed)[2] for target in TARGETS}, {"not measured"})
        self.assertEqual({target.verdict({})[2] for target in TARGETS}, {"not measured"})
        self.assertIsNone(median("s", "ms", x=8)({"s": result([7], ms=[[5.0]])}))

    def test_growth_is_the_last_point_by_the_first(self):
        results = {"s": result([10, 100, 1_000], ms=[[9.0], [2.0], [3.0]])}
        self.assertEqual(growth("s", "ms", {"x": 100}, {"x": 1_000})(results), 1.5)
        self.assertIsNone(growth("s", "ms", {"x": 100}, {"x": 10_000})(results))


class Curves(unittest.TestCase):
    def test_each_value_of_the_dimension_has_its_own(self):
        plot = Result("t", "a", [], [], Plot("x", [Metric("ms", "p50", 0)], curves="rate")).as_json()["plot"]
        rows = [{"point": {"x": x, "rate": rate}} for rate in ("fast", "slow") for x in (1, 5)]
        found = [(label, [row["point"]["x"] for row in of]) for label, _, of in curves(plot, rows)]
        self.assertEqual(found, [("p50, fast", [1, 5]), ("p50, slow", [1, 5])])

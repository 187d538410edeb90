"""Tests of Nexmark's figures: python3 -m unittest discover bench/peers."""

import unittest

from nexmark_report import figures, markdown, medians, ratio


def run(cpu_seconds, memory_bytes_max=2**20, wall_seconds=1.0):
    return {"cpu_seconds": cpu_seconds, "memory_bytes_max": memory_bytes_max, "wall_seconds": wall_seconds}


def query(weir, flink):
    def found(costs):
        return medians([figures(run(cost), run(0.0), {"records_read": 1_000_000}, 1_000_000) for cost in costs])

    return {"weir": found(weir), "flink": found(flink)}


class Figures(unittest.TestCase):
    def test_a_run_over_nothing_is_taken_off(self):
        found = figures(run(50.0), run(10.0), {"records_read": 10_000_000}, 10_000_000)
        self.assertEqual((found["cpu_seconds_per_million"], found["memory_mib_max"]), (4.0, 1.0))

    def test_records_that_were_not_read_are_noticed(self):
        with self.assertRaisesRegex(ValueError, "read 9 records; the topic has 10"):
            figures(run(1.0), run(0.0), {"records_read": 9}, 10)

    def test_the_median_counts_and_the_range_is_shown(self):
        found = query([0.3, 0.5, 0.4], [4.0, 2.0, 9.0])
        self.assertEqual(found["weir"]["cpu_seconds_per_million_range"], [0.3, 0.5])
        self.assertAlmostEqual(ratio(found), 10.0)
        self.assertIsNone(ratio({"weir": found["weir"]}))

    def test_the_report_names_the_queries_below_the_aim(self):
        made = {
            "at": "now", "records": 1, "partitions": 6, "runs": 3, "cpu": "a", "cores": 2, "memory_gib": 1, "heap_of_flink": "1g",
            "versions": {"weir": "0"}, "load_average": [0.0],
        }
        queries = {"q0": query([0.5], [4.5]), "q5": query([0.5], [3.9])}
        said = markdown({"conditions": made, "engines": ["weir", "flink"], "queries": queries})
        self.assertIn("Below it: q5 (7.8).", said)
        self.assertIn("| q0 | 0.50 (0.50 to 0.50) | 4.50 (4.50 to 4.50) | 9.0 | 1 | 1 | 1.0 | 1.0 |", said)


if __name__ == "__main__":
    unittest.main()

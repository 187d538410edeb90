"""Tests that the comparison sees differences: python3 -m unittest discover bench/peers."""

import unittest

from agreement import Cell, Sums, Verdict, judge, judge_table, judge_totals

# Three rows, two of them on time; the late one cost 7.00 over 3.00 km.
ALL, ON_TIME = Sums(3, 2700, 1300), Sums(2, 2000, 1000)
CLOSED = Cell(ALL, ON_TIME, ((700, 300),), may_be_open=False)
OPEN = Cell(ALL, ON_TIME, ((700, 300),), may_be_open=True)
ONLY_LATE = Cell(Sums(1, 700, 300), Sums(0, 0, 0), ((700, 300),), may_be_open=False)


def verdict(cell, got):
    return judge(cell, got)[0]


class Judge(unittest.TestCase):
    def test_late_rows_may_be_there_or_not(self):
        self.assertEqual(verdict(CLOSED, ALL), Verdict.ALL)
        self.assertEqual(verdict(CLOSED, ON_TIME), Verdict.ON_TIME)
        two_late = Cell(Sums(4, 2800, 1400), ON_TIME, ((700, 300), (100, 100)), may_be_open=False)
        self.assertEqual(verdict(two_late, Sums(3, 2100, 1100)), Verdict.ON_TIME)

    def test_a_cell_may_be_missing_only_if_it_is_open_or_all_late(self):
        self.assertEqual(verdict(OPEN, None), Verdict.OPEN)
        self.assertEqual(verdict(ONLY_LATE, None), Verdict.ALL_LATE)
        self.assertEqual(verdict(CLOSED, None), Verdict.WRONG)

    def test_rows_lost_or_doubled_are_wrong(self):
        self.assertEqual(verdict(CLOSED, Sums(1, 1000, 500)), Verdict.WRONG)
        self.assertEqual(verdict(CLOSED, Sums(4, 3700, 1800)), Verdict.WRONG)
        self.assertEqual(verdict(OPEN, Sums(1, 1000, 500)), Verdict.WRONG)

    def test_a_hundredth_too_much_is_wrong(self):
        self.assertEqual(verdict(CLOSED, Sums(3, 2701, 1300)), Verdict.WRONG)
        self.assertEqual(verdict(CLOSED, Sums(2, 2000, 1001)), Verdict.WRONG)

    def test_sums_within_their_bounds_that_no_late_row_explains_are_wrong(self):
        two_late = Cell(Sums(4, 2800, 1400), ON_TIME, ((700, 300), (100, 100)), may_be_open=False)
        self.assertEqual(verdict(two_late, Sums(3, 2100, 1300)), Verdict.WRONG)

    def test_a_cell_twice_or_out_of_nowhere_is_wrong(self):
        judged = judge_table({"a": CLOSED}, [("a", ALL), ("a", ALL), ("b", ALL)])
        self.assertEqual({key: found[0] for key, found in judged.items()}, {"a": Verdict.WRONG, "b": Verdict.WRONG})


class Totals(unittest.TestCase):
    def totals(self, rows, late_dropped, records_read=6, late_exact=True):
        cells = {"a": CLOSED, "b": OPEN}
        counted = {"records_read": records_read, "late_dropped": late_dropped, "late_exact": late_exact}
        return judge_totals(cells, judge_table(cells, rows), 6, counted)

    def test_rows_and_late_ones_are_all_that_was_read(self):
        self.assertEqual(self.totals([("a", ON_TIME), ("b", ALL)], 1), [])
        self.assertEqual(self.totals([("a", ON_TIME)], 1), [], "the open window holds the other three")
        self.assertEqual(self.totals([("a", ON_TIME)], 2), [], "or two, and one of its rows was late")

    def test_a_row_that_nobody_counted_is_noticed(self):
        self.assertEqual(len(self.totals([("a", ON_TIME), ("b", ALL)], 0)), 1)
        self.assertEqual(len(self.totals([("a", ON_TIME), ("b", ALL)], 2)), 1)
        self.assertEqual(len(self.totals([("a", ALL), ("b", ALL)], 0, records_read=5)), 1)

    def test_late_groups_may_be_fewer_than_late_rows(self):
        self.assertEqual(self.totals([("a", ON_TIME), ("b", ALL)], 0, late_exact=False), [])
        self.assertEqual(len(self.totals([("a", ALL), ("b", ALL)], 1, late_exact=False)), 1)


if __name__ == "__main__":
    unittest.main()

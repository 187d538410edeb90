"""Judges whether an engine's results are right, cell by cell (a cell is a window and a city). Pure: figures in,
verdicts out.

A result is right if it contains all rows that are on time, plus any choice of the late ones: watermarks depend on what
was read when, so engines differ there, and so do runs of one engine. Sums must be those of exactly such rows. A cell
may be missing if its window is still open at the end, or if all its rows are late.
"""

import dataclasses
import enum
import itertools
import math

# If there are more ways than this to choose late rows, sums are compared with their bounds only.
CHOICES_MAX = 200_000


class Verdict(enum.Enum):
    ALL = "all rows"
    ON_TIME = "the rows on time and not all late ones"
    OPEN = "not there, its window may be open"
    ALL_LATE = "not there, all its rows are late"
    WRONG = "WRONG"


@dataclasses.dataclass(frozen=True)
class Sums:
    """Price and distance in hundredths."""

    rows: int
    price: int
    distance: int


@dataclasses.dataclass(frozen=True)
class Cell:
    """The topic's rows of a cell. `late`: price and distance of each late row."""

    all: Sums
    on_time: Sums
    late: tuple
    may_be_open: bool


def judge(cell, got):
    """The verdict on one cell, and why it is wrong. `got` is None for a cell that the engine does not have."""
    if got is None:
        if cell.may_be_open:
            return Verdict.OPEN, ""
        if cell.on_time.rows == 0:
            return Verdict.ALL_LATE, ""
        return Verdict.WRONG, f"not there, though {cell.on_time.rows} rows are on time and its window is closed"
    if got == cell.all:
        return Verdict.ALL, ""
    if not cell.on_time.rows <= got.rows <= cell.all.rows:
        return Verdict.WRONG, f"{got.rows} rows, not {between(cell.on_time.rows, cell.all.rows)}"
    if not explained(cell, got):
        return Verdict.WRONG, (
            f"{got.rows} rows with a price of {got.price} and a distance of {got.distance} hundredths, which no choice of late rows explains: "
            f"price {between(cell.on_time.price, cell.all.price)}, distance {between(cell.on_time.distance, cell.all.distance)}"
        )
    return Verdict.ON_TIME, ""


def between(low, high):
    return str(low) if low == high else f"between {low} and {high}"


def explained(cell, got):
    """Whether the rows on time and some of the late ones add up to the engine's result."""
    taken = got.rows - cell.on_time.rows
    missing = (got.price - cell.on_time.price, got.distance - cell.on_time.distance)
    if math.comb(len(cell.late), taken) > CHOICES_MAX:
        return cell.on_time.price <= got.price <= cell.all.price and cell.on_time.distance <= got.distance <= cell.all.distance
    for choice in itertools.combinations(cell.late, taken):
        if (sum(price for price, _ in choice), sum(distance for _, distance in choice)) == missing:
            return True
    return False


def judge_table(cells, rows):
    """The verdict on each cell by key, from an engine's rows (key, Sums): (Verdict, why, Sums or None)."""
    got, verdicts = {}, {}
    for key, sums in rows:
        if key in got:
            verdicts[key] = (Verdict.WRONG, "there more than once", sums)
        got[key] = sums
    for key in got.keys() - cells.keys():
        verdicts[key] = (Verdict.WRONG, "the topic has no row of this window and city", got[key])
    for key, cell in cells.items():
        if key not in verdicts:
            verdicts[key] = (*judge(cell, got.get(key)), got.get(key))
    return verdicts


def judge_totals(cells, verdicts, records, counted):
    """Sentences on what does not add up between rows in the table, rows dropped as late and records read.

    `counted` has the engine's own counts: `records_read`, `late_dropped`, and `late_exact`, which says whether
    `late_dropped` counts single rows.
    """
    wrong = []
    if counted["records_read"] != records:
        wrong.append(f"it says that it read {counted['records_read']} records; the topic has {records}")
    emitted = sum(got.rows for _, _, got in verdicts.values() if got is not None)
    not_there = [cells[key] for key, (verdict, _, _) in verdicts.items() if verdict in (Verdict.OPEN, Verdict.ALL_LATE)]
    open_low, open_high = sum(cell.on_time.rows for cell in not_there), sum(cell.all.rows for cell in not_there)
    total = sum(cell.all.rows for cell in cells.values())
    rest = total - emitted - counted["late_dropped"]
    # An engine that counts several late rows as one may leave a rest that is too great, but never one that is too
    # small.
    high = open_high if counted["late_exact"] else total
    if not open_low <= rest <= high:
        wrong.append(
            f"{emitted} rows in its table and {counted['late_dropped']} dropped as late leave {rest} of {total}; "
            f"its open windows hold {between(open_low, open_high)}"
        )
    return wrong

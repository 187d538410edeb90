"""Compares the engines' tables with the topic. Reads them with delta-rs and Arrow, which are none of the engines.

usage: compare.py FOLDER ENGINE=RUN_FOLDER…

FOLDER has reference.json; windows.csv (each cell, its figures and verdicts) and agreement.json are written there. Exit 1 if anything is wrong.
"""

import csv
import datetime
import json
import pathlib
import sys

import deltalake
import pyarrow.json

from agreement import Cell, Sums, Verdict, judge_table, judge_totals

WINDOW_MS = 5 * 60_000
SHOWN_MAX = 10


def reference(folder):
    """The cells by (start, city), and how many records there are."""
    read = json.loads((folder / "reference.json").read_text())
    cells = {}
    for cell in read["cells"]:
        may_be_open = cell["start_ms"] + WINDOW_MS > read["closed_until_ms"]
        late = tuple(map(tuple, cell["late"]))
        cells[stamp(cell["start_ms"]), cell["city"]] = Cell(Sums(*cell["all"]), Sums(*cell["on_time"]), late, may_be_open)
    return cells, read["records"]


def stamp(ms):
    return datetime.datetime.fromtimestamp(ms / 1e3, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def rows(run):
    """The rows that a run has written: a Delta table, or JSON files (those whose names begin with a dot were never finished)."""
    table = run / "table"
    if (table / "_delta_log").exists():
        return deltalake.DeltaTable(str(table)).to_pyarrow_table().to_pylist()
    files = [file for file in table.rglob("*") if file.is_file() and not file.name.startswith(".") and file.stat().st_size]
    return [row for file in files for row in pyarrow.json.read_json(file).to_pylist()]


def sums(row):
    return Sums(row["cnt"], round(row["revenue"] * 100), round(row["avg_distance"] * row["cnt"] * 100))


def key(row):
    return str(row["win_start"]), row["city"]


def counted(run):
    """The engine's own counts, in one form for all engines."""
    said = json.loads((run / "summary.json").read_text())
    if "records_late" in said:
        return {"records_read": said["records_read"], "late_dropped": said["records_late"], "late_exact": True}
    # Both engines count late rows after a first aggregation, where one row may stand for several.
    return {"records_read": said["records_read"], "late_dropped": said["late_dropped"], "late_exact": False}


def write_cells(file, cells, verdicts):
    engines = list(verdicts)
    with open(file, "w", newline="") as out:
        table = csv.writer(out)
        head = ["win_start", "city", "rows", "price", "distance", "rows_on_time"]
        table.writerow(head + [f"{engine} {what}" for engine in engines for what in ("rows", "price", "distance", "verdict")])
        for cell_key in sorted(set(cells).union(*(verdicts[engine] for engine in engines))):
            cell = cells.get(cell_key)
            line = [*cell_key, *((cell.all.rows, cell.all.price, cell.all.distance, cell.on_time.rows) if cell else ("", "", "", ""))]
            for engine in engines:
                verdict, why, got = verdicts[engine].get(cell_key, (Verdict.WRONG, "", None))
                line += [*((got.rows, got.price, got.distance) if got else ("", "", "")), f"{verdict.value}{': ' if why else ''}{why}"]
            table.writerow(line)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    cells, records = reference(folder)
    verdicts, agreement, complaints = {}, {}, []
    for engine, run in (argument.split("=", 1) for argument in sys.argv[2:]):
        run = pathlib.Path(run)
        verdicts[engine] = judge_table(cells, ((key(row), sums(row)) for row in rows(run)))
        said = counted(run)
        totals = judge_totals(cells, verdicts[engine], records, said)
        tally = {verdict.value: sum(found is verdict for found, _, _ in verdicts[engine].values()) for verdict in Verdict}
        emitted = sum(got.rows for _, _, got in verdicts[engine].values() if got)
        agreement[engine] = {"cells": tally, "rows_in_table": emitted, **said, "totals_wrong": totals}
        wrong = [f"{' '.join(at)}: {why}" for at, (verdict, why, _) in sorted(verdicts[engine].items()) if verdict is Verdict.WRONG]
        complaints += [f"{engine}: {sentence}" for sentence in wrong[:SHOWN_MAX] + totals]
        if len(wrong) > SHOWN_MAX:
            complaints.append(f"{engine}: and {len(wrong) - SHOWN_MAX} more cells, see {folder / 'windows.csv'}")
        print(f"{engine}: " + ", ".join(f"{count} {name}" for name, count in tally.items() if count))
    write_cells(folder / "windows.csv", cells, verdicts)
    (folder / "agreement.json").write_text(json.dumps(agreement, indent=2))
    if complaints:
        sys.exit("the results do not agree:\n  " + "\n  ".join(complaints))


main()

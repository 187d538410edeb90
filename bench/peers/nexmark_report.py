"""Puts the measurements of bench/peers/nexmark side by side, in nexmark.json and nexmark.md.

usage: nexmark_report.py REPORT_FOLDER WORK_FOLDER RECORDS RUNS HEAP WEIR "ENGINE…" QUERY…
"""

import json
import pathlib
import statistics
import sys

from report import conditions_of_machine, number, read, table

NAMES = {"weir": "Weir", "flink": "Flink", "weir-delta": "Weir → Delta"}
# How many times Weir's CPU time Flink is to take.
AIM = 8.0


def figures(full, empty, summary, records):
    """What one run cost beyond a run over an empty topic."""
    if summary["records_read"] != records:
        raise ValueError(f"it says that it read {summary['records_read']} records; the topic has {records}")
    return {
        "cpu_seconds_per_million": (full["cpu_seconds"] - empty["cpu_seconds"]) / (records / 1e6),
        "empty_cpu_seconds": empty["cpu_seconds"],
        "memory_mib_max": full["memory_bytes_max"] / 2**20,
        "wall_seconds": full["wall_seconds"],
    }


def medians(runs):
    """The median of each figure, with the least and the greatest CPU time."""
    found = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    costs = [run["cpu_seconds_per_million"] for run in runs]
    return {**found, "cpu_seconds_per_million_range": [min(costs), max(costs)], "runs": runs}


def ratio(query):
    """How many times Weir's CPU time Flink takes; None without both."""
    if not {"weir", "flink"} <= query.keys():
        return None
    return query["flink"]["cpu_seconds_per_million"] / query["weir"]["cpu_seconds_per_million"]


def measured(work, engine, query, runs, records):
    folder = work / engine / query
    found = []
    for run in range(1, runs + 1):
        full, empty = (read(folder / name / "measured.json") for name in (str(run), f"empty-{run}"))
        try:
            found.append(figures(full, empty, read(folder / str(run) / "summary.json"), records))
        except ValueError as wrong:
            sys.exit(f"{query} on {engine}, run {run}: {wrong}")
    return medians(found)


def cost(found):
    low, high = found["cpu_seconds_per_million_range"]
    return f"{number(found['cpu_seconds_per_million'], 2)} ({number(low, 2)} to {number(high, 2)})"


def markdown(report):
    made, engines = report["conditions"], report["engines"]
    head = ["", *(f"{NAMES[engine]}, CPU-s per million" for engine in engines), "Flink × Weir"]
    head += [f"{NAMES[engine]}, {what}" for what in ("MiB", "wall, s") for engine in engines]
    lines, missed = [], []
    for name, query in report["queries"].items():
        times = ratio(query)
        if times is not None and times < AIM:
            missed.append(f"{name} ({times:.1f})")
        line = [name, *(cost(query[engine]) for engine in engines), "" if times is None else f"{times:.1f}"]
        line += [number(query[engine]["memory_mib_max"], 0) for engine in engines]
        line += [number(query[engine]["wall_seconds"], 1) for engine in engines]
        lines.append(line)
    parts = [
        "# Nexmark on Weir and Flink",
        f"{made['at']}: {made['records']:,} events in {made['partitions']} partitions, read from the first to the last, results discarded; medians "
        f"of {made['runs']} run{'s' if made['runs'] > 1 else ''}, with the least and the greatest. {made['cpu']}, {made['cores']} cores, "
        f"{made['memory_gib']} GiB; Kafka on the same machine, not counted; two threads for each engine; a heap of {made['heap_of_flink']} for Flink.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in made["versions"].items()) + ".",
        table(head, lines),
        "CPU: user and system, the whole process tree, less that of a run over an empty topic. Memory: resident, the greatest. Wall: from the start "
        f"of the process to its end. Load average at the end: {made['load_average'][0]:.1f}.",
        f"The aim is {AIM:.0f} × Flink. Below it: {', '.join(missed) or 'none'}.",
    ]
    return "\n\n".join(parts) + "\n"


def main():
    if len(sys.argv) < 9:
        sys.exit(__doc__)
    folder, work, records, runs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    heap, weir, engines, names = sys.argv[5], sys.argv[6], sys.argv[7].split(), sys.argv[8:]
    queries = {name: {engine: measured(work, engine, name, runs, records) for engine in engines} for name in names}
    made = {**conditions_of_machine(weir, ["flink"]), "records": records, "partitions": 6, "runs": runs, "heap_of_flink": heap}
    report = {"conditions": made, "engines": engines, "queries": queries}
    (folder / "nexmark.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "nexmark.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

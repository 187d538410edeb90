"""Puts the measurements of bench/peers/run side by side, in peers.json and peers.md.

usage: report.py REPORT_FOLDER WORK_FOLDER RUNS HEAP WEIR ENGINE…
"""

import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

NAMES = {
    "weir": "Weir → Delta, ten epochs",
    "spark": "Spark → Delta, one batch",
    "spark-batches": "Spark → Delta, ten batches",
    "flink": "Flink → JSON files, checkpoints every 5 s",
    "flink-blackhole": "Flink → nothing, checkpoints every 5 s",
}
# For each measure: its name in the tables, its unit and its digits.
MEASURES = {
    "wall_seconds": ("wall", "s", 1),
    "records_per_second": ("records/s", "", 0),
    "cpu_seconds_per_million": ("CPU-seconds per million", "", 2),
    "cpu_seconds_per_million_more": ("the same, less a run over 1,000", "", 2),
    "memory_mib_max": ("peak memory", "MiB", 0),
    "start_seconds": ("start", "s", 2),
    "small_run_seconds": ("1,000 rides", "s", 1),
}
RATIOS = ["cpu_seconds_per_million", "cpu_seconds_per_million_more", "memory_mib_max", "start_seconds", "small_run_seconds", "wall_seconds"]


def read(file):
    return json.loads(file.read_text())


def start_seconds(measured, summary):
    """Seconds from the start of the process to the first record."""
    if "first_record_at" in summary:
        return summary["first_record_at"] - measured["started_at"]
    # Weir counts from the beginning of its run. All time of the process outside of the run is assumed to lie before it.
    return summary["first_record_seconds"] + measured["wall_seconds"] - summary["wall_seconds"]


def figures(folder, records, small):
    """The figures of one run. `small`: the measurement of a run over few rides."""
    measured, summary = read(folder / "measured.json"), read(folder / "summary.json")
    return {
        "wall_seconds": measured["wall_seconds"],
        "records_per_second": records / measured["wall_seconds"],
        "cpu_seconds_per_million": measured["cpu_seconds"] / (records / 1e6),
        "cpu_seconds_per_million_more": (measured["cpu_seconds"] - small["cpu_seconds"]) / (records / 1e6),
        "memory_mib_max": measured["memory_bytes_max"] / 2**20,
        "start_seconds": start_seconds(measured, summary),
    }


def engine(folder, runs, records):
    small = read(folder / "few" / "measured.json")
    all_runs = [figures(folder / str(run), records, small) for run in range(1, runs + 1)]
    medians = {name: statistics.median(run[name] for run in all_runs) for name in all_runs[0]}
    return {**medians, "small_run_seconds": small["wall_seconds"], "small_run_cpu_seconds": small["cpu_seconds"], "runs": all_runs}


def said_by(*command):
    """The first line of a command's version output, or that there is none."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return (said.stdout or said.stderr).strip().split("\n")[0]


def digest(file):
    """Identifies the build, since the sources may be newer or older."""
    return hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()[:12]


def cpu_model():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def conditions_of_machine(weir, peers):
    versions = {
        "weir": lambda: f"{said_by(weir, '--version').removeprefix('weir ')} (program {digest(weir)})",
        "spark": lambda: importlib.metadata.version("pyspark"),
        "flink": lambda: importlib.metadata.version("apache-flink-libraries"),
        "java": lambda: said_by("java", "-version"),
    }
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        # Other work on the machine stretches wall times, and CPU times a little.
        "load_average": os.getloadavg(),
        "versions": {name: versions[name]() for name in ("weir", *peers, "java")},
    }


def conditions(reference, runs, heap, weir):
    return {
        **conditions_of_machine(weir, ["spark", "flink"]),
        "records": reference["records"],
        "bytes_per_record": round(reference["bytes"] / reference["records"], 1),
        "partitions": reference["partitions"],
        "runs": runs,
        "heap_of_spark_and_flink": heap,
    }


def table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def number(value, digits):
    return f"{value:,.{digits}f}"


def markdown(report):
    engines, made = report["engines"], report["conditions"]
    titles = [f"{title}, {unit}" if unit else title for title, unit, _ in MEASURES.values()]
    costs = [[NAMES[name], *(number(found[key], digits) for key, (_, _, digits) in MEASURES.items())] for name, found in engines.items()]
    parts = [
        "# Weir, Spark and Flink on the rides job",
        f"{made['at']}: {made['records']:,} rides of {made['bytes_per_record']} bytes in {made['partitions']} partitions, read from the first to "
        f"the last; medians of {made['runs']} run{'s' if made['runs'] > 1 else ''}. {made['cpu']}, {made['cores']} cores, "
        f"{made['memory_gib']} GiB; Kafka on the same machine, not counted; two threads for each engine.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in made["versions"].items()) + ".",
        table(["", *titles], costs),
        "CPU: user and system, the whole process tree; less that of a run over 1,000 rides it is nearer to what a job costs that goes on, though a "
        "JVM goes on compiling for minutes. Memory: resident, the tree's greatest. Start: from the start of the process to the "
        "first record (Spark: to the planning of its first batch, which is earlier). 1,000 rides: one whole run over so few. Spark and Flink had a "
        f"heap of {made['heap_of_spark_and_flink']} each. Load average at the end: {made['load_average'][0]:.1f}.",
    ]
    if report["ratios"]:
        head = ["how many times what Weir takes", *(MEASURES[key][0] for key in RATIOS)]
        lines = [[NAMES[name], *(number(found[key], 1) for key in RATIOS)] for name, found in report["ratios"].items()]
        parts.append(table(head, lines))
    names = sorted({verdict for found in report["agreement"].values() for verdict, count in found["cells"].items() if count})
    lines = [
        [NAMES[name], *(str(found["cells"][verdict]) for verdict in names), *(f"{found[key]:,}" for key in ("rows_in_table", "late_dropped"))]
        for name, found in report["agreement"].items()
    ]
    parts += [
        "## Do the results agree?",
        "Cells (a window and a city) by what an engine's table has of them, money and distance in whole hundredths; each is in windows.csv.",
        table(["", *names, "rows in the table", "dropped as late, by its own count"], lines),
    ]
    wrong = [f"* {NAMES[name]}: {sentence}" for name, found in report["agreement"].items() for sentence in found["totals_wrong"]]
    return "\n\n".join([*parts, *(["\n".join(wrong)] if wrong else [])]) + "\n"


def main():
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    folder, work, runs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    heap, weir, names = sys.argv[4], sys.argv[5], sys.argv[6:]
    reference = read(folder / "reference.json")
    engines = {name: engine(work / name, runs, reference["records"]) for name in names}
    ours = engines.get("weir")
    ratios = {name: {key: found[key] / ours[key] for key in RATIOS} for name, found in engines.items() if ours and name != "weir"}
    report = {
        "conditions": conditions(reference, runs, heap, weir),
        "engines": engines,
        "ratios": ratios,
        "agreement": read(folder / "agreement.json"),
    }
    (folder / "peers.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "peers.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

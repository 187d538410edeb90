"""The lines on Spark and Flink, where `bench/peers/run` left its `peers.json` in the same folder. Pure."""

from .markdown import rows_of

COLUMNS = [
    ("cpu_seconds_per_million", "CPU-s per million", 2),
    ("records_per_second", "records/s", 0),
    ("memory_mib_max", "resident, MiB", 0),
]


def section(peers):
    header = ["", *(title for _, title, _ in COLUMNS), "CPU × Weir", "resident × Weir"]
    rows = []
    for name, engine in peers["engines"].items():
        ratios = peers["ratios"].get(name, {})
        times = [f"{ratios[key]:.1f}" if key in ratios else "" for key in ("cpu_seconds_per_million", "memory_mib_max")]
        rows.append([name, *(f"{engine[key]:,.{digits}f}" for key, _, digits in COLUMNS), *times])
    made = peers["conditions"]
    return [
        "## Spark and Flink",
        f"The rides job over the same topic, medians of {made['runs']}; {made['at']}. Versions, start times, and whether the results "
        "agree: [peers.md](peers.md).",
        rows_of(header, rows),
    ]

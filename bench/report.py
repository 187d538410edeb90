"""Puts the runs of bench/run side by side: medians, and ratios to the bare consume of the same session."""

import json
import pathlib
import statistics
import sys

work, runs = pathlib.Path(sys.argv[1]), int(sys.argv[2])


def lines(name):
    return [json.loads(line) for line in (work / name).read_text().splitlines()]


def median(values):
    return statistics.median(values)


consume = median(r["cpu_seconds_per_million"] for r in lines("consume.jsonl"))
decode = median(r["cpu_seconds_per_million"] for r in lines("decode.jsonl"))
summaries = [json.loads((work / str(run) / "summary.json").read_text()) for run in range(1, runs + 1)]
million = summaries[0]["records_read"] / 1e6
weir = median(s["cpu_seconds"] / million for s in summaries)
rows = [
    ("bare consume", consume, ""),
    ("decode alone", decode, ""),
    ("weir run", weir, f"{median(s['rss_bytes_max'] / 2**20 for s in summaries):.0f} MiB"),
]
print(f"\n{runs} runs, {million:.1f}M records, {summaries[0]['epochs']} epochs, medians; wall of weir run {median(s['wall_seconds'] for s in summaries):.1f} s")
print(f"from the start of the process to the first record: {median(s['first_record_seconds'] for s in summaries):.2f} s")
print(f"{'':16}{'CPU-s per million':>18}{'× consume':>12}{'resident':>12}")
for name, cpu, resident in rows:
    print(f"{name:16}{cpu:18.3f}{cpu / consume:12.2f}{resident:>12}")

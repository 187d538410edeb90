"""The report as Markdown. Pure."""

from .targets import TARGETS


def page(machine, results, plots, more=()):
    """`results` are by scenario, in order; `plots` have the file of each plot by scenario; `more` parts come last."""
    parts = ["# Benchmarks of Weir", machine_table(machine, results), "## Targets", target_table(results)]
    for name, result in results.items():
        parts.append(f"## {result['title']}")
        if "failed" in result:
            parts.append(f"**Failed:** {result['failed']}")
            continue
        parts += [result["about"], table(result)]
        if name in plots:
            parts.append(f"![{result['title']}]({plots[name]})")
        if result["notes"]:
            parts.append("\n".join(f"* {note}" for note in result["notes"]))
        parts.append(measured_line(result["measured"]))
    return "\n\n".join([*parts, *more]) + "\n"


def machine_table(machine, results):
    facts = [
        ("date", machine["date"]),
        ("processor", f"{machine['cpu']}, {machine['cores']} cores"),
        ("memory", f"{machine['memory_gib']} GiB"),
        ("kernel", machine["kernel"]),
        ("weir", f"{machine['weir']}, commit {machine['commit']}"),
        ("rustc", machine["rustc"]),
        ("Kafka, librdkafka", f"{machine['kafka']}, {machine['librdkafka']}; the broker runs on the same machine"),
        ("load when it began", load(machine["load"])),
    ]
    commits = sorted({result["measured"]["commit"] for result in results.values()} - {machine["commit"]})
    if commits:
        facts.append(("other commits", f"some scenarios were measured at {', '.join(commits)}: each says so"))
    return rows_of(["", ""], facts)


def target_table(results):
    rows = [(target.text, *target.verdict(results)) for target in TARGETS]
    text = rows_of(["target", "limit", "measured (median)", ""], rows)
    scales = sorted({result["measured"]["scale"] for result in results.values()} - {1.0})
    if scales:
        by = ", ".join(f"{scale:g}" for scale in scales)
        text += f"\n\nSome counts were scaled by {by}: what those scenarios say is of a smaller job."
    return text


def table(result):
    metrics = [m for m in result["metrics"] if any(m["key"] in row["summary"] for row in result["rows"])]
    header = [*result["dimensions"], *(m["title"] for m in metrics)]
    rows = [[*(shown(row["point"][d]) for d in result["dimensions"]), *(cell(row, m) for m in metrics)] for row in result["rows"]]
    return rows_of(header, rows)


def cell(row, metric):
    """The median, and the least and the greatest sample if there are several different ones."""
    summary = row["summary"].get(metric["key"])
    if summary is None:
        return ""
    median, least, greatest = (f"{summary[key] / metric['per']:,.{metric['digits']}f}" for key in ("median", "min", "max"))
    return median if least == greatest else f"{median} ({least}–{greatest})"


def measured_line(measured):
    scale = "" if measured["scale"] == 1 else f", counts × {measured['scale']:g}"
    return (
        f"{measured['runs']} runs{scale}; {measured['date']}, commit {measured['commit']}; {load(measured['load'])} before; "
        f"{measured['seconds'] / 60:.1f} min."
    )


def load(of):
    return f"load {of['minute']:g}, {of['busy_cores']:g} cores busy"


def shown(value):
    return f"{value:,}" if isinstance(value, int) else str(value)


def rows_of(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(field).replace("|", "\\|") for field in line) + " |" for line in lines)

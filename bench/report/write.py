"""Writes the report of a folder from the results in it: those of this invocation and of earlier ones."""

import json

from . import markdown, peers, plots


def keep(out, name, result):
    """Writes a scenario's result as soon as it exists, since a later scenario may fail."""
    (out / "results").mkdir(parents=True, exist_ok=True)
    (out / "results" / f"{name}.json").write_text(json.dumps(result, indent=1))


def machine(out):
    """What an existing report says about the machine."""
    file = out / "report.json"
    if not file.exists():
        raise SystemExit(f"there is no {file} to be written again: name a scenario, or the folder of a report")
    return json.loads(file.read_text())["machine"]


def write(out, machine, order):
    found = {file.stem: json.loads(file.read_text()) for file in (out / "results").glob("*.json")}
    results = {name: found[name] for name in order if name in found}
    drawn = {}
    for name, result in results.items():
        if result.get("plot") and result.get("rows"):
            drawn[name] = f"{name}.svg"
            plots.draw(result, out / drawn[name])
    of_peers = out / "peers.json"
    more = peers.section(json.loads(of_peers.read_text())) if of_peers.exists() else []
    (out / "report.json").write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    (out / "report.md").write_text(markdown.page(machine, results, drawn, more))

"""From results (`results/*.json` of a report's folder) to `report.json`, `report.md` and a plot per series."""

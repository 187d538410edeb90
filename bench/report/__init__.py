"""Turns results (`results/*.json` of a report's folder) into `report.json`, `report.md` and a plot per series."""

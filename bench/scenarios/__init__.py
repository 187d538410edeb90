"""The scenarios by name, in the order in which they run, and the groups that the Makefile's targets run.

Each is a module with `run(session)`, which returns a `Result`. A scenario has its own broker and leaves nothing behind.
"""

from . import columns, keys, latency, partitions, record_size, restart, rides, stages, start, state, versions, windows

SCENARIOS = {
    "rides": rides,
    "start": start,
    "restart": restart,
    "state": state,
    "stages": stages,
    "partitions": partitions,
    "keys": keys,
    "windows": windows,
    "record-size": record_size,
    "columns": columns,
    "versions": versions,
    "latency": latency,
}

GROUPS = {
    "base": ["rides", "start", "restart", "state"],
    "growth": ["partitions", "keys", "windows", "record-size", "columns", "versions"],
    "all": list(SCENARIOS),
    # Runs nothing: the report is written again, with what other tools have added to the folder.
    "report": [],
}

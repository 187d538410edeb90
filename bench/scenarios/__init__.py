"""The scenarios by name, in the order in which they run, and the groups that the Makefile's targets stand for.

Each is a module with `run(session)`, which returns a `Result`. A scenario has a broker of its own and leaves nothing behind.
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
    # Nothing new: the report is written again, with what other tools have put into the folder since.
    "report": [],
}

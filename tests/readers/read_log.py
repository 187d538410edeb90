"""read_log.py FOLDER [--history]: a naive reader of a Delta table in a local folder.

Replays the JSON commits by itself (without checkpoints, so the whole log must be there), reads the data files with
DuckDB, and prints the rows as JSON lines. --history prints one line per version instead: {version, txn: [[appId,
version]], commitInfo, adds, removes, rows}.
"""

import json
import os
import sys
import urllib.parse

import duckdb

import canonical

folder = sys.argv[1]
log = os.path.join(folder, "_delta_log")
names = sorted(n for n in os.listdir(log) if n.endswith(".json") and n[:-5].isdigit())
versions = [int(n[:-5]) for n in names]
assert versions == list(range(len(versions))), f"the log has holes: {versions}"

live, types, history = {}, {}, []
for version, name in enumerate(names):
    entry = {"version": version, "txn": [], "commitInfo": None, "adds": 0, "removes": 0, "rows": 0}
    with open(os.path.join(log, name)) as f:
        actions = [json.loads(line) for line in f if line.strip()]
    for action in actions:
        if "add" in action:
            add = action["add"]
            assert add["path"] not in live, f"version {version} adds {add['path']}, which is there already"
            live[add["path"]] = add
            entry["adds"] += 1
            entry["rows"] += json.loads(add.get("stats") or "{}").get("numRecords", 0)
        elif "remove" in action:
            live.pop(action["remove"]["path"], None)
            entry["removes"] += 1
        elif "metaData" in action:
            types = {c["name"]: c["type"] for c in json.loads(action["metaData"]["schemaString"])["fields"]}
        elif "txn" in action:
            entry["txn"].append([action["txn"]["appId"], action["txn"]["version"]])
        elif "commitInfo" in action:
            entry["commitInfo"] = action["commitInfo"]
    history.append(entry)


def partition_value(text, type_):
    """The value of a partition column, which is text in the log; both null and the empty text mean null."""
    if text is None or text == "":
        return None
    if type_ in ("byte", "short", "integer", "long"):
        return int(text)
    if type_ in ("float", "double"):
        return float(text)
    if type_ == "boolean":
        return text == "true"
    return text  # string, date; the tests use no other partition types


if "--history" in sys.argv[2:]:
    for entry in history:
        print(json.dumps(entry))
    sys.exit()

db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
for path, add in sorted(live.items()):
    file = os.path.join(folder, urllib.parse.unquote(path))
    rows = db.sql("SELECT * FROM read_parquet(?, hive_partitioning = false)", params=[file]).to_arrow_table().to_pylist()
    stated = json.loads(add.get("stats") or "{}").get("numRecords")
    assert stated in (None, len(rows)), f"{path} has {len(rows)} rows, its statistics say {stated}"
    assert os.path.getsize(file) == add["size"], f"{path} has {os.path.getsize(file)} bytes, the log says {add['size']}"
    partition = {k: partition_value(v, types[k]) for k, v in add["partitionValues"].items()}
    canonical.print_rows({**{name: None for name in types}, **row, **partition} for row in rows)
canonical.end()

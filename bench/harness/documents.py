"""The documents of the scenarios: the rides example adapted to this machine, and pipelines over the records of
`weir-bench produce`.

They are written as JSON, which is YAML. Each function writes a document to a run's folder, with state and tables in the
same folder, and returns the flags of `weir` that name it.
"""

import json
import pathlib

WINDOW_MINUTES = 5

FIELDS = [("id", "bigint"), ("city", "string"), ("price", "double"), ("distanceKm", "double"), ("ts", "timestamp")]
AVAILABLE_NOW = {"type": "AvailableNow"}
# Windows that are open when everything was read are written too, since emitting is part of the cost.
EMIT_ALL = {"type": "AvailableNow", "onEnd": "EmitAll"}
# Practically no limit by bytes, since scenarios say how many records an epoch has.
BYTES_PER_EPOCH = "16Gi"


def rides(dir, bootstrap, topic, records_per_epoch):
    """The README's example."""
    override = {
        "spec": {
            "trigger": AVAILABLE_NOW,
            "checkpoint": {"uri": f"file://{dir}/checkpoint"},
            "storage": None,
            "limits": limits(records_per_epoch),
            "connections": [{"name": "events", "kafka": {"bootstrapServers": bootstrap}}],
            "sources": [{"name": "rides", "kafka": {"topics": [topic], "startFrom": {"position": "Earliest"}}}],
            "sinks": [{"name": "silver", "delta": {"uri": f"file://{dir}/table"}}],
        }
    }
    return ["-f", "examples/rides.yaml", "--override", written(dir, "override.yaml", override)]


def windowed(dir, bootstrap, topic, windows, records_per_epoch, trigger=EMIT_ALL):
    """Three aggregates by `id` over windows of five minutes, which all stay open until the end."""
    aggregates = [("revenue", "sum(price)"), ("avg_distance", "avg(distanceKm)"), ("cnt", "count(*)")]
    step = {
        "from": "records",
        "window": {"tumbling": {"size": f"{WINDOW_MINUTES}m"}},
        "groupBy": [{"name": "id"}],
        "columns": [{"name": name, "expr": expr} for name, expr in aggregates],
    }
    event_time = {"expr": "ts", "watermarkDelay": f"{windows * WINDOW_MINUTES}m"}
    spec = {
        "trigger": trigger,
        "limits": limits(records_per_epoch),
        "sources": [source(topic, FIELDS, event_time)],
        "steps": [{"name": "totals", "aggregate": step}],
        "sinks": [{"name": "table", "from": "totals", "delta": {"uri": f"file://{dir}/table"}}],
    }
    return document(dir, bootstrap, spec)


def by_city(dir, bootstrap, topic, columns, records_per_epoch):
    """The same by the five cities, so that the record grows and the state does not. `columns` are the columns that the
    document declares."""
    aggregates = [("revenue", "sum(price)"), ("avg_distance", "avg(distanceKm)"), ("greatest", "max(id)"), ("cnt", "count(*)")]
    step = {
        "from": "records",
        "window": {"tumbling": {"size": f"{WINDOW_MINUTES}m"}},
        "groupBy": [{"name": "city"}],
        "columns": [{"name": name, "expr": expr} for name, expr in aggregates],
    }
    spec = {
        "trigger": EMIT_ALL,
        "limits": limits(records_per_epoch),
        "sources": [source(topic, columns, {"expr": "ts", "watermarkDelay": f"{WINDOW_MINUTES}m"})],
        "steps": [{"name": "totals", "aggregate": step}],
        "sinks": [{"name": "table", "from": "totals", "delta": {"uri": f"file://{dir}/table"}}],
    }
    return document(dir, bootstrap, spec)


def copied(dir, bootstrap, topic, records_per_epoch, trigger):
    """A pipeline without a window: each record becomes a row of the table in the epoch that reads it."""
    spec = {
        "trigger": trigger,
        "limits": limits(records_per_epoch),
        "sources": [source(topic, FIELDS, None)],
        "steps": [{"name": "cleaned", "map": {"from": "records", "where": "price >= 0"}}],
        "sinks": [{"name": "table", "from": "cleaned", "delta": {"uri": f"file://{dir}/table"}}],
    }
    return document(dir, bootstrap, spec)


def declared(count):
    """The first fields of a record of `weir-bench produce --columns`, with their types."""
    more = [(f"c{i}", "string" if i % 2 else "bigint") for i in range(len(FIELDS), count)]
    return FIELDS + more


def source(topic, columns, event_time):
    named = [{"name": name, "type": type, "required": True} for name, type in columns]
    of = {
        "name": "records",
        "kafka": {"connection": "events", "topics": [topic], "startFrom": {"position": "Earliest"}},
        "format": {"json": {"timestampNumbers": "EpochMillis"}},
        "columns": named,
    }
    return {**of, "eventTime": event_time} if event_time else of


def limits(records_per_epoch):
    return {"recordsPerEpoch": records_per_epoch, "bytesPerEpoch": BYTES_PER_EPOCH}


def document(dir, bootstrap, spec):
    spec = {
        "checkpoint": {"uri": f"file://{dir}/checkpoint"},
        "connections": [{"name": "events", "kafka": {"bootstrapServers": bootstrap}}],
        **spec,
    }
    whole = {"apiVersion": "weir.dev/v1alpha1", "kind": "StreamPipeline", "metadata": {"name": "bench"}, "spec": spec}
    return ["-f", written(dir, "pipeline.yaml", whole)]


def written(dir, name, content):
    pathlib.Path(dir).mkdir(parents=True, exist_ok=True)
    file = pathlib.Path(dir) / name
    file.write_text(json.dumps(content, indent=1))
    return file

"""Cost per record as the record has more columns than are used: 5 of 5, 5 of 100, and 100 declared of which 5 are used."""

from ..harness import documents
from ..harness.result import CONSUME, CPU, RATE, RATIO, RESIDENT, Metric, Plot, Result

PARTITIONS = 6
USED = 5
# Fields in the record, fields in the document, and how many records.
POINTS = [(5, 5, 10_000_000), (100, 5, 1_000_000), (100, 100, 1_000_000)]
EPOCHS = 10


def run(session):
    result = Result(
        "Columns",
        f"Aggregates by city that use {USED} columns. The record has more, and so may the document; a record of 100 fields has about 1480 "
        "bytes.",
        ["columns"],
        [CPU, Metric("cpu_per_gb", "CPU-s per GB", 2), CONSUME, RATIO, RATE, RESIDENT],
        Plot("columns", [CPU, CONSUME]),
    )
    for there, declared, records in POINTS:
        count = session.count(records)
        label = f"{USED} of {there}" if declared == USED else f"{USED} of {there}, {declared} declared"
        session.say(f"{label}, {count} records")
        with session.broker() as broker:
            topic = broker.topic("wide", PARTITIONS)
            made = session.programs.bench("produce", broker.bootstrap, topic, count, "--columns", there)
            columns = documents.declared(declared)
            runs = session.cost(broker.bootstrap, topic, count, documents.by_city, columns, count // EPOCHS)
            runs["cpu_per_gb"] = [cpu * 1e3 / made["bytes_per_record"] for cpu in runs["cpu_per_million"]]
            result.add({"columns": label}, runs)
    return result

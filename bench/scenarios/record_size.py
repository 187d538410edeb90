"""Cost per record as the records grow: 100 B, 1 KB and 10 KB, of which five fields are used; the rest is one unused
string."""

from ..harness import documents
from ..harness.result import CONSUME, CPU, RATE, RATIO, RESIDENT, Metric, Plot, Result

PARTITIONS = 6
# Bytes of a record and number of records, at most two gigabytes.
POINTS = [(100, 10_000_000), (1_000, 2_000_000), (10_000, 200_000)]
EPOCHS = 10


def run(session):
    result = Result(
        "Record size",
        "Aggregates by city. Five fields are declared and used; a text that no column names fills the record up and is skipped, but "
        "checked for being JSON.",
        ["bytes"],
        [CPU, Metric("cpu_per_gb", "CPU-s per GB", 2), CONSUME, RATIO, RATE, Metric("mb_per_second", "MB/s", 0), RESIDENT],
        Plot("bytes", [CPU, CONSUME], log_x=True, log_y=True),
    )
    for size, records in POINTS:
        count = session.count(records)
        session.say(f"{size} B, {count} records")
        with session.broker() as broker:
            topic = broker.topic("sized", PARTITIONS)
            session.programs.bench("produce", broker.bootstrap, topic, count, "--size-bytes", size)
            runs = session.cost(broker.bootstrap, topic, count, documents.by_city, documents.FIELDS, count // EPOCHS)
            runs["cpu_per_gb"] = [cpu * 1e3 / size for cpu in runs["cpu_per_million"]]
            runs["mb_per_second"] = [rate * size / 1e6 for rate in runs["records_per_second"]]
            result.add({"bytes": size}, runs)
    return result

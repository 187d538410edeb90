"""Computes the topic's contents by window and city, as the reference for every engine's table. Reads with librdkafka
and Arrow.

usage: reference.py BOOTSTRAP TOPIC FILE

For each cell (window, city) it has: count, price and distance of all rows; the same for rows that are on time; and each
late row. Sums are in whole hundredths, so the order of adding does not change them. A row is on time if its window is
open when the row comes, by the watermark of its own partition (the greatest event time before it, minus the delay).
Engines take the least watermark of the partitions, or an older one, so none may drop such a row. Other rows may be
dropped or not, depending on what was read when.
"""

import collections
import dataclasses
import json
import sys
import time

import confluent_kafka
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

WINDOW_MS = 5 * 60_000
DELAY_MS = 10 * 60_000
ROWS_AT_ONCE = 500_000
DEADLINE_SECONDS = 60
BEFORE_ALL_MS = -(2**62)
USED = [("city", pa.string()), ("price", pa.float64()), ("distanceKm", pa.float64()), ("ts", pa.string())]
READ = pyarrow.json.ReadOptions(block_size=16 << 20)
PARSE = pyarrow.json.ParseOptions(explicit_schema=pa.schema(USED), unexpected_field_behavior="ignore")


@dataclasses.dataclass
class Cell:
    all: list = dataclasses.field(default_factory=lambda: [0, 0, 0])
    on_time: list = dataclasses.field(default_factory=lambda: [0, 0, 0])
    late: list = dataclasses.field(default_factory=list)


def values(consumer, topic, partition):
    """The records of one partition, from the first one to the current end, in lists of bounded length."""
    place = confluent_kafka.TopicPartition(topic, partition)
    low, high = consumer.get_watermark_offsets(place, timeout=DEADLINE_SECONDS)
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, low)])
    rows, following, last = [], low, time.monotonic()
    while following < high:
        for message in consumer.consume(num_messages=10_000, timeout=1):
            if message.error():
                sys.exit(f"topic {topic}, partition {partition}: {message.error()}")
            rows.append(message.value())
            following, last = message.offset() + 1, time.monotonic()
        if time.monotonic() - last > DEADLINE_SECONDS:
            sys.exit(f"topic {topic}, partition {partition}: nothing came for {DEADLINE_SECONDS} s at offset {following} of {high}")
        if len(rows) >= ROWS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows


def columns(rows, greatest_before_ms):
    """The rows that the job counts, in their order, and the greatest event time so far."""
    rides = pyarrow.json.read_json(pa.BufferReader(b"\n".join(rows)), READ, PARSE).combine_chunks()
    at = pc.cast(pc.cast(rides["ts"], pa.timestamp("ms", tz="UTC")), pa.int64()).combine_chunks()
    greatest = pc.cumulative_max(at, start=greatest_before_ms)
    before = pa.concat_arrays([pa.array([greatest_before_ms], pa.int64()), greatest[:-1]])
    start = pc.multiply(pc.divide(at, WINDOW_MS), WINDOW_MS)
    table = pa.table(
        {
            "start": start,
            "city": pc.utf8_upper(rides["city"]),
            "price": hundredths(rides["price"]),
            "distance": hundredths(rides["distanceKm"]),
            "on_time": pc.greater(pc.add(start, WINDOW_MS + DELAY_MS), before),
        }
    )
    return table.filter(pc.greater_equal(table["price"], 0)), greatest[-1].as_py()


def hundredths(amounts):
    return pc.cast(pc.round(pc.multiply(amounts, 100.0)), pa.int64())


def add(cells, table):
    def sums(rows, which):
        wanted = [("price", "count"), ("price", "sum"), ("distance", "sum")]
        for group in rows.group_by(["start", "city"]).aggregate(wanted).to_pylist():
            total = getattr(cells[group["start"], group["city"]], which)
            for place, name in enumerate(("price_count", "price_sum", "distance_sum")):
                total[place] += group[name]

    sums(table, "all")
    sums(table.filter(table["on_time"]), "on_time")
    for row in table.filter(pc.invert(table["on_time"])).to_pylist():
        cells[row["start"], row["city"]].late.append([row["price"], row["distance"]])


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    bootstrap, topic, file = sys.argv[1:]
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "weir-peers-reference", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=DEADLINE_SECONDS).topics[topic].partitions
    cells, ends, records, size = collections.defaultdict(Cell), [], 0, 0
    for partition in partitions:
        greatest = BEFORE_ALL_MS
        for rows in values(consumer, topic, partition):
            records += len(rows)
            size += sum(map(len, rows))
            table, greatest = columns(rows, greatest)
            add(cells, table)
        if greatest != BEFORE_ALL_MS:
            ends.append(greatest)
    consumer.close()
    reference = {
        "records": records,
        "bytes": size,
        "partitions": len(partitions),
        # A window that ends later may still be open when everything has been read.
        "closed_until_ms": min(ends) - DELAY_MS,
        "cells": [{"start_ms": start, "city": city, **dataclasses.asdict(cell)} for (start, city), cell in sorted(cells.items())],
    }
    with open(file, "w") as out:
        json.dump(reference, out)


main()

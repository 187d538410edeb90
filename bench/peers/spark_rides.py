"""The rides job of examples/rides.yaml on Spark Structured Streaming, in one process, from a Kafka topic to a Delta
table in append mode. It reads what is there when it starts, and ends.

usage: spark_rides.py BOOTSTRAP TOPIC FOLDER RECORDS_PER_BATCH(0: one batch) THREADS HEAP JARS SUMMARY_FILE
"""

import datetime
import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

RIDE = "rideId LONG, userId LONG, city STRING, distanceKm DOUBLE, price DOUBLE, ts STRING"
STAMP = "yyyy-MM-dd HH:mm:ss"


def session(threads, heap, jars):
    settings = {
        # The driver is all of Spark in local mode.
        "spark.driver.memory": heap,
        "spark.driver.extraClassPath": f"{jars}/*",
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # The default of 200 is for clusters, and would make 200 tasks for five keys.
        "spark.sql.shuffle.partitions": threads,
        "spark.sql.session.timeZone": "UTC",
        # As in Weir's own files; snappy would need a native library that does not load on every Debian.
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master(f"local[{threads}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def rides(spark, bootstrap, topic, per_batch):
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", bootstrap)
    reader = reader.option("subscribe", topic).option("startingOffsets", "earliest")
    if per_batch != "0":
        reader = reader.option("maxOffsetsPerTrigger", per_batch)
    value = F.from_json(F.col("value").cast("string"), RIDE).alias("ride")
    return reader.load().select(value).select("ride.*").withColumn("ts", F.to_timestamp("ts")).withWatermark("ts", "10 minutes")


def revenue(rides):
    cleaned = rides.where("price >= 0").withColumn("city", F.upper("city"))
    windows = cleaned.groupBy(F.window("ts", "5 minutes"), "city")
    sums = windows.agg(F.sum("price").alias("revenue"), F.avg("distanceKm").alias("avg_distance"), F.count("*").alias("cnt"))
    return sums.select(
        F.to_date("window.start").alias("date"),
        "city",
        F.date_format("window.start", STAMP).alias("win_start"),
        F.date_format("window.end", STAMP).alias("win_end"),
        "revenue",
        "avg_distance",
        "cnt",
    )


def summary(batches):
    """The counts of the query's own reports. Rows dropped as late are counted after a first aggregation, so some stand
    for several records."""
    operators = [operator for batch in batches for operator in batch["stateOperators"]]
    first = datetime.datetime.fromisoformat(batches[0]["timestamp"].replace("Z", "+00:00"))
    return {
        "records_read": sum(batch["numInputRows"] for batch in batches),
        "late_dropped": sum(operator["numRowsDroppedByWatermark"] for operator in operators),
        # The batch is planned now, and its first record read a little later.
        "first_record_at": first.timestamp(),
        "batches": sum(1 for batch in batches if batch["numInputRows"]),
    }


def main():
    if len(sys.argv) != 9:
        sys.exit(__doc__)
    bootstrap, topic, folder, per_batch, threads, heap, jars, summary_file = sys.argv[1:]
    spark = session(threads, heap, jars)
    writer = revenue(rides(spark, bootstrap, topic, per_batch)).writeStream.format("delta").outputMode("append").partitionBy("date")
    query = writer.option("checkpointLocation", f"{folder}/checkpoint").trigger(availableNow=True).start(f"{folder}/table")
    query.awaitTermination()
    # Spark keeps the last hundred reports; no run here has that many batches.
    with open(summary_file, "w") as out:
        json.dump(summary(query.recentProgress), out)
    spark.stop()


main()

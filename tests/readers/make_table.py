"""make_table.py FOLDER: writes, with delta-rs, a small Delta table with every corner case on which the readers must
agree."""

import datetime
import decimal
import sys

import deltalake
import pyarrow as pa

time = datetime.datetime(2026, 1, 1, 10, 0, 0, 1, tzinfo=datetime.timezone.utc)


def rows(city, day, n, x, d):
    return pa.table(
        {
            "city": pa.array([city], pa.string()),
            "date": [datetime.date(2026, 1, day)],
            "n": [n],
            "x": pa.array([x], pa.float64()),
            "d": pa.array([decimal.Decimal(d)], pa.decimal128(10, 2)),
            "t": pa.array([time], pa.timestamp("us", "UTC")),
        }
    )


deltalake.write_deltalake(sys.argv[1], rows("A", 1, 1, 1.5, "1.20"), partition_by=["date"])
deltalake.write_deltalake(sys.argv[1], rows(None, 2, 2, None, "-0.05"), mode="append")

"""What Spark gives for the aggregates of `expressions`, as `values.tsv` has it.

Usage: python3 values.py >values.tsv   It needs Java 17 and `pip install pyspark==4.0.1`.
"""

import math
from decimal import Decimal as D

from pyspark.sql import SparkSession
from pyspark.sql.types import (BooleanType, DecimalType, DoubleType, IntegerType, LongType, StringType, StructField,
                               StructType)

nan, inf = float("nan"), float("inf")
COLUMNS = {"d": DoubleType(), "y": DoubleType(), "l": LongType(), "i": IntegerType(), "b": BooleanType(),
           "s": StringType(), "m": DecimalType(10, 2)}
GROUPS = {
    "nulls": [(None,) * 7] * 2,
    "one": [(2.5, 4.0, 7, 3, True, "a", D("1.25"))],
    "two": [(1.0, 2.0, 5, 6, False, "b", D("2.50")), (4.0, 8.0, 9, 3, True, "c", D("-1.00"))],
    "same": [(3.0, 1.0, 4, 4, False, "x", D("1.00")), (3.0, 2.0, 4, 4, False, "x", D("1.00")),
             (3.0, 5.0, 4, 4, False, "x", D("1.00"))],
    "mixed": [(1.5, None, 10, None, None, "é", None), (None, 2.0, -3, 12, True, None, D("0.10")),
              (-2.25, 3.5, None, 10, None, "b", D("99.99")), (8.0, -1.0, 10, -7, True, "", D("-5.00")),
              (0.5, 0.25, 2, 5, True, "b", D("0.10"))],
    "large": [(1e9 + 4, 1.0, 2**62, 2**31 - 1, True, "z", D("99999999.99")),
              (1e9 + 7, 2.0, 2**62 + 1, -2**31, True, "y", D("99999999.98")),
              (1e9 + 13, 3.0, 2**62 + 2, 0, True, "x", D("99999999.97")),
              (1e9 + 16, 4.0, -2**62, 1, True, "w", D("99999999.96"))],
    "nan": [(nan, 1.0, 1, 1, True, "a", D("1.00")), (1.0, nan, 2, 2, False, "b", D("2.00")),
            (-1.0, 3.0, 3, 3, True, "c", D("3.00"))],
    "infinite": [(inf, 1.0, 1, 1, True, "a", D("1.00")), (1.0, inf, 2, 2, False, "b", D("2.00"))],
    "zeros": [(0.0, -0.0, 0, 0, False, "", D("0.00")), (-0.0, 0.0, 0, 0, False, "", D("0.00"))],
}


def expressions():
    for name in ["stddev", "stddev_samp", "std", "stddev_pop", "variance", "var_samp", "var_pop", "median"]:
        yield from (f"{name}({column})" for column in "dlim")
    for name in ["covar_samp", "covar_pop", "corr"]:
        yield from (f"{name}({columns})" for columns in ["d, y", "y, d", "l, d", "m, i"])
    yield from (f"{name}(b)" for name in ["bool_and", "every", "bool_or", "some", "any"])
    for name in ["bit_and", "bit_or", "bit_xor"]:
        yield from (f"{name}({column})" for column in "li")
    for name in ["min_by", "max_by"]:
        yield from (f"{name}({columns})" for columns in ["s, d", "d, y", "l, s", "s, m", "s, l", "i, b", "y, l"])
    for name in ["count(distinct", "collect_set("]:
        yield from (f"{name} {column})" for column in "dlibsm")
    for name in ["percentile", "percentile_approx"]:
        for p in ["0", "0.25", "0.5", "0.9", "1"]:
            yield from (f"{name}({column}, {p})" for column in "dlim")
    for name in ["first", "last"]:
        for column in "dls":
            yield from [f"{name}({column})", f"{name}({column}, true)"]
    yield from (f"collect_list({column})" for column in "dls")
    yield from ["listagg(s)", "listagg(s, ',')", "string_agg(s, ';')", "approx_count_distinct(l)",
                "approx_count_distinct(s)"]


def show(value):
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return "NaN" if math.isnan(value) else repr(value)
        case list():
            return "[" + ", ".join(map(show, value)) + "]"
        case str():
            return f"'{value}'"
    return str(value)


spark = SparkSession.builder.master("local[1]").config("spark.sql.shuffle.partitions", "1").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
rows = [(group, row) for group, rows in GROUPS.items() for row in rows]
fields = [StructField("g", StringType()), StructField("t", IntegerType())]
fields += [StructField(name, data_type) for name, data_type in COLUMNS.items()]
table = [(group, t, *row) for t, (group, row) in enumerate(rows)]
spark.createDataFrame(table, StructType(fields)).createOrReplaceTempView("rows")
for group, row in rows:
    print("row", group, *map(show, row), sep="\t")
for expression in expressions():
    # A set has no order in Spark.
    sql = f"sort_array({expression})" if expression.startswith("collect_set") else expression
    values = []
    for group in GROUPS:
        frame = spark.sql(f"select {sql} v from (select * from rows where g = '{group}' order by t)")
        try:
            values.append(show(frame.collect()[0][0]))
        except Exception as error:
            values.append("error " + error.getErrorClass())
    print(expression, frame.schema["v"].dataType.simpleString(), *values, sep="\t", flush=True)

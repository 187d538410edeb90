"""What Spark gives for the expressions of plan/tests/spark: one table of expressions over typed rows.

Usage: cases.py FILE   Runs Spark over the table and writes FILE (rows.json): for each expression, Spark's type, and for
each row the value, or the class of the error. `make spark-parity` compares FILE with the committed rows.json, which
main.rs compares with what Weir gives.

Values are written as JSON: whole numbers and booleans as they are; doubles, decimals, dates and timestamps as Spark's
texts of them; bytes in hex.
"""

import json
import logging
import math
import os
import sys
import tempfile

os.environ["TZ"] = "UTC"

from pyspark.sql import SparkSession, types as t  # noqa: E402

from table import CASES, ROWS  # noqa: E402

# The settings that the reference page promises.
SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.session.timeZone": "UTC",
    # A backslash in a text is itself.
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.log.level": "OFF",
    # Spark makes this folder, and nothing is written to it.
    "spark.sql.warehouse.dir": tempfile.gettempdir(),
}


def spark():
    builder = SparkSession.builder.master("local[1]").appName("parity")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def given(name, value):
    """A value of the table as SQL of its type, so that no conversion of Python's is in between."""
    if value is None:
        return f"cast(null as {name})"
    if name == "boolean":
        return str(value).lower()
    if name == "binary":
        return f"X'{value}'"
    if name.startswith("map"):
        key, of = key_and_value(name)
        entries = ", ".join(f"{given(key, k)}, {given(of, v)}" for k, v in value)
        return f"cast(map({entries}) as {name})"
    if name.startswith("array<map"):
        items = ", ".join(given(name[6:-1], item) for item in value)
        return f"cast(array({items}) as {name})"
    if name.startswith(("array", "struct")):
        return f"from_json({given('string', json.dumps(value))}, '{name}')"
    if name == "string":
        # A literal could hold no quote, since a backslash is itself.
        return f"cast(X'{value.encode().hex()}' as string)"
    return f"cast('{value}' as {name})"


def key_and_value(name):
    """The types of a map's keys and values. No key has a comma."""
    key, of = name[len("map<") : -1].split(",", 1)
    return key, of


def relation(columns, row):
    return ", ".join(f"{given(kind, value)} as {name}" for (name, kind), value in zip(columns.items(), row))


def written(kind, value):
    """A value as JSON."""
    if value is None or isinstance(kind, (t.BooleanType, t.IntegralType, t.StringType)):
        return value
    if isinstance(kind, (t.DoubleType, t.FloatType)):
        if math.isnan(value):
            return "NaN"
        return "Infinity" if value == math.inf else "-Infinity" if value == -math.inf else repr(value)
    if isinstance(kind, t.BinaryType):
        return bytes(value).hex()
    if isinstance(kind, t.DecimalType):
        return f"{value:f}"
    if isinstance(kind, t.ArrayType):
        return [written(kind.elementType, item) for item in value]
    if isinstance(kind, t.StructType):
        return {field.name: written(field.dataType, value[i]) for i, field in enumerate(kind.fields)}
    if isinstance(kind, t.MapType):
        # Python does not know the order of the entries.
        pairs = [[written(kind.keyType, k), written(kind.valueType, v)] for k, v in value.items()]
        return sorted(pairs, key=lambda pair: json.dumps(pair[0], ensure_ascii=False))
    if isinstance(kind, t.DateType):
        return value.isoformat()
    if isinstance(kind, t.TimestampType):
        return str(value)
    return str(value)


def is_time(kind):
    return isinstance(kind, (t.DateType, t.TimestampType, t.TimestampNTZType, t.DayTimeIntervalType, t.YearMonthIntervalType))


def error(why):
    name = why.getCondition() if hasattr(why, "getCondition") else None
    return {"error": name or type(why).__name__}


def of_rows(session, table, sql):
    """Spark's type and values of the expression over the rows of a table."""
    view = session.table(table)
    try:
        kind = view.selectExpr(sql).schema.fields[0].dataType
    except Exception as why:  # noqa: BLE001
        return {"sql": sql, "refused": error(why)["error"]}
    # Python's times end where Spark's do not.
    shown = f"cast(({sql}) as string)" if is_time(kind) else sql
    seen = t.StringType() if is_time(kind) else kind

    def values(frame):
        return [written(seen, row[0]) for row in frame.selectExpr(shown).collect()]

    try:
        results = values(view)
    except Exception:  # noqa: BLE001
        results = []
        for row in range(len(ROWS[table]["rows"])):
            try:
                results += values(session.table(f"{table}_{row}"))
            except Exception as why:  # noqa: BLE001
                results.append(error(why))
    return {"sql": sql, "type": kind.simpleString(), "values": results}


def main(path):
    session = spark()
    # Errors are results here.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    for name, table in ROWS.items():
        rows = [relation(table["columns"], row) for row in table["rows"]]
        for i, row in enumerate(rows):
            session.sql(f"select {row}").createOrReplaceTempView(f"{name}_{i}")
        frame = session.sql(" union all ".join(f"select {row}" for row in rows))
        frame.coalesce(1).cache().createOrReplaceTempView(name)
    tables = []
    for name, table in ROWS.items():
        results = [of_rows(session, name, sql) for sql in CASES[name]]
        columns = list(table["columns"].items())
        tables.append({"name": name, "columns": columns, "rows": table["rows"], "results": results})
        print(f"{name}: {len(results)} expressions", file=sys.stderr)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text({"spark": session.version, "functions": functions(session), "tables": tables}))


def functions(session):
    """The names of Spark's functions, without its operators."""
    return [row[0] for row in session.sql("show functions").collect() if row[0].replace("_", "").isalnum()]


def text(document):
    """JSON with one line for each row and each expression, so that a difference is read line by line."""
    def line(value):
        return json.dumps(value, ensure_ascii=False)

    def lines(values):
        return "[\n" + ",\n".join("  " + line(value) for value in values) + "\n ]"

    tables = [
        f'{{"name": {line(one["name"])}, "columns": {line(one["columns"])},\n "rows": {lines(one["rows"])},\n'
        f' "results": {lines(one["results"])}}}'
        for one in document["tables"]
    ]
    head = f'"spark": {line(document["spark"])},\n "functions": {line(document["functions"])},\n'
    return f'{{{head} "tables": [\n' + ",\n".join(tables) + "\n]}\n"


if __name__ == "__main__":
    main(sys.argv[1])

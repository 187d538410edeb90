"""query.py FILE SQL: prints DuckDB's answer over a view `input` of FILE's JSON lines, as JSON lines. Doubles keep their
bits."""

import sys

import duckdb

import canonical

file, sql = sys.argv[1:]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
quoted = file.replace("'", "''")
db.execute(f"CREATE VIEW input AS SELECT * FROM read_json('{quoted}', format = 'newline_delimited')")
canonical.print_rows(db.sql(sql).to_arrow_table().to_pylist())
canonical.end()

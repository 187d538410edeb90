"""Values of tables as JSON, in the same form for every reader, so that a comparison does not depend on which one read
the table.

date: "2026-01-31"; timestamp: "2026-01-31T10:00:00.000000Z" (UTC); decimal: its digits as a string, with the column's
scale; binary: hexadecimal; NaN and infinities: "NaN", "Infinity", "-Infinity"; map: its pairs in its order; other types as in JSON.
"""

import datetime
import decimal
import json
import math
import os
import sys


def value(v):
    if isinstance(v, datetime.datetime):
        if v.tzinfo is not None:
            v = v.astimezone(datetime.timezone.utc)
        # Not strftime, which leaves out leading zeros of years before 1000.
        return v.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, decimal.Decimal):
        return format(v, "f")
    if isinstance(v, bytes):
        return v.hex()
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if math.isnan(v) else ("Infinity" if v > 0 else "-Infinity")
    if isinstance(v, (list, tuple)):
        return [value(x) for x in v]
    if isinstance(v, dict):
        return {k: value(x) for k, x in v.items()}
    return v


def print_rows(rows):
    for row in rows:
        print(json.dumps(value(row), sort_keys=True))


def end():
    """Ends a reader that has printed everything. delta-rs and Arrow have their own threads, with which the
    interpreter's teardown may abort ("terminate called without an active exception", seen once in some hundred runs).
    An error before this still ends in a traceback."""
    sys.stdout.flush()
    os._exit(0)

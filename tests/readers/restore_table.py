"""restore_table.py FOLDER VERSION: restores a Delta table to an older version with another engine (delta-rs), by a new
version."""

import sys

import deltalake

import canonical

deltalake.DeltaTable(sys.argv[1]).restore(int(sys.argv[2]))
canonical.end()

"""restore_table.py FOLDER VERSION: another engine (delta-rs) restores a Delta table to an older version, in a new one."""

import sys

import deltalake

import canonical

deltalake.DeltaTable(sys.argv[1]).restore(int(sys.argv[2]))
canonical.end()

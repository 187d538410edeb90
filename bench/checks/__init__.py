"""Tests of what turns measurements into figures; `bench/run` begins with them, since a wrong figure is worse than none."""

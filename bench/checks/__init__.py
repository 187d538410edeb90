"""Tests of the code that turns measurements into figures; `bench/run` begins with them, since a wrong figure is worse
than none."""

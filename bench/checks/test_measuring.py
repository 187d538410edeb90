"""Tests of what scenarios compute from files, reports and bytes on the wire."""

import json
import os
import pathlib
import struct
import tempfile
import unittest

from ..harness.file_times import FileTimes
from ..harness.first_fetch import Requests
from ..harness.process import until
from ..scenarios.state import epoch_times
from ..scenarios.versions import Commit, around, commits_of, percentile


def request(key, size=20):
    return struct.pack(">ih", size, key) + bytes(size - 2)


class FetchOnTheWire(unittest.TestCase):
    def test_keys_of_requests_are_found_wherever_the_stream_is_cut(self):
        stream = request(18) + request(3) + request(1, size=300)
        for cut in range(1, len(stream)):
            requests = Requests()
            self.assertEqual(requests.keys_in(stream[:cut]) + requests.keys_in(stream[cut:]), [18, 3, 1])

    def test_half_a_fetch_is_none_yet(self):
        self.assertEqual(Requests().keys_in(request(1)[:-1]), [])


class Versions(unittest.TestCase):
    def test_commit_is_timed_from_the_manifest_of_its_own_epoch(self):
        with tempfile.TemporaryDirectory() as dir:
            log = pathlib.Path(dir)
            # Version 0 creates the table, epoch 3 made no version, and the manifest of epoch 2 was not seen.
            for version, (epoch, at) in enumerate([(None, 500), (2, 1_000), (4, 5_000)]):
                actions = [{"commitInfo": {}}, {"txn": {"appId": "weir", "version": epoch}}][: 2 if epoch else 1]
                written(log / f"{version:020}.json", "\n".join(map(json.dumps, actions)), at)
            decided = {f"{3:020}.json": 2_000, f"{4:020}.json": 4_400}
            found = commits_of(log, decided, {2: 7, 3: 8, 4: 9})
            self.assertEqual(found, [Commit(500, None, None), Commit(1_000, None, 7), Commit(5_000, 4_400, 9)])

    def test_figures_are_of_the_commits_up_to_the_version(self):
        took = [9_000, 1_000, 2_000, 3_000, 9_000]
        commits = [Commit(n * 10_000, n * 10_000 - ns, ns // 1_000) for n, ns in enumerate(took)]
        self.assertEqual(around(commits, version=4, taken=3), {"commit_us": 2.0, "commit_p99_ms": 3, "period_us": 10.0})

    def test_files_that_are_deleted_meanwhile_are_seen(self):
        with tempfile.TemporaryDirectory() as dir:
            file = pathlib.Path(dir) / "a"
            with FileTimes(dir) as times:
                written(file, "", 7_000)
                until("it is seen", lambda: times.ns, 10)
                file.unlink()
            self.assertEqual(set(times.ns), {"a"})

    def test_percentile_is_a_value_that_was_measured(self):
        self.assertEqual([percentile(range(1, 101), 99), percentile([5], 99), percentile([1, 2, 3], 50)], [99, 5, 2])


class Epochs(unittest.TestCase):
    def test_times_are_of_the_second_half_from_close_to_close(self):
        at = lambda second, took: {"timestamp": f"2026-01-01T00:00:{second:02}.000Z", "durationMs": {"triggerExecution": took}}
        found = epoch_times([at(0, 1), at(30, 2), at(40, 10), at(42, 20), at(45, 30)])
        self.assertEqual(found, {"epoch_ms": 2_500, "epoch_max_ms": 3_000, "close_to_commit_ms": 20})


def written(file, text, at_ns):
    file.write_text(text)
    os.utime(file, ns=(at_ns, at_ns))

"""Runs a command and reports what it and all its descendants cost: wall and CPU seconds, and the most memory at a time.

usage: measure.py RESULT_FILE COMMAND…   The exit code is the command's.

CPU time (user and system) is the kernel's own sum over ended children: this process adopts orphans
(PR_SET_CHILD_SUBREAPER) and waits for each of them, so it misses no process, however short its life. Memory is the sum
of the resident sets of the tree, read every 50 ms (pages that two processes share count twice, which matters at most
for the few megabytes of Spark's Python beside its JVM), or the greatest single process that the kernel saw, if that is
more. So a peak between two looks is not missed where the engine is one process. A process with its parent's command
line does not count: until it starts its own program its memory is its parent's, and a JVM that starts `chmod` would
otherwise count twice.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

LOOK_EVERY_SECONDS = 0.05
PR_SET_CHILD_SUBREAPER = 36
PAGE = os.sysconf("SC_PAGE_SIZE")


def parents():
    """The parent of every process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    # The name in parentheses may contain anything, including spaces and parentheses.
                    found[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
    return found


def below(root, parents):
    """All descendants of `root`."""
    tree, new = set(), {root}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - tree
        tree |= new
    return tree


def resident_bytes(pid):
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read()
    except OSError:
        return None


class Watch(threading.Thread):
    """Looks at the tree below this process until it is told to stop."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(LOOK_EVERY_SECONDS):
            parent_of = parents()
            tree = below(os.getpid(), parent_of)
            own = (pid for pid in tree if command_line(pid) != command_line(parent_of[pid]))
            self.peak_bytes = max(self.peak_bytes, sum(map(resident_bytes, own)))


def reap_all():
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit(f"prctl refused to make this process the parent of orphans: {os.strerror(ctypes.get_errno())}")
    watch = Watch()
    watch.start()
    started_at, began = time.time(), time.monotonic()
    process = subprocess.Popen(sys.argv[2:])
    # Stopping the measurement also stops the measured process.
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    wall = time.monotonic() - began
    reap_all()
    watch.ended.set()
    watch.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = {
        "started_at": started_at,
        "wall_seconds": wall,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "process_bytes_max": used.ru_maxrss * 1024,
        "memory_bytes_max": max(watch.peak_bytes, used.ru_maxrss * 1024),
        "exit_code": code,
    }
    with open(sys.argv[1], "w") as out:
        json.dump(measured, out)
    sys.exit(code if code >= 0 else 128 - code)


main()

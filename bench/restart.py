"""From SIGKILL to the next commit: starts the command, kills it after a few epochs, starts it again, and waits for the next report.

Usage: restart.py PROGRESS_FILE COMMAND...   The command appends to PROGRESS_FILE after each commit.
"""

import pathlib
import signal
import subprocess
import sys
import time

EPOCHS_BEFORE_KILL = 3
DEADLINE_SECONDS = 120

progress, command = pathlib.Path(sys.argv[1]), sys.argv[2:]


def epochs():
    return len(progress.read_text().splitlines()) if progress.exists() else 0


def wait_for(count, process):
    until = time.monotonic() + DEADLINE_SECONDS
    while epochs() < count:
        if time.monotonic() > until or process.poll() is not None:
            sys.exit(f"{epochs()} of {count} epochs were committed; exit code {process.poll()}")
        time.sleep(0.005)


first = subprocess.Popen(command)
wait_for(EPOCHS_BEFORE_KILL, first)
before = epochs()
killed = time.monotonic()
first.send_signal(signal.SIGKILL)
first.wait()
second = subprocess.Popen(command)
wait_for(before + 1, second)
print(f"from SIGKILL to the next commit: {time.monotonic() - killed:.2f} s")
second.kill()
second.wait()

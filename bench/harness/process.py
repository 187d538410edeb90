"""Processes with a deadline. No process outlives the scenario that started it."""

import signal
import subprocess
import time

from .failure import Failed

STOP_WITHIN_SECONDS = 30


def run(command, deadline_seconds=600, expect=0, **options):
    """Waits for the command and returns it with its output; if it fails, raises `Failed` with the end of its output."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=deadline_seconds, stdin=subprocess.DEVNULL, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"`{name(command)}` did not end within {deadline_seconds} s") from None
    if done.returncode != expect:
        raise Failed(f"`{name(command)}` ended with {done.returncode}, not {expect}: {last_lines(done.stderr or done.stdout)}")
    return done


class Background:
    """A process that runs beside the scenario: `with Background(…) as process:`. It is killed at the end if it still runs."""

    def __init__(self, command, log, **options):
        self.command, self.log, self.options = [str(part) for part in command], log, options

    def __enter__(self):
        self.output = open(self.log, "ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT, **self.options
        )
        return self

    def __exit__(self, *_):
        self.kill()
        self.output.close()

    def kill(self):
        """Sends SIGKILL, and returns when that was."""
        at = time.monotonic()
        self.process.kill()
        self.process.wait()
        return at

    def stop(self):
        """Sends SIGTERM: the process finishes its open epoch."""
        self.process.send_signal(signal.SIGTERM)
        self.wait(STOP_WITHIN_SECONDS)

    def wait(self, deadline_seconds):
        try:
            status = self.process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"`{name(self.command)}` did not end within {deadline_seconds} s") from None
        if status != 0:
            raise Failed(f"`{name(self.command)}` ended with {status}: {self.said()}")

    def check(self):
        """Raises if the process has ended, since waiting for it would be in vain."""
        status = self.process.poll()
        if status is not None:
            raise Failed(f"`{name(self.command)}` ended with {status} while it was needed: {self.said()}")

    def said(self):
        return last_lines(self.log.read_text(errors="replace"))


def until(what, condition, deadline_seconds, process=None, every_seconds=0.002):
    """Polls until `condition()` is true, and returns its value; `what` is for the error message."""
    end = time.monotonic() + deadline_seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {deadline_seconds} s")
        if process is not None:
            process.check()
        time.sleep(every_seconds)
    return found


def name(command):
    return " ".join([command[0].rsplit("/", 1)[-1], *command[1:3]])


def last_lines(text, count=3):
    return " | ".join(text.strip().splitlines()[-count:]) or "it said nothing"

"""What the figures were measured on: the machine, the versions, and how busy it was when the benchmarks began."""

import datetime
import os
import pathlib
import platform
import re
import subprocess
import time


def facts(weir):
    return {
        "date": now(),
        "cpu": field("/proc/cpuinfo", r"model name\s*:\s*(.*)"),
        "cores": os.cpu_count(),
        "memory_gib": round(int(field("/proc/meminfo", r"MemTotal:\s*(\d+)") or 0) / 2**20, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "load": load(),
        "weir": said(weir, "--version"),
        "commit": said("git", "describe", "--always", "--dirty", "--abbrev=12"),
        "rustc": said("rustc", "--version"),
        "kafka": field("tests/services/kafka-pom.xml", r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]*)"),
        "librdkafka": field("Cargo.lock", r'name = "rdkafka-sys"\nversion = "[^+"]*\+([^"]*)"'),
    }


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def load():
    """The load of the last minute, and how many cores are busy in this second: other work would be part of wall
    times."""
    return {"minute": round(os.getloadavg()[0], 2), "busy_cores": round(busy_cores(1.0), 2)}


def busy_cores(seconds):
    before = busy_ticks()
    time.sleep(seconds)
    return (busy_ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds


def busy_ticks():
    """User, nice, system, irq, softirq and steal time of all cores together."""
    fields = [int(n) for n in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(fields[0:3]) + sum(fields[5:8])


def field(file, pattern):
    found = re.search(pattern, pathlib.Path(file).read_text(errors="replace"))
    return found.group(1).strip() if found else None


def said(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError:
        return None
    return done.stdout.strip() or None

"""Runs scenarios and writes their report; `bench/run` starts it. See bench/README.md."""

import argparse
import pathlib
import shutil
import signal
import sys
import time
import traceback

from .harness import machine
from .harness.failure import Failed
from .harness.programs import Programs
from .harness.session import Session
from .report import write
from .scenarios import GROUPS, SCENARIOS

# What the largest scenario needs: two gigabytes of records, the broker's copies of them, state and tables.
DISK_BYTES_FREE = 10 * 10**9


def main():
    arguments = parsed()
    # SIGTERM acts like Ctrl-C, so that every `with` block closes what it opened.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    free = shutil.disk_usage(arguments.work).free
    if free < DISK_BYTES_FREE:
        wanted = f"{DISK_BYTES_FREE / 1e9:.0f} GB"
        sys.exit(f"{arguments.work} has {free / 1e9:.1f} GB free, and the benchmarks want {wanted}: set TMPDIR to another place")
    session = Session(arguments.out, arguments.work, Programs(arguments.target), arguments.runs, arguments.scale)
    names = chosen(arguments.scenarios)
    facts = machine.facts(session.programs.weir) if names else write.machine(arguments.out)
    failed = [name for name in names if not measured(session, name, facts)]
    write.write(arguments.out, facts, list(SCENARIOS))
    print(f"{arguments.out / 'report.md'}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def measured(session, name, facts):
    """Runs a scenario and saves its result, or why there is none."""
    print(f"{name} …", file=sys.stderr, flush=True)
    began, date, load = time.monotonic(), machine.now(), machine.load()
    try:
        result = SCENARIOS[name].run(session).as_json()
    except Failed as failure:
        result = {"title": name, "failed": str(failure)}
    except Exception:
        # A fault of the scenario itself; the others go on.
        traceback.print_exc()
        result = {"title": name, "failed": "the scenario broke; its trace is on stderr"}
    finally:
        session.clear()
    by = {"runs": session.runs, "scale": session.scale, "date": date, "commit": facts["commit"], "load": load}
    result["measured"] = {**by, "seconds": round(time.monotonic() - began, 1)}
    write.keep(session.out, name, result)
    if "failed" in result:
        print(f"  failed: {result['failed']}", file=sys.stderr, flush=True)
    return "failed" not in result


def chosen(names):
    """The scenarios of these names and groups, each once, in the order of the list."""
    wanted = {scenario for name in names for scenario in GROUPS.get(name, [name])}
    return [name for name in SCENARIOS if name in wanted]


def parsed():
    usage = "bench/run [SCENARIO…] [--out DIR] [--runs N] [--scale X]"
    parser = argparse.ArgumentParser(prog="bench/run", usage=usage, description="Measures Weir and writes a report.")
    names = [*GROUPS, *SCENARIOS]
    parser.add_argument("scenarios", nargs="*", default=["base"], metavar="SCENARIO", help=f"of {', '.join(names)} (default: base)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the report's folder; results that are there already stay in it")
    parser.add_argument("--work", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=3, help="of each point (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the counts of records (default: 1)")
    arguments = parser.parse_args()
    wrong = sorted(set(arguments.scenarios) - set(names))
    if wrong:
        parser.error(f"there is no scenario `{'`, `'.join(wrong)}`; there are {', '.join(names)}")
    if arguments.runs < 1 or not 0 < arguments.scale <= 10:
        parser.error("--runs is at least 1, and --scale above 0 and at most 10")
    return arguments


if __name__ == "__main__":
    main()

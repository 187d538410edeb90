"""Cost per record as the open windows grow: 1, 12 and 300 of them, all open all the time."""

from ..harness import documents
from ..harness.result import CONSUME, CPU, RATE, RATIO, RESIDENT, Metric, Plot, Result

RECORDS = 10_000_000
PARTITIONS = 6
KEYS = 100
POINTS = [1, 12, 300]
EPOCHS = 10


def run(session):
    count = session.count(RECORDS)
    result = Result(
        "Open windows",
        f"Sum, average and count by {KEYS} keys over {count / 1e6:g}M records. The event time of each record is anywhere in the windows' "
        "span, so that every batch has rows of all of them.",
        ["windows"],
        [CPU, CONSUME, RATIO, RATE, RESIDENT, Metric("groups", "groups", 0)],
        Plot("windows", [CPU, CONSUME], log_x=True),
    )
    for windows in POINTS:
        session.say(f"{windows} windows")
        with session.broker() as broker:
            topic = broker.topic("keyed", PARTITIONS)
            session.programs.bench("produce", broker.bootstrap, topic, count, "--keys", KEYS, "--windows", windows)
            runs = session.cost(broker.bootstrap, topic, count, documents.windowed, windows, count // EPOCHS)
            result.add({"windows": windows}, runs)
    return result

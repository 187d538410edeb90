"""Cost per record as the distinct keys grow: 10, 100K, 1M and 10M in one window."""

from ..harness import documents
from ..harness.result import CONSUME, CPU, RATE, RATIO, RESIDENT, STATE, Metric, Plot, Result

RECORDS = 10_000_000
PARTITIONS = 6
POINTS = [10, 100_000, 1_000_000, 10_000_000]
EPOCHS = 10


def run(session):
    count = session.count(RECORDS)
    result = Result(
        "Keys",
        f"Sum, average and count by key over {count / 1e6:g}M records in {EPOCHS} epochs and one window, which is written at the end. Keys "
        "come evenly, in no order.",
        ["keys"],
        [CPU, CONSUME, RATIO, RATE, RESIDENT, STATE, Metric("rows_out", "rows out, K", 1, per=1e3)],
        Plot("keys", [CPU, CONSUME], log_x=True),
    )
    for keys in POINTS:
        session.say(f"{keys} keys")
        with session.broker() as broker:
            topic = broker.topic("keyed", PARTITIONS)
            session.programs.bench("produce", broker.bootstrap, topic, count, "--keys", keys)
            runs = session.cost(broker.bootstrap, topic, count, documents.windowed, 1, count // EPOCHS)
            result.add({"keys": keys}, runs)
    if count < POINTS[-1]:
        result.notes.append(f"{count / 1e6:g}M records have no more than as many keys.")
    return result

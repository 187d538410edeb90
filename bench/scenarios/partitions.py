"""Cost per record as the partitions grow: the rides job over 1, 6 and 64 of them."""

from ..harness import documents
from ..harness.result import CONSUME, CPU, RATE, RATIO, RESIDENT, Plot, Result

RECORDS = 10_000_000
POINTS = [1, 6, 64]
EPOCHS = 10


def run(session):
    count = session.count(RECORDS)
    result = Result(
        "Partitions",
        f"The rides job over {count / 1e6:g}M rides, spread over so many partitions by key.",
        ["partitions"],
        [CPU, CONSUME, RATIO, RATE, RESIDENT],
        Plot("partitions", [CPU, CONSUME], log_x=True),
    )
    for partitions in POINTS:
        session.say(f"{partitions} partitions")
        with session.broker() as broker:
            topic = broker.topic("rides", partitions)
            session.programs.produce_rides(broker.bootstrap, topic, count)
            runs = session.cost(broker.bootstrap, topic, count, documents.rides, count // EPOCHS)
            result.add({"partitions": partitions}, runs)
    return result

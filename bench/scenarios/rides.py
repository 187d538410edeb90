"""The rides job and its lower bounds: a bare consume, our decoder alone and `weir run`, in turn, over the same
topic."""

from ..harness import documents
from ..harness.result import CPU, RATE, RATIO, RESIDENT, Metric, Result, gathered

RECORDS = 10_000_000
PARTITIONS = 6
DECODED = 1_000_000
EPOCHS = 10


def run(session):
    count = session.count(RECORDS)
    result = Result(
        "The rides job",
        f"`examples/rides.yaml` over {count / 1e6:g}M rides in {PARTITIONS} partitions, lz4, 24 h of event time with up to 2 min of "
        f"disorder and 0.1 % late, AvailableNow in {EPOCHS} epochs and more into a local Delta table. Wall time is from exec to exit. The "
        f"three run in turn, {session.runs} times; a ratio is to the bare consume of the same turn.",
        ["what"],
        [CPU, RATIO, RATE, RESIDENT, Metric("first_record_ms", "start of the run to first record, ms", 0)],
    )
    samples = {"bare consume": [], "parse only": [], "weir run": []}
    with session.broker() as broker:
        topic = broker.topic("rides", PARTITIONS)
        session.programs.produce_rides(broker.bootstrap, topic, count)
        for number in range(1, session.runs + 1):
            consumed = session.programs.bench("consume", broker.bootstrap, topic, count)
            floor = consumed["cpu_seconds_per_million"]
            samples["bare consume"].append(of_bench(consumed, floor))
            parsed = session.programs.bench("decode", broker.bootstrap, topic, min(count, DECODED))
            samples["parse only"].append(of_bench(parsed, floor))
            dir = session.dir()
            ran = session.programs.run(documents.rides(dir, broker.bootstrap, topic, count // EPOCHS), dir)
            figures = ran.figures()
            first_ms = ran.summary["first_record_seconds"] * 1e3
            samples["weir run"].append({**figures, "times_consume": figures["cpu_per_million"] / floor, "first_record_ms": first_ms})
            session.say(f"turn {number}: consume {floor:.3f}, weir {figures['cpu_per_million']:.3f} CPU-s per million")
    for what, runs in samples.items():
        result.add({"what": what}, gathered(runs))
    result.notes.append(
        "Parse only: a million records that are in memory already, on one core; the others share the cores with the broker."
    )
    return result


def of_bench(figures, floor):
    per_second = figures["records"] / figures["wall_seconds"]
    cpu = figures["cpu_seconds_per_million"]
    return {"cpu_per_million": cpu, "times_consume": cpu / floor, "records_per_second": per_second}

"""Sorts the stacks that `perf` took into the stages of the data's way. Pure.

A sample belongs to the innermost frame that a rule knows, so what a stage calls (an allocator, memcpy, the kernel)
counts for the stage.
"""

import re
from collections import Counter

# The rules for a frame, in this order; the first match decides.
RULES = [
    ("decode", r"weir_decode::"),
    ("hash", r"group_table::.*intern|RowKeys|GroupTable::(update|merge)$|arrow_row"),
    ("update", r"GroupsAccumulator|groups_accumulator|EdgeSender|GroupTable"),
    ("emit", r"Windows::close_next|step_rows|evaluate_keyed|GroupTable::evaluate"),
    ("state", r"weir_runtime::state::|KeyedStage|tumbling::(operator|windows|partials)|key_group|start::restoring"),
    ("expressions", r"datafusion_(physical_)?(expr|functions)|weir_runtime::transform|weir_plan::expr|ScalarExpr"),
    ("encode", r"parquet::|weir_sink::delta::(writer|stats|partition)|sinks::task"),
    ("upload", r"storage::upload|part_file|object_store|LocalFileSystem"),
    ("commit", r"weir_checkpoint::|weir_sink::delta|sinks::committing|delta_kernel|deltalake"),
    ("take over", r"weir_source::|rd_kafka|engine::lanes"),
]
# librdkafka's own threads: the network, decompression, and a message for each record.
CONSUME = "consume"
CONSUMERS = re.compile(r"^rdk:")
OTHER = "other"
STAGES = [CONSUME, *(stage for stage, _ in RULES), OTHER]
KNOWN = [(stage, re.compile(rule)) for stage, rule in RULES]


def of_script(text):
    """The samples in the output of `perf script -F comm,ip,sym`: a thread's name, and its frames from the innermost
    on."""
    for block in text.split("\n\n"):
        lines = block.strip("\n").splitlines()
        if len(lines) > 1:
            frames = [line.split(maxsplit=1)[1].removesuffix(" (inlined)") for line in lines[1:] if len(line.split(maxsplit=1)) == 2]
            yield lines[0].strip(), frames


def stage(thread, frames):
    if CONSUMERS.match(thread):
        return CONSUME
    return next((stage for frame in frames for stage, rule in KNOWN if rule.search(frame)), OTHER)


def shares(samples):
    """The share of each stage, from 0 to 1."""
    counts = Counter(stage(thread, frames) for thread, frames in samples)
    total = sum(counts.values()) or 1
    return {stage: counts[stage] / total for stage in STAGES}


def folded(samples):
    """The input for flame graphs: a line per stack, from the outermost frame on, with how often it was seen."""
    counts = Counter(";".join([thread, *reversed(frames)]) for thread, frames in samples)
    return "\n".join(f"{stack} {count}" for stack, count in sorted(counts.items())) + "\n"

"""The metrics that Weir has, read from its source, and the metrics that a PromQL expression names."""

import re

from chart import REPOSITORY

RUNTIME = REPOSITORY / "runtime/src/observe/metrics.rs"
OPERATOR = REPOSITORY / "operator/src/metrics.rs"
# The operator's metrics if its source is missing.
OPERATOR_UNTIL_THEN = {"weir_operator_leader", "weir_operator_reconcile_failures_total"}
# Metrics of kube-state-metrics, cAdvisor and Prometheus itself.
FOREIGN = {
    "up", "container_memory_working_set_bytes", "container_cpu_usage_seconds_total", "kube_pod_container_resource_limits",
    "kube_pod_container_status_restarts_total", "kube_pod_container_status_last_terminated_exitcode",
}
SUFFIXES = {"Counter": ["_total"], "Gauge": [""], "Histogram": ["_bucket", "_sum", "_count"]}
# Words that stand before a bracket or a brace without being a metric.
NOT_METRICS = {"by", "on", "and", "or", "unless", "without", "ignoring", "group_left", "group_right", "bool", "offset"}


def of_source(source):
    """Metric names as they are scraped, from `register("name", …, metrics.field.clone())` and the type of the field."""
    text = source.read_text()
    prefix = re.search(r'with_prefix(?:_and_labels)?\("(\w+)"', text)[1]
    types = dict(re.findall(r"^ +(?:pub )?(\w+): (?:Family<\w+, )?(Counter|Gauge|Histogram)\b", text, re.MULTILINE))
    types |= dict(re.findall(r"^static (\w+): LazyLock<(Counter|Gauge|Histogram)>", text, re.MULTILINE))
    fields = re.findall(r'register\(\s*"(\w+)",\s*"[^"]*",\s*(?:\w+\.)?(\w+)\.clone\(\)', text)
    return {f"{prefix}_{name}{suffix}" for name, field in fields for suffix in SUFFIXES[types[field]]}


def known():
    operator = of_source(OPERATOR) if OPERATOR.exists() else OPERATOR_UNTIL_THEN
    return of_source(RUNTIME) | operator | FOREIGN


def named(expression):
    """The metrics in an expression: names that are not functions, not labels and not in quotes."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    return {m for m in re.findall(r"\b[a-z_]\w*\b(?!\s*\()", bare) if m not in NOT_METRICS and not re.match(r"^\d", m)}

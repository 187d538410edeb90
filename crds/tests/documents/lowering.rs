//! The plans of valid documents.

use weir_crds::load;
use weir_plan::plan::{Input, OnLostOffsets, Plan, SinkKind, StartFrom, StepOp, Trigger};
use weir_plan::types::has_event_time;

fn plan(steps_and_sinks: &str) -> Plan {
    let text = format!(
        "
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {{name: p, namespace: data}}
spec:
  checkpoint: {{uri: 'file:///tmp/c/'}}
  connections: [{{name: k, kafka: {{bootstrapServers: 'k:9092'}}}}]
  sources:
  - name: s
    kafka: {{connection: k, topics: [t]}}
    format: {{json: {{}}}}
    columns: [{{name: userId, type: bigint}}, {{name: 'a b', type: string, required: true}}, \
         {{name: ts, type: timestamp}}]
    eventTime: {{expr: ts, watermarkDelay: 1m30s}}
{steps_and_sinks}"
    );
    load(&text, None).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn columns(plan: &Plan, input: Input) -> Vec<&str> {
    plan.schema_of(input).fields().iter().map(|f| f.name().as_str()).collect()
}

#[test]
fn the_smallest_document_has_the_defaults() {
    let plan = plan(
        "  steps: [{name: m, map: {from: s, columns: [{name: userId}]}}]\n  sinks: [{name: raw, from: m, delta: {uri: \
         file:///tmp/raw}}]",
    );
    assert_eq!((plan.pipeline.as_str(), plan.trigger), ("data/p", Trigger::AsSoonAsPossible));
    assert_eq!(
        (plan.checkpoint.uri.as_str(), plan.checkpoint.keep, plan.checkpoint.snapshot_every),
        ("file:///tmp/c", 10, 32)
    );
    assert_eq!((plan.limits.records_per_epoch, plan.limits.bytes_per_epoch), (2_000_000, 512 << 20));
    let kafka = &plan.sources[0].kafka;
    assert_eq!(
        (kafka.group_id.as_str(), &kafka.start_from, kafka.on_lost_offsets),
        ("weir-data-p", &StartFrom::Latest, OnLostOffsets::Fail)
    );
    assert_eq!(plan.sources[0].event_time.as_ref().unwrap().watermark_delay_us, 90_000_000);
    let SinkKind::Delta(delta) = &plan.sinks[0].kind else { panic!("{:?}", plan.sinks[0].kind) };
    assert_eq!((plan.sinks[0].input, delta.target_file_size_bytes), (Input::Step(0), 128 << 20));
}

#[test]
fn a_time_becomes_the_first_millisecond_that_is_not_before_it() {
    let start = |time: &str| {
        let text = include_str!("../../../examples/rides.yaml")
            .replace("{position: Latest}", &format!("{{timestamp: {time:?}}}"));
        load(&text, None).unwrap_or_else(|found| panic!("{found:#?}")).sources[0].kafka.start_from.clone()
    };
    for (time, at_ms) in [
        ("2026-01-01T00:00:00Z", 1_767_225_600_000),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600_000),
        ("2026-01-01T00:00:00.25Z", 1_767_225_600_250),
        ("2026-01-01T00:00:00.000001Z", 1_767_225_600_001),
        ("1970-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(start(time), StartFrom::Timestamp { at_ms }, "{time}");
    }
}

#[test]
fn the_longest_prefix_of_whole_segments_says_how_a_uri_is_reached() {
    let plan = plan(
        "
  storage:
  - {uriPrefix: s3://lake/, s3: {region: a}}
  - {uriPrefix: s3://lake/silver, s3: {region: b}}
  sinks: [{name: raw, from: m, delta: {uri: file:///tmp/raw}}]
  steps: [{name: m, map: {from: s, columns: [{name: userId}]}}]
",
    );
    let region = |uri| plan.storage_for(uri).and_then(|s| s.s3.region.as_deref());
    assert_eq!(
        [region("s3://lake/gold"), region("s3://lake/silver"), region("s3://lake/silver/x")],
        [Some("a"), Some("b"), Some("b")]
    );
    assert_eq!([region("s3://lake/silverware"), region("s3://lake2/x")], [Some("a"), None]);
}

#[test]
fn a_sink_writes_what_it_reads_without_the_event_time() {
    let plan = plan(
        "  steps: [{name: m, map: {from: s, columns: [{name: userId}, {name: t, expr: _event_time}]}}]\n  sinks: \
         [{name: raw, from: m, delta: {uri: file:///tmp/raw}}]",
    );
    assert_eq!(columns(&plan, Input::Step(0)), ["userId", "t", "_event_time"]);
    let written: Vec<_> = plan.sinks[0].schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(written, ["userId", "t"]);
}

#[test]
fn a_map_without_columns_keeps_them_as_they_are_even_those_with_odd_names() {
    let plan = plan(
        "  steps: [{name: m, map: {from: s}}, {name: kept, map: {from: m, columns: [{name: ab, expr: '\"a b\"'}]}}]\n  sinks: [{name: raw, from: kept, delta: {uri: file:///tmp/raw}}]",
    );
    assert_eq!(plan.schema_of(Input::Step(0)), plan.schema_of(Input::Source(0)));
    assert!(!plan.schema_of(Input::Step(1)).field(0).is_nullable(), "required stays required");
}

#[test]
fn steps_come_after_what_they_read_whatever_the_documents_order() {
    let plan = plan(
        "
  steps:
  - {name: daily, aggregate: {from: shaped, window: {tumbling: {size: 24h}}, columns: [{name: users, expr: sum(cnt)}]}}
  - {name: shaped, map: {from: minutely, where: cnt > 1, columns: [{name: cnt}]}}
  - {name: minutely, aggregate: {from: s, window: {tumbling: {size: 1m}}, groupBy: [{name: userId}], columns: [{name: \
         cnt, \
         expr: count(*)}]}}
  sinks: [{name: out, from: daily, delta: {uri: file:///tmp/out}}]
",
    );
    let steps: Vec<_> = plan.steps.iter().map(|s| (s.name.as_str(), s.inputs())).collect();
    assert_eq!(
        steps,
        [("minutely", &[Input::Source(0)][..]), ("shaped", &[Input::Step(0)]), ("daily", &[Input::Step(1)])]
    );
    assert_eq!(plan.sinks[0].input, Input::Step(2));
    assert!(matches!(&plan.steps[2].op, StepOp::Aggregate(a) if a.input == Input::Step(1)));
    assert!((0..3).all(|i| has_event_time(plan.schema_of(Input::Step(i)))));
    assert_eq!(columns(&plan, Input::Step(0)), ["window_start", "window_end", "userId", "cnt", "_event_time"]);
}

#[test]
fn rows_that_a_step_cannot_compute_leave_by_an_output_of_that_step() {
    let base = include_str!("../../../examples/nothing-lost.yaml");
    let with =
        |from: &str| format!("{base}\n  - {{name: bad, from: {from}.Rejected, delta: {{uri: file:///tmp/bad}}}}\n");
    let plan = load(&with("revenue"), None).unwrap_or_else(|found| panic!("{found:#?}"));
    let columns: Vec<_> = plan.sinks.last().unwrap().schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(columns, ["window_start", "window_end", "city", "step", "reason"]);
    let refused =
        |text: &str| load(text, None).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let dropping = with("revenue").replace("policy: Output, maxPerMillion: 10000", "policy: Drop");
    assert!(refused(&dropping).contains("nothing leaves `revenue` by its output `Rejected`"), "{}", refused(&dropping));
    let map = "\n  - {name: cheap, map: {from: rides, where: price < 5, columns: [{name: city}]}}\n  sinks:\n";
    let before_the_window = with("cheap").replacen("\n  sinks:\n", map, 1);
    assert!(
        refused(&before_the_window).contains("each row of `cheap` comes from one record"),
        "{}",
        refused(&before_the_window)
    );
}

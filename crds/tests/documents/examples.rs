//! The examples are valid and do what they say.

use std::collections::BTreeSet;

use weir_crds::load;
use weir_plan::plan::{OnLostOffsets, Plan, SinkKind, StartFrom, StepOp, Trigger};
use weir_plan::stages::{self, Edge, LaneStage};
use weir_plan::window::Window;

fn example(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn plan(name: &str, over: Option<&str>) -> Plan {
    load(&example(name), over.map(example).as_deref()).unwrap_or_else(|found| panic!("{name}: {found:#?}"))
}

fn columns(schema: &weir_plan::plan::Sink) -> Vec<&str> {
    schema.schema.fields().iter().map(|f| f.name().as_str()).collect()
}

#[test]
fn rides_lowers_to_the_plan_that_it_describes() {
    let plan = plan("rides.yaml", None);
    assert_eq!(plan.pipeline, "rides-revenue");
    assert_eq!(plan.trigger, Trigger::Interval(std::time::Duration::from_secs(5)));
    assert_eq!(plan.storage_for("s3://lake/silver/rides_agg").unwrap().s3.credentials_secret.as_deref(), Some("lake"));
    let source = &plan.sources[0];
    assert_eq!((&source.kafka.start_from, source.kafka.on_lost_offsets), (&StartFrom::Latest, OnLostOffsets::Earliest));
    assert_eq!(source.kafka.group_id, "weir-rides-revenue");
    assert_eq!(source.event_time.as_ref().unwrap().watermark_delay_us, 600_000_000);
    let steps: Vec<_> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(steps, ["cleaned", "revenue", "formatted"]);
    assert!(matches!(&plan.steps[1].op, StepOp::Aggregate(a) if a.window == Window::tumbling(300_000_000)));
    assert_eq!(columns(&plan.sinks[0]), ["date", "city", "win_start", "win_end", "revenue", "avg_distance", "cnt"]);
    let SinkKind::Delta(delta) = &plan.sinks[0].kind else { panic!("{:?}", plan.sinks[0].kind) };
    assert_eq!(
        (delta.partition_by.as_slice(), delta.target_file_size_bytes),
        (["date".to_owned()].as_slice(), 128 << 20)
    );
}

#[test]
fn rides_runs_on_a_laptop_with_its_override() {
    let plan = plan("rides.yaml", Some("rides-local.yaml"));
    assert_eq!(plan.checkpoint.uri, "file:///tmp/weir/checkpoints/rides-revenue");
    assert_eq!(plan.sinks[0].place(), "file:///tmp/weir/silver/rides_agg");
    let SinkKind::Delta(delta) = &plan.sinks[0].kind else { panic!("{:?}", plan.sinks[0].kind) };
    assert_eq!(delta.partition_by, ["date"]);
    assert_eq!(plan.sources[0].kafka.connection.bootstrap_servers, "127.0.0.1:9092");
    assert!(plan.storage.is_empty());
}

#[test]
fn the_medallion_writes_three_tables() {
    let plan = plan("medallion.yaml", None);
    let sinks: Vec<_> = plan.sinks.iter().map(|s| (s.name.as_str(), plan.name_of(s.input))).collect();
    assert_eq!(sinks, [("bronze", "raw"), ("silver", "cleaned"), ("gold", "formatted")]);
    assert_eq!(columns(&plan.sinks[0]), ["rideId", "userId", "city", "distanceKm", "price", "ts", "date"]);
}

#[test]
fn a_temperature_counts_in_five_windows() {
    let plan = plan("temperatures.yaml", None);
    let StepOp::Aggregate(averages) = &plan.steps[0].op else { panic!("{:?}", plan.steps[0]) };
    let Window::Aligned(windows) = averages.window else { panic!("{:?}", averages.window) };
    assert_eq!(windows.windows_of(0).count(), 5);
    assert_eq!(columns(&plan.sinks[0])[..3], ["window_start", "window_end", "device"]);
}

#[test]
fn a_visit_ends_half_an_hour_after_its_last_view() {
    let plan = plan("sessions.yaml", None);
    assert!(matches!(&plan.steps[0].op, StepOp::Aggregate(a) if a.window == Window::Session { gap_us: 1_800_000_000 }));
    assert_eq!(columns(&plan.sinks[0]), ["window_start", "window_end", "userId", "views"]);
}

#[test]
fn a_query_is_an_aggregate_between_two_maps() {
    let plan = plan("revenue-sql.yaml", None);
    let steps: Vec<_> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(steps, ["revenue-rows-1", "revenue-1", "revenue"]);
    assert_eq!(columns(&plan.sinks[0]), ["window_start", "window_end", "city", "revenue", "rides"]);
    assert_eq!(plan.name_of(plan.sinks[1].input), "revenue-1");
}

#[test]
fn two_topics_are_two_jobs_whose_rows_meet_nowhere() {
    let plan = plan("two-topics.yaml", None);
    let stages = stages::cut(&plan);
    let edges = vec![Edge { step: 0, input: 0 }];
    let rides = LaneStage { edges: edges.clone(), ..LaneStage::default() };
    let refunds = LaneStage { steps: vec![1], sinks: vec![1], rejected_sinks: vec![2], ..LaneStage::default() };
    assert_eq!((&stages.lanes, &stages.lane_edges), (&vec![rides, refunds], &edges));
    assert_eq!((&stages.keyed_steps, &stages.keyed_sinks), (&vec![], &vec![0]));
    let parts: Vec<_> = (0..2).map(|source| [0, 1].map(|step| stages.are_of_one_part(source, step))).collect();
    assert_eq!(parts, [[true, false], [false, true]]);
}

#[test]
fn views_of_two_topics_meet_in_the_lanes_of_both() {
    let plan = plan("web-and-mobile.yaml", None);
    let stages = stages::cut(&plan);
    let edges = vec![Edge { step: 3, input: 0 }];
    let lane = |own: usize, rejected: usize| LaneStage {
        steps: vec![own, 2],
        edges: edges.clone(),
        sinks: vec![1],
        rejected_sinks: vec![rejected],
    };
    assert_eq!((&stages.lanes, &stages.lane_edges), (&vec![lane(0, 2), lane(1, 3)], &edges));
    assert_eq!((&stages.keyed_edges, &stages.keyed_sinks), (&vec![], &vec![0]));
    assert_eq!(stages.met, [BTreeSet::from([1]), BTreeSet::from([0])]);
    assert_eq!(columns(&plan.sinks[0]), ["window_start", "window_end", "page", "views", "in_app", "with_user"]);
}

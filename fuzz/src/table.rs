//! Delta tables that others write to as well: their logs and their data files.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Map, json};
use weir_base::failure::{Failure, Remedy, Result};
use weir_base::memory::Memory;
use weir_base::random::Random;
use weir_base::retry::RetryPolicy;
use weir_base::storage::{Secrets, Standing};
use weir_plan::Plan;
use weir_plan::ids::Epoch;
use weir_plan::plan::Maintenance;
use weir_sink::decided::Decided;
use weir_sink::delta::payload;
use weir_sink::reading_back::{Expected, Versions};
use weir_sink::upkeep::{Surroundings, Writer};
use weir_sink::{Environment, Means, Sink};
use weir_testing::lake::Lake;

/// Nothing is away here, so nothing is tried twice.
const ONCE: RetryPolicy = RetryPolicy { first: Duration::ZERO, max: Duration::ZERO, give_up_after: Duration::ZERO };
const NOW_MS: i64 = 1_800_000_000_000;
/// The most rows in memory while a table is compacted.
const COMPACTION_BYTES: u64 = 16 << 20;
/// Begins a line that ends one file of the log. The rest of the line names the next file; without a name it is the next
/// commit.
const SEPARATOR: &[u8] = b"\n---";
const NAME_BYTES_MAX: usize = 80;

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| match weir_crds::load(include_str!("pipeline.yaml"), None) {
    Ok(plan) => Arc::new(plan),
    Err(refused) => panic!("{refused:?}"),
});

/// A table with any log is opened, read back, compacted, vacuumed and written to, or each is refused with a sentence.
/// After a commit the table can be opened, and has the epoch.
pub fn delta_log(input: &[u8]) {
    let mut lake = Lake::new(&["city"]);
    lake.delta().maintenance = Maintenance {
        checkpoint_every: 1,
        compact_every: Some(Duration::from_secs(1)),
        vacuum_after: Some(Duration::from_secs(86_400 * 7)),
    };
    let log = lake.path("_delta_log");
    written(std::fs::create_dir_all(&log));
    let mut version = 0;
    for (name, content) in sections(input) {
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                version += 1;
                format!("{:020}.json", version - 1)
            }
        };
        written(std::fs::write(log.join(name), content));
    }
    super::finished(async {
        check(read_back(&lake).await, input);
        let Some(Some(mut sink)) = check(open(&lake).await, input) else { return };
        let of = decided();
        if let Some(memory) = sink.memory() {
            let _ = (memory.held().len(), memory.has_seen("token"));
            check(memory.held_now().await, input);
        }
        maintain(sink.as_ref(), input).await;
        let payload = payload::append(Vec::new());
        if check(sink.ready(&of, &payload).await, input).is_none() {
            return;
        }
        if check(sink.commit(&of, &payload).await, input).is_none() {
            return;
        }
        sink.between_epochs();
        match open(&lake).await {
            Ok(Some(again)) => {
                let memory = again.memory();
                let held = memory.iter().flat_map(|memory| memory.held());
                assert!(
                    held.into_iter().any(|held| held.lineage == of.lineage && held.epoch == of.epoch),
                    "it is gone"
                );
            }
            Ok(None) => panic!("the table is gone after a commit"),
            Err(refused) => panic!("after a commit: {refused}"),
        }
    });
}

/// A table whose data files have any content is read back and compacted, or each is refused with a sentence.
pub fn data_file(input: &[u8]) {
    let mut lake = Lake::new(&[]);
    lake.delta().maintenance.compact_every = Some(Duration::from_secs(1));
    super::finished(async {
        let opener = match weir_sink::opener(&lake.sink, &environment()) {
            Ok(opener) => opener,
            Err(refused) => panic!("{refused}"),
        };
        let sink = match opener.create().await {
            Ok(sink) => sink,
            Err(refused) => panic!("{refused}"),
        };
        for name in ["a.parquet", "b.parquet"] {
            written(std::fs::write(lake.path(name), input));
            let add = json!({"path": name, "partitionValues": {}, "size": input.len(), "modificationTime": 1, "dataChange": true});
            lake.foreign(&[json!({"add": add})]);
        }
        check(read_back(&lake).await, input);
        maintain(sink.as_ref(), input).await;
        check(read_back(&lake).await, input);
    });
}

async fn open(lake: &Lake) -> Result<Option<Box<dyn Sink>>> {
    weir_sink::opener(&lake.sink, &environment())?.open().await
}

/// The rows that the table's versions brought.
async fn read_back(lake: &Lake) -> Result<usize> {
    let expected = Expected { rows: "rides", schema: Arc::clone(&lake.sink.schema) };
    let mut reader = weir_sink::read_back(&lake.sink, &expected, Versions::default(), &environment()).await?;
    let mut rows = 0;
    while let Some((_, batch)) = reader.next().await? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

/// One turn of each of the table's duties.
async fn maintain(sink: &dyn Sink, input: &[u8]) {
    let memory = match Memory::new(None) {
        Ok(memory) => Arc::new(memory),
        Err(refused) => panic!("{refused}"),
    };
    let surroundings = Surroundings {
        now_ms: Arc::new(|| NOW_MS),
        steady_ms: Arc::new(|| NOW_MS),
        retry: ONCE,
        random: Random::from_seed([7; 32]),
        memory,
        writer: Writer { lineage: "lineage".to_owned(), generation: 1 },
        label: "lineage-1".to_owned(),
        tell: Arc::new(|_, _| {}),
    };
    for mut duty in sink.duties(&surroundings) {
        check(duty.turn(COMPACTION_BYTES).await, input);
    }
}

fn environment() -> Environment {
    let means = Means { retry: ONCE, now_ms: Arc::new(|| NOW_MS), random: Random::from_seed([7; 32]) };
    Environment { plan: Arc::clone(&PLAN), secrets: Secrets::default(), means, standing: Standing::default() }
}

fn decided() -> Decided {
    Decided {
        pipeline: PLAN.pipeline.clone(),
        lineage: "lineage".to_owned(),
        sink: "silver".to_owned(),
        epoch: Epoch(7),
        mark: 107,
        token: Some("token".to_owned()),
        provenance: Map::new(),
    }
}

#[track_caller]
fn check<T>(result: Result<T>, input: &[u8]) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(refused) => {
            check_failure(&refused, input);
            None
        }
    }
}

#[track_caller]
fn check_failure(refused: &Failure, input: &[u8]) {
    assert_ne!(refused.remedy, Remedy::Bug, "{refused}");
    super::check_message(&refused.message, input);
}

#[track_caller]
fn written(done: std::io::Result<()>) {
    assert!(done.is_ok(), "{done:?}");
}

/// The files of the log: a name, or none for the next commit, and the content.
fn sections(input: &[u8]) -> Vec<(Option<&str>, &[u8])> {
    let mut sections = Vec::new();
    let (mut name, mut rest) = (None, input);
    loop {
        let end = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        sections.push((name, &rest[..end.unwrap_or(rest.len())]));
        let Some(end) = end else { return sections };
        let line = &rest[end + SEPARATOR.len()..];
        let line_end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
        name = std::str::from_utf8(&line[..line_end]).ok().map(str::trim).filter(|name| is_file_name(name));
        rest = &line[(line_end + 1).min(line.len())..];
    }
}

/// Whether a file of the log may have this name. It has no slash and does not begin with a dot, so it stays in the
/// table's folder.
fn is_file_name(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('.') && name.bytes().all(is_usual)
}

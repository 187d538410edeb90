//! Goes through the manifests epoch by epoch and computes what each epoch must have emitted.

mod offsets;
mod records;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::acknowledged;
use super::expr::Row;
use super::manifest::{Manifest, Partition, Place, Totals};
use super::pipeline::{Ended, Pipeline};
use super::value::Value;
use super::window::Window;
use crate::topic::{Contents, Stored};

pub use records::{Destroyed, Records};

/// What follows from the manifests and the records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The table's rows, in no order.
    pub rows: Vec<Json>,
    /// Differences between a manifest and what the oracle derived: must be empty.
    pub contradictions: Vec<String>,
    pub data_epochs: u64,
    pub read: u64,
    /// Records without a value that were skipped.
    pub tombstones: u64,
    pub dropped: u64,
    /// Dead letters: coordinates, time, key and value. The oracle does not predict the reason's wording.
    pub rejected: Vec<Json>,
    /// Rows of the table of late rows, if there is one.
    pub late_rows: Vec<Json>,
    /// Rows that a step could not compute, by step, if they are kept. The oracle does not predict the reason's wording.
    pub bad_rows: BTreeMap<String, Vec<Json>>,
    pub late: u64,
    /// Offsets that manifests declare as lost.
    pub lost: u64,
    /// Offsets that were destroyed before they were read.
    pub unreadable: u64,
    /// Dead letters for ranges that were destroyed.
    pub rejected_ranges: Vec<Json>,
    pub filtered: u64,
    /// The number of groups in all windows that are still open after the last epoch.
    pub groups_open: u64,
    pub watermark_us: Option<i64>,
}

/// Rows of one group in one window, by the window's bounds and the group's key as text.
type Open = BTreeMap<((i64, i64), String), Vec<(i64, Row)>>;

/// Derives the outcome of a pipeline that reads one topic. The manifests must begin with the lineage's first one.
#[must_use]
pub fn replay(pipeline: &Pipeline, records: &Contents, manifests: &[Manifest]) -> Outcome {
    replay_topics(pipeline, Records::OfOne(records), manifests)
}

/// The same for several topics.
#[must_use]
pub fn replay_topics(pipeline: &Pipeline, records: Records<'_>, manifests: &[Manifest]) -> Outcome {
    replay_damaged(pipeline, records, &Destroyed::new(), manifests)
}

/// The same for a log that was damaged. `records` includes the destroyed records; the oracle derives from the ranges
/// which of them the pipeline cannot have read.
#[must_use]
pub fn replay_damaged(
    pipeline: &Pipeline,
    records: Records<'_>,
    destroyed: &Destroyed,
    manifests: &[Manifest],
) -> Outcome {
    let mut state = State { pipeline, records, destroyed, held: Held::default(), out: Outcome::default() };
    for pair in manifests.windows(2) {
        if !pair[1].is_claim {
            state.expect(pair[1].epoch, "lineage", &pair[0].lineage, &pair[1].lineage);
        }
        if pair[1].epoch <= pair[0].epoch || pair[1].generation < pair[0].generation {
            state.out.contradictions.push(format!("epoch {}: numbers or generations go back", pair[1].epoch));
        }
    }
    // What was held after each epoch to which a state action returns.
    let gone_back_to: BTreeSet<u64> = manifests.iter().filter_map(|m| m.restored).collect();
    let mut after = BTreeMap::new();
    let mut lineage = manifests.first().map(|m| m.lineage.as_str());
    for manifest in manifests {
        if lineage.replace(&manifest.lineage) != Some(manifest.lineage.as_str()) {
            state.begin_lineage(manifest, &after);
        }
        state.check_positions(manifest);
        if !manifest.is_claim {
            state.epoch(manifest);
        }
        if gone_back_to.contains(&manifest.epoch) {
            after.insert(manifest.epoch, state.held.clone());
        }
    }
    let State { held, mut out, .. } = state;
    out.contradictions.extend(acknowledged::contradictions(manifests));
    out.groups_open = held.open.len() as u64;
    out.watermark_us = held.watermark_us;
    out
}

/// The outcome if one epoch had read the whole topic. As long as nothing can be late, the table's rows do not depend on
/// how the input is cut into epochs, so a test with such records (disorder within the delay) needs no manifests. The
/// contradictions mean nothing here.
#[must_use]
pub fn replay_uncut(pipeline: &Pipeline, records: &Contents) -> Outcome {
    let ranges = records.iter().map(|(&partition, all)| {
        let end = all.keys().next_back().map_or(0, |last| last + 1);
        Partition {
            topic: String::new(),
            partition,
            start: 0,
            end,
            lost: Vec::new(),
            unreadable: Vec::new(),
            watermark_us: None,
            idle: false,
        }
    });
    let manifest = Manifest { partitions: ranges.collect(), ..Manifest::empty(1) };
    Outcome { contradictions: Vec::new(), ..replay(pipeline, records, &[manifest]) }
}

/// The counts of the windows that an epoch closes.
#[derive(Default)]
struct Emitted {
    /// Groups whose row could be computed.
    closed: u64,
    /// Rows for the table.
    written: u64,
    /// Rows that could not be computed, by step.
    bad: BTreeMap<String, u64>,
}

/// What one epoch passes on to the next.
#[derive(Debug, Clone, Default)]
struct Held {
    open: Open,
    /// The watermark of each partition.
    partitions: BTreeMap<Place, Option<i64>>,
    /// The offset at which the next epoch continues, per partition.
    positions: BTreeMap<Place, i64>,
    watermark_us: Option<i64>,
}

struct State<'a> {
    pipeline: &'a Pipeline,
    records: Records<'a>,
    destroyed: &'a Destroyed,
    held: Held,
    out: Outcome,
}

impl State<'_> {
    /// Applies a state action: returns to what was held after an epoch, or continues without open windows from the
    /// claim's offsets.
    fn begin_lineage(&mut self, claim: &Manifest, after: &BTreeMap<u64, Held>) {
        self.expect(claim.epoch, "a lineage begins with a claim", &true, &claim.is_claim);
        self.held = match claim.restored {
            Some(epoch) => after.get(&epoch).cloned().unwrap_or_default(),
            None => Held {
                open: Open::new(),
                partitions: claim.partitions.iter().map(|p| (p.place(), p.watermark_us)).collect(),
                positions: claim.partitions.iter().map(|p| (p.place(), p.end)).collect(),
                watermark_us: claim.watermark_after_us,
            },
        };
        let watermark = self.held.watermark_us;
        self.expect(claim.epoch, "watermark", &watermark, &claim.watermark_after_us);
    }

    fn epoch(&mut self, m: &Manifest) {
        self.out.data_epochs += 1;
        let before = self.held.watermark_us;
        self.expect(m.epoch, "watermark before", &before, &m.watermark_before_us);

        let (mut read, mut tombstones, mut bad, mut rows) = (0, 0, Vec::new(), Vec::new());
        let ranges_before = self.out.rejected_ranges.len();
        for p in &m.partitions {
            let destroyed = self.destroyed_of(p);
            self.check_unreadable(m.epoch, p, &destroyed);
            let mut watermark = self.held.partitions.get(&p.place()).copied().flatten();
            let is_gone =
                |offset: i64| p.lost.iter().chain(&destroyed).any(|(from, to)| (*from..*to).contains(&offset));
            for offset in (p.start..p.end).filter(|offset| !is_gone(*offset)) {
                // An offset without a record: transactions and compaction leave these.
                let Some(record) = self.records.get(&p.topic, p.partition, offset) else { continue };
                read += 1;
                if record.value.is_none() && self.pipeline.skips_tombstones {
                    tombstones += 1;
                    continue;
                }
                let decoded = self.pipeline.decode(record, m.clock_us);
                match decoded.filter(|(time, row)| self.pipeline.takes(*time, row, before)) {
                    Some((time, row)) => {
                        watermark = watermark.max(Some(time - self.pipeline.delay_us));
                        rows.push((time, row));
                    }
                    None => bad.push(dead_letter(p.partition, offset, record)),
                }
            }
            self.held.partitions.insert(p.place(), watermark);
            self.expect(m.epoch, &format!("watermark of partition {}", p.partition), &watermark, &p.watermark_us);
        }
        let (rejected, dropped) =
            if self.pipeline.bad_records.are_kept() { (bad, 0) } else { (Vec::new(), bad.len() as u64) };
        self.expect(m.epoch, "records read", &read, &m.read);
        self.expect(m.epoch, "tombstones", &tombstones, &m.tombstones);
        self.expect(m.epoch, "records dropped", &dropped, &m.dropped);
        self.expect(m.epoch, "records rejected", &(rejected.len() as u64), &m.rejected);
        self.expect(m.epoch, "records decoded", &(rows.len() as u64), &m.decoded);

        let (decoded, late_before) = (rows.len() as u64, self.out.late_rows.len());
        let (rows_in, late) = self.assign(rows, before);
        self.expect(m.epoch, "rows filtered", &(decoded - rows_in), &m.filtered);
        self.expect(m.epoch, "rows into the windows", &rows_in, &m.rows_in);
        self.expect(m.epoch, "late rows", &late, &m.rows_late);

        let after = match m.held_by.as_deref() {
            None => before.max(source_watermark(m, &self.held.partitions)).max(self.moved(m, read)),
            Some("Discovery") => before,
            Some(other) => panic!("epoch {}: what is `{other}`?", m.epoch),
        };
        self.held.watermark_us = after;
        self.expect(m.epoch, "watermark after", &after, &m.watermark_after_us);

        let Emitted { closed, written, bad } = self.emit(after);
        self.expect(m.epoch, "rows out of the windows", &closed, &m.rows_out);
        self.expect(m.epoch, "rows that could not be computed", &bad, &m.rows_bad);
        let bad_kept = if self.keeps_bad_rows() { bad.values().sum() } else { 0 };
        let of_ranges = self.out.rejected_ranges.len() - ranges_before;
        let beside = (rejected.len() + of_ranges + self.out.late_rows.len() - late_before) as u64 + bad_kept;
        self.expect(m.epoch, "rows to commit", &(written + beside), &m.committed_rows);
        // Sessions are counted as entries of their table, below.
        if !matches!(self.pipeline.window, Window::Session { .. }) {
            let windows: BTreeSet<(i64, i64)> = self.held.open.keys().map(|(window, _)| *window).collect();
            self.expect(m.epoch, "open windows", &(windows.len() as u64), &m.open_windows);
        }
        // Where windows overlap, the engine keeps each row once, in parts that only it knows.
        let kept =
            |saved: &(u64, _)| if self.pipeline.window.overlap() { saved.0 } else { self.held.open.len() as u64 };
        let inputs_us = vec![(before, after); m.inputs_us.len()];
        let tables: Vec<_> = m.tables_of_steps.iter().map(|saved| (kept(saved), after)).collect();
        self.expect(m.epoch, "the watermarks of the step", &inputs_us, &m.inputs_us);
        self.expect(m.epoch, "what the step keeps, and below which time it is over", &tables, &m.tables_of_steps);
        self.out.read += read;
        self.out.tombstones += tombstones;
        self.out.dropped += dropped;
        self.out.rejected.extend(rejected);
        self.out.late += late;
        let Outcome { data_epochs: epochs, read, tombstones, dropped, filtered, late, lost, unreadable, .. } = self.out;
        let totals = Totals {
            epochs,
            read,
            tombstones,
            dropped,
            rejected: self.out.rejected.len() as u64,
            filtered,
            late,
            lost,
            unreadable,
        };
        self.expect(m.epoch, "sums over all epochs", &totals, &m.totals);
    }

    /// Where the watermark moved to beyond what the records say: the end of an open window.
    fn moved(&mut self, m: &Manifest, read: u64) -> Option<i64> {
        let limit = match (m.moved_by.as_deref()?, self.pipeline.close_idle_windows_after_us) {
            ("EndOfRun", _) => i64::MAX,
            ("Clock", Some(after_us)) => {
                let all_idle = m.partitions.iter().all(|p| p.idle);
                self.expect(m.epoch, "quiet where the clock closes windows", &(0, true), &(read, all_idle));
                m.clock_us - after_us
            }
            (other, _) => panic!("epoch {}: the document does not ask for `{other}`", m.epoch),
        };
        let ends = self.held.open.keys().map(|((_, end), _)| self.pipeline.window.leaves_at(*end));
        ends.filter(|end| *end <= limit).max()
    }

    /// Puts rows that are not filtered out into their windows. Returns how many rows came to the windows, and how many
    /// of these were late for all of theirs.
    fn assign(&mut self, rows: Vec<(i64, Row)>, watermark_at_start: Option<i64>) -> (u64, u64) {
        let (mut rows_in, mut late) = (0, 0);
        for (time, row) in rows {
            let Some(row) = self.pipeline.before_windows(&row).expect("a row that was taken in") else {
                self.out.filtered += 1;
                continue;
            };
            rows_in += 1;
            let windows = self.pipeline.window.of(time);
            let is_over =
                |window: &&(i64, i64)| watermark_at_start.is_some_and(|w| self.pipeline.window.is_over(**window, w));
            let (missed, open): (Vec<&(i64, i64)>, Vec<_>) = windows.iter().partition(is_over);
            if let Some(watermark) = watermark_at_start.filter(|_| self.pipeline.keeps_late) {
                let late = missed.iter().map(|window| late_row(row.clone(), time, **window, watermark));
                self.out.late_rows.extend(late);
            }
            if open.is_empty() {
                late += 1;
                continue;
            }
            let key = self.pipeline.group_by.iter().map(|key| key.value(&row)).collect::<Result<Vec<_>, _>>();
            let key = key.expect("a row that was taken in");
            for window in open {
                self.held.open.entry((*window, format!("{key:?}"))).or_default().push((time, row.clone()));
            }
        }
        if let Window::Session { gap_us } = self.pipeline.window {
            self.held.open = sessions(std::mem::take(&mut self.held.open), gap_us);
        }
        (rows_in, late)
    }

    fn keeps_bad_rows(&self) -> bool {
        self.pipeline.keeps_bad_rows && self.pipeline.bad_records.are_kept()
    }

    /// Closes the windows that the watermark has passed.
    fn emit(&mut self, watermark_us: Option<i64>) -> Emitted {
        let mut emitted = Emitted::default();
        let Some(watermark) = watermark_us else { return emitted };
        let (closed, open): (Open, Open) = std::mem::take(&mut self.held.open)
            .into_iter()
            .partition(|((window, _), _)| self.pipeline.window.is_over(*window, watermark));
        self.held.open = open;
        let kept = self.keeps_bad_rows();
        for ((window, _), rows) in &closed {
            emitted.closed += 1;
            let rows: Vec<Row> = rows.iter().map(|(_, row)| row.clone()).collect();
            let (step, row) = match self.pipeline.output(*window, &rows) {
                Ended::Written(row) => {
                    emitted.written += 1;
                    self.out.rows.push(to_json(&row));
                    continue;
                }
                Ended::Filtered => continue,
                Ended::BadWindow(group) => {
                    emitted.closed -= 1;
                    ("windows", group)
                }
                Ended::BadAfter(row) => ("after", row),
            };
            *emitted.bad.entry(step.to_owned()).or_default() += 1;
            if kept {
                let mut row = to_json(&row);
                row["step"] = step.into();
                self.out.bad_rows.entry(step.to_owned()).or_default().push(row);
            }
        }
        emitted
    }

    fn expect<T: PartialEq + std::fmt::Debug>(&mut self, epoch: u64, what: &str, derived: &T, manifest: &T) {
        if derived != manifest {
            self.out
                .contradictions
                .push(format!("epoch {epoch}: {what}: derived {derived:?}, the manifest says {manifest:?}"));
        }
    }
}

/// Divides all rows of each group anew into sessions.
fn sessions(open: Open, gap_us: i64) -> Open {
    let mut groups: BTreeMap<String, Vec<(i64, Row)>> = BTreeMap::new();
    for ((_, key), rows) in open {
        groups.entry(key).or_default().extend(rows);
    }
    let mut sessions = Open::new();
    for (key, mut rows) in groups {
        rows.sort_by_key(|(time, _)| *time);
        for session in rows.chunk_by(|(a, _), (b, _)| b - a <= gap_us) {
            let window = (session[0].0, session[session.len() - 1].0 + gap_us);
            sessions.insert((window, key.clone()), session.to_vec());
        }
    }
    sessions
}

pub(super) fn to_json(row: &Row) -> Json {
    Json::Object(row.iter().map(|(name, v)| (name.clone(), v.to_json())).collect())
}

pub(super) fn dead_letter(partition: i32, offset: i64, record: &Stored) -> Json {
    let hex = |bytes: &Vec<u8>| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    json!({
        "partition": partition, "offset": offset, "key": record.key.as_ref().map(hex), "value": record.value.as_ref().map(hex),
        "timestamp": record.timestamp_ms.map(|ms| Value::Time(ms * 1000).to_json()),
    })
}

pub(super) fn late_row(mut row: Row, time: i64, (start, end): (i64, i64), watermark: i64) -> Json {
    for (name, us) in [("event_time", time), ("window_start", start), ("window_end", end), ("watermark", watermark)] {
        row.insert(name.to_owned(), Value::Time(us));
    }
    row.insert("late_by_ms".to_owned(), Value::Int((watermark - end) / 1000));
    to_json(&row)
}

/// The least watermark of the partitions that are not idle; a partition without a watermark holds it. If all are idle,
/// the greatest.
fn source_watermark(m: &Manifest, watermarks: &BTreeMap<Place, Option<i64>>) -> Option<i64> {
    let of = |idle: bool| m.partitions.iter().filter(move |p| p.idle == idle).map(|p| watermarks[&p.place()]);
    if of(false).next().is_some() { of(false).min().flatten() } else { of(true).max().flatten() }
}

#[cfg(test)]
mod tests;

//! Deduplicate lets a row pass unless a row of its key has passed that is at most `within` away in event time, in
//! either direction.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Around, Kept, Turn, late_row};
use crate::oracle::document::duration;
use crate::oracle::graph::tuple::Tuple;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduplicate {
    pub from: String,
    pub key: Vec<String>,
    pub within_us: i64,
    pub order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As rows come.
    Arrival,
    /// By event time, once the watermark has passed the row.
    EventTime,
}

impl Deduplicate {
    pub(super) fn turn(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around, columns: &[String]) -> Turn {
        let mut turn = Turn::default();
        let mut in_time = Vec::new();
        for tuple in came {
            if around.is_late(tuple.at()) {
                turn.rows_late += 1;
                turn.late.extend(around.before.map(|watermark| late_row(&tuple, watermark, 0)));
            } else {
                in_time.push(tuple);
            }
        }
        match self.order {
            Order::Arrival => self.arrive(kept, in_time, &mut turn),
            Order::EventTime => self.release(kept, in_time, around, columns, &mut turn),
        }
        turn
    }

    /// Keeps all rows that have passed.
    fn arrive(&self, kept: &mut Kept, came: Vec<Tuple>, turn: &mut Turn) {
        let mut passed = self.by_key(std::mem::take(&mut kept.rows));
        for tuple in came {
            let passed = passed.entry(tuple.key(&self.key)).or_default();
            if self.is_duplicate(&tuple, passed) {
                turn.duplicates += 1;
            } else {
                passed.push(tuple.clone());
                turn.rows.push(tuple.keyed());
            }
        }
        kept.rows = passed.into_values().flatten().collect();
    }

    /// Keeps all rows, and goes through those of each key from the first one on. Rows that the watermark had passed
    /// before have left already.
    fn release(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around, columns: &[String], turn: &mut Turn) {
        kept.rows.extend(came);
        for mut rows in self.by_key(kept.rows.clone()).into_values() {
            rows.sort_by(|a, b| a.order(b, columns));
            let mut passed = Vec::new();
            for tuple in rows {
                let time = tuple.at();
                if around.waits(time) {
                    turn.waiting += 1;
                    continue;
                }
                let leaves = around.releases(time);
                turn.leaves_at.extend(leaves.then_some(time + 1));
                if self.is_duplicate(&tuple, &passed) {
                    turn.duplicates += u64::from(leaves);
                    continue;
                }
                passed.push(tuple.clone());
                turn.rows.extend(leaves.then(|| tuple.keyed()));
            }
        }
    }

    fn is_duplicate(&self, tuple: &Tuple, passed: &[Tuple]) -> bool {
        passed.iter().any(|other| other.at().abs_diff(tuple.at()) <= self.within_us.unsigned_abs())
    }

    fn by_key(&self, rows: Vec<Tuple>) -> BTreeMap<String, Vec<Tuple>> {
        let mut keys: BTreeMap<String, Vec<Tuple>> = BTreeMap::new();
        for tuple in rows {
            keys.entry(tuple.key(&self.key)).or_default().push(tuple);
        }
        keys
    }

    pub(super) fn document(&self) -> Json {
        let mut deduplicate = json!({"from": self.from, "key": self.key, "within": duration(self.within_us)});
        if self.order == Order::EventTime {
            deduplicate["order"] = json!("EventTime");
        }
        json!({"deduplicate": deduplicate})
    }
}

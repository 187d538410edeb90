//! Over gives each row with aggregates over the row and rows of its key before it, once the watermark has passed it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Around, Kept, Turn, late_row};
use crate::oracle::aggregate::Aggregate;
use crate::oracle::document::{aggregates, duration};
use crate::oracle::expr::Row;
use crate::oracle::graph::tuple::Tuple;

#[derive(Debug, Clone, PartialEq)]
pub struct Over {
    pub from: String,
    pub key: Vec<String>,
    pub frame: Frame,
    pub add_columns: Vec<(String, Aggregate)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The rows that are at most this much older, and those of the same time.
    Range { preceding_us: i64 },
    /// This many rows before the row, of those that are at most this much older, and the row itself.
    Rows { preceding: usize, expire_after_us: i64 },
}

impl Over {
    pub(super) fn columns(&self, mut input: Vec<String>) -> Vec<String> {
        for (name, _) in &self.add_columns {
            if !input.contains(name) {
                input.push(name.clone());
            }
        }
        input
    }

    pub(super) fn evaluates(&self, tuple: &Tuple) -> bool {
        let scope = tuple.scope();
        self.add_columns.iter().all(|(_, aggregate)| aggregate.evaluates(&scope))
    }

    /// Keeps all rows. Those that the watermark had passed before have left already.
    pub(super) fn turn(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around, columns: &[String]) -> Turn {
        let mut turn = Turn::default();
        for tuple in came {
            if around.is_late(tuple.at()) {
                turn.rows_late += 1;
                turn.late.extend(around.before.map(|watermark| late_row(&tuple, watermark, 0)));
            } else if self.evaluates(&tuple) {
                kept.rows.push(tuple);
            } else {
                turn.refuse();
            }
        }
        let mut keys: BTreeMap<String, Vec<&Tuple>> = BTreeMap::new();
        for tuple in &kept.rows {
            keys.entry(tuple.key(&self.key)).or_default().push(tuple);
        }
        for mut rows in keys.into_values() {
            rows.sort_by(|a, b| a.order(b, columns));
            for (i, tuple) in rows.iter().enumerate() {
                if around.waits(tuple.at()) {
                    turn.waiting += 1;
                } else if around.releases(tuple.at()) {
                    turn.leaves_at.push(tuple.at() + 1);
                    match self.with_columns(tuple, &self.frame_of(i, &rows)) {
                        Some(row) => turn.rows.push(row),
                        None => turn.bad += 1,
                    }
                }
            }
        }
        turn
    }

    /// The rows over which the columns of the `i`th of a key's rows are computed.
    fn frame_of(&self, i: usize, rows: &[&Tuple]) -> Vec<Row> {
        let time = rows[i].at();
        let frame: Vec<&Tuple> = match self.frame {
            Frame::Range { preceding_us } => {
                let within = |tuple: &&Tuple| (time - preceding_us..=time).contains(&tuple.at());
                rows.iter().copied().filter(within).collect()
            }
            Frame::Rows { preceding, expire_after_us } => {
                let counted = |tuple: &&Tuple| tuple.at() >= time - expire_after_us;
                rows[i.saturating_sub(preceding)..=i].iter().copied().filter(counted).collect()
            }
        };
        frame.into_iter().map(Tuple::scope).collect()
    }

    fn with_columns(&self, tuple: &Tuple, frame: &[Row]) -> Option<Tuple> {
        let mut out = tuple.clone().keyed();
        for (name, aggregate) in &self.add_columns {
            out.row.insert(name.clone(), aggregate.of(frame).ok()?);
        }
        Some(out)
    }

    pub(super) fn document(&self) -> Json {
        let mut over = json!({"from": self.from, "key": self.key, "addColumns": aggregates(&self.add_columns)});
        match self.frame {
            Frame::Range { preceding_us } => over["range"] = json!({"preceding": duration(preceding_us)}),
            Frame::Rows { preceding, expire_after_us } => {
                over["rows"] = json!({"preceding": preceding});
                over["expireAfter"] = json!(duration(expire_after_us));
            }
        }
        json!({"over": over})
    }
}

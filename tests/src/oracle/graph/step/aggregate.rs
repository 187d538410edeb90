//! Aggregates: over windows, over the windows that rows carry already, and without windows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{Around, Kept, Turn};
use crate::oracle::aggregate::Aggregate;
use crate::oracle::document::{aggregates, duration, group_by};
use crate::oracle::expr::{NoValue, Row};
use crate::oracle::graph::tuple::Tuple;
use crate::oracle::pipeline::Key;
use crate::oracle::replay;
use crate::oracle::value::Value;
use crate::oracle::window::Window;

#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    pub from: String,
    pub span: Span,
    pub group_by: Vec<Key>,
    pub columns: Vec<(String, Aggregate)>,
}

/// Which rows of a group are aggregated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Window(Window),
    OfInput,
    /// All of them.
    Running {
        expire_after_us: Option<i64>,
    },
}

/// The rows of one group, by the window and the group's key as text.
type Groups = BTreeMap<((i64, i64), String), Vec<Tuple>>;

impl Aggregation {
    pub(super) fn columns(&self) -> Vec<String> {
        let bounds = match self.span {
            Span::Running { .. } => &[][..],
            _ => &["window_start", "window_end"],
        };
        let names = self.group_by.iter().map(|key| &key.name).chain(self.columns.iter().map(|(name, _)| name));
        bounds.iter().map(|name| (*name).to_owned()).chain(names.cloned()).collect()
    }

    /// What is older than this is finished, once the watermark is there.
    #[must_use]
    pub fn horizon_us(&self, watermark: Option<i64>) -> Option<i64> {
        match self.span {
            Span::Running { expire_after_us } => Some(watermark? - expire_after_us?),
            Span::Window(_) | Span::OfInput => watermark,
        }
    }

    pub(super) fn hold_back_us(&self) -> Option<i64> {
        match self.span {
            Span::Window(Window::Session { .. }) => Some(1),
            Span::Running { .. } => None,
            _ => Some(0),
        }
    }

    pub(super) fn takes(&self, tuple: &Tuple, around: Around) -> bool {
        let late = match self.span {
            Span::Running { expire_after_us } => is_expired(tuple.time, expire_after_us, around),
            _ => self.windows(tuple).iter().all(|window| self.is_over(*window, around.before)),
        };
        late || self.evaluates(tuple)
    }

    fn evaluates(&self, tuple: &Tuple) -> bool {
        let scope = tuple.scope();
        self.columns.iter().all(|(_, aggregate)| aggregate.evaluates(&scope))
            && self.group_by.iter().all(|key| key.value(&scope).is_ok())
    }

    /// The windows that a row lies in.
    fn windows(&self, tuple: &Tuple) -> Vec<(i64, i64)> {
        match self.span {
            Span::Window(window) => window.of(tuple.at()),
            Span::OfInput => vec![tuple.bounds()],
            Span::Running { .. } => vec![(i64::MIN, i64::MAX)],
        }
    }

    fn is_over(&self, window: (i64, i64), watermark: Option<i64>) -> bool {
        watermark.is_some_and(|watermark| self.leaves_at(window) <= watermark)
    }

    fn leaves_at(&self, (_, end): (i64, i64)) -> i64 {
        match self.span {
            Span::Window(window) => window.leaves_at(end),
            _ => end,
        }
    }

    pub(super) fn turn(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around) -> Turn {
        match self.span {
            Span::Running { expire_after_us } => self.run(kept, came, around, expire_after_us),
            _ => self.close(kept, came, around),
        }
    }

    fn close(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around) -> Turn {
        let mut turn = Turn::default();
        for tuple in came {
            let windows = self.windows(&tuple);
            let (missed, open): (Vec<_>, Vec<_>) =
                windows.into_iter().partition(|window| self.is_over(*window, around.before));
            for window in missed {
                let watermark = around.before.expect("it has closed the window");
                turn.late.push(replay::late_row(tuple.row.clone(), tuple.at(), window, watermark));
            }
            if open.is_empty() {
                turn.rows_late += 1;
            } else if self.evaluates(&tuple) {
                kept.rows.extend(open.into_iter().map(|window| Tuple { window: Some(window), ..tuple.clone() }));
            } else {
                turn.refuse();
            }
        }
        if let Span::Window(Window::Session { gap_us }) = self.span {
            kept.rows = self.sessions(std::mem::take(&mut kept.rows), gap_us);
        }
        let (closed, open): (Vec<Tuple>, Vec<Tuple>) =
            std::mem::take(&mut kept.rows).into_iter().partition(|tuple| self.is_over(tuple.bounds(), around.after));
        kept.rows = open;
        for ((window, _), rows) in self.groups(&closed) {
            turn.leaves_at.push(self.leaves_at(window));
            match self.output(window, &rows) {
                Ok(row) => turn.rows.push(row),
                Err(NoValue) => turn.bad += 1,
            }
        }
        let waiting = self.groups(&kept.rows);
        turn.waiting = waiting.len() as u64;
        match self.span {
            Span::Window(window) if window.overlap() => {}
            _ => turn.groups = Some(turn.waiting),
        }
        if !matches!(self.span, Span::Window(Window::Session { .. })) {
            turn.open_windows = Some(waiting.keys().map(|(window, _)| *window).collect::<BTreeSet<_>>().len() as u64);
        }
        turn
    }

    fn key(&self, tuple: &Tuple) -> Vec<Value> {
        let scope = tuple.scope();
        self.group_by.iter().map(|key| key.value(&scope).expect("a row that was taken in")).collect()
    }

    fn groups(&self, rows: &[Tuple]) -> Groups {
        let mut groups = Groups::new();
        for tuple in rows {
            groups.entry((tuple.bounds(), format!("{:?}", self.key(tuple)))).or_default().push(tuple.clone());
        }
        groups
    }

    /// Divides all rows of each group anew into sessions.
    fn sessions(&self, rows: Vec<Tuple>, gap_us: i64) -> Vec<Tuple> {
        let mut groups: BTreeMap<String, Vec<Tuple>> = BTreeMap::new();
        for tuple in rows {
            groups.entry(format!("{:?}", self.key(&tuple))).or_default().push(tuple);
        }
        let mut divided = Vec::new();
        for mut rows in groups.into_values() {
            rows.sort_by_key(Tuple::at);
            for session in rows.chunk_by(|a, b| b.at() - a.at() <= gap_us) {
                let window = (session[0].at(), session[session.len() - 1].at() + gap_us);
                divided.extend(session.iter().map(|tuple| Tuple { window: Some(window), ..tuple.clone() }));
            }
        }
        divided
    }

    fn output(&self, window: (i64, i64), rows: &[Tuple]) -> Result<Tuple, NoValue> {
        let mut row = self.aggregated(rows)?;
        row.insert("window_start".into(), Value::Time(window.0));
        row.insert("window_end".into(), Value::Time(window.1));
        Ok(Tuple { time: Some(window.1 - 1), row, origin: None, window: Some(window) })
    }

    fn aggregated(&self, rows: &[Tuple]) -> Result<Row, NoValue> {
        let names = self.group_by.iter().map(|key| key.name.clone());
        let mut row: Row = names.zip(self.key(&rows[0])).collect();
        let rows: Vec<Row> = rows.iter().map(Tuple::scope).collect();
        for (name, aggregate) in &self.columns {
            row.insert(name.clone(), aggregate.of(&rows)?);
        }
        Ok(row)
    }

    /// Without a window, the groups that got rows give their new rows.
    fn run(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around, expire_after_us: Option<i64>) -> Turn {
        let mut turn = Turn::default();
        let mut groups: BTreeMap<String, Vec<Tuple>> = BTreeMap::new();
        for tuple in std::mem::take(&mut kept.rows) {
            groups.entry(format!("{:?}", self.key(&tuple))).or_default().push(tuple);
        }
        groups.retain(|_, rows| !is_expired(newest(rows), expire_after_us, around));
        let mut changed = BTreeSet::new();
        for tuple in came {
            if is_expired(tuple.time, expire_after_us, around) {
                let allowed_us = expire_after_us.unwrap_or_default();
                turn.late.extend(around.before.map(|watermark| super::late_row(&tuple, watermark, allowed_us)));
                turn.rows_late += 1;
            } else if self.evaluates(&tuple) {
                let key = format!("{:?}", self.key(&tuple));
                changed.insert(key.clone());
                groups.entry(key).or_default().push(tuple);
            } else {
                turn.refuse();
            }
        }
        for key in changed {
            let rows = &groups[&key];
            match self.aggregated(rows) {
                Ok(row) => {
                    let tuple = Tuple { time: newest(rows), row, origin: None, window: None };
                    kept.shown.insert(key, tuple.clone());
                    turn.rows.push(tuple);
                }
                Err(NoValue) => turn.bad += 1,
            }
        }
        turn.groups = Some(groups.len() as u64);
        kept.rows = groups.into_values().flatten().collect();
        turn
    }

    pub(super) fn document(&self) -> Json {
        let mut aggregate = json!({
            "from": self.from, "groupBy": group_by(&self.group_by), "columns": aggregates(&self.columns),
        });
        match self.span {
            Span::Window(window) => aggregate["window"] = window.document(),
            Span::OfInput => aggregate["window"] = json!({"ofInput": {}}),
            Span::Running { expire_after_us: Some(us) } => aggregate["expireAfter"] = json!(duration(us)),
            Span::Running { expire_after_us: None } => {}
        }
        json!({"aggregate": aggregate})
    }
}

/// Whether a time is further behind the watermark before the epoch than a group without rows is remembered.
fn is_expired(time: Option<i64>, expire_after_us: Option<i64>, around: Around) -> bool {
    match (expire_after_us, around.before) {
        (Some(expire_after), Some(watermark)) => time.expect("a row with an event time") < watermark - expire_after,
        _ => false,
    }
}

fn newest(rows: &[Tuple]) -> Option<i64> {
    rows.iter().filter_map(|tuple| tuple.time).max()
}

//! Session windows: row state under (key, window end), whose keys move when sessions grow and merge. Rows become small sessions where they come from.
use std::collections::BTreeMap;

use crate::operator::*;
use crate::state::*;

#[derive(Clone, Copy)]
pub struct Session {
    pub gap: Time,
    pub key: usize,
    pub val: usize,
}

impl KeyedStep for Session {
    fn hold_backs(&self) -> Vec<Time> {
        vec![1]
    }
    fn tables(&self) -> Vec<TableSpec> {
        vec![TableSpec { name: "sessions", kind: Kind::Rows, hashed: 1, horizon: vec![(0, 0)] }]
    }
    fn sender(&self, _: usize) -> Box<dyn Sender> {
        Box::new(Small { step: *self, rows: BTreeMap::new() })
    }
    fn operator(&self) -> Box<dyn KeyedOperator> {
        Box::new(Sessions { gap: self.gap, table: RowTable::new(1), horizon: None })
    }
    fn leaving_of(&self, _: usize, time: Time) -> Option<Leaving> {
        Some(Leaving { at: time + self.gap + 1, newest: time + self.gap - 1 })
    }
}

/// What lanes make of rows: (last, count, sum) by key and start.
struct Small {
    step: Session,
    rows: BTreeMap<Value, Vec<(Time, Value)>>,
}

impl Sender for Small {
    fn take_in(&mut self, rows: &[Row], before: &[Watermark]) -> Vec<Row> {
        let is_late = |row: &Row| before[0].is_some_and(|w| row.time + self.step.gap < w);
        let (late, on_time): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(is_late);
        for row in on_time {
            self.rows.entry(row.cols[self.step.key]).or_default().push((row.time, row.cols[self.step.val]));
        }
        late
    }
    fn drain(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (key, mut rows) in std::mem::take(&mut self.rows) {
            rows.sort_unstable();
            for session in rows.chunk_by(|a, b| b.0 - a.0 <= self.step.gap) {
                let (start, last) = (session[0].0, session[session.len() - 1].0);
                let value = vec![Some(start), Some(session.len() as i64), sum(session.iter().map(|(_, v)| *v))];
                entries.push(Entry { group: key_group(&[key]), time: Some(last + self.step.gap), key: vec![key], value: Some(value) });
            }
        }
        entries
    }
}

fn sum(values: impl Iterator<Item = Value>) -> Value {
    values.flatten().reduce(|a, b| a + b)
}

struct Sessions {
    gap: Time,
    table: RowTable,
    /// While it closes.
    horizon: Watermark,
}

impl KeyedOperator for Sessions {
    fn take_in(&mut self, _: usize, entries: Vec<Entry>) {
        self.horizon = None;
        for Entry { time, key, value, .. } in entries {
            let (mut end, mut value) = (time.expect("a session ends"), value.expect("a session"));
            // Sessions of a key are more than a gap apart, so an end between start and end + gap, or a later one that begins by then.
            let start = value[0].expect("a start");
            let near: Vec<_> = self
                .table
                .range(&key, start, Time::MAX)
                .take_while(|(_, _, v)| v[0].expect("a start") <= end)
                .map(|(t, _, v)| (t, v.clone()))
                .collect();
            for (other_end, other) in near {
                self.table.put(key.clone(), other_end, vec![], None);
                end = end.max(other_end);
                value = vec![
                    value[0].min(other[0]),
                    Some(value[1].unwrap_or(0) + other[1].unwrap_or(0)),
                    sum([value[2], other[2]].into_iter()),
                ];
            }
            self.table.put(key, end, vec![], Some(value));
        }
    }
    fn close(&mut self, marks: &Marks) {
        self.horizon = marks.after[0];
    }
    fn next(&mut self) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS
            && let Some((end, key, _, value)) = self.table.pop_below(self.horizon)
        {
            rows.push(Row { time: end - 1, origin: (0, 0), cols: vec![value[0], Some(end), key[0], value[1], value[2]] });
        }
        (!rows.is_empty()).then_some(rows)
    }
    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.table]
    }
    fn leaves_by(&self, _before: &[Watermark], limit: Time) -> Option<Leaving> {
        let _ = self.gap;
        self.table.back_from(limit.saturating_sub(1)).next().map(|(end, _)| Leaving { at: end + 1, newest: end - 1 })
    }
}

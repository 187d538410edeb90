//! Running aggregates in Update mode: merge state without a time. An epoch gives the whole value of each group that it changed; nothing is late.
use std::collections::VecDeque;

use crate::operator::*;
use crate::state::*;

#[derive(Clone, Copy)]
pub struct Running {
    pub key: usize,
    pub val: usize,
}

/// Newest time, count, sum.
fn combine(have: &mut Vec<Value>, more: &[Value]) {
    have[0] = have[0].max(more[0]);
    for i in 1..3 {
        have[i] = match (have[i], more[i]) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
    }
}

impl KeyedStep for Running {
    fn hold_backs(&self) -> Vec<Time> {
        // Its rows may be of any time: only maps are behind it.
        vec![Time::MAX]
    }
    fn tables(&self) -> Vec<TableSpec> {
        vec![TableSpec { name: "groups", kind: Kind::Merge(combine), hashed: 1, horizon: vec![] }]
    }
    fn sender(&self, _: usize) -> Box<dyn Sender> {
        Box::new(Partials { step: *self, ready: Vec::new() })
    }
    fn operator(&self) -> Box<dyn KeyedOperator> {
        Box::new(Groups { table: MergeTable::new(combine), changed: VecDeque::new() })
    }
    fn leaving_of(&self, _: usize, _: Time) -> Option<Leaving> {
        None
    }
}

struct Partials {
    step: Running,
    ready: Vec<Entry>,
}

impl Sender for Partials {
    fn take_in(&mut self, rows: &[Row], _: &[Watermark]) -> Vec<Row> {
        for row in rows {
            let key = vec![row.cols[self.step.key]];
            let value = vec![Some(row.time), Some(1), row.cols[self.step.val]];
            self.ready.push(Entry { group: key_group(&key), time: None, key, value: Some(value) });
        }
        vec![]
    }
    fn drain(&mut self) -> Vec<Entry> {
        merged(std::mem::take(&mut self.ready), &Kind::Merge(combine), true)
    }
}

struct Groups {
    table: MergeTable,
    changed: VecDeque<(Key, Vec<Value>)>,
}

impl KeyedOperator for Groups {
    fn take_in(&mut self, _: usize, entries: Vec<Entry>) {
        self.table.take_in(entries);
    }
    fn close(&mut self, _: &Marks) {
        self.table.settle(None);
        self.changed = self.table.changed().into();
    }
    fn next(&mut self) -> Option<Vec<Row>> {
        let changed: Vec<_> = self.changed.drain(..BATCH_ROWS.min(self.changed.len())).collect();
        let row =
            |(key, value): (Key, Vec<Value>)| Row { time: value[0].unwrap_or(0), origin: (0, 0), cols: vec![key[0], value[1], value[2]] };
        (!changed.is_empty()).then(|| changed.into_iter().map(row).collect())
    }
    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.table]
    }
    fn leaves_by(&self, _: &[Watermark], _: Time) -> Option<Leaving> {
        None
    }
}

//! Tumbling and sliding aggregates: merge state under (window end - 1, key), pre-aggregated where rows come from.
use std::collections::BTreeMap;

use crate::operator::*;
use crate::state::*;

#[derive(Clone, Copy)]
pub struct Tumbling {
    pub size: Time,
    pub slide: Time,
    pub key: usize,
    pub val: usize,
}

fn combine(have: &mut Vec<Value>, more: &[Value]) {
    for (have, more) in have.iter_mut().zip(more) {
        *have = match (*have, *more) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
    }
}

impl Tumbling {
    /// Of the windows that a time is in, latest first.
    fn ends(&self, time: Time) -> impl Iterator<Item = Time> {
        let (last, size, slide) = (time - time.rem_euclid(self.slide), self.size, self.slide);
        (0..).map(move |n| last - n * slide + size).take_while(move |end| *end > time)
    }
    fn end(&self, time: Time) -> Time {
        time - time.rem_euclid(self.slide) + self.size
    }
}

impl KeyedStep for Tumbling {
    fn hold_backs(&self) -> Vec<Time> {
        vec![0]
    }
    fn tables(&self) -> Vec<TableSpec> {
        vec![TableSpec { name: "windows", kind: Kind::Merge(combine), hashed: 1, horizon: vec![(0, 0)] }]
    }
    fn sender(&self, _: usize) -> Box<dyn Sender> {
        Box::new(Partials { step: *self, partials: BTreeMap::new() })
    }
    fn operator(&self) -> Box<dyn KeyedOperator> {
        Box::new(Windows { size: self.size, table: MergeTable::new(combine), horizon: None, is_closing: false })
    }
    fn leaving_of(&self, _: usize, time: Time) -> Option<Leaving> {
        Some(Leaving { at: self.end(time), newest: self.end(time) - 1 })
    }
}

struct Partials {
    step: Tumbling,
    partials: BTreeMap<(Time, Value), Vec<Value>>,
}

impl Sender for Partials {
    fn take_in(&mut self, rows: &[Row], before: &[Watermark]) -> Vec<Row> {
        let mut late = Vec::new();
        for row in rows {
            for end in self.step.ends(row.time) {
                if before[0].is_some_and(|w| end <= w) {
                    late.push(row.clone());
                    continue;
                }
                let have = self.partials.entry((end - 1, row.cols[self.step.key])).or_insert_with(|| vec![Some(0), None]);
                combine(have, &[Some(1), row.cols[self.step.val]]);
            }
        }
        late
    }
    fn drain(&mut self) -> Vec<Entry> {
        let entries = std::mem::take(&mut self.partials).into_iter();
        entries
            .map(|((time, key), value)| Entry { group: key_group(&[key]), time: Some(time), key: vec![key], value: Some(value) })
            .collect()
    }
}

struct Windows {
    size: Time,
    table: MergeTable,
    horizon: Watermark,
    is_closing: bool,
}

impl KeyedOperator for Windows {
    fn take_in(&mut self, _: usize, entries: Vec<Entry>) {
        self.is_closing = false;
        self.table.take_in(entries);
    }
    fn close(&mut self, marks: &Marks) {
        (self.horizon, self.is_closing) = (marks.after[0], true);
        self.table.settle(self.horizon);
    }
    fn next(&mut self) -> Option<Vec<Row>> {
        if !self.is_closing {
            return None;
        }
        let values = self.table.take_below(self.horizon, BATCH_ROWS)?;
        let row = |(time, key, value): (Time, Key, Vec<Value>)| Row {
            time,
            origin: (0, 0),
            cols: vec![Some(time + 1 - self.size), Some(time + 1), key[0], value[0], value[1]],
        };
        Some(values.into_iter().map(row).collect())
    }
    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.table]
    }
    fn leaves_by(&self, _before: &[Watermark], limit: Time) -> Option<Leaving> {
        self.table.times().take_while(|time| *time < limit).last().map(|time| Leaving { at: time + 1, newest: time })
    }
}

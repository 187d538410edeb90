//! Moving aggregates: each row leaves once, with the sum over its key's rows of the time before it. One table holds rows that wait and rows that
//! left: the watermark tells them apart.
use crate::operator::*;
use crate::state::*;

#[derive(Clone, Copy)]
pub struct Over {
    pub preceding: Time,
    pub key: usize,
    pub val: usize,
}

impl KeyedStep for Over {
    fn hold_backs(&self) -> Vec<Time> {
        vec![0]
    }
    fn tables(&self) -> Vec<TableSpec> {
        vec![TableSpec { name: "rows", kind: Kind::Rows, hashed: 1, horizon: vec![(0, self.preceding)] }]
    }
    fn sender(&self, _: usize) -> Box<dyn Sender> {
        Box::new(RowSender { key: self.key, input: 0, drop_null_keys: false, ready: Vec::new() })
    }
    fn operator(&self) -> Box<dyn KeyedOperator> {
        Box::new(Moving { step: *self, table: RowTable::new(1), at: (None, vec![], vec![]), horizon: None })
    }
    fn leaving_of(&self, _: usize, time: Time) -> Option<Leaving> {
        Some(Leaving { at: time + 1, newest: time })
    }
}

struct Moving {
    step: Over,
    table: RowTable,
    /// While it closes: the last row that left, and how far it goes.
    at: (Option<Time>, Key, Key),
    horizon: Watermark,
}

impl KeyedOperator for Moving {
    fn take_in(&mut self, _: usize, entries: Vec<Entry>) {
        self.horizon = None;
        for Entry { time, key, value, .. } in entries {
            self.table.add(key, time.expect("a row has a time"), value.expect("a row"));
        }
    }
    fn close(&mut self, marks: &Marks) {
        (self.at, self.horizon) = ((marks.before[0], vec![], vec![]), marks.after[0]);
    }
    fn next(&mut self) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS
            && let Some((at, value)) = self.table.next_below(&self.at, self.horizon)
        {
            let time = at.0.unwrap_or(0);
            let values = self.table.range(&at.1, time - self.step.preceding, time).map(|(_, _, v)| v[2 + self.step.val]);
            let sum = values.flatten().reduce(|a, b| a + b);
            let mut row = row_of(time, value);
            row.cols.push(sum);
            rows.push(row);
            self.at = at;
        }
        (!rows.is_empty()).then_some(rows)
    }
    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.table]
    }
    fn leaves_by(&self, before: &[Watermark], limit: Time) -> Option<Leaving> {
        let last = self.table.back_from(limit.saturating_sub(1)).next().map(|(time, _)| time);
        last.filter(|time| before[0].is_none_or(|w| *time >= w)).map(|time| Leaving { at: time + 1, newest: time })
    }
}

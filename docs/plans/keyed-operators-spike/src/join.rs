//! Interval join: the rows of both inputs, by key and time. Pairs leave as rows come; unmatched left rows when the right watermark has passed them.
use std::collections::VecDeque;

use crate::operator::*;
use crate::state::*;

#[derive(Clone, Copy)]
pub struct Join {
    pub before: Time,
    pub after: Time,
    pub is_left: bool,
}

impl KeyedStep for Join {
    fn hold_backs(&self) -> Vec<Time> {
        if self.is_left { vec![0, self.after] } else { vec![0, 0] }
    }
    fn tables(&self) -> Vec<TableSpec> {
        let rows = |name, horizon| TableSpec { name, kind: Kind::Rows, hashed: 1, horizon: vec![horizon] };
        vec![rows("left", (1, self.after)), rows("right", (0, self.before))]
    }
    fn sender(&self, input: usize) -> Box<dyn Sender> {
        Box::new(RowSender { key: 0, input, drop_null_keys: input == 1 || !self.is_left, ready: Vec::new() })
    }
    fn operator(&self) -> Box<dyn KeyedOperator> {
        Box::new(Rows { step: *self, tables: [RowTable::new(1), RowTable::new(1)], pairs: VecDeque::new(), horizon: None })
    }
    fn leaving_of(&self, input: usize, time: Time) -> Option<Leaving> {
        (self.is_left && input == 0).then_some(Leaving { at: time + self.after + 1, newest: time })
    }
}

struct Rows {
    step: Join,
    /// A value of the left one begins with whether the row has matched.
    tables: [RowTable; 2],
    pairs: VecDeque<Row>,
    /// While it closes: below it, unmatched left rows leave.
    horizon: Watermark,
}

/// Columns of a source's rows, as both inputs have them here.
const COLS: usize = 2;

impl KeyedOperator for Rows {
    fn take_in(&mut self, input: usize, entries: Vec<Entry>) {
        self.horizon = None;
        for Entry { time, key, value, .. } in entries {
            let (time, value) = (time.expect("a row has a time"), value.expect("a row"));
            let (from, to) = match input {
                0 => (time - self.step.before, time + self.step.after),
                _ => (time - self.step.after, time + self.step.before),
            };
            let can_match = key[0].is_some();
            let found: Vec<_> = self.tables[1 - input]
                .range(&key, from, to)
                .filter(|_| can_match)
                .map(|(t, rest, v)| (t, rest.clone(), v.clone()))
                .collect();
            let has_matched = Some(i64::from(!found.is_empty()));
            for (other_time, rest, other) in found {
                let (left, right) = if input == 0 { (&value[2..], &other[3..]) } else { (&other[3..], &value[2..]) };
                self.pairs.push_back(Row { time: time.max(other_time), origin: (0, 0), cols: left.iter().chain(right).copied().collect() });
                if self.step.is_left && input == 1 && other[0] == Some(0) {
                    let matched = std::iter::once(Some(1)).chain(other[1..].iter().copied()).collect();
                    self.tables[0].put(key.clone(), other_time, rest, Some(matched));
                }
            }
            self.tables[input].add(key, time, std::iter::once(has_matched).chain(value).collect());
        }
    }
    fn close(&mut self, marks: &Marks) {
        self.horizon = marks.after[1].map(|w| w - self.step.after);
    }
    fn next(&mut self) -> Option<Vec<Row>> {
        let mut rows: Vec<Row> = self.pairs.drain(..BATCH_ROWS.min(self.pairs.len())).collect();
        while rows.len() < BATCH_ROWS
            && let Some((time, _, _, value)) = self.tables[0].pop_below(self.horizon)
        {
            if self.step.is_left && value[0] == Some(0) {
                rows.push(Row { time, origin: (0, 0), cols: value[3..].iter().copied().chain([None; COLS]).collect() });
            }
        }
        (!rows.is_empty()).then_some(rows)
    }
    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        self.tables.iter_mut().map(|t| t as &mut dyn StateTable).collect()
    }
    fn leaves_by(&self, _before: &[Watermark], limit: Time) -> Option<Leaving> {
        if !self.step.is_left {
            return None;
        }
        let unmatched = |(_, value): &(Time, &Vec<Value>)| value[0] == Some(0);
        let upto = limit.saturating_sub(self.step.after + 1);
        self.tables[0].back_from(upto).find(unmatched).map(|(time, _)| Leaving { at: time + self.step.after + 1, newest: time })
    }
}

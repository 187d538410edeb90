//! Deduplication: the times that passed, by key; in event-time order also the rows that wait for the watermark.
use crate::operator::*;
use crate::state::*;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Arrival,
    EventTime,
}

#[derive(Clone, Copy)]
pub struct Dedup {
    pub within: Time,
    pub order: Order,
    pub key: usize,
}

impl KeyedStep for Dedup {
    fn hold_backs(&self) -> Vec<Time> {
        vec![0]
    }
    fn tables(&self) -> Vec<TableSpec> {
        let passed = TableSpec { name: "passed", kind: Kind::Rows, hashed: 1, horizon: vec![(0, self.within)] };
        let waiting = TableSpec { name: "waiting", kind: Kind::Rows, hashed: 1, horizon: vec![(0, 0)] };
        match self.order {
            Order::Arrival => vec![passed],
            Order::EventTime => vec![passed, waiting],
        }
    }
    fn sender(&self, _: usize) -> Box<dyn Sender> {
        Box::new(RowSender { key: self.key, input: 0, drop_null_keys: false, ready: Vec::new() })
    }
    fn operator(&self) -> Box<dyn KeyedOperator> {
        Box::new(Passing { step: *self, passed: RowTable::new(1), waiting: RowTable::new(1), arrived: Vec::new(), horizon: None })
    }
    fn leaving_of(&self, _: usize, time: Time) -> Option<Leaving> {
        (self.order == Order::EventTime).then_some(Leaving { at: time + 1, newest: time })
    }
}

struct Passing {
    step: Dedup,
    passed: RowTable,
    waiting: RowTable,
    /// In Arrival order, of this epoch: they are judged in the order of their origins, latest first here.
    arrived: Vec<(Key, Row)>,
    /// While it closes.
    horizon: Option<Watermark>,
}

impl Passing {
    fn judge(&mut self, key: Key, row: Row) -> Option<Row> {
        let within = self.step.within;
        if self.passed.range(&key, row.time - within, row.time + within).next().is_some() {
            return None;
        }
        self.passed.put(key, row.time, vec![], Some(vec![]));
        Some(row)
    }

    /// The next row in order.
    fn next_row(&mut self, horizon: Watermark) -> Option<(Key, Row)> {
        if self.step.order == Order::EventTime && self.arrived.is_empty() {
            // All of one time and key at once: they are ordered by what they are.
            while let Some((time, key, _, value)) = self.waiting.pop_below(horizon) {
                self.arrived.push((key.clone(), row_of(time, &value)));
                if self.waiting.range(&key, time, time).next().is_none() {
                    break;
                }
            }
            self.arrived.sort_by(|(_, a), (_, b)| b.cmp(a));
        }
        self.arrived.pop()
    }
}

impl KeyedOperator for Passing {
    fn take_in(&mut self, _: usize, entries: Vec<Entry>) {
        for Entry { time, key, value, .. } in entries {
            let (time, value) = (time.expect("a row has a time"), value.expect("a row"));
            match self.step.order {
                Order::Arrival => self.arrived.push((key, row_of(time, &value))),
                Order::EventTime => drop(self.waiting.add(key, time, value)),
            }
        }
    }
    fn close(&mut self, marks: &Marks) {
        self.horizon = Some(marks.after[0]);
        self.arrived.sort_by(|(_, a), (_, b)| b.origin.cmp(&a.origin));
    }
    fn next(&mut self) -> Option<Vec<Row>> {
        let horizon = self.horizon?;
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS {
            let Some((key, row)) = self.next_row(horizon) else { break };
            rows.extend(self.judge(key, row));
        }
        if rows.is_empty() {
            self.horizon = None;
            return None;
        }
        Some(rows)
    }
    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        match self.step.order {
            Order::Arrival => vec![&mut self.passed],
            Order::EventTime => vec![&mut self.passed, &mut self.waiting],
        }
    }
    fn leaves_by(&self, _before: &[Watermark], limit: Time) -> Option<Leaving> {
        self.waiting.back_from(limit.saturating_sub(1)).next().map(|(time, _)| Leaving { at: time + 1, newest: time })
    }
}

//! A process with a timer, in event-time order: `seen` counts a key's rows; each row moves the timer `over` to its time + `pause`; the third row and
//! later ones give an alert; the timer gives the count and clears it. Three tables: rows that wait, variables without a time, timers.
use crate::operator::*;
use crate::state::*;

#[derive(Clone, Copy)]
pub struct Process {
    pub pause: Time,
    pub key: usize,
}

impl KeyedStep for Process {
    fn hold_backs(&self) -> Vec<Time> {
        vec![0]
    }
    fn tables(&self) -> Vec<TableSpec> {
        let table = |name, horizon| TableSpec { name, kind: Kind::Rows, hashed: 1, horizon };
        vec![table("waiting", vec![(0, 0)]), table("variables", vec![]), table("timers", vec![(0, 0)])]
    }
    fn sender(&self, _: usize) -> Box<dyn Sender> {
        Box::new(RowSender { key: self.key, input: 0, drop_null_keys: false, ready: Vec::new() })
    }
    fn operator(&self) -> Box<dyn KeyedOperator> {
        Box::new(Rules { step: *self, waiting: RowTable::new(1), variables: RowTable::new(1), timers: RowTable::new(1), horizon: None })
    }
    fn leaving_of(&self, _: usize, time: Time) -> Option<Leaving> {
        Some(Leaving { at: time + self.pause + 1, newest: time + self.pause })
    }
}

struct Rules {
    step: Process,
    waiting: RowTable,
    variables: RowTable,
    timers: RowTable,
    /// While it closes.
    horizon: Watermark,
}

impl Rules {
    fn emit(time: Time, key: &Key, seen: i64) -> Row {
        Row { time, origin: (0, 0), cols: vec![key[0], Some(seen)] }
    }

    fn step(&mut self) -> Option<Option<Row>> {
        let (row, timer) = (self.waiting.first_below(self.horizon), self.timers.first_below(self.horizon));
        if row.is_some_and(|row| timer.is_none_or(|timer| row <= timer)) {
            let (time, key, ..) = self.waiting.pop_below(self.horizon)?;
            let seen = self.variables.get(&key).and_then(|v| v[0]).unwrap_or(0) + 1;
            self.variables.put(key.clone(), None, vec![], Some(vec![Some(seen)]));
            let set = self.timers.range(&key, Time::MIN, Time::MAX).next().map(|(at, ..)| at);
            if let Some(at) = set {
                self.timers.put(key.clone(), at, vec![Some(0)], None);
            }
            self.timers.put(key.clone(), time + self.step.pause, vec![Some(0)], Some(vec![]));
            return Some((seen >= 3).then(|| Self::emit(time, &key, seen)));
        }
        let (time, key, ..) = self.timers.pop_below(self.horizon)?;
        let seen = self.variables.get(&key).and_then(|v| v[0]).unwrap_or(0);
        self.variables.put(key.clone(), None, vec![], None);
        Some(Some(Self::emit(time, &key, -seen)))
    }
}

impl KeyedOperator for Rules {
    fn take_in(&mut self, _: usize, entries: Vec<Entry>) {
        self.horizon = None;
        for Entry { time, key, value, .. } in entries {
            self.waiting.add(key, time.expect("a row has a time"), value.expect("a row"));
        }
    }
    fn close(&mut self, marks: &Marks) {
        self.horizon = marks.after[0];
    }
    fn next(&mut self) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS
            && let Some(given) = self.step()
        {
            rows.extend(given);
        }
        (!rows.is_empty()).then_some(rows)
    }
    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.waiting, &mut self.variables, &mut self.timers]
    }
    fn leaves_by(&self, _before: &[Watermark], limit: Time) -> Option<Leaving> {
        let last =
            |table: &RowTable| table.back_from(limit.saturating_sub(1)).next().map(|(time, _)| Leaving { at: time + 1, newest: time });
        last(&self.waiting).max(last(&self.timers))
    }
}

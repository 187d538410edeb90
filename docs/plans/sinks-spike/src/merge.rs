//! A Delta table in Update mode, as far as exactly once goes: copy-on-write over a log of versions, each created if it is absent. The payload's file has the last
//! row of each key; the commit finds the files that hold these keys as the table is then, rewrites them, and computes anew what a conflict has made wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::sink::*;
use crate::world::World;

/// The store of a table.
#[derive(Default)]
pub struct Table {
    log: Mutex<Vec<Version>>,
    files: Mutex<BTreeMap<u64, BTreeMap<u32, i64>>>,
}

#[derive(Debug, Clone, Default)]
pub struct Version {
    pub adds: BTreeSet<u64>,
    pub removes: BTreeSet<u64>,
    pub txn: Option<(Epoch, u32)>,
}

impl Table {
    fn head(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Whether the version was created.
    fn create(&self, number: usize, version: Version) -> bool {
        let mut log = self.log.lock().unwrap();
        let is_next = log.len() == number;
        if is_next {
            log.push(version);
        }
        is_next
    }

    fn write(&self, rows: BTreeMap<u32, i64>) -> u64 {
        let mut files = self.files.lock().unwrap();
        let number = files.len() as u64;
        files.insert(number, rows);
        number
    }

    /// The live files, and the newest transaction, up to a version.
    fn state(&self, head: usize) -> (BTreeSet<u64>, Option<Held>) {
        let (mut live, mut held) = (BTreeSet::new(), None);
        for version in &self.log.lock().unwrap()[..head] {
            for removed in &version.removes {
                assert!(live.remove(removed), "a file is removed that is not there");
            }
            live.extend(&version.adds);
            if let Some((epoch, mark)) = version.txn {
                assert!(held.is_none_or(|held: Held| held.epoch < epoch), "epoch {epoch} is merged twice, or too late");
                held = Some(Held { epoch, mark });
            }
        }
        (live, held)
    }

    pub fn rows(&self) -> BTreeMap<u32, i64> {
        let files = self.files.lock().unwrap();
        let mut rows = BTreeMap::new();
        for file in self.state(self.head()).0 {
            for (key, value) in &files[&file] {
                assert_eq!(rows.insert(*key, *value), None, "key {key} is there twice");
            }
        }
        rows
    }

    /// As another process would: two files become one.
    pub fn compact(&self) {
        let head = self.head();
        let removes: BTreeSet<u64> = self.state(head).0.into_iter().take(2).collect();
        let rows = removes.iter().flat_map(|file| self.files.lock().unwrap()[file].clone()).collect();
        let adds = [self.write(rows)].into();
        self.create(head, Version { adds, removes, txn: None });
    }
}

pub struct MergeSink {
    pub world: Arc<World>,
    pub table: Arc<Table>,
}

impl Sink for MergeSink {
    fn pin(&self) -> Pin {
        Pin { kind: "Delta", place: "table".into(), id: "id of the table".into() }
    }

    fn held(&self) -> Result<Option<Held>> {
        Ok(self.table.state(self.table.head()).1)
    }

    /// Nothing: each commit fences by itself.
    fn fence(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_over(&mut self, _now: &TakeOver) -> Result<()> {
        Ok(())
    }

    fn begin(&self, slot: &Slot) -> Box<dyn EpochWriter> {
        let name = format!("output/{:03}-{:05}-merge", slot.generation, slot.epoch);
        Box::new(OutputWriter { world: Arc::clone(&self.world), name, rows: Vec::new() })
    }

    fn seal(&mut self, parts: Vec<Part>) -> Result<Option<Payload>> {
        let rows = parts.iter().map(|part| part.rows).sum();
        let files = parts.into_iter().flat_map(|part| part.files).collect();
        Ok((rows > 0).then_some(Payload { kind: "DeltaUpdate", rows, files }))
    }

    /// Here the merge would be planned: refusals, row groups beyond memory.
    fn ready(&mut self, _of: &Decided, _payload: &Payload) -> Result<()> {
        Ok(())
    }

    fn commit(&mut self, of: &Decided, payload: &Payload) -> Result<Outcome> {
        let mut changes: BTreeMap<u32, Option<i64>> = BTreeMap::new();
        for row in payload.files.iter().flat_map(|file| self.world.output(file)) {
            changes.insert(row.key, row.value);
        }
        loop {
            self.world.step()?;
            let head = self.table.head();
            let (live, held) = self.table.state(head);
            match held {
                Some(held) if held.epoch > of.epoch => return Err(Failure::Fenced { by: held.epoch }),
                Some(held) if held.epoch == of.epoch && held.mark != of.mark => {
                    return Err(Failure::Config(format!("epoch {} is there by another manifest", of.epoch)));
                }
                Some(held) if held.epoch == of.epoch => return Ok(Outcome::AlreadyThere),
                _ => {}
            }
            let (mut version, mut kept) = (Version { txn: Some((of.epoch, of.mark)), ..Version::default() }, Vec::new());
            for file in live {
                let rows = self.table.files.lock().unwrap()[&file].clone();
                if rows.keys().any(|key| changes.contains_key(key)) {
                    version.removes.insert(file);
                    kept.push(rows.into_iter().filter(|(key, _)| !changes.contains_key(key)).collect::<BTreeMap<_, _>>());
                }
            }
            kept.push(changes.iter().filter_map(|(key, value)| Some((*key, (*value)?))).collect());
            version.adds = kept.into_iter().filter(|rows| !rows.is_empty()).map(|rows| self.table.write(rows)).collect();
            self.world.step()?;
            if self.table.create(head, version) {
                self.world.answered("the commit")?;
                return Ok(Outcome::Committed);
            }
        }
    }
}

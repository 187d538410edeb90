//! What outlives a process: the checkpoint's store. And what befalls one: it is killed, sleeps, or loses an answer, at some step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Condvar, Mutex};

use crate::sink::{Epoch, Failure, Payload, Pin, Result, Row};

#[derive(Debug, Clone)]
pub struct Manifest {
    pub epoch: Epoch,
    pub generation: u64,
    pub nonce: u32,
    /// `None`: a claim.
    pub payloads: Option<BTreeMap<String, Payload>>,
    /// Of a claim: the newest data epoch before it.
    pub in_doubt: Option<Epoch>,
    pub pins: BTreeMap<String, Pin>,
    /// Rows taken in before the next epoch.
    pub offset: u64,
    pub parked: BTreeSet<String>,
    /// Per sink the newest epoch that it had when this was decided.
    pub acknowledged: BTreeMap<String, (Epoch, u32)>,
}

impl Manifest {
    pub fn mark(&self) -> u32 {
        self.nonce.wrapping_mul(2_654_435_761).wrapping_add(self.epoch as u32) >> 1
    }
}

#[derive(Default)]
pub struct World {
    manifests: Mutex<BTreeMap<Epoch, Manifest>>,
    outputs: Mutex<BTreeMap<String, Vec<Row>>>,
    fate: Mutex<HashMap<std::thread::ThreadId, Fate>>,
    woken: Condvar,
    asleep: Mutex<BTreeSet<u32>>,
}

/// What befalls the process of a thread after so many steps.
#[derive(Debug, Clone, Copy)]
pub struct Fate {
    pub steps: u32,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Nothing,
    Dies,
    /// Until it is woken, by this number.
    Sleeps(u32),
    /// What was just done was done, and nobody heard.
    AnswerIsLost,
}

impl World {
    pub fn newest(&self) -> Option<Manifest> {
        self.manifests.lock().unwrap().values().next_back().cloned()
    }

    pub fn manifest(&self, epoch: Epoch) -> Manifest {
        self.manifests.lock().unwrap()[&epoch].clone()
    }

    pub fn manifests(&self) -> Vec<Manifest> {
        self.manifests.lock().unwrap().values().cloned().collect()
    }

    /// Whether it was created: not if there is one.
    pub fn create(&self, manifest: Manifest) -> bool {
        let mut all = self.manifests.lock().unwrap();
        let is_new = !all.contains_key(&manifest.epoch);
        if is_new {
            all.insert(manifest.epoch, manifest);
        }
        is_new
    }

    pub fn put_output(&self, name: &str, rows: Vec<Row>) {
        self.outputs.lock().unwrap().insert(name.to_owned(), rows);
    }

    pub fn output(&self, name: &str) -> Vec<Row> {
        self.outputs.lock().unwrap()[name].clone()
    }

    /// What is to befall the process that this thread runs.
    pub fn set_fate(&self, fate: Fate) {
        self.fate.lock().unwrap().insert(std::thread::current().id(), fate);
    }

    /// A place at which something may befall the process. Gives whether the answer to what was just done is lost.
    fn reached(&self) -> Result<bool> {
        let what = {
            let mut fates = self.fate.lock().unwrap();
            let Some(fate) = fates.get_mut(&std::thread::current().id()) else { return Ok(false) };
            if fate.what == What::Nothing {
                return Ok(false);
            }
            fate.steps = fate.steps.saturating_sub(1);
            if fate.steps > 0 {
                return Ok(false);
            }
            std::mem::replace(&mut fate.what, What::Nothing)
        };
        match what {
            What::Nothing => Ok(false),
            What::Dies => Err(Failure::Died),
            What::AnswerIsLost => Ok(true),
            What::Sleeps(number) => {
                let mut asleep = self.asleep.lock().unwrap();
                asleep.insert(number);
                self.woken.notify_all();
                while asleep.contains(&number) {
                    asleep = self.woken.wait(asleep).unwrap();
                }
                Ok(false)
            }
        }
    }

    pub fn step(&self) -> Result<()> {
        self.reached().map(|_| ())
    }

    /// After something that changes the world: its answer may be lost.
    pub fn answered(&self, what: &str) -> Result<()> {
        if self.reached()? { Err(Failure::Retry(format!("no answer to {what}"))) } else { Ok(()) }
    }

    /// Waits until a sleeper sleeps, or its process has ended.
    pub fn is_asleep(&self, number: u32, has_ended: impl Fn() -> bool) -> bool {
        let mut asleep = self.asleep.lock().unwrap();
        loop {
            if asleep.contains(&number) {
                return true;
            }
            if has_ended() {
                return false;
            }
            asleep = self.woken.wait_timeout(asleep, std::time::Duration::from_millis(20)).unwrap().0;
        }
    }

    pub fn wake(&self, number: u32) {
        self.asleep.lock().unwrap().remove(&number);
        self.woken.notify_all();
    }
}

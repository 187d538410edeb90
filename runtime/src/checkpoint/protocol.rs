//! Who may write, and what is decided: the protocol of exactly once, as a pure state machine. It asks ([`Request`]), is told ([`Answer`]),
//! and never waits, reads a clock or draws a number. `driver` does what it asks; `simulation` tries it against every order of events.
//!
//! The store is linearizable and refuses a second create of a name. An answer may be lost, and what was asked may still happen then, at
//! any later time. A process may stop for any length of time between any two steps. What holds nevertheless, and why:
//!
//! **A number is decided once.** A writer only ever creates the number after the newest one that it knows as its own, or as the one it
//! claims upon. Numbers are therefore taken without holes, and whoever creates a free number above all others decides it.
//!
//! **A freed number decides nothing.** Garbage collection frees old numbers, so a writer that slept through two claims may create one of
//! them. The newest manifest is never collected, so the listing above the created number, which follows every create, shows something
//! higher: the writer is fenced before it has touched a sink. The same listing saves one whose answer was lost and who reads its own
//! nonce. Such a leftover lies below everything that counts; it is never the newest and never in doubt, and the next collection takes it.
//!
//! **A leftover is never taken for a data epoch in doubt.** A data epoch is created by the writer that owns the number before it. If
//! somebody else decided that number, it was by a claim, the first thing that every writer does. So where a data epoch was decided, a
//! leftover is a claim, or a second copy of the same manifest that arrived late. A writer that finds a claim in the place of the epoch in
//! doubt was overtaken.
//!
//! **Above the newest number there is no leftover.** A sleeper creates at most the number after the last one it knew, and that number was
//! decided by whoever fenced it. So a manifest that a running writer finds in its place, with another nonce, has a higher generation: a
//! claim, or what followed one. A lower or equal one means that somebody changed the checkpoint by hand, and that is where we stop.
//!
//! **A passed listing cannot go stale in a way that hurts.** A writer may sleep after its listing and commit epoch e when others have long
//! claimed. It commits what was decided, and sinks know the epoch (`txn`): below it is committed, equal is done, above is fenced.
//!
//! **Only one epoch is ever in doubt.** Data epoch e+1 is created when every sink has acknowledged e. A claim carries the newest data
//! epoch as `in_doubt`, through any number of claims, and a claimer commits it before anything else.

use std::sync::Arc;

use weir_plan::ids::{Epoch, Generation};

use super::manifest::Kind;
pub use super::messages::{Answer, Head, Next, Request, Rest, Rule, Stop};

/// How often a store must fail to refuse a second create before it is accused, each time with another object: somebody may have deleted
/// the first.
pub const PROBES_TO_ACCUSE: u32 = 2;
/// How many other claims may get in before ours until we give up: more starting writers than that at once is a mistake, not a race.
pub const LOST_RACES_MAX: u32 = 16;

/// One writer, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    nonce: Arc<str>,
    state: State,
    /// The newest manifest: before the claim, as it was found; after it, our own.
    newest: Option<Head>,
    /// How often in a row something had to be asked again.
    retries: u32,
    lost_races: u32,
    #[cfg(test)]
    broken: Option<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    Probing {
        attempt: u32,
        misses: u32,
        step: ProbeStep,
    },
    ReadingIdentity,
    CreatingIdentity,
    Seeking {
        claiming: bool,
    },
    ReadingNewest {
        epoch: Epoch,
        claiming: bool,
    },
    Resting(Rest),
    Deciding {
        head: Head,
        step: DecisionStep,
    },
    ReadingInDoubt(Epoch),
    /// The manifest in doubt is gone: because somebody took over?
    Rechecking(Epoch),
    Committing(Epoch),
    Stopped(Stop),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ProbeStep {
    First,
    Second,
    Delete { refused: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum DecisionStep {
    Creating,
    /// Reads what lies under the number.
    Learning,
    /// Lists what lies above it.
    Fencing,
}

impl Machine {
    /// `nonce` is random, and drawn anew for every machine.
    #[must_use]
    pub fn new(nonce: Arc<str>) -> Self {
        Self {
            nonce,
            state: State::Probing { attempt: 0, misses: 0, step: ProbeStep::First },
            newest: None,
            retries: 0,
            lost_races: 0,
            #[cfg(test)]
            broken: None,
        }
    }

    /// The newest manifest that this machine knows; its own, once it has claimed.
    #[must_use]
    pub fn newest(&self) -> Option<&Head> {
        self.newest.as_ref()
    }

    /// How often in a row something had to be asked again: the driver waits longer each time, and gives up some day.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    #[must_use]
    pub fn next(&self) -> Next {
        Next::Ask(match &self.state {
            State::Probing { attempt, step: ProbeStep::First, .. } => Request::ProbeFirst(*attempt),
            State::Probing { attempt, step: ProbeStep::Second, .. } => Request::ProbeSecond(*attempt),
            State::Probing { attempt, step: ProbeStep::Delete { .. }, .. } => Request::ProbeDelete(*attempt),
            State::ReadingIdentity => Request::ReadIdentity,
            State::CreatingIdentity => Request::CreateIdentity,
            State::Seeking { .. } => Request::List { above: None },
            State::ReadingNewest { epoch, .. } | State::ReadingInDoubt(epoch) => Request::Read(*epoch),
            State::Deciding { head, step: DecisionStep::Creating } => Request::Create(head.clone()),
            State::Deciding { head, step: DecisionStep::Learning } => Request::Read(head.epoch),
            State::Deciding { head, step: DecisionStep::Fencing } => Request::List { above: Some(head.epoch) },
            State::Rechecking(_) => Request::List { above: self.newest.as_ref().map(|h| h.epoch) },
            State::Committing(epoch) => Request::Commit(*epoch),
            State::Resting(rest) => return Next::Rest(*rest),
            State::Stopped(stop) => return Next::Stopped(*stop),
        })
    }

    /// Starts to claim. Only when `Opened`.
    pub fn claim(&mut self) {
        self.state = match self.state {
            State::Resting(Rest::Opened) => self.claim_upon_newest(),
            _ => State::Stopped(Stop::Misused),
        };
    }

    /// Starts to commit what is in doubt. Only when `Claimed`.
    pub fn recover(&mut self) {
        self.state = match (&self.state, &self.newest) {
            (State::Resting(Rest::Claimed), Some(claim)) => match claim.in_doubt {
                Some(epoch) if self.keeps(Rule::CommitWhatIsInDoubt) => State::ReadingInDoubt(epoch),
                _ => State::Resting(Rest::Ready),
            },
            _ => State::Stopped(Stop::Misused),
        };
    }

    /// Starts to decide the next data epoch. Only when `Ready`.
    pub fn decide(&mut self) {
        self.state = match (&self.state, &self.newest) {
            (State::Resting(Rest::Ready), Some(newest)) => State::Deciding {
                head: Head {
                    epoch: newest.epoch.next(),
                    kind: Kind::Data,
                    generation: newest.generation,
                    nonce: self.nonce.clone(),
                    in_doubt: None,
                },
                step: DecisionStep::Creating,
            },
            _ => State::Stopped(Stop::Misused),
        };
    }

    /// The answer to what [`Self::next`] asks.
    pub fn answer(&mut self, answer: Answer) {
        let state = std::mem::replace(&mut self.state, State::Stopped(Stop::Misused));
        self.state = match state {
            State::Probing { attempt, misses, step } => self.probed(attempt, misses, step, &answer),
            State::ReadingIdentity => match answer {
                Answer::IdentityFound => State::Seeking { claiming: false },
                Answer::NotFound => State::CreatingIdentity,
                Answer::Unknown => self.again(State::ReadingIdentity),
                _ => State::Stopped(Stop::Misused),
            },
            // Whatever became of it, what is there now counts: two new writers may have drawn two lineages.
            State::CreatingIdentity => match answer {
                Answer::Created => State::ReadingIdentity,
                Answer::AlreadyExists | Answer::Unknown => self.again(State::ReadingIdentity),
                _ => State::Stopped(Stop::Misused),
            },
            State::Seeking { claiming } => match answer {
                Answer::Listed(Some(epoch)) => State::ReadingNewest { epoch, claiming },
                Answer::Listed(None) if self.newest.is_none() => self.found_newest(None, claiming),
                Answer::Listed(None) => State::Stopped(self.newest.as_ref().map_or(Stop::Misused, |h| Stop::Lost(h.epoch))),
                Answer::Unknown => self.again(State::Seeking { claiming }),
                _ => State::Stopped(Stop::Misused),
            },
            State::ReadingNewest { epoch, claiming } => match answer {
                Answer::Found(head) if head.epoch == epoch => self.found_newest(Some(head), claiming),
                // It was collected since the listing, so there is a newer one.
                Answer::NotFound => self.again(State::Seeking { claiming }),
                Answer::Unknown => self.again(State::ReadingNewest { epoch, claiming }),
                _ => State::Stopped(Stop::Misused),
            },
            State::Deciding { head, step } => self.deciding(head, step, answer),
            State::ReadingInDoubt(epoch) => match answer {
                Answer::Found(head) if head.epoch == epoch && head.kind == Kind::Data => State::Committing(epoch),
                // Gone, or a claim's leftover in its place.
                Answer::NotFound | Answer::Found(_) => State::Rechecking(epoch),
                Answer::Unknown => self.again(State::ReadingInDoubt(epoch)),
                _ => State::Stopped(Stop::Misused),
            },
            State::Rechecking(epoch) => match (answer, &self.newest) {
                (Answer::Listed(Some(found)), Some(ours)) => State::Stopped(Stop::Fenced { ours: ours.epoch, found }),
                (Answer::Listed(None), _) => State::Stopped(Stop::Lost(epoch)),
                (Answer::Unknown, _) => self.again(State::Rechecking(epoch)),
                _ => State::Stopped(Stop::Misused),
            },
            State::Committing(epoch) => match answer {
                Answer::Acknowledged => self.rest(Rest::Ready),
                Answer::SinkFenced => State::Stopped(Stop::FencedBySink(epoch)),
                Answer::Unknown => self.again(State::Committing(epoch)),
                _ => State::Stopped(Stop::Misused),
            },
            State::Resting(_) => State::Stopped(Stop::Misused),
            State::Stopped(stop) => State::Stopped(stop),
        };
    }

    fn probed(&mut self, attempt: u32, misses: u32, step: ProbeStep, answer: &Answer) -> State {
        let with = |step| State::Probing { attempt, misses, step };
        match (step, answer) {
            (ProbeStep::First, Answer::Created) => with(ProbeStep::Second),
            // Our own, landed and asked twice by the client, or not: another key tells.
            (ProbeStep::First, Answer::AlreadyExists | Answer::Unknown) => {
                self.again(State::Probing { attempt: attempt + 1, misses, step: ProbeStep::First })
            }
            (ProbeStep::Second, Answer::AlreadyExists) => with(ProbeStep::Delete { refused: true }),
            (ProbeStep::Second, Answer::Created) => with(ProbeStep::Delete { refused: false }),
            (ProbeStep::Second, Answer::Unknown) => self.again(with(ProbeStep::Second)),
            // One that stays is collected when it has grown old.
            (ProbeStep::Delete { refused: true }, Answer::Deleted | Answer::NotFound | Answer::Unknown) => {
                self.retries = 0;
                State::ReadingIdentity
            }
            (ProbeStep::Delete { refused: false }, Answer::Deleted | Answer::NotFound | Answer::Unknown) => {
                if misses + 1 >= PROBES_TO_ACCUSE {
                    State::Stopped(Stop::NoConditionalPut)
                } else {
                    State::Probing { attempt: attempt + 1, misses: misses + 1, step: ProbeStep::First }
                }
            }
            _ => State::Stopped(Stop::Misused),
        }
    }

    fn found_newest(&mut self, newest: Option<Head>, claiming: bool) -> State {
        self.newest = newest;
        if claiming { self.claim_upon_newest() } else { self.rest(Rest::Opened) }
    }

    fn claim_upon_newest(&mut self) -> State {
        let head = match &self.newest {
            None => Head { epoch: Epoch::FIRST, kind: Kind::Claim, generation: Generation(1), nonce: self.nonce.clone(), in_doubt: None },
            Some(newest) => Head {
                epoch: newest.epoch.next(),
                kind: Kind::Claim,
                generation: Generation(newest.generation.0 + 1),
                nonce: self.nonce.clone(),
                in_doubt: if self.keeps(Rule::CarryWhatIsInDoubt) || newest.kind == Kind::Data { newest.unacknowledged() } else { None },
            },
        };
        State::Deciding { head, step: DecisionStep::Creating }
    }

    fn deciding(&mut self, head: Head, step: DecisionStep, answer: Answer) -> State {
        match (step, answer) {
            (DecisionStep::Creating, Answer::Created) => self.created(head),
            (DecisionStep::Creating, Answer::AlreadyExists) if !self.keeps(Rule::ReadWhatExists) => self.created(head),
            (DecisionStep::Creating, Answer::Unknown) if !self.keeps(Rule::UnknownIsNotSuccess) => self.created(head),
            (DecisionStep::Creating, Answer::AlreadyExists) => State::Deciding { head, step: DecisionStep::Learning },
            (DecisionStep::Creating, Answer::Unknown) => self.again(State::Deciding { head, step: DecisionStep::Learning }),
            (DecisionStep::Learning, Answer::Unknown) => self.again(State::Deciding { head, step: DecisionStep::Learning }),
            // It never landed, or it was collected since, or the store spoke of a conflict in passing. Creating it again is right in the
            // first and the last case, and the listing that follows tells the second.
            (DecisionStep::Learning, Answer::NotFound) => self.again(State::Deciding { head, step: DecisionStep::Creating }),
            (DecisionStep::Learning, Answer::Found(found)) if found.epoch != head.epoch => State::Stopped(Stop::Misused),
            (DecisionStep::Learning, Answer::Found(found)) if found.nonce == self.nonce => self.created(found),
            (DecisionStep::Learning, Answer::Found(found)) => self.taken(&head, found),
            (DecisionStep::Fencing, Answer::Listed(None)) => self.decided(head),
            (DecisionStep::Fencing, Answer::Listed(Some(found))) => State::Stopped(Stop::Fenced { ours: head.epoch, found }),
            (DecisionStep::Fencing, Answer::Unknown) => self.again(State::Deciding { head, step: DecisionStep::Fencing }),
            _ => State::Stopped(Stop::Misused),
        }
    }

    fn created(&mut self, head: Head) -> State {
        self.retries = 0;
        if self.keeps(Rule::FenceAfterCreate) { State::Deciding { head, step: DecisionStep::Fencing } } else { self.decided(head) }
    }

    fn taken(&mut self, head: &Head, found: Head) -> State {
        match head.kind {
            Kind::Claim if self.lost_races < LOST_RACES_MAX => {
                self.lost_races += 1;
                State::Seeking { claiming: true }
            }
            Kind::Claim => State::Stopped(Stop::Crowded),
            Kind::Data if found.generation > head.generation => State::Stopped(Stop::Fenced { ours: head.epoch, found: found.epoch }),
            Kind::Data => State::Stopped(Stop::Unexplained { epoch: found.epoch, generation: found.generation, ours: head.generation }),
        }
    }

    fn decided(&mut self, head: Head) -> State {
        let (kind, epoch) = (head.kind, head.epoch);
        self.newest = Some(head);
        match kind {
            Kind::Claim => self.rest(Rest::Claimed),
            Kind::Data if self.keeps(Rule::AcknowledgeBeforeNext) => State::Committing(epoch),
            Kind::Data => self.rest(Rest::Ready),
        }
    }

    fn rest(&mut self, rest: Rest) -> State {
        self.retries = 0;
        State::Resting(rest)
    }

    fn again(&mut self, state: State) -> State {
        self.retries = self.retries.saturating_add(1);
        state
    }

    #[cfg(test)]
    pub fn breaking(nonce: Arc<str>, broken: Option<Rule>) -> Self {
        Self { broken, ..Self::new(nonce) }
    }

    #[cfg(test)]
    fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    fn keeps(&self, _rule: Rule) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;

//! Who may write, and what is decided: the exactly-once protocol as a pure state machine. The machine asks
//! ([`Request`]) and is told ([`Answer`]). It never waits, reads a clock or draws a random number. `driver` does what
//! the machine asks; `simulation` tries the machine against every order of events.
//!
//! The store is linearizable and refuses to create a name twice. An answer may be lost, and the request may then still
//! take effect at any later time. A process may stall for any length of time between any two steps. This is what holds
//! nevertheless, and why:
//!
//! **A number is decided once.** A writer only ever creates the number after the newest one that it knows as its own,
//! or that it claims upon. So numbers are taken without holes, and whoever creates a free number above all others
//! decides it.
//!
//! **A freed number decides nothing.** Garbage collection frees old numbers, so a writer that stalled through two
//! claims may create one of them. The newest manifest is never collected, so the listing above the created number,
//! which follows every create, shows a higher one: the writer is fenced before it has touched a sink. The same listing
//! protects a writer whose answer was lost and who reads its own nonce. Such a leftover lies below everything that
//! counts. It is never the newest manifest and never in doubt, and the next collection deletes it.
//!
//! **A leftover is never taken for a data epoch in doubt.** Only the writer that owns number e-1 creates data epoch e.
//! If somebody else decides number e, it is by a claim, because every writer claims first. So where a data epoch was
//! decided, a leftover is a claim, or a second copy of the same manifest that arrived late. A writer that finds a claim
//! in the place of the epoch in doubt was overtaken.
//!
//! **Above the newest number there is no leftover.** A stalled writer creates at most the number after the last one it
//! knew, and whoever fenced it decided that number. So if a running writer finds a manifest with another nonce in its
//! place, that manifest has a higher generation: it is a claim, or what followed a claim. A lower or equal generation
//! means that somebody changed the checkpoint by hand, and the writer stops.
//!
//! **A passed listing cannot become stale in a harmful way.** A writer may stall after its listing and commit epoch e
//! when others have long claimed. It commits what was decided, and each sink knows its newest epoch (`txn`): a sink
//! that holds a lower epoch commits e, one that holds e has it already, and one that holds a higher epoch fences the
//! writer.
//!
//! **An equal number in a sink proves nothing.** A checkpoint can be put back from an old copy, emptied, or lose its
//! newest manifest; then its numbers are used a second time. So a sink keeps the [`Mark`] of the manifest beside the
//! number, and before it claims, a writer compares each sink's newest commit with the manifest of that number
//! ([`Held`]). The writer asks the sinks before it looks for the newest manifest. What they hold was decided earlier,
//! so a live writer can't make them look ahead of the checkpoint. Any disagreement stops the start before anything is
//! written, unless a person's state action says to go on. Such an action begins a lineage with a generation above all
//! that the sinks know, and leaves what the sinks hold of older lineages alone.
//!
//! **A sink must still hold what it has acknowledged.** For each sink, a manifest names the newest epoch that was in
//! the sink before this manifest, and before the one in doubt, was decided ([`Acknowledged`]). A sink that holds less
//! was put back from an old copy, and nobody will write the missing rows again. But a live writer makes the first
//! answer look too old, since the sinks were asked before the newest manifest was read. So the writer asks such a sink
//! once more before it accuses it; the second answer is younger than the manifest. A lineage that a state action begins
//! remembers what was acknowledged in the former lineage, until the sink gets rows of its own. If a person goes on
//! although a sink lacks something, the lineage remembers what that sink holds instead.
//!
//! **A checkpoint that vanishes under a writer stops it.** The listing after a create also shows the manifest before
//! it. Only a writer that has taken over collects that one, and then there is a higher one. If neither is there, the
//! checkpoint was deleted or put back meanwhile.
//!
//! **Only one epoch is ever in doubt.** Data epoch e+1 is created when every sink has acknowledged e. A claim carries
//! the newest data epoch as `in_doubt`, through any number of claims, and the claiming writer commits it before
//! anything else.

mod comparing;
mod deciding;
mod probing;

use std::sync::Arc;

use weir_plan::ids::Epoch;

use super::manifest::Kind;
pub use super::messages::{
    Acknowledged, Answer, Doubt, Head, Held, Mark, Next, Place, Request, Rest, Rule, Stop, Told, Whose, Why,
};

/// How many objects the store must allow to be created twice before it is accused. One is not enough: somebody may have
/// deleted the first copy in between.
pub(crate) const PROBES_TO_ACCUSE: u32 = 2;
/// How many other claims may come before ours until we give up. More writers that start at once are a mistake, not a
/// race.
pub(crate) const LOST_RACES_MAX: u32 = 16;

/// One writer, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    nonce: Arc<str>,
    state: State,
    /// The newest manifest: before the claim, the one that was found; after it, our own.
    newest: Option<Head>,
    /// Whether there is an identity, as far as we know.
    identified: bool,
    /// What the sinks said before the machine looked for the newest manifest.
    told: Told,
    /// The data epoch that was in doubt and is committed now. It is kept until the next one is decided.
    recovered: Option<Head>,
    /// Whether a person goes on although the sinks hold something else. Then the epoch in doubt is not committed:
    /// whoever decided what the sinks hold had that epoch acknowledged before, and the sinks would refuse it now.
    excused: bool,
    /// How many times in a row something had to be asked again.
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
    ReadingIdentity {
        claiming: bool,
    },
    /// There are manifests and there was no identity: has somebody just begun?
    ReadingIdentityOf(Epoch),
    CreatingIdentity,
    /// A sink holds another lineage than the one drawn here: has another new writer created this checkpoint's identity
    /// meanwhile?
    ReadingIdentityAgain {
        n: usize,
    },
    AskingSinks,
    /// A sink seems to lack what it has acknowledged: or did that arrive after the sink was asked?
    AskingSinksAnew,
    Seeking {
        claiming: bool,
    },
    ReadingNewest {
        epoch: Epoch,
        claiming: bool,
    },
    /// Reads the manifest that should have decided what the `n`th sink holds.
    Comparing {
        n: usize,
    },
    /// A claim is in the place of that manifest. The manifest before it shows whether the claim belongs to the history.
    LookingBelow {
        n: usize,
    },
    Excusing(Doubt),
    Resting(Rest),
    Deciding {
        head: Head,
        step: DecisionStep,
    },
    ReadingInDoubt(Epoch),
    /// The manifest in doubt is gone: did somebody take over?
    Rechecking(Epoch),
    /// A sink holds a later epoch: did somebody take over?
    RecheckingSink(Epoch),
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
    /// Reads what is stored under the number.
    Learning,
    /// Lists what lies above the number.
    Fencing,
}

impl Machine {
    /// `nonce` is random; the caller draws a new one for every machine.
    #[must_use]
    pub fn new(nonce: Arc<str>) -> Self {
        Self {
            nonce,
            state: State::Probing { attempt: 0, misses: 0, step: ProbeStep::First },
            newest: None,
            identified: true,
            told: Told::default(),
            recovered: None,
            excused: false,
            retries: 0,
            lost_races: 0,
            #[cfg(test)]
            broken: None,
        }
    }

    /// The newest manifest that this machine knows. After the claim it is the machine's own.
    #[must_use]
    pub fn newest(&self) -> Option<&Head> {
        self.newest.as_ref()
    }

    /// How many times in a row something had to be asked again. The driver waits longer each time, and gives up at some
    /// point.
    #[must_use]
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    #[must_use]
    pub fn next(&self) -> Next {
        Next::Ask(match &self.state {
            State::Probing { attempt, step: ProbeStep::First, .. } => Request::ProbeFirst(*attempt),
            State::Probing { attempt, step: ProbeStep::Second, .. } => Request::ProbeSecond(*attempt),
            State::Probing { attempt, step: ProbeStep::Delete { .. }, .. } => Request::ProbeDelete(*attempt),
            State::ReadingIdentity { .. } | State::ReadingIdentityOf(_) | State::ReadingIdentityAgain { .. } => {
                Request::ReadIdentity
            }
            State::CreatingIdentity => Request::CreateIdentity,
            State::AskingSinks => Request::AskSinks,
            State::AskingSinksAnew => Request::AskSinksAnew,
            State::Comparing { n } => Request::Read(self.told.held[*n].epoch),
            State::LookingBelow { n } => Request::Read(Epoch(self.told.held[*n].epoch.0.saturating_sub(1))),
            State::Excusing(doubt) => Request::Excuse(*doubt),
            State::Seeking { .. } => Request::List { above: None },
            State::ReadingNewest { epoch, .. } | State::ReadingInDoubt(epoch) => Request::Read(*epoch),
            State::Deciding { head, step: DecisionStep::Creating } => Request::Create(head.clone()),
            State::Deciding { head, step: DecisionStep::Learning } => Request::Read(head.epoch),
            State::Deciding { head, step: DecisionStep::Fencing } => Request::Fence(head.epoch),
            State::Rechecking(_) | State::RecheckingSink(_) => {
                Request::List { above: self.newest.as_ref().map(|h| h.epoch) }
            }
            State::Committing(epoch) => Request::Commit(*epoch),
            State::Resting(rest) => return Next::Rest(*rest),
            State::Stopped(stop) => return Next::Stopped(*stop),
        })
    }

    /// Starts to claim. Call this only when `Opened`.
    pub fn claim(&mut self) {
        self.state = match self.state {
            State::Resting(Rest::Opened) => State::AskingSinks,
            _ => State::Stopped(Stop::Misused),
        };
    }

    /// Makes the claim that is about to be created begin a lineage. Call this only while [`Self::next`] asks to create
    /// it.
    pub fn begin_lineage(&mut self) {
        match &mut self.state {
            State::Deciding { head, step: DecisionStep::Creating } if head.kind == Kind::Claim => {
                head.begun = head.generation;
                if self.excused {
                    head.acknowledged = self.told.newest();
                }
                #[cfg(test)]
                if self.broken == Some(Rule::RememberFormerLineages) {
                    head.acknowledged.clear();
                }
            }
            state => *state = State::Stopped(Stop::Misused),
        }
    }

    /// Sets the sinks from the next claim on. What other sinks have acknowledged is forgotten, so that the list does
    /// not grow. Call this only while [`Self::next`] asks to create the claim.
    pub fn pin(&mut self, sinks: &[Place]) {
        match &mut self.state {
            State::Deciding { head, step: DecisionStep::Creating } if head.kind == Kind::Claim => {
                head.acknowledged.retain(|acknowledged| sinks.contains(&acknowledged.place));
            }
            state => *state = State::Stopped(Stop::Misused),
        }
    }

    /// Whether the sinks hold epochs of this checkpoint although nothing is decided in it.
    #[must_use]
    pub(crate) fn is_emptied(&self) -> bool {
        self.newest.is_none() && self.told.held.iter().any(|held| matches!(held.whose, Whose::Ours { .. }))
    }

    /// Starts to commit the epoch in doubt. Call this only when `Claimed`.
    pub fn recover(&mut self) {
        self.state = match (&self.state, &self.newest) {
            (State::Resting(Rest::Claimed), Some(claim)) => match claim.in_doubt {
                Some(epoch) if self.keeps(Rule::CommitWhatIsInDoubt) => State::ReadingInDoubt(epoch),
                _ => State::Resting(Rest::Ready),
            },
            _ => State::Stopped(Stop::Misused),
        };
    }

    /// Starts to decide the next data epoch, which has rows for these sinks. Call this only when `Ready`.
    pub fn decide(&mut self, writes: Vec<Place>) {
        let recovered = self.recovered.take();
        self.state = match (&self.state, &self.newest) {
            (State::Resting(Rest::Ready), Some(newest)) => State::Deciding {
                head: Head {
                    epoch: newest.epoch.next(),
                    kind: Kind::Data,
                    generation: newest.generation,
                    nonce: self.nonce.clone(),
                    in_doubt: None,
                    begun: newest.begun,
                    writes,
                    // By now the sinks have everything that was decided.
                    acknowledged: match (newest.kind, recovered) {
                        (Kind::Data, _) => newest.acknowledged_with(newest),
                        (Kind::Claim, Some(epoch)) => newest.acknowledged_with(&epoch),
                        (Kind::Claim, None) => newest.acknowledged.clone(),
                    },
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
            State::ReadingIdentity { claiming } => match answer {
                Answer::IdentityFound => {
                    self.identified = true;
                    State::Seeking { claiming }
                }
                // The machine creates nothing before it has checked everything that may be refused.
                Answer::NotFound if !claiming => {
                    self.identified = false;
                    State::Seeking { claiming }
                }
                Answer::NotFound => State::CreatingIdentity,
                Answer::Unknown => self.again(State::ReadingIdentity { claiming }),
                _ => State::Stopped(Stop::Misused),
            },
            State::ReadingIdentityOf(epoch) => match answer {
                Answer::IdentityFound => {
                    self.identified = true;
                    State::Seeking { claiming: false }
                }
                Answer::NotFound => State::Stopped(Stop::NoIdentity(epoch)),
                Answer::Unknown => self.again(State::ReadingIdentityOf(epoch)),
                _ => State::Stopped(Stop::Misused),
            },
            State::ReadingIdentityAgain { n } => match answer {
                Answer::IdentityFound => {
                    self.identified = true;
                    State::AskingSinks
                }
                Answer::NotFound => self.doubts(n, Why::Forgotten),
                Answer::Unknown => self.again(State::ReadingIdentityAgain { n }),
                _ => State::Stopped(Stop::Misused),
            },
            // Whatever the answer was, what is there now counts: two new writers may have drawn two lineages.
            State::CreatingIdentity => match answer {
                Answer::Created => State::ReadingIdentity { claiming: true },
                Answer::AlreadyExists | Answer::Unknown => self.again(State::ReadingIdentity { claiming: true }),
                _ => State::Stopped(Stop::Misused),
            },
            State::AskingSinks => match answer {
                Answer::SinksHold(told) => self.heard(told),
                Answer::Unknown => self.again(State::AskingSinks),
                _ => State::Stopped(Stop::Misused),
            },
            State::AskingSinksAnew => match answer {
                Answer::SinksHold(told) => {
                    self.told = told;
                    self.went_back().map_or_else(|| self.claim_upon_newest(), State::Excusing)
                }
                Answer::Unknown => self.again(State::AskingSinksAnew),
                _ => State::Stopped(Stop::Misused),
            },
            State::Comparing { n } => match answer {
                Answer::Found(head) => self.compared(n, &head),
                // It was collected long ago. What lies below the kept manifests belongs to the newest one's history.
                Answer::NotFound => self.compare_from(n + 1),
                Answer::Unknown => self.again(State::Comparing { n }),
                _ => State::Stopped(Stop::Misused),
            },
            State::LookingBelow { n } => match answer {
                Answer::Found(_) => self.doubts(n, Why::Another),
                // A leftover: it lies at the lower end of what is kept.
                Answer::NotFound => self.compare_from(n + 1),
                Answer::Unknown => self.again(State::LookingBelow { n }),
                _ => State::Stopped(Stop::Misused),
            },
            State::Excusing(doubt) => match answer {
                Answer::Excused if self.identified => {
                    self.excused = true;
                    self.claim_upon_newest()
                }
                Answer::Excused => State::CreatingIdentity,
                Answer::NotExcused => State::Stopped(Stop::Disagrees(doubt)),
                _ => State::Stopped(Stop::Misused),
            },
            State::Seeking { claiming } => match answer {
                Answer::Listed(Some(epoch)) if !self.identified => State::ReadingIdentityOf(epoch),
                Answer::Listed(Some(epoch)) => State::ReadingNewest { epoch, claiming },
                Answer::Listed(None) if self.newest.is_none() => self.found_newest(None, claiming),
                Answer::Listed(None) => {
                    State::Stopped(self.newest.as_ref().map_or(Stop::Misused, |h| Stop::Lost(h.epoch)))
                }
                Answer::Unknown => self.again(State::Seeking { claiming }),
                _ => State::Stopped(Stop::Misused),
            },
            State::ReadingNewest { epoch, claiming } => match answer {
                Answer::Found(head) if head.epoch == epoch => self.found_newest(Some(head), claiming),
                // It was collected after the listing, so there is a newer one.
                Answer::NotFound => self.again(State::Seeking { claiming }),
                Answer::Unknown => self.again(State::ReadingNewest { epoch, claiming }),
                _ => State::Stopped(Stop::Misused),
            },
            State::Deciding { head, step } => self.deciding(head, step, answer),
            State::ReadingInDoubt(epoch) => match answer {
                Answer::Found(head) if head.epoch == epoch && head.kind == Kind::Data => {
                    self.recovered = Some(head);
                    State::Committing(epoch)
                }
                // It is gone, or a claim's leftover is in its place.
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
                Answer::AcknowledgedBut(without) => match &mut self.recovered {
                    Some(recovered) => {
                        recovered.writes.retain(|place| !without.contains(place));
                        self.rest(Rest::Ready)
                    }
                    // The writer that decided an epoch never gives up a sink's part of it.
                    None => State::Stopped(Stop::Misused),
                },
                Answer::SinkFenced => State::RecheckingSink(epoch),
                Answer::Unknown => self.again(State::Committing(epoch)),
                _ => State::Stopped(Stop::Misused),
            },
            State::RecheckingSink(epoch) => match (answer, &self.newest) {
                (Answer::Listed(Some(found)), Some(ours)) => State::Stopped(Stop::Fenced { ours: ours.epoch, found }),
                (Answer::Listed(None), _) => State::Stopped(Stop::OvertakenInSink(epoch)),
                (Answer::Unknown, _) => self.again(State::RecheckingSink(epoch)),
                _ => State::Stopped(Stop::Misused),
            },
            State::Resting(_) => State::Stopped(Stop::Misused),
            State::Stopped(stop) => State::Stopped(stop),
        };
    }

    fn found_newest(&mut self, newest: Option<Head>, claiming: bool) -> State {
        self.newest = newest;
        self.excused = false;
        if !claiming {
            return self.rest(Rest::Opened);
        }
        if self.keeps(Rule::CompareWithSinks) { self.compare_from(0) } else { self.claim_upon_newest() }
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
mod tests;

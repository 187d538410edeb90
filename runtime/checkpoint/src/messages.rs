//! The vocabulary of the protocol: what the machine asks, what it is told, where it rests and why it stops.

use std::sync::Arc;

use weir_plan::ids::{Epoch, Generation};
use xxhash_rust::xxh3::xxh3_64;

use super::manifest::Kind;

/// The parts of a manifest that the protocol needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Head {
    pub epoch: Epoch,
    pub kind: Kind,
    pub generation: Generation,
    pub nonce: Arc<str>,
    /// In a claim: the newest data epoch before it.
    pub in_doubt: Option<Epoch>,
    /// The generation whose claim began this manifest's lineage: 1, or that of a state action.
    pub begun: Generation,
    /// In a data epoch: the sinks that get rows.
    pub writes: Vec<Place>,
    /// For each sink, the newest epoch that it had acknowledged before this manifest, and before the epoch in doubt,
    /// was decided.
    pub acknowledged: Vec<Acknowledged>,
}

/// A sink, with an id that tells its table from any other that was ever in its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub sink: Arc<str>,
    pub id: Arc<str>,
}

/// An epoch that a sink has acknowledged and must hold for good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acknowledged {
    pub place: Place,
    /// The generation whose claim began the lineage of that epoch. This is a former lineage if the sink got nothing in
    /// the current one.
    pub begun: Generation,
    pub epoch: Epoch,
    /// The mark of the manifest that decided the epoch.
    pub mark: Mark,
}

impl Head {
    /// The data epoch that some sinks may lack while this manifest is the newest.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<Epoch> {
        match self.kind {
            Kind::Data => Some(self.epoch),
            Kind::Claim => self.in_doubt,
        }
    }

    /// What the sinks have acknowledged once every one of them has this data epoch too.
    #[must_use]
    pub fn acknowledged_with(&self, epoch: &Self) -> Vec<Acknowledged> {
        let mut all = self.acknowledged.clone();
        for place in &epoch.writes {
            all.retain(|earlier| earlier.place != *place);
            all.push(Acknowledged { place: place.clone(), begun: epoch.begun, epoch: epoch.epoch, mark: epoch.mark() });
        }
        all
    }

    /// What a sink keeps beside the epoch's number to tell this manifest from any other one with that number.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let text = format!("{} {} {}", self.epoch, self.generation, self.nonce);
        Mark((xxh3_64(text.as_bytes()) >> 33) as u32)
    }
}

/// 31 bits that stand for one manifest. Two manifests of different histories share a mark in one of two thousand
/// million cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u32);

/// The sinks' answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Told {
    /// All sinks that were asked, including those that hold nothing.
    pub asked: Vec<Place>,
    pub held: Vec<Held>,
}

impl Told {
    /// For each sink that holds an epoch of this checkpoint, the newest epoch of its newest lineage, as an acknowledged
    /// one.
    #[must_use]
    pub fn newest(&self) -> Vec<Acknowledged> {
        let of = |(sink, place): (u32, &Place)| {
            let known = self.held.iter().filter(|held| held.sink == sink).filter_map(|held| match held.whose {
                Whose::Ours { begun } => {
                    Some(Acknowledged { place: place.clone(), begun, epoch: held.epoch, mark: held.mark? })
                }
                Whose::Others => None,
            });
            known.max_by_key(|acknowledged| acknowledged.begun)
        };
        (0..).zip(&self.asked).filter_map(of).collect()
    }
}

/// The newest commit of this pipeline in one sink and one lineage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Held {
    /// Index into [`Told::asked`].
    pub sink: u32,
    pub whose: Whose,
    pub epoch: Epoch,
    /// The mark of the manifest that decided the epoch; `None` if an older version of Weir committed it, because the
    /// sink does not know the mark then.
    pub mark: Option<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// This checkpoint, in the lineage that the claim of this generation began.
    Ours { begun: Generation },
    /// Another checkpoint, of a pipeline with the same name.
    Others,
}

/// A reason not to go on: the checkpoint is not, or is no longer, the one that wrote to the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Doubt {
    pub sink: u32,
    /// The newest epoch that the sink holds of the lineage in question; 0 if it holds none.
    pub held: Epoch,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The sink holds an epoch that this checkpoint has not reached.
    Behind,
    /// Another manifest than the one in this checkpoint decided the sink's epoch.
    Another,
    /// Nothing was ever decided in this checkpoint, and the sink holds epochs of an earlier checkpoint of this
    /// pipeline.
    Forgotten,
    /// The sink had this epoch and no longer has it: somebody put it back to an earlier state.
    WentBack { from: Epoch },
}

/// What the driver is to do. The machine may ask the same request again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Create the probe object of this attempt, for the first time.
    ProbeFirst(u32),
    /// Create the probe object of this attempt again.
    ProbeSecond(u32),
    ProbeDelete(u32),
    ReadIdentity,
    /// Create `identity`.
    CreateIdentity,
    /// Find the greatest epoch above this one, or the greatest of all.
    List {
        above: Option<Epoch>,
    },
    /// Find the greatest epoch above this one, and whether the one before it is there.
    Fence(Epoch),
    /// Ask every sink for the newest commit of this pipeline. An answer from any time since the writer began to open
    /// the sinks will do.
    AskSinks,
    /// Ask every sink again for its newest commit, as it is now.
    AskSinksAnew,
    /// Ask whether a person wants to go on in spite of this doubt.
    Excuse(Doubt),
    Read(Epoch),
    /// Create the manifest with this head, if its number is free.
    Create(Head),
    /// Have every sink commit what the manifest of this epoch says.
    Commit(Epoch),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    Created,
    /// Something is there; or, with some stores, somebody else is just writing. The machine never relies on this answer
    /// alone.
    AlreadyExists,
    /// There was no answer, or an error: the request may have been done, or may yet be.
    Unknown,
    /// The identity is there and is ours.
    IdentityFound,
    Found(Head),
    NotFound,
    Deleted,
    /// The greatest epoch that was listed.
    Listed(Option<Epoch>),
    Fenced {
        above: Option<Epoch>,
        before: bool,
    },
    SinksHold(Told),
    Excused,
    NotExcused,
    /// Every sink has acknowledged.
    Acknowledged,
    /// Every sink has acknowledged, except these, whose rows are given up.
    AcknowledgedBut(Vec<Place>),
    /// A sink holds a later epoch.
    SinkFenced,
}

/// A state in which the machine waits for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rest {
    /// The store is fit, the checkpoint is ours, and the newest manifest is known.
    Opened,
    /// The checkpoint is claimed; an epoch may be in doubt.
    Claimed,
    /// Every sink has everything that was decided.
    Ready,
}

/// Why the machine has stopped, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The store allowed an object to be created twice.
    NoConditionalPut,
    /// A manifest above `ours` was found.
    Fenced { ours: Epoch, found: Epoch },
    /// A sink holds a later epoch than this one, although nobody has taken over.
    OvertakenInSink(Epoch),
    /// The manifest before the one that was just created is gone, although nobody has taken over.
    Vanished(Epoch),
    /// There is a manifest, but no identity that says whose it is.
    NoIdentity(Epoch),
    /// A sink's newest commit is not what this checkpoint decided.
    Disagrees(Doubt),
    /// The manifest of an epoch in doubt is gone, although nobody has taken over.
    Lost(Epoch),
    /// A manifest is in our place whose generation can't have written it.
    Unexplained { epoch: Epoch, generation: Generation, ours: Generation },
    /// Too many other writers claim at the same time.
    Crowded,
    /// Our own mistake: an answer that does not fit the request, or a command in the wrong state.
    Misused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Ask(Request),
    Rest(Rest),
    Stopped(Stop),
}

/// The rules that keep every record exactly once. The simulation breaks each of them and must notice it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    FenceAfterCreate,
    ReadWhatExists,
    UnknownIsNotSuccess,
    CommitWhatIsInDoubt,
    CarryWhatIsInDoubt,
    AcknowledgeBeforeNext,
    CollectNothingRunning,
    CollectNothingCompacted,
    CollectNothingInDoubt,
    CompareWithSinks,
    AskSinksBeforeListing,
    NoticeSinksThatWentBack,
    AskSinksAgainBeforeSayingSo,
    CountWhatIsAcknowledged,
    RememberFormerLineages,
    CopyWhatIsRestored,
}

#[cfg(test)]
impl Rule {
    pub const ALL: [Self; 16] = [
        Self::FenceAfterCreate,
        Self::ReadWhatExists,
        Self::UnknownIsNotSuccess,
        Self::CommitWhatIsInDoubt,
        Self::CarryWhatIsInDoubt,
        Self::AcknowledgeBeforeNext,
        Self::CollectNothingRunning,
        Self::CollectNothingCompacted,
        Self::CollectNothingInDoubt,
        Self::CompareWithSinks,
        Self::AskSinksBeforeListing,
        Self::NoticeSinksThatWentBack,
        Self::AskSinksAgainBeforeSayingSo,
        Self::CountWhatIsAcknowledged,
        Self::RememberFormerLineages,
        Self::CopyWhatIsRestored,
    ];
}

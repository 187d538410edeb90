//! The words of the protocol: what the machine asks, what it is told, where it rests and why it stops.

use std::sync::Arc;

use weir_plan::ids::{Epoch, Generation};
use xxhash_rust::xxh3::xxh3_64;

use super::manifest::Kind;

/// What the protocol needs to know of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Head {
    pub epoch: Epoch,
    pub kind: Kind,
    pub generation: Generation,
    pub nonce: Arc<str>,
    /// Of a claim: the newest data epoch before it.
    pub in_doubt: Option<Epoch>,
    /// The generation whose claim began the lineage that this manifest belongs to: 1, or that of a state action.
    pub begun: Generation,
    /// Of a data epoch: the sinks that get rows.
    pub writes: Vec<Place>,
    /// Of each sink, the newest epoch that it had acknowledged before this manifest, and before what is in doubt, was
    /// decided.
    pub acknowledged: Vec<Acknowledged>,
}

/// A sink and what tells its table from any other one that was ever in its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub sink: Arc<str>,
    pub id: Arc<str>,
}

/// An epoch that a sink has, for good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acknowledged {
    pub place: Place,
    /// The generation whose claim began the lineage of that epoch. Of a former one, if the sink got nothing in the one
    /// that is.
    pub begun: Generation,
    pub epoch: Epoch,
    /// Of the manifest that decided it.
    pub mark: Mark,
}

impl Head {
    /// The data epoch that may not be in every sink while this manifest is the newest.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<Epoch> {
        match self.kind {
            Kind::Data => Some(self.epoch),
            Kind::Claim => self.in_doubt,
        }
    }

    /// What the sinks have acknowledged when every one of them has this data epoch too.
    #[must_use]
    pub fn acknowledged_with(&self, epoch: &Self) -> Vec<Acknowledged> {
        let mut all = self.acknowledged.clone();
        for place in &epoch.writes {
            all.retain(|earlier| earlier.place != *place);
            all.push(Acknowledged { place: place.clone(), begun: epoch.begun, epoch: epoch.epoch, mark: epoch.mark() });
        }
        all
    }

    /// What a sink keeps beside the epoch's number to tell this manifest from any other one of that number.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let text = format!("{} {} {}", self.epoch, self.generation, self.nonce);
        Mark((xxh3_64(text.as_bytes()) >> 33) as u32)
    }
}

/// 31 bits that stand for one manifest: of two histories, one in two thousand million pairs of manifests share a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u32);

/// What the sinks say when they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Told {
    /// All that were asked, also those that hold nothing.
    pub asked: Vec<Place>,
    pub held: Vec<Held>,
}

impl Told {
    /// Of each sink that knows it, the newest epoch of the newest lineage of this checkpoint, as what it has
    /// acknowledged.
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

/// The newest commit of this pipeline in one sink, in one lineage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Held {
    /// Which of [`Told::asked`].
    pub sink: u32,
    pub whose: Whose,
    pub epoch: Epoch,
    /// Of the manifest that decided it; `None` where the sink does not know, because an older version of Weir committed
    /// it.
    pub mark: Option<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// This checkpoint's, in the lineage that the claim of this generation began.
    Ours { begun: Generation },
    /// Another checkpoint's, of a pipeline of the same name.
    Others,
}

/// What speaks against going on: the checkpoint is not the one that wrote to the sink, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Doubt {
    pub sink: u32,
    /// The newest that the sink holds, of the lineage that speaks against going on; 0 if it holds nothing of it.
    pub held: Epoch,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The sink holds an epoch that this checkpoint has not come to.
    Behind,
    /// The sink's epoch was decided by another manifest than the one that is here.
    Another,
    /// Nothing was ever decided here, and the sink holds epochs of an earlier checkpoint of this pipeline.
    Forgotten,
    /// The sink had this epoch and has it no longer: it was put back to what it was before.
    WentBack { from: Epoch },
}

/// What is to be done. The same request may be asked again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Create the probe object of this attempt, for the first time.
    ProbeFirst(u32),
    /// Create it again.
    ProbeSecond(u32),
    ProbeDelete(u32),
    ReadIdentity,
    /// Create `identity`.
    CreateIdentity,
    /// The greatest epoch above this one, or of all.
    List {
        above: Option<Epoch>,
    },
    /// The greatest epoch above this one, and whether the one before it is there.
    Fence(Epoch),
    /// The newest commit of this pipeline in every sink, as it was at any time since the writer began to open them.
    AskSinks,
    /// The same, as it is now.
    AskSinksAnew,
    /// Whether a person wants to go on in spite of it.
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
    /// Something is there; or, from some stores, somebody else is just writing. Never taken at its word.
    AlreadyExists,
    /// No answer, or an error: it may have been done, or may yet be.
    Unknown,
    /// The identity is there and is ours.
    IdentityFound,
    Found(Head),
    NotFound,
    Deleted,
    /// The greatest one.
    Listed(Option<Epoch>),
    Fenced {
        above: Option<Epoch>,
        before: bool,
    },
    SinksHold(Told),
    Excused,
    NotExcused,
    /// By every sink.
    Acknowledged,
    /// By every sink but these, whose rows are given up.
    AcknowledgedBut(Vec<Place>),
    /// A sink holds a later epoch.
    SinkFenced,
}

/// Where the machine waits for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rest {
    /// The store is good, the checkpoint ours, the newest manifest known.
    Opened,
    /// Ours; an epoch may be in doubt.
    Claimed,
    /// Every sink has everything that was decided.
    Ready,
}

/// Why the machine has stopped, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The store let an object be created twice.
    NoConditionalPut,
    /// Something above `ours` was found.
    Fenced { ours: Epoch, found: Epoch },
    /// A sink holds a later epoch than this one, although nobody has taken over.
    OvertakenInSink(Epoch),
    /// The manifest before the one that was just created is gone, although nobody has taken over.
    Vanished(Epoch),
    /// There is a manifest, and nothing that says whose it is.
    NoIdentity(Epoch),
    /// A sink's newest commit is not what this checkpoint decided.
    Disagrees(Doubt),
    /// The manifest of an epoch in doubt is gone although nobody has taken over.
    Lost(Epoch),
    /// A manifest of a generation that can't have written it is in our place.
    Unexplained { epoch: Epoch, generation: Generation, ours: Generation },
    /// Too many others claim.
    Crowded,
    /// An answer that doesn't fit the request, or a command in the wrong state: our own mistake.
    Misused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Ask(Request),
    Rest(Rest),
    Stopped(Stop),
}

/// The rules that keep every record exactly once. The simulation breaks each of them, and must notice.
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

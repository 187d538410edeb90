//! What an epoch in a sink is, whatever the sink's kind: what was decided for it, what the sink holds, and what the one
//! means for the other.

use serde_json::{Map, Value};
use weir_base::failure::Failure;
use weir_plan::ids::Epoch;

/// One epoch of one sink, as its manifest decided it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    pub pipeline: String,
    pub lineage: String,
    pub sink: String,
    pub epoch: Epoch,
    /// 31 bits that stand for the manifest.
    pub mark: u32,
    /// Of the last state action that was done before the epoch.
    pub token: Option<String>,
    /// Where the rows came from, for whoever looks at the sink.
    pub provenance: Map<String, Value>,
}

/// The newest commit of a sink in one lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEpoch {
    pub lineage: String,
    pub epoch: Epoch,
    /// Of the manifest that decided it; `None` if an older version of Weir committed it, which did not write it.
    pub mark: Option<u32>,
    /// The sink knows that this pipeline committed it, and not only a lineage whose pipeline it can't tell.
    pub is_named: bool,
}

/// What the newest epoch that a sink holds of a lineage means for another one of that lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Commit,
    Done,
    /// The epoch is there, decided by another manifest.
    Another,
    Fenced {
        by: Epoch,
    },
}

/// How the commit of an epoch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    /// By an earlier attempt, whose answer was lost perhaps.
    AlreadyThere,
    /// The epoch is not there, and neither is all that it is made of: nothing was committed.
    Gone {
        what: String,
        /// What a person is told, unless the epoch may be given up.
        says: Failure,
    },
}

/// `held` is the newest epoch of this lineage in the sink, with the mark of its manifest where it is known.
#[must_use]
pub fn judge(held: Option<(Epoch, Option<u32>)>, of: &Decided) -> Verdict {
    match held {
        Some((by, _)) if by > of.epoch => Verdict::Fenced { by },
        Some((last, mark)) if last == of.epoch => match mark {
            Some(mark) if mark != of.mark => Verdict::Another,
            _ => Verdict::Done,
        },
        _ => Verdict::Commit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_epoch_of_a_lineage_decides_and_an_unknown_mark_accuses_nobody() {
        let of = Decided {
            pipeline: "rides".into(),
            lineage: "l".into(),
            sink: "silver".into(),
            epoch: Epoch(2),
            mark: 7,
            token: None,
            provenance: Map::new(),
        };
        for (held, expected) in [
            (None, Verdict::Commit),
            (Some((Epoch(1), Some(7))), Verdict::Commit),
            (Some((Epoch(1), Some(8))), Verdict::Commit),
            (Some((Epoch(2), Some(7))), Verdict::Done),
            (Some((Epoch(2), None)), Verdict::Done),
            (Some((Epoch(2), Some(8))), Verdict::Another),
            (Some((Epoch(3), Some(7))), Verdict::Fenced { by: Epoch(3) }),
            (Some((Epoch(3), None)), Verdict::Fenced { by: Epoch(3) }),
        ] {
            assert_eq!(judge(held, &of), expected, "{held:?}");
        }
    }
}

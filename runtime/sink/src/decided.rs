//! An epoch in a sink, whatever the sink's kind: what was decided for the sink, what the sink holds, and how the two
//! compare.

use serde_json::{Map, Value};
use weir_base::failure::Failure;
use weir_plan::ids::Epoch;

/// One sink's part of an epoch, as the epoch's manifest decided it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    pub pipeline: String,
    pub lineage: String,
    pub sink: String,
    pub epoch: Epoch,
    /// 31 bits that stand for the manifest.
    pub mark: u32,
    /// The token of the last state action that was done before the epoch.
    pub token: Option<String>,
    /// Where the rows came from, for people who look at the sink.
    pub provenance: Map<String, Value>,
}

/// The newest commit of a sink in one lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEpoch {
    pub lineage: String,
    pub epoch: Epoch,
    /// The mark of the manifest that decided the epoch; `None` if an older version of Weir committed it, because that
    /// version wrote no mark.
    pub mark: Option<u32>,
    /// Whether the sink knows that this pipeline committed the epoch. Otherwise it knows only the lineage, and can't
    /// tell whose it is.
    pub is_named: bool,
}

/// How the newest epoch that a sink holds of a lineage compares with another epoch of that lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Commit,
    Done,
    /// The sink holds the epoch, but another manifest decided it.
    Another,
    Fenced {
        by: Epoch,
    },
}

/// How the commit of an epoch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    /// An earlier attempt committed it; its answer may have been lost.
    AlreadyThere,
    /// The sink does not have the epoch, and some of the epoch's parts are gone. Nothing was committed.
    Gone {
        what: String,
        /// The failure to report, unless the epoch may be given up.
        says: Failure,
    },
}

/// Compares an epoch with `held`, the newest epoch of its lineage in the sink, with the mark of its manifest if known.
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

//! What a table remembers about a pipeline's commits for good: `txn` actions, which log checkpoints keep and the
//! clean-up of a log does not remove. Each commit has these (`docs/decisions/0012-what-sinks-remember.md`):
//!
//! - `weir/<lineage>/<sink>`, whose version is the epoch;
//! - `weir.manifest/<pipeline>/<lineage>/<sink>`, whose version names the manifest that decided this epoch: the
//!   manifest's mark in the upper half, and the lower half of the epoch's number in the lower half. An older version of
//!   Weir writes only the first action; then the epoch numbers disagree, and nothing is known about the manifest;
//! - `weir.token/<pipeline>/<sink>`, if a state action was ever done: its version stands for the token of the last one.

use std::collections::HashMap;

use weir_base::failure::{Failure, Result};
use weir_plan::ids::Epoch;
use xxhash_rust::xxh3::xxh3_64;

use super::actions::Txn;
use crate::decided::{Decided, HeldEpoch};

const EPOCHS: &str = "weir/";
const MANIFESTS: &str = "weir.manifest/";
const TOKENS: &str = "weir.token/";

/// Whether an application id belongs to Weir.
pub(super) fn is_ours(app_id: &str) -> bool {
    [EPOCHS, MANIFESTS, TOKENS].iter().any(|prefix| app_id.starts_with(prefix))
}

/// The application id under which a lineage's epochs are kept.
pub(super) fn app_id(of: &Decided) -> String {
    format!("{EPOCHS}{}/{}", of.lineage, of.sink)
}

/// The transactions of an epoch's commit.
pub(super) fn txns(of: &Decided) -> Result<Vec<Txn>> {
    let version = i64::try_from(of.epoch.0)
        .map_err(|_| Failure::bug(format!("epoch {} is too large for a Delta transaction", of.epoch)))?;
    let named = Txn { app_id: manifest_id(&of.pipeline, &of.lineage, &of.sink), version: named(of.epoch.0, of.mark) };
    let token = of
        .token
        .as_deref()
        .map(|token| Txn { app_id: token_id(&of.pipeline, &of.sink), version: token_version(token) });
    Ok([Txn { app_id: app_id(of), version }, named].into_iter().chain(token).collect())
}

/// The newest epoch of this lineage in the table, and the mark of its manifest.
pub(super) fn newest(txns: &HashMap<String, i64>, of: &Decided) -> Option<(Epoch, Option<u32>)> {
    let epoch = u64::try_from(*txns.get(&app_id(of))?).ok()?;
    let named = txns.get(&manifest_id(&of.pipeline, &of.lineage, &of.sink));
    Some((Epoch(epoch), named.and_then(|named| mark_of(epoch, *named))))
}

/// What the table holds of a pipeline's sink: the newest epoch of each lineage.
pub(super) fn held(txns: &HashMap<String, i64>, pipeline: &str, sink: &str) -> Vec<HeldEpoch> {
    let mut held: Vec<_> = txns
        .iter()
        .filter_map(|(app_id, epoch)| {
            let lineage = app_id.strip_prefix(EPOCHS)?.strip_suffix(sink)?.strip_suffix('/')?;
            let epoch = u64::try_from(*epoch).ok()?;
            let named = txns.get(&manifest_id(pipeline, lineage, sink));
            let mark = named.and_then(|named| mark_of(epoch, *named));
            Some(HeldEpoch { lineage: lineage.to_owned(), epoch: Epoch(epoch), mark, is_named: named.is_some() })
        })
        .collect();
    held.sort_by(|a, b| a.lineage.cmp(&b.lineage));
    held
}

/// The number that stands for the token of the last state action that was done before the table's last commit.
pub(super) fn token(txns: &HashMap<String, i64>, pipeline: &str, sink: &str) -> Option<i64> {
    txns.get(&token_id(pipeline, sink)).copied()
}

/// The number that stands for a state action's token; it is not negative.
pub(super) fn token_version(token: &str) -> i64 {
    (xxh3_64(token.as_bytes()) >> 1).cast_signed()
}

fn token_id(pipeline: &str, sink: &str) -> String {
    format!("{TOKENS}{pipeline}/{sink}")
}

fn manifest_id(pipeline: &str, lineage: &str, sink: &str) -> String {
    format!("{MANIFESTS}{pipeline}/{lineage}/{sink}")
}

fn named(epoch: u64, mark: u32) -> i64 {
    (i64::from(mark & 0x7fff_ffff) << 32) | (epoch & 0xffff_ffff).cast_signed()
}

/// The mark, if it belongs to this epoch.
fn mark_of(epoch: u64, named: i64) -> Option<u32> {
    let is_of_epoch = (named & 0xffff_ffff).cast_unsigned() == epoch & 0xffff_ffff;
    is_of_epoch.then(|| u32::try_from(named >> 32).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Map;

    use super::*;
    use crate::decided::{Verdict, judge};

    fn of(epoch: u64, mark: u32) -> Decided {
        let (pipeline, lineage, sink) = ("rides".into(), "l".into(), "silver".into());
        Decided {
            pipeline,
            lineage,
            sink,
            epoch: Epoch(epoch),
            mark,
            token: Some("back-1".into()),
            provenance: Map::new(),
        }
    }

    /// The transactions of a table after these commits.
    fn after(commits: &[Decided]) -> HashMap<String, i64> {
        commits.iter().flat_map(|of| txns(of).unwrap()).map(|txn| (txn.app_id, txn.version)).collect()
    }

    #[test]
    fn the_last_transaction_decides() {
        assert_eq!(judge(newest(&after(&[]), &of(1, 7)), &of(1, 7)), Verdict::Commit);
        for (last, epoch, expected) in [
            ((1, 7), (2, 7), Verdict::Commit),
            ((1, 7), (9, 7), Verdict::Commit),
            ((2, 7), (2, 7), Verdict::Done),
            ((2, 7), (2, 8), Verdict::Another),
            ((3, 7), (2, 7), Verdict::Fenced { by: Epoch(3) }),
        ] {
            let (table, of) = (after(&[of(last.0, last.1)]), of(epoch.0, epoch.1));
            assert_eq!(judge(newest(&table, &of), &of), expected, "{last:?} {epoch:?}");
        }
    }

    #[test]
    fn an_epoch_that_an_older_version_committed_has_no_mark() {
        let mut table = after(&[of(2, 7)]);
        table.insert("weir/l/silver".into(), 3);
        assert_eq!(newest(&table, &of(3, 9)), Some((Epoch(3), None)));
        let held = held(&table, "rides", "silver");
        assert_eq!(held, [HeldEpoch { lineage: "l".into(), epoch: Epoch(3), mark: None, is_named: true }]);
    }

    #[test]
    fn marks_fit_the_sign_and_large_epochs_are_told_apart_from_their_neighbours() {
        for (epoch, mark) in [(u64::MAX >> 1, 0x7fff_ffff), (1, 0), (1 << 32, 1)] {
            let version = named(epoch, mark);
            assert!(version >= 0, "{version}");
            assert_eq!((mark_of(epoch, version), mark_of(epoch + 1, version)), (Some(mark), None));
        }
    }

    #[test]
    fn what_is_held_is_of_the_sink_and_of_every_lineage() {
        let other = Decided { lineage: "l.3".into(), ..of(9, 5) };
        let late = Decided { sink: "late".into(), ..of(8, 4) };
        let strangers = [late, Decided { pipeline: "orders".into(), lineage: "x".into(), ..of(4, 1) }];
        let table = after(&[of(2, 7), other, strangers[0].clone(), strangers[1].clone()]);
        assert_eq!(
            (token(&table, "rides", "silver"), token(&table, "rides", "gold")),
            (Some(token_version("back-1")), None)
        );
        let of = |lineage: &str, epoch, mark, is_named| HeldEpoch {
            lineage: lineage.into(),
            epoch: Epoch(epoch),
            mark,
            is_named,
        };
        assert_eq!(
            held(&table, "rides", "silver"),
            [of("l", 2, Some(7), true), of("l.3", 9, Some(5), true), of("x", 4, None, false)]
        );
    }
}

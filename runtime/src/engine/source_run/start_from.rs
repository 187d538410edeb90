//! Where a pipeline without a checkpoint begins: resolves `startFrom` to one offset per partition. Pure: what the
//! brokers say comes in as arguments.
//!
//! `startFrom` is resolved once. The first claim pins the offsets, so that a crash before the first epoch skips nothing
//! if `startFrom` is `Latest` or a time.

use std::collections::BTreeMap;

use weir_plan::ids::TopicPartition;
use weir_plan::plan::{OnLostOffsets, StartFrom};
use weir_plan::quote::quoted;

use crate::failure::{Failure, Result};
use crate::source::kafka::OffsetBounds;

/// The most partitions that a message names.
const NAMED_MAX: usize = 10;

/// What the brokers of one source say.
pub struct Topics {
    pub partitions: Vec<(TopicPartition, OffsetBounds)>,
    /// By topic name, where the broker tells ids.
    pub ids: BTreeMap<String, String>,
    /// The first offset at or after the time that the source begins at; of a partition that has none, nothing.
    pub at_time: BTreeMap<TopicPartition, i64>,
    /// Topics that were read so far and that do not exist any more, and that the source goes on without.
    pub gone: Vec<String>,
}

/// The first offset of each partition of `topics` for which `begins` is true: it does not continue from a checkpoint.
///
/// # Errors
/// `Config`, if the offsets that the document lists are not those of the partitions that exist.
pub fn first_offsets(
    start_from: &StartFrom,
    on_lost_offsets: OnLostOffsets,
    topics: &Topics,
    begins: impl Fn(&TopicPartition) -> bool,
) -> Result<BTreeMap<TopicPartition, i64>> {
    if let StartFrom::Offsets(listed) = start_from {
        check_listed(listed, &topics.partitions, &begins)?;
    }
    let first = topics.partitions.iter().filter(|(id, _)| begins(id)).map(|(id, bounds)| {
        let offset = match start_from {
            StartFrom::Earliest => bounds.low,
            StartFrom::Latest => bounds.end,
            StartFrom::Timestamp { .. } => topics.at_time.get(id).copied().unwrap_or(bounds.end),
            StartFrom::Offsets(listed) => {
                within(id, listed.get(id).copied().unwrap_or(bounds.end), *bounds, on_lost_offsets)?
            }
        };
        Ok((id.clone(), offset))
    });
    first.collect()
}

/// Checks a start offset. One that Kafka has already deleted counts as lost: it is pinned as the document has it, and
/// the lane that does not find it follows `onLostOffsets` and counts the gap. What only another document can repair is
/// refused here, before anything is pinned.
fn within(id: &TopicPartition, offset: i64, bounds: OffsetBounds, on_lost_offsets: OnLostOffsets) -> Result<i64> {
    let OffsetBounds { low, end } = bounds;
    if offset > end {
        return Err(refused(format_args!(
            "{} begins at {offset}, but Kafka has [{low}, {end}): write {end} at most",
            quoted(id)
        )));
    }
    if offset < low && on_lost_offsets == OnLostOffsets::Fail {
        return Err(refused(format_args!(
            "{} begins at {offset}, but Kafka has [{low}, {end}) and `onLostOffsets` is Fail: write {low} at least, \
             or Earliest or \
             Latest, which go on there and count what is lost",
            quoted(id)
        )));
    }
    Ok(offset)
}

fn check_listed(
    listed: &BTreeMap<TopicPartition, i64>,
    there: &[(TopicPartition, OffsetBounds)],
    begins: impl Fn(&TopicPartition) -> bool,
) -> Result<()> {
    let missing: Vec<_> = there.iter().map(|(id, _)| id).filter(|id| begins(id) && !listed.contains_key(id)).collect();
    if !missing.is_empty() {
        return Err(refused(format_args!(
            "{} is not there; each partition that is read needs an offset",
            names(&missing)
        )));
    }
    let unknown: Vec<_> = listed.keys().filter(|id| !there.iter().any(|(known, _)| known == *id)).collect();
    if !unknown.is_empty() {
        return Err(refused(format_args!("{} does not exist; leave it out", names(&unknown))));
    }
    Ok(())
}

fn names(ids: &[&TopicPartition]) -> String {
    let shown: Vec<_> = ids.iter().take(NAMED_MAX).map(quoted).collect();
    let more = if ids.len() > NAMED_MAX { format!(" (and {} more)", ids.len() - NAMED_MAX) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn refused(what: std::fmt::Arguments<'_>) -> Failure {
    Failure::config(format!("startFrom.offsets: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Remedy;

    fn id(partition: i32) -> TopicPartition {
        TopicPartition { topic: "rides".into(), partition }
    }

    /// Two partitions: one has [100, 200), of which 150 is at the time that was asked for, and the other has nothing.
    fn topics() -> Topics {
        let partitions = vec![(id(0), OffsetBounds { low: 100, end: 200 }), (id(1), OffsetBounds { low: 7, end: 7 })];
        Topics { partitions, ids: BTreeMap::new(), at_time: BTreeMap::from([(id(0), 150)]), gone: Vec::new() }
    }

    fn offsets(listed: &[(i32, i64)]) -> StartFrom {
        StartFrom::Offsets(listed.iter().map(|&(partition, offset)| (id(partition), offset)).collect())
    }

    fn refused(start_from: &StartFrom, policy: OnLostOffsets) -> String {
        let failure = first_offsets(start_from, policy, &topics(), |_| true).unwrap_err();
        assert_eq!(failure.remedy, Remedy::Config);
        failure.message
    }

    fn all(start_from: &StartFrom, policy: OnLostOffsets) -> Vec<i64> {
        first_offsets(start_from, policy, &topics(), |_| true).unwrap().into_values().collect()
    }

    #[test]
    fn only_partitions_that_begin_need_an_offset() {
        let second =
            first_offsets(&offsets(&[(1, 7)]), OnLostOffsets::Fail, &topics(), |id| id.partition == 1).unwrap();
        assert_eq!(second, BTreeMap::from([(id(1), 7)]));
    }

    #[test]
    fn a_position_or_a_time_is_an_offset_of_each_partition_and_its_end_where_no_record_is_that_late() {
        for (start_from, first) in [
            (StartFrom::Earliest, [100, 7]),
            (StartFrom::Latest, [200, 7]),
            (StartFrom::Timestamp { at_ms: 1 }, [150, 7]),
            (offsets(&[(0, 120), (1, 7)]), [120, 7]),
            (offsets(&[(0, 200), (1, 7)]), [200, 7]),
        ] {
            assert_eq!(all(&start_from, OnLostOffsets::Fail), first, "{start_from:?}");
        }
    }

    #[test]
    fn a_partition_without_an_offset_and_an_offset_without_a_partition_are_named() {
        assert_eq!(
            refused(&offsets(&[(0, 120)]), OnLostOffsets::Latest),
            "startFrom.offsets: `rides-1` is not there; each partition that is read needs an offset"
        );
        assert_eq!(
            refused(&offsets(&[(0, 120), (1, 7), (2, 0)]), OnLostOffsets::Latest),
            "startFrom.offsets: `rides-2` does not exist; leave it out"
        );
    }

    #[test]
    fn an_offset_that_is_gone_goes_by_the_policy_and_one_that_never_was_is_refused() {
        let gone = offsets(&[(0, 40), (1, 7)]);
        assert!(
            refused(&gone, OnLostOffsets::Fail)
                .contains("`rides-0` begins at 40, but Kafka has [100, 200) and `onLostOffsets` is Fail")
        );
        // The offset is pinned as the document has it. The lane counts the gap.
        assert_eq!(all(&gone, OnLostOffsets::Earliest), [40, 7]);
        for policy in [OnLostOffsets::Fail, OnLostOffsets::Earliest, OnLostOffsets::Latest] {
            assert!(
                refused(&offsets(&[(0, 201), (1, 7)]), policy)
                    .contains("begins at 201, but Kafka has [100, 200): write 200 at most")
            );
        }
    }
}

//! Which partition holds a source's watermark, and why. People ask this when they wait for windows to close. Pure.

use weir_plan::report::{Because, Hold};

use crate::checkpoint::manifest::SourceProgress;

/// The partition with the least watermark of those that are not idle; `None` if all are idle. `not_idle` says why a
/// partition is not idle although it has been quiet for long.
#[must_use]
pub fn hold(source: &SourceProgress, not_idle: impl Fn(usize) -> Option<Because>) -> Option<Hold> {
    // A partition that was never read has no watermark, and comes before all others.
    let (index, held_by) =
        source.partitions.iter().enumerate().filter(|(_, p)| !p.idle).min_by_key(|(_, p)| p.watermark_us)?;
    let because = not_idle(index).unwrap_or(match held_by.watermark_us {
        None => Because::NotReadYet,
        Some(_) => Because::Slowest,
    });
    Some(Hold { topic: held_by.topic.clone(), partition: held_by.partition, because })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::checkpoint::manifest::{BadShare, PartitionProgress, SourceCounts};

    /// A source with the watermarks of its partitions; `None` for an idle partition.
    fn source(partitions: &[Option<Option<i64>>]) -> SourceProgress {
        let partitions = (0..).zip(partitions).map(|(partition, p)| PartitionProgress {
            topic: "rides".into(),
            partition,
            start: 0,
            end: 1,
            lost: Vec::new(),
            unreadable: Vec::new(),
            watermark_us: p.unwrap_or(Some(0)),
            idle: p.is_none(),
            leader_epoch: None,
        });
        SourceProgress {
            name: "rides".into(),
            topic_ids: BTreeMap::new(),
            topics_gone: Vec::new(),
            moved_by: None,
            held_by: None,
            watermark_before_us: None,
            watermark_after_us: None,
            processing_time_us: None,
            partitions: partitions.collect(),
            counts: SourceCounts::default(),
            bad_share: BadShare::default(),
        }
    }

    #[test]
    fn the_slowest_partition_that_is_not_idle_holds() {
        let held = hold(&source(&[Some(Some(9)), None, Some(Some(5))]), |_| None).unwrap();
        assert_eq!((held.partition, held.because), (2, Because::Slowest));
        assert_eq!(hold(&source(&[None, None]), |_| None), None);
    }

    #[test]
    fn one_that_was_never_read_holds_before_all_others() {
        let held = hold(&source(&[Some(Some(5)), Some(None)]), |_| None).unwrap();
        assert_eq!((held.partition, held.because), (1, Because::NotReadYet));
    }

    #[test]
    fn an_open_transaction_is_the_reason_only_on_the_partition_that_holds() {
        for (partition, because) in [(0, Because::OpenTransaction), (1, Because::Slowest)] {
            let held = hold(&source(&[Some(Some(5)), Some(Some(9))]), |index| {
                (index == partition).then_some(Because::OpenTransaction)
            })
            .unwrap();
            assert_eq!((held.partition, held.because), (0, because));
        }
        let never_read = hold(&source(&[Some(None)]), |_| Some(Because::LeaderSilent)).unwrap();
        assert_eq!(never_read.because, Because::LeaderSilent);
    }
}

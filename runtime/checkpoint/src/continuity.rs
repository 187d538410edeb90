//! A manifest must go on where its predecessor stopped. This is checked before the manifest is created, because
//! creating it decides the epoch. An overlap would count records twice, a forgotten partition would be read again from
//! its start, and the tables could not be repaired.

use weir_base::failure::{Failure, Result};

use super::manifest::{Manifest, PartitionProgress, SourceProgress};

/// Checks that `sources` may follow `before`. Every partition of `before` goes on where it was, unless its topic is
/// gone; new partitions may join. Lost offsets lie within the range of the epoch that noticed the loss, which declares
/// them. A claim takes in no records. Watermarks never go back.
///
/// # Errors
/// `Bug`, with the source or the partition.
pub fn check(before: &Manifest, sources: &[SourceProgress], is_claim: bool) -> Result<()> {
    own_ranges(sources, is_claim)?;
    for last in &before.sources {
        let Some(source) = sources.iter().find(|s| s.name == last.name) else {
            return Err(Failure::bug(format!(
                "the manifest after epoch {} would forget source {}",
                before.epoch, last.name
            )));
        };
        if source.watermark_after_us < last.watermark_after_us {
            return Err(Failure::bug(format!(
                "the watermark of source {} would go back from {:?} to {:?} after epoch {}",
                source.name, last.watermark_after_us, source.watermark_after_us, before.epoch
            )));
        }
        for at in &last.partitions {
            match source.partitions.iter().find(|p| same_partition(p, at)) {
                None if source.topics_gone.contains(&at.topic) => {}
                None => {
                    return Err(Failure::bug(format!(
                        "the manifest after epoch {} would forget {}-{} of source {}",
                        before.epoch, at.topic, at.partition, source.name
                    )));
                }
                Some(p) if p.start != at.end => return Err(misplaced(source, p, Some(at.end))),
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Checks the claim that begins a lineage. It may be at any offsets, but takes in no records.
///
/// # Errors
/// `Bug`, with the partition.
pub fn check_beginning(sources: &[SourceProgress]) -> Result<()> {
    own_ranges(sources, true)
}

fn own_ranges(sources: &[SourceProgress], is_claim: bool) -> Result<()> {
    for source in sources {
        if let Some(p) = source.partitions.iter().find(|p| p.end < p.start || (is_claim && p.end != p.start)) {
            return Err(misplaced(source, p, None));
        }
        if let Some(p) = source.partitions.iter().find(|p| !is_sound(p)) {
            return Err(Failure::bug(format!(
                "{}-{} of source {} would declare {:?} as lost, which is not within [{}, {}) and in order",
                p.topic, p.partition, source.name, p.lost, p.start, p.end
            )));
        }
    }
    Ok(())
}

/// Whether the lost ranges lie within the partition's own range, in order and without overlap.
fn is_sound(p: &PartitionProgress) -> bool {
    let starts = p.lost.iter().map(|range| range.start).chain([p.end]);
    let ends = [p.start].into_iter().chain(p.lost.iter().map(|range| range.end));
    ends.zip(starts).all(|(end, next)| end <= next) && p.lost.iter().all(|range| range.start < range.end)
}

fn same_partition(a: &PartitionProgress, b: &PartitionProgress) -> bool {
    a.topic == b.topic && a.partition == b.partition
}

fn misplaced(source: &SourceProgress, p: &PartitionProgress, expected: Option<i64>) -> Failure {
    let expected = expected.map_or(String::new(), |end| format!(", and {end} is where it has to go on"));
    Failure::bug(format!(
        "{}-{} of source {} would take in offsets [{}, {}){expected}",
        p.topic, p.partition, source.name, p.start, p.end
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::manifest::OffsetRange;
    use weir_plan::ids::Epoch;

    /// A source `s` with topic `t`, whose partitions are given as `(partition, start, end)`.
    fn source(watermark_us: Option<i64>, ranges: &[(i32, i64, i64)]) -> SourceProgress {
        let partitions = ranges.iter().map(|&(partition, start, end)| PartitionProgress {
            topic: "t".into(),
            partition,
            start,
            end,
            lost: Vec::new(),
            unreadable: Vec::new(),
            watermark_us,
            idle: false,
            leader_epoch: None,
        });
        SourceProgress {
            name: "s".into(),
            topic_ids: std::collections::BTreeMap::new(),
            topics_gone: Vec::new(),
            watermark_before_us: None,
            watermark_after_us: watermark_us,
            processing_time_us: None,
            moved_by: None,
            held_by: None,
            partitions: partitions.collect(),
            counts: crate::manifest::SourceCounts::default(),
            bad_share: crate::manifest::BadShare::default(),
        }
    }

    fn before() -> Manifest {
        let mut manifest = Manifest::decode(
            Epoch(42),
            "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491",
            include_bytes!("../../fixtures/manifest-v2.json"),
        )
        .unwrap();
        manifest.sources = vec![source(Some(100), &[(0, 10, 20), (1, 5, 5)])];
        manifest
    }

    #[test]
    fn ranges_that_join_pass_and_so_do_new_partitions() {
        for ranges in [[(0, 20, 30), (1, 5, 5), (2, 0, 9)], [(0, 20, 20), (1, 5, 7), (2, 3, 3)]] {
            assert_eq!(check(&before(), &[source(Some(100), &ranges)], false), Ok(()));
        }
        assert_eq!(check(&before(), &[source(Some(100), &[(0, 20, 20), (1, 5, 5), (2, 7, 7)])], true), Ok(()));
    }

    #[test]
    fn what_was_lost_is_declared_within_the_range_of_its_epoch() {
        for (lost, is_right) in [
            (&[(20, 30)][..], true),
            (&[(20, 21), (21, 25), (29, 30)], true),
            (&[(19, 21)], false),
            (&[(25, 31)], false),
            (&[(22, 22)], false),
            (&[(25, 27), (21, 22)], false),
            (&[(21, 25), (24, 26)], false),
        ] {
            let mut source = source(Some(100), &[(0, 20, 30), (1, 5, 5)]);
            source.partitions[0].lost = lost.iter().map(|&(start, end)| OffsetRange { start, end }).collect();
            assert_eq!(check(&before(), &[source], false).is_ok(), is_right, "{lost:?}");
        }
    }

    #[test]
    fn partitions_of_a_topic_that_is_declared_gone_may_be_left_out() {
        let mut source = source(Some(100), &[(0, 20, 30)]);
        source.topics_gone = vec!["t".into()];
        assert_eq!(check(&before(), &[source.clone()], false), Ok(()));
        source.topics_gone = vec!["other".into()];
        assert!(check(&before(), &[source], false).unwrap_err().message.contains("forget t-1"));
    }

    #[test]
    fn overlaps_gaps_forgotten_partitions_and_watermarks_that_go_back_are_refused() {
        let refused = |watermark, ranges: &[(i32, i64, i64)], is_claim| {
            check(&before(), &[source(watermark, ranges)], is_claim).unwrap_err().message
        };
        assert!(refused(Some(100), &[(0, 19, 30), (1, 5, 5)], false).contains("[19, 30), and 20 is where"));
        assert!(
            refused(Some(100), &[(0, 21, 30), (1, 5, 5)], false).contains("[21, 30), and 20 is where"),
            "what is lost is declared"
        );
        assert!(refused(Some(100), &[(0, 20, 15), (1, 5, 5)], false).contains("[20, 15)"));
        assert!(refused(Some(100), &[(0, 20, 30)], false).contains("forget t-1"));
        assert!(refused(Some(99), &[(0, 20, 30), (1, 5, 5)], false).contains("go back"));
        assert!(refused(None, &[(0, 20, 30), (1, 5, 5)], false).contains("go back"));
        assert!(refused(Some(100), &[(0, 20, 21), (1, 5, 5)], true).contains("[20, 21)"), "a claim takes nothing in");
        assert!(refused(Some(100), &[(0, 21, 21), (1, 5, 5)], true).contains("[21, 21)"), "a claim skips nothing");
        assert!(check_beginning(&[source(None, &[(0, 3, 3)])]).is_ok(), "a lineage may begin anywhere");
        assert!(check_beginning(&[source(None, &[(0, 3, 4)])]).is_err());
        assert!(check(&before(), &[], false).unwrap_err().message.contains("forget source s"));
    }
}

//! What a lane does when Kafka no longer has what the lane was to read: a gap comes next, the log goes back, or the log
//! ends too early.

use std::time::Duration;

use weir_plan::plan::OnLostOffsets;

use crate::checkpoint::manifest::OffsetRange;
use crate::failure::{Failure, Result};

/// An AvailableNow run takes the end of a log at its start. A log that ends before that may have been cut. A new leader
/// may know a lower end for a moment (KIP-207), so the lane asks the leader only after the log has ended early for this
/// long, and again each time this has passed.
pub const CUT_AFTER: Duration = Duration::from_secs(10);

/// The gap before `next`, if there is one. All offsets below `taken_in` were taken in, and `wanted` came next for the
/// client. (Between the two lie offsets that are not records but markers of transactions.) Reading never continues at
/// an earlier offset, since the number was taken in already, with another record.
///
/// # Errors
/// `Config`, if the log goes back.
pub fn gap(partition: &str, taken_in: i64, wanted: i64, next: i64) -> Result<Option<OffsetRange>> {
    if next < taken_in {
        return Err(Failure::config(format!(
            "{partition}: offset {taken_in} comes next, but Kafka's log goes back to {next}: it was cut (an unclean \
             election of a leader) or \
             made anew, and records that this checkpoint has counted are gone; spec.stateAction with discard: \
             {{offsets: StartFrom}} \
             reads it from startFrom on"
        )));
    }
    let start = wanted.max(taken_in);
    Ok((start < next).then_some(OffsetRange { start, end: next }))
}

/// Whether the log was cut before the end of a run. `log_end` is what its leader has just said. That no more records
/// came is no evidence: an unreachable leader sends nothing, and neither does a leader that cannot read its log.
#[must_use]
pub fn is_cut(log_end: Option<i64>, bound: i64) -> bool {
    log_end.is_some_and(|end| end < bound)
}

/// The offset at which a run ends on a partition whose log ends before the run's bound.
///
/// # Errors
/// `Config`, if nothing may be lost.
pub fn end_of_run(partition: &str, end: i64, bound: i64, policy: OnLostOffsets) -> Result<i64> {
    if policy == OnLostOffsets::Fail {
        return Err(Failure::config(format!(
            "{partition}: this run was to end at offset {bound}, where Kafka's log ended when it began, but now the \
             log ends at {end}: it was \
             cut (an unclean election of a leader) or made anew, and `onLostOffsets` is Fail; Earliest or Latest ends \
             the run there, without \
             the records that are lost"
        )));
    }
    tracing::warn!(
        partition,
        end,
        bound,
        "offsets lost: Kafka's log ends before the end that this run took at its start, and so does the run"
    );
    Ok(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Remedy;

    #[test]
    fn lost_offsets_are_a_gap_and_a_log_that_goes_back_is_refused() {
        let range = |start, end| Ok(Some(OffsetRange { start, end }));
        assert_eq!(gap("rides-0", 10, 10, 12), range(10, 12));
        assert_eq!(gap("rides-0", 10, 11, 12), range(11, 12), "offset 10 was a marker");
        assert_eq!(gap("rides-0", 10, 10, 10), Ok(None));
        let refused = gap("rides-0", 10, 10, 4).unwrap_err();
        assert_eq!(refused.remedy, Remedy::Config);
        assert!(
            refused.message.starts_with("rides-0: offset 10 comes next, but Kafka's log goes back to 4"),
            "{refused}"
        );
    }

    #[test]
    fn a_log_is_cut_by_its_leaders_word_and_not_by_silence() {
        assert!(is_cut(Some(7), 10));
        for log_end in [None, Some(10), Some(11)] {
            assert!(!is_cut(log_end, 10), "{log_end:?}");
        }
    }

    #[test]
    fn a_run_whose_end_was_cut_off_ends_where_the_log_does_if_it_may() {
        assert_eq!(end_of_run("rides-0", 7, 10, OnLostOffsets::Earliest), Ok(7));
        let refused = end_of_run("rides-0", 7, 10, OnLostOffsets::Fail).unwrap_err();
        assert_eq!(refused.remedy, Remedy::Config);
        assert!(refused.message.starts_with("rides-0: this run was to end at offset 10"), "{refused}");
    }
}

//! `badRecords.maxPerMillion`: how many of a million records may be bad before the pipeline stops. Pure. The manifests
//! keep the count, so that a restart does not begin it again.

use crate::checkpoint::manifest::{BadShare, SourceCounts};

const MILLION: u64 = 1_000_000;

/// Adds an epoch to the count, with the offsets that could not be read. After a million records the count begins again,
/// so that years of good records do not make up for bad records now.
///
/// # Errors
/// The count, if too many records are bad.
pub fn advance(
    before: BadShare,
    counts: &SourceCounts,
    unreadable: u64,
    max_per_million: u64,
) -> Result<BadShare, BadShare> {
    let now = BadShare { read: before.read + counts.read + unreadable, bad: before.bad + counts.bad() + unreadable };
    let allowed = u128::from(max_per_million) * u128::from(now.read.max(MILLION)) / u128::from(MILLION);
    match u128::from(now.bad) > allowed {
        true => Err(now),
        false if now.read >= MILLION => Ok(BadShare::default()),
        false => Ok(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(epochs: &[(u64, u64)], max_per_million: u64) -> Result<(u64, u64), (u64, u64)> {
        let mut share = BadShare::default();
        for (read, bad) in epochs {
            let counts = SourceCounts { read: *read, rejected: *bad, ..SourceCounts::default() };
            share = advance(share, &counts, 0, max_per_million).map_err(|s| (s.read, s.bad))?;
        }
        Ok((share.read, share.bad))
    }

    #[test]
    fn so_many_may_be_bad_before_the_first_million_is_read_and_no_more() {
        assert_eq!(after(&[(10, 10), (990, 0)], 10), Ok((1_000, 10)));
        assert_eq!(after(&[(10, 10), (990, 0), (1, 1)], 10), Err((1_001, 11)));
        assert_eq!(after(&[(5, 1)], 0), Err((5, 1)));
    }

    #[test]
    fn offsets_that_cannot_be_read_count_as_bad_records() {
        let counts = SourceCounts { read: 90, dropped: 4, ..SourceCounts::default() };
        assert_eq!(advance(BadShare::default(), &counts, 6, 10), Ok(BadShare { read: 96, bad: 10 }));
        assert_eq!(advance(BadShare::default(), &counts, 7, 10), Err(BadShare { read: 97, bad: 11 }));
    }

    #[test]
    fn a_million_good_records_begin_the_count_anew_and_pay_for_no_later_ones() {
        assert_eq!(after(&[(999_999, 10), (1, 0), (10, 10)], 10), Ok((10, 10)));
        assert_eq!(after(&[(5_000_000, 0), (100, 11)], 10), Err((100, 11)));
    }

    #[test]
    fn an_epoch_of_more_than_a_million_is_measured_by_what_it_has() {
        assert_eq!(after(&[(3_000_000, 30)], 10), Ok((0, 0)));
        assert_eq!(after(&[(3_000_000, 31)], 10), Err((3_000_000, 31)));
        assert_eq!(after(&[(u64::MAX, u64::MAX)], 1_000_000), Ok((0, 0)));
    }
}

//! Which fragments and sessions belong together. Two of one key meet if neither begins after the other's end; what
//! meets is one session, transitively.

/// Sessions that fragments have made or changed.
#[derive(Default)]
pub(super) struct Joined {
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    /// Per session: a fragment of it, whose key it has.
    pub fragments: Vec<u32>,
    /// What the sessions are made of: the number of a list of columns (0: the fragments; else a segment's number and
    /// 1), and the row in it.
    pub members: Vec<(usize, usize)>,
    /// The session of each member, in ascending order.
    pub numbers: Vec<usize>,
}

/// A session or fragment of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub start_us: i64,
    pub end_us: i64,
    /// As [`Joined::members`].
    pub member: (usize, usize),
}

impl Joined {
    /// Adds the sessions that the spans of one key make. Those without a fragment are as they were.
    pub fn add(&mut self, spans: &mut [Span]) {
        spans.sort_unstable();
        let mut rest = &spans[..];
        while let Some(first) = rest.first() {
            let (mut end_us, mut count) = (first.end_us, 1);
            while let Some(next) = rest.get(count).filter(|next| next.start_us <= end_us) {
                end_us = end_us.max(next.end_us);
                count += 1;
            }
            let (these, behind) = rest.split_at(count);
            rest = behind;
            let Some(fragment) = these.iter().find(|span| span.member.0 == 0) else { continue };
            let number = self.starts.len();
            self.starts.push(first.start_us);
            self.ends.push(end_us);
            self.fragments.push(u32::try_from(fragment.member.1).unwrap_or(u32::MAX));
            self.members.extend(these.iter().map(|span| span.member));
            self.numbers.extend(std::iter::repeat_n(number, count));
        }
    }

    /// The sessions that are members: a segment's number, and the row in it.
    pub fn sessions(&self) -> impl Iterator<Item = (usize, usize)> {
        self.members.iter().filter_map(|(list, row)| Some((list.checked_sub(1)?, *row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sessions of these spans, each `(start, end, is a fragment)`.
    fn joined(spans: &[(i64, i64, bool)]) -> Vec<(i64, i64, usize)> {
        let mut joined = Joined::default();
        let span = |(row, (start_us, end_us, is_fragment)): (usize, &(i64, i64, bool))| Span {
            start_us: *start_us,
            end_us: *end_us,
            member: (usize::from(!*is_fragment), row),
        };
        joined.add(&mut spans.iter().enumerate().map(span).collect::<Vec<_>>());
        let members = |session| joined.numbers.iter().filter(|number| **number == session).count();
        (0..joined.starts.len()).map(|i| (joined.starts[i], joined.ends[i], members(i))).collect()
    }

    #[test]
    fn what_meets_is_one_session_and_a_row_exactly_a_gap_later_meets() {
        assert_eq!(joined(&[(0, 10, true), (10, 20, false)]), [(0, 20, 2)]);
        assert_eq!(joined(&[(0, 10, true), (11, 20, true)]), [(0, 10, 1), (11, 20, 1)]);
        assert_eq!(joined(&[(0, 10, false), (20, 30, false), (9, 21, true)]), [(0, 30, 3)]);
        assert_eq!(joined(&[(0, 50, true), (10, 20, true), (40, 60, true)]), [(0, 60, 3)]);
    }

    #[test]
    fn a_session_that_no_fragment_meets_stays_as_it_is() {
        assert_eq!(joined(&[(0, 10, false), (20, 30, true)]), [(20, 30, 1)]);
        assert_eq!(joined(&[(0, 10, false)]), []);
    }
}

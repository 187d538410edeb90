//! The state machine against a simulated log with batches that are readable, broken, refused by brokers, or empty for a
//! reader.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use weir_testing::property::holds;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Broken,
    Refused,
    /// The batch holds an aborted transaction or a marker.
    Empty,
}

#[derive(Debug, Clone, Copy)]
struct Batch {
    base: i64,
    last: i64,
    kind: Kind,
    /// The base that the batch names. In a broken batch this may be the damaged part.
    says: i64,
}

/// Batches in order, with holes between them, as compaction leaves them.
#[derive(Debug, Clone)]
struct Log {
    batches: Vec<Batch>,
    end: i64,
}

impl Log {
    fn of(batches: &[(i64, i64, Kind)], end: i64) -> Self {
        Self {
            batches: batches.iter().map(|&(base, last, kind)| Batch { base, last, kind, says: base }).collect(),
            end,
        }
    }

    /// The first event after a fetch.
    fn fetch(&self, offset: i64) -> Answer {
        for batch in self.batches.iter().filter(|b| b.last >= offset) {
            match batch.kind {
                Kind::Good => return Answer::Readable,
                Kind::Broken => return Answer::Broken { base: batch.says },
                Kind::Refused => return Answer::Refused,
                Kind::Empty => {}
            }
        }
        Answer::Readable
    }

    fn batch_at(&self, offset: i64) -> Option<&Batch> {
        self.batches.iter().find(|b| (b.base..=b.last).contains(&offset))
    }

    fn has_record(&self, offsets: std::ops::Range<i64>) -> bool {
        self.batches.iter().any(|b| b.kind == Kind::Good && b.base < offsets.end && offsets.start <= b.last)
    }

    /// The range that is passed over, as the search finds it, and how many fetches that took.
    fn search(&self, position: i64, bound: Option<i64>) -> ((i64, i64), usize) {
        let now = Instant::now();
        let mut unreadable = Unreadable::new(position, self.fetch(position), "broken".into(), now);
        let (mut now, mut probes) = (now, 0);
        loop {
            match unreadable.next(now) {
                Next::Wait(_) => panic!("each fetch was answered"),
                Next::Rest(until) => now = until,
                Next::Try { offset, nth } => {
                    assert!((1..=TRIES).contains(&nth) && offset == position);
                    assert!(!unreadable.answer(self.fetch(offset), now));
                }
                Next::AskForEnd => unreadable.end_is(bound, self.end, now),
                Next::Probe(offset) => {
                    probes += 1;
                    assert!(probes < 2_000, "{self:?} from {position}");
                    assert!(position < offset && offset < bound.unwrap_or(self.end), "{offset} in {self:?}");
                    assert!(!unreadable.answer(self.fetch(offset), now));
                }
                Next::Found { from, next } => return ((from, next), probes),
            }
        }
    }
}

/// Logs of up to a dozen batches, some of which brokers refuse if `refuses`.
fn logs(refuses: bool) -> impl Strategy<Value = Log> {
    use Kind::{Broken, Empty, Good, Refused};
    let bad = if refuses { [Broken, Broken, Broken, Refused, Refused] } else { [Broken; 5] };
    let kind = select([[Good, Good, Good, Good, Empty], bad].concat());
    let length = prop_oneof![4 => 1..20_i64, 1 => 1..3_000_i64];
    let hole = prop_oneof![7 => Just(0), 3 => 1..40_i64];
    let batch = (length, kind, weighted(0.1, any::<i64>()), hole);
    (0..5_i64, vec(batch, 1..12)).prop_map(|(mut at, batches)| {
        let placed = batches.into_iter().map(|(length, kind, says, hole)| {
            let batch = Batch { base: at, last: at + length - 1, kind, says: says.unwrap_or(at) };
            at += length + hole;
            batch
        });
        let batches: Vec<_> = placed.collect();
        Log { end: batches.last().unwrap().last + 1, batches }
    })
}

#[test]
fn the_first_readable_offset_behind_a_batch_is_found_by_few_fetches() {
    use Kind::{Broken, Good};
    let log = Log::of(&[(0, 9, Good), (10, 10_009, Broken), (10_010, 10_019, Good)], 10_020);
    for position in [10, 11, 5_000, 10_009] {
        let (found, probes) = log.search(position, None);
        assert_eq!(found, (position, 10_010));
        assert!(probes <= 2 * 14, "{probes} fetches");
    }
}

#[test]
fn broken_batches_at_the_end_of_the_log_end_with_it_or_with_the_run() {
    use Kind::{Broken, Good};
    let log = Log::of(&[(0, 9, Good), (10, 19, Broken), (20, 29, Broken)], 30);
    assert_eq!(log.search(10, None).0, (10, 30));
    assert_eq!(log.search(10, Some(20)).0, (10, 20));
    assert_eq!(log.search(25, Some(30)).0, (25, 30));
}

#[test]
fn a_good_batch_between_two_broken_ones_is_not_passed_over_however_small_it_is() {
    use Kind::{Broken, Good};
    let log = Log::of(&[(100, 109, Broken), (110, 110, Good), (111, 5_000, Broken), (5_001, 5_010, Good)], 5_011);
    assert_eq!(log.search(100, None).0, (100, 110));
    assert_eq!(log.search(111, None).0, (111, 5_001));
}

#[test]
fn holes_before_a_broken_batch_are_no_part_of_the_range() {
    use Kind::{Broken, Empty, Good};
    let log = Log::of(&[(0, 9, Good), (10, 14, Empty), (40, 49, Broken), (60, 69, Good)], 70);
    assert_eq!(log.search(10, None).0, (40, 50));
    assert_eq!(log.search(41, None).0, (41, 50), "reading stands within the batch");
}

#[test]
fn nothing_is_missing_where_the_broken_batch_lies_behind_the_end_of_the_run() {
    use Kind::{Broken, Empty, Good};
    let log = Log::of(&[(0, 9, Good), (10, 10, Empty), (11, 19, Broken), (20, 20, Good)], 21);
    assert_eq!(log.search(10, Some(11)).0, (11, 11));
    // A base beyond the log's end shows that the base itself is damaged.
    let (mut unreadable, now) = given_up_on(10, Answer::Broken { base: 1 << 50 });
    unreadable.end_is(Some(11), 21, now);
    assert_eq!(unreadable.next(now), Next::Found { from: 10, next: 11 });
}

/// A partition after all attempts have failed, and the time at that point.
fn given_up_on(position: i64, answer: Answer) -> (Unreadable, Instant) {
    let mut now = Instant::now();
    let mut unreadable = Unreadable::new(position, answer, "broken".into(), now);
    let mut tries = 0;
    while !unreadable.stays_so() {
        match unreadable.next(now) {
            Next::Rest(until) => now = until,
            Next::Try { nth, .. } => {
                tries = nth;
                assert!(!unreadable.answer(answer, now));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tries, TRIES);
    assert_eq!(unreadable.next(now), Next::AskForEnd);
    (unreadable, now)
}

#[test]
fn what_can_be_read_by_the_second_try_is_read_on() {
    let mut now = Instant::now();
    let mut unreadable = Unreadable::new(7, Answer::Broken { base: 7 }, "broken".into(), now);
    for nth in 1..=2 {
        let Next::Rest(until) = unreadable.next(now) else { panic!("it rests before it is read again") };
        assert!(!unreadable.answer(Answer::Readable, now), "of a fetch before");
        now = until;
        assert_eq!(unreadable.next(now), Next::Try { offset: 7, nth });
        assert_eq!(unreadable.answer(if nth == 1 { Answer::Refused } else { Answer::Readable }, now), nth == 2);
    }
}

#[test]
fn a_fetch_that_nobody_answers_goes_on_while_the_log_reaches_as_far() {
    let broken = Answer::Broken { base: 7 };
    let start = Instant::now();
    let mut unreadable = Unreadable::new(7, broken, "broken".into(), start);
    let now = start + TRY_AGAIN_AFTER;
    assert_eq!(unreadable.next(now), Next::Try { offset: 7, nth: 1 });
    assert_eq!(unreadable.next(now), Next::Wait(now + ANSWER_WITHIN));
    let later = now + ANSWER_WITHIN;
    assert_eq!(unreadable.next(later), Next::AskForEnd);
    unreadable.end_is(None, 100, later);
    assert_eq!(unreadable.next(later), Next::Wait(later + ANSWER_WITHIN));
    assert!(unreadable.answer(Answer::Readable, later), "the try still stands");

    let (mut unreadable, now) = given_up_on(7, broken);
    unreadable.end_is(None, 100, now);
    assert_eq!(unreadable.next(now), Next::Probe(8));
    let later = now + ANSWER_WITHIN;
    assert_eq!(unreadable.next(later), Next::AskForEnd);
    unreadable.end_is(None, 120, later);
    assert_eq!(unreadable.next(later), Next::Wait(later + ANSWER_WITHIN));
    // Another leader knows a lower end: what was found out belongs to another log.
    unreadable.end_is(None, 90, later);
    assert_eq!(unreadable.next(later), Next::Rest(later + TRY_AGAIN_AFTER));
}

#[test]
fn an_offset_that_is_gone_is_lost_where_reading_stands_and_no_matter_elsewhere() {
    let (mut unreadable, now) = given_up_on(7, Answer::Broken { base: 7 });
    unreadable.end_is(None, 100, now);
    assert_eq!((unreadable.next(now), unreadable.lose(8, now)), (Next::Probe(8), None));
    let now = now + TRY_AGAIN_AFTER;
    assert_eq!((unreadable.next(now), unreadable.lose(7, now)), (Next::Try { offset: 7, nth: 1 }, Some(7)));
}

/// librdkafka reports this behind a broken batch, for an offset that it read from the damaged bytes.
#[test]
fn another_offset_that_is_gone_only_begins_the_fetch_anew() {
    let mut now = Instant::now();
    let mut unreadable = Unreadable::new(7, Answer::Broken { base: 7 }, "broken".into(), now);
    assert_eq!(unreadable.lose(1 << 60, now), None);
    now += TRY_AGAIN_AFTER;
    for _ in 0..2 {
        assert_eq!((unreadable.next(now), unreadable.lose(1 << 60, now)), (Next::Try { offset: 7, nth: 1 }, None));
    }
    let (mut unreadable, now) = given_up_on(7, Answer::Broken { base: 7 });
    assert_eq!(unreadable.lose(1 << 60, now), None);
    unreadable.end_is(None, 100, now);
    for _ in 0..2 {
        assert_eq!((unreadable.next(now), unreadable.lose(1 << 60, now)), (Next::Probe(8), None));
    }
}

/// For any log of broken batches, the range covers every offset of the first one and no readable record, and reading
/// can go on behind the range.
#[test]
fn property_no_readable_record_is_passed_over_and_no_broken_one_is_left() {
    holds(5_000, (logs(false), weighted(0.3, any::<Index>())), |(log, bound)| {
        let bound = bound.map(|at| at.get(&log.batches).last + 1);
        for position in 0..bound.unwrap_or(log.end).min(200) {
            if log.fetch(position) == Answer::Readable {
                continue;
            }
            let ((from, next), _) = log.search(position, bound);
            assert!(
                position <= from && from <= next && next <= bound.unwrap_or(log.end),
                "{from}..{next} of {log:?} from {position}"
            );
            assert!(!log.has_record(position..next), "[{position}, {next}) of {log:?}");
            assert!(
                !(position..from).any(|o| log.batch_at(o).is_some_and(|b| b.kind == Kind::Broken)),
                "before {from} of {log:?}"
            );
            let goes_on = log.fetch(next) == Answer::Readable || Some(next) == bound;
            assert!(goes_on, "{next} of {log:?} from {position}");
        }
    });
}

/// Brokers that refuse do not say how far. So what lies between two damaged places may be passed over with them. Still,
/// reading goes on where it can, and a single damaged place is passed over exactly.
#[test]
fn property_what_brokers_refuse_is_passed_over_to_where_they_answer() {
    holds(2_000, logs(true), |log| {
        for position in (0..log.end.min(200)).filter(|o| log.fetch(*o) != Answer::Readable) {
            let ((from, next), _) = log.search(position, None);
            assert!(position <= from && from < next && next <= log.end, "{from}..{next} of {log:?} from {position}");
            assert_eq!(log.fetch(next), Answer::Readable, "{next} of {log:?} from {position}");
        }
    });
    use Kind::{Good, Refused};
    let log = Log::of(&[(0, 9, Good), (10, 777, Refused), (778, 800, Good)], 801);
    assert_eq!(log.search(10, None).0, (10, 778));
}

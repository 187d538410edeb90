//! What is known of a batch that can't be read, and what to ask next: whether it stays so, and where the first readable
//! offset behind it is. Pure; the lane fetches at the offsets that this asks for, and the first event after each fetch
//! is the answer.
//!
//! ```text
//! Resting ─▶ Trying ─(readable)─▶ reading goes on
//!    ▲          │(not, some tries left)
//!    └──────────┤
//!               └─(not, none left)─▶ Searching ─▶ Found
//! ```

use std::time::{Duration, Instant};

/// How often the same offset is read again before its batch counts as unreadable: bytes may have been damaged on the
/// way, and by the next try another replica may lead.
pub(super) const TRIES: u32 = 3;
/// Before each of these tries.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// After this, the offsets of a partition that does not answer are asked for: its topic may be gone, or its log shorter
/// than it was. The fetch itself goes on, and its answer may be in the lane's queue behind much else.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the first event after a fetch at an offset says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Answer {
    /// A record, or the end of the partition.
    Readable,
    /// No record was there before the batch that begins at `base`, and that one can't be read.
    Broken { base: i64 },
    /// The broker itself can't read what it has there. It does not say how far that goes.
    Refused,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for an answer, until then.
    Wait(Instant),
    /// Fetch nothing, until then.
    Rest(Instant),
    /// Fetch at this offset. `nth` counts the tries to read the partition on.
    Try { offset: i64, nth: u32 },
    /// Ask for the partition's offsets, and tell [`Unreadable::end_is`].
    AskForEnd,
    /// Fetch at this offset, only to see what comes first.
    Probe(i64),
    /// Go on at `next`. No record in `[from, next)` can be read; if that is empty, none is missing.
    Found { from: i64, next: i64 },
}

/// A partition of which the next batch can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Where reading stands: whatever lies below it was handed out or held no record.
    position: i64,
    /// In librdkafka's words.
    pub(super) reason: String,
    first: Answer,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Not fetched, until then.
    Resting {
        until: Instant,
        tried: u32,
    },
    Trying {
        until: Instant,
        tried: u32,
    },
    /// Still unreadable; the partition's offsets are not known yet.
    Asking,
    Searching(Search),
}

impl Unreadable {
    pub(super) fn new(position: i64, first: Answer, reason: String, now: Instant) -> Self {
        Self { position, reason, first, phase: Phase::Resting { until: now + TRY_AGAIN_AFTER, tried: 0 } }
    }

    /// Takes the first event after a fetch; what comes behind it is not looked at. True if it shows that the partition
    /// can be read on where it stands.
    pub(super) fn answer(&mut self, answer: Answer, now: Instant) -> bool {
        match &mut self.phase {
            Phase::Trying { .. } if answer == Answer::Readable => return true,
            Phase::Trying { tried, .. } => {
                self.first = answer;
                self.phase = if *tried < TRIES {
                    Phase::Resting { until: now + TRY_AGAIN_AFTER, tried: *tried }
                } else {
                    Phase::Asking
                };
            }
            Phase::Searching(search) => search.answer(answer),
            Phase::Resting { .. } | Phase::Asking => {}
        }
        false
    }

    /// What to do now; done by whoever asks.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        match &mut self.phase {
            Phase::Resting { until, .. } if now < *until => Next::Rest(*until),
            Phase::Trying { until, .. } if now < *until => Next::Wait(*until),
            Phase::Resting { tried, .. } => {
                let nth = *tried + 1;
                self.phase = Phase::Trying { until: now + ANSWER_WITHIN, tried: nth };
                Next::Try { offset: self.position, nth }
            }
            Phase::Trying { .. } | Phase::Asking => Next::AskForEnd,
            Phase::Searching(search) => search.next(now),
        }
    }

    /// Takes in how far there is something to read: to `bound`, where the run ends, or to `log_end`. What stays
    /// unreadable is searched up to there. The log may be too short, since another leader may know a lower end for a
    /// moment: then the partition rests, and is tried anew.
    pub(super) fn end_is(&mut self, bound: Option<i64>, log_end: i64, now: Instant) {
        let limit = bound.map_or(log_end, |bound| bound.min(log_end));
        match &mut self.phase {
            Phase::Trying { until, .. } => *until = now + ANSWER_WITHIN,
            Phase::Searching(search) if search.limit <= limit => search.wait_on(now),
            Phase::Asking if self.position < limit => {
                self.phase = Phase::Searching(Search::new(self.position, self.first, limit, log_end));
            }
            Phase::Resting { .. } | Phase::Asking | Phase::Searching(_) => self.start_over(now),
        }
    }

    /// The log does not have an offset, which is given back if that is the one at which reading stands. Most often it
    /// is another one: behind a broken batch librdkafka goes to where the bytes that follow seem to say, tells late
    /// that nothing is there, and stops, even if it was sent elsewhere meanwhile. Then the fetch is begun anew.
    pub(super) fn lose(&mut self, offset: i64, now: Instant) -> Option<i64> {
        match &mut self.phase {
            Phase::Trying { .. } if offset == self.position => return Some(offset),
            Phase::Trying { tried, .. } => self.phase = Phase::Resting { until: now, tried: *tried - 1 },
            Phase::Searching(search) if search.asked.is_some_and(|(asked, _)| asked == offset) => self.start_over(now),
            Phase::Searching(search) => search.asked = None,
            Phase::Resting { .. } | Phase::Asking => {}
        }
        None
    }

    /// Tries anew where reading stands: the log has changed meanwhile.
    fn start_over(&mut self, now: Instant) {
        self.phase = Phase::Resting { until: now + TRY_AGAIN_AFTER, tried: 0 };
    }

    /// Whether all tries have failed, and the search has not begun.
    pub(super) fn stays_so(&self) -> bool {
        self.phase == Phase::Asking
    }
}

/// The search for the first readable offset. A fetch within a batch answers with that same batch, so distances double
/// until something else comes, and halve from there. Broken batches say where they begin: an offset that answers with
/// the batch in hand is within it, one that answers with another broken batch leaves open what lies between the two,
/// which is searched first. So no readable record is skipped. Where brokers refuse, nothing tells one damaged place
/// from the next, and two that are close together are one range, with what lies between them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Search {
    position: i64,
    /// Where the first broken batch begins, if that is known.
    first: Option<i64>,
    /// Where the batch in hand begins, if that is known.
    base: Option<i64>,
    /// The greatest offset of which it is known that nothing from `position` to it can be read.
    bad: i64,
    step: i64,
    /// The least offset above `bad` of which something else is known.
    above: Option<Above>,
    limit: i64,
    log_end: i64,
    asked: Option<(i64, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    Readable(i64),
    /// From `start` to `through` nothing can be read either, for the sake of another batch.
    Broken {
        start: i64,
        through: i64,
        base: Option<i64>,
    },
}

impl Search {
    fn new(position: i64, first: Answer, limit: i64, log_end: i64) -> Self {
        let base = base_of(first);
        Self { position, first: base, base, bad: position, step: 1, above: None, limit, log_end, asked: None }
    }

    fn next(&mut self, now: Instant) -> Next {
        match self.asked {
            Some((_, until)) if now < until => return Next::Wait(until),
            Some(_) => return Next::AskForEnd,
            None => {}
        }
        // The first broken batch lies behind the end of the run: nothing is missing before it. A base that was damaged
        // itself lies anywhere, hardly ever just there.
        if self.first.is_some_and(|base| (self.limit..self.log_end).contains(&base)) {
            return Next::Found { from: self.limit, next: self.limit };
        }
        loop {
            match self.above {
                Some(Above::Readable(next)) if next == self.bad + 1 => {
                    return Next::Found { from: self.from(next), next };
                }
                Some(Above::Broken { start, through, base }) if start == self.bad + 1 => {
                    (self.bad, self.base, self.step, self.above) = (through, base, 1, None);
                }
                Some(Above::Readable(start) | Above::Broken { start, .. }) => {
                    return self.probe(self.bad + (start - self.bad) / 2, now);
                }
                // Nothing is read from there on, or it is not written yet.
                None if self.bad + self.step >= self.limit => self.above = Some(Above::Readable(self.limit)),
                None => return self.probe(self.bad + self.step, now),
            }
        }
    }

    fn probe(&mut self, offset: i64, now: Instant) -> Next {
        self.asked = Some((offset, now + ANSWER_WITHIN));
        Next::Probe(offset)
    }

    fn wait_on(&mut self, now: Instant) {
        if let Some((_, until)) = &mut self.asked {
            *until = now + ANSWER_WITHIN;
        }
    }

    /// Offsets before the first broken batch are holes, if it is true that it begins there.
    fn from(&self, next: i64) -> i64 {
        self.first.filter(|base| (self.position..next).contains(base)).unwrap_or(self.position)
    }

    fn answer(&mut self, answer: Answer) {
        let Some((offset, _)) = self.asked.take() else { return };
        let base = base_of(answer);
        if answer == Answer::Readable {
            self.above = Some(Above::Readable(offset));
        } else if base == self.base {
            self.bad = offset;
            self.step = self.step.saturating_mul(2);
        } else {
            let start = base.filter(|base| (self.bad + 1..=offset).contains(base)).unwrap_or(offset);
            let through = match self.above {
                Some(Above::Broken { through, base: of_above, .. }) if of_above == base => through,
                _ => offset,
            };
            self.above = Some(Above::Broken { start, through, base });
        }
    }
}

fn base_of(answer: Answer) -> Option<i64> {
    match answer {
        Answer::Broken { base } => Some(base),
        Answer::Readable | Answer::Refused => None,
    }
}

#[cfg(test)]
#[path = "unreadable_tests.rs"]
mod tests;

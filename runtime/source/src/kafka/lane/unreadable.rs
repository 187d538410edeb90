//! What is known about a batch that can't be read, and what to ask next: whether it stays unreadable, and where the
//! first readable offset behind it is. Pure: the lane fetches at the offsets that this asks for, and the first event
//! after each fetch is the answer.
//!
//! ```text
//! Resting ─▶ Trying ─(readable)─▶ reading goes on
//!    ▲          │(not, some tries left)
//!    └──────────┤
//!               └─(not, none left)─▶ Searching ─▶ Found
//! ```

use std::time::{Duration, Instant};

use super::super::fault::Answer;

/// How often the same offset is read again before its batch counts as unreadable. The network may have damaged the
/// bytes, and by the next attempt another replica may lead.
pub(super) const TRIES: u32 = 3;
/// The pause before each of these attempts.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// If a partition does not answer within this time, the lane asks for its offsets: the topic may be gone, or the log
/// may be shorter than it was. The fetch itself goes on, because its answer may stand in the lane's queue behind much
/// else.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for an answer until this time.
    Wait(Instant),
    /// Fetch nothing until this time.
    Rest(Instant),
    /// Fetch at this offset. `nth` counts the attempts to read on.
    Try { offset: i64, nth: u32 },
    /// Ask for the partition's offsets and pass them to [`Unreadable::end_is`].
    AskForEnd,
    /// Fetch at this offset, only to see what comes first.
    Probe(i64),
    /// Read on at `next`. No record in `[from, next)` can be read; if that range is empty, no record is missing.
    Found { from: i64, next: i64 },
}

/// A partition whose next batch can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The offset where reading stands: every record below it was handed out.
    position: i64,
    /// librdkafka's text.
    pub(super) reason: String,
    first: Answer,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The partition is not fetched until this time.
    Resting {
        until: Instant,
        tried: u32,
    },
    Trying {
        until: Instant,
        tried: u32,
    },
    /// All attempts have failed, and the partition's offsets are not known yet.
    Asking,
    Searching(Search),
}

impl Unreadable {
    pub(super) fn new(position: i64, first: Answer, reason: String, now: Instant) -> Self {
        Self { position, reason, first, phase: Phase::Resting { until: now + TRY_AGAIN_AFTER, tried: 0 } }
    }

    /// Takes the first event after a fetch; later events are ignored. True if it shows that the partition can be read
    /// on at its offset.
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

    /// What the caller must do now.
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

    /// Takes the end of what there is to read: `bound`, where the run ends, or `log_end`. A partition that stays
    /// unreadable is searched up to there. The log may seem too short, since another leader may know a lower end for a
    /// moment. Then the partition rests and is tried again.
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

    /// Notes that the log does not have an offset, and returns that offset if reading stands there. Most often it is
    /// another offset: behind a broken batch librdkafka moves to the place that the following bytes seem to name. It
    /// reports late that nothing is there, and stops, even if it was sent elsewhere meanwhile. In that case the fetch
    /// begins again.
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

    /// Begins again at the offset where reading stands, because the log has changed meanwhile.
    fn start_over(&mut self, now: Instant) {
        self.phase = Phase::Resting { until: now + TRY_AGAIN_AFTER, tried: 0 };
    }

    /// Whether all attempts have failed and the search has not begun.
    pub(super) fn stays_so(&self) -> bool {
        self.phase == Phase::Asking
    }
}

/// The search for the first readable offset. A fetch within a batch answers with that same batch, so distances double
/// until another answer comes, and halve from there. A broken batch says where it begins. An offset that answers with
/// the current batch is within it. An offset that answers with another broken batch leaves the offsets between the two
/// open, and these are searched first. So no readable record is skipped. Where brokers refuse, nothing tells one
/// damaged place from the next: two that are close together become one range, and what lies between them is skipped
/// with them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Search {
    position: i64,
    /// Where the first broken batch begins, if known.
    first: Option<i64>,
    /// Where the current batch begins, if known.
    base: Option<i64>,
    /// The greatest offset up to which, from `position` on, nothing can be read as far as is known.
    bad: i64,
    step: i64,
    /// The least offset above `bad` with another answer.
    above: Option<Above>,
    limit: i64,
    log_end: i64,
    asked: Option<(i64, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    Readable(i64),
    /// From `start` to `through` nothing can be read either, because of another batch.
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
        // The first broken batch lies behind the end of the run, so nothing is missing before that end. A batch whose
        // base is damaged may name any offset, and hardly ever one in just this range.
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
                // This run reads nothing from there on, or the log ends there.
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

    /// Offsets before the first broken batch hold no records, if the batch really begins where it says.
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
mod tests;

//! Checks that the store refuses a second create: the part of the machine that runs first.

use super::{Answer, Machine, PROBES_TO_ACCUSE, ProbeStep, State, Stop};

impl Machine {
    pub(super) fn probed(&mut self, attempt: u32, misses: u32, step: ProbeStep, answer: &Answer) -> State {
        let with = |step| State::Probing { attempt, misses, step };
        match (step, answer) {
            (ProbeStep::First, Answer::Created) => with(ProbeStep::Second),
            // The object may be our own, if the client asked twice, or it may not be: another name tells.
            (ProbeStep::First, Answer::AlreadyExists | Answer::Unknown) => {
                self.again(State::Probing { attempt: attempt + 1, misses, step: ProbeStep::First })
            }
            (ProbeStep::Second, Answer::AlreadyExists) => with(ProbeStep::Delete { refused: true }),
            (ProbeStep::Second, Answer::Created) => with(ProbeStep::Delete { refused: false }),
            (ProbeStep::Second, Answer::Unknown) => self.again(with(ProbeStep::Second)),
            // A probe that stays is collected when it is old.
            (ProbeStep::Delete { refused: true }, Answer::Deleted | Answer::NotFound | Answer::Unknown) => {
                self.retries = 0;
                State::ReadingIdentity { claiming: false }
            }
            (ProbeStep::Delete { refused: false }, Answer::Deleted | Answer::NotFound | Answer::Unknown) => {
                if misses + 1 >= PROBES_TO_ACCUSE {
                    State::Stopped(Stop::NoConditionalPut)
                } else {
                    State::Probing { attempt: attempt + 1, misses: misses + 1, step: ProbeStep::First }
                }
            }
            _ => State::Stopped(Stop::Misused),
        }
    }
}

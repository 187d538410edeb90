//! How a number is taken: what a claim says, the create, and how a lost answer is told from a lost race.

use weir_plan::ids::{Epoch, Generation};

use super::{Answer, DecisionStep, Head, Held, Kind, LOST_RACES_MAX, Machine, Rest, Rule, State, Stop, Told, Whose};

impl Machine {
    pub(super) fn claim_upon_newest(&self) -> State {
        // The claim's generation must be above every generation that a sink knows, even from a history that this
        // checkpoint has lost.
        let begun = |held: &Held| match held.whose {
            Whose::Ours { begun } => Some(begun.0),
            Whose::Others => None,
        };
        let known = self.told.held.iter().filter_map(begun).max().unwrap_or_default();
        let is_data = self.newest.as_ref().is_some_and(|newest| newest.kind == Kind::Data);
        let carries = !self.excused && (is_data || self.keeps(Rule::CarryWhatIsInDoubt));
        let head = match &self.newest {
            None => Head {
                epoch: Epoch::FIRST,
                kind: Kind::Claim,
                generation: Generation(known + 1),
                nonce: self.nonce.clone(),
                in_doubt: None,
                begun: Generation(1),
                writes: Vec::new(),
                acknowledged: Vec::new(),
            },
            Some(newest) => Head {
                epoch: newest.epoch.next(),
                kind: Kind::Claim,
                generation: Generation(newest.generation.0.max(known) + 1),
                nonce: self.nonce.clone(),
                in_doubt: newest.unacknowledged().filter(|_| carries),
                begun: newest.begun,
                writes: Vec::new(),
                acknowledged: match self.keeps(Rule::CountWhatIsAcknowledged) {
                    true => newest.acknowledged.clone(),
                    false => newest.acknowledged_with(newest),
                },
            },
        };
        State::Deciding { head, step: DecisionStep::Creating }
    }

    pub(super) fn deciding(&mut self, head: Head, step: DecisionStep, answer: Answer) -> State {
        match (step, answer) {
            (DecisionStep::Creating, Answer::Created) => self.created(head),
            (DecisionStep::Creating, Answer::AlreadyExists) if !self.keeps(Rule::ReadWhatExists) => self.created(head),
            (DecisionStep::Creating, Answer::Unknown) if !self.keeps(Rule::UnknownIsNotSuccess) => self.created(head),
            (DecisionStep::Creating, Answer::AlreadyExists) => State::Deciding { head, step: DecisionStep::Learning },
            (DecisionStep::Creating, Answer::Unknown) => {
                self.again(State::Deciding { head, step: DecisionStep::Learning })
            }
            (DecisionStep::Learning, Answer::Unknown) => {
                self.again(State::Deciding { head, step: DecisionStep::Learning })
            }
            // The create never landed, or its object was collected since, or the store reported a passing conflict. In
            // the first and the last case, creating it again is right; in the second, the listing that follows shows
            // it.
            (DecisionStep::Learning, Answer::NotFound) => {
                self.again(State::Deciding { head, step: DecisionStep::Creating })
            }
            (DecisionStep::Learning, Answer::Found(found)) if found.epoch != head.epoch => {
                State::Stopped(Stop::Misused)
            }
            (DecisionStep::Learning, Answer::Found(found)) if found.nonce == self.nonce => self.created(found),
            (DecisionStep::Learning, Answer::Found(found)) => self.taken(&head, found),
            (DecisionStep::Fencing, Answer::Fenced { above: Some(found), .. }) => {
                State::Stopped(Stop::Fenced { ours: head.epoch, found })
            }
            (DecisionStep::Fencing, Answer::Fenced { above: None, before: true }) => self.decided(head),
            (DecisionStep::Fencing, Answer::Fenced { above: None, before: false }) => {
                State::Stopped(Stop::Vanished(head.epoch))
            }
            (DecisionStep::Fencing, Answer::Unknown) => {
                self.again(State::Deciding { head, step: DecisionStep::Fencing })
            }
            _ => State::Stopped(Stop::Misused),
        }
    }

    fn created(&mut self, head: Head) -> State {
        self.retries = 0;
        if self.keeps(Rule::FenceAfterCreate) {
            State::Deciding { head, step: DecisionStep::Fencing }
        } else {
            self.decided(head)
        }
    }

    fn taken(&mut self, head: &Head, found: Head) -> State {
        match head.kind {
            Kind::Claim if self.lost_races < LOST_RACES_MAX => {
                self.lost_races += 1;
                State::Seeking { claiming: true }
            }
            Kind::Claim => State::Stopped(Stop::Crowded),
            Kind::Data if found.generation > head.generation => {
                State::Stopped(Stop::Fenced { ours: head.epoch, found: found.epoch })
            }
            Kind::Data => State::Stopped(Stop::Unexplained {
                epoch: found.epoch,
                generation: found.generation,
                ours: head.generation,
            }),
        }
    }

    fn decided(&mut self, head: Head) -> State {
        let (kind, epoch) = (head.kind, head.epoch);
        self.newest = Some(head);
        match kind {
            Kind::Claim => {
                self.told = Told::default();
                self.rest(Rest::Claimed)
            }
            Kind::Data if self.keeps(Rule::AcknowledgeBeforeNext) => State::Committing(epoch),
            Kind::Data => self.rest(Rest::Ready),
        }
    }
}

//! Compares what the sinks hold with what the checkpoint decided: the part of the machine that runs before a claim.

use weir_plan::ids::Epoch;

use super::{Doubt, Head, Kind, Machine, Rule, State, Told, Whose, Why};

impl Machine {
    pub(super) fn heard(&mut self, told: Told) -> State {
        self.retries = 0;
        self.told = told;
        if !self.identified {
            // Nothing is decided here, so everything that speaks against beginning is known already.
            return match self.told.held.iter().position(|held| held.whose == Whose::Others) {
                Some(n) => State::ReadingIdentityAgain { n },
                None => State::CreatingIdentity,
            };
        }
        if self.keeps(Rule::AskSinksBeforeListing) { State::Seeking { claiming: true } } else { self.compare_from(0) }
    }

    /// Compares what the sinks hold with the newest manifest, from the `n`th answer on.
    pub(super) fn compare_from(&self, n: usize) -> State {
        for (n, held) in self.told.held.iter().enumerate().skip(n) {
            match (&self.newest, held.whose) {
                (None, Whose::Ours { .. }) => return self.doubts(n, Why::Behind),
                (None, Whose::Others) => return self.doubts(n, Why::Forgotten),
                // A person has allowed it to write there.
                (Some(_), Whose::Others) => {}
                (Some(newest), Whose::Ours { begun }) if begun > newest.generation => {
                    return self.doubts(n, Why::Behind);
                }
                // A state action has left that history behind.
                (Some(newest), Whose::Ours { begun }) if begun < newest.begun => {}
                (Some(newest), Whose::Ours { begun }) if begun > newest.begun => return self.doubts(n, Why::Another),
                (Some(newest), Whose::Ours { .. }) if held.epoch > newest.epoch => return self.doubts(n, Why::Behind),
                (Some(_), Whose::Ours { .. }) => return State::Comparing { n },
            }
        }
        self.look_back()
    }

    /// What the sinks hold agrees with this checkpoint. This looks for a sink that lacks what it has acknowledged.
    fn look_back(&self) -> State {
        match self.went_back().filter(|_| self.keeps(Rule::NoticeSinksThatWentBack)) {
            None => self.claim_upon_newest(),
            Some(_) if self.keeps(Rule::AskSinksAgainBeforeSayingSo) => State::AskingSinksAnew,
            Some(doubt) => State::Excusing(doubt),
        }
    }

    /// The first sink that holds an older epoch than it has acknowledged, or one of that number that another manifest
    /// decided.
    pub(super) fn went_back(&self) -> Option<Doubt> {
        let newest = self.newest.as_ref()?;
        (0..).zip(&self.told.asked).find_map(|(sink, place)| {
            let due = newest.acknowledged.iter().find(|acknowledged| acknowledged.place == *place)?;
            let held =
                self.told.held.iter().find(|held| held.sink == sink && held.whose == Whose::Ours { begun: due.begun });
            let holds = held.map_or(Epoch(0), |held| held.epoch);
            let is_another = held.and_then(|held| held.mark).is_some_and(|mark| mark != due.mark);
            let why = match holds.cmp(&due.epoch) {
                std::cmp::Ordering::Less => Why::WentBack { from: due.epoch },
                std::cmp::Ordering::Equal if is_another => Why::Another,
                std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => return None,
            };
            Some(Doubt { sink, held: holds, why })
        })
    }

    pub(super) fn compared(&self, n: usize, found: &Head) -> State {
        let held = &self.told.held[n];
        match found.kind {
            Kind::Claim => State::LookingBelow { n },
            Kind::Data if held.mark.is_none_or(|mark| mark == found.mark()) => self.compare_from(n + 1),
            Kind::Data => self.doubts(n, Why::Another),
        }
    }

    pub(super) fn doubts(&self, n: usize, why: Why) -> State {
        State::Excusing(Doubt { sink: self.told.held[n].sink, held: self.told.held[n].epoch, why })
    }
}

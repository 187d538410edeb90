//! What sinks hold, beside what the checkpoint has decided.

use super::*;

/// An epoch in sink 0, of the lineage that this generation began.
fn held(begun: u64, epoch: u64, mark: Option<Mark>) -> Held {
    Held { sink: 0, whose: Whose::Ours { begun: Generation(begun) }, epoch: Epoch(epoch), mark }
}

fn others(epoch: u64) -> Held {
    Held { sink: 0, whose: Whose::Others, epoch: Epoch(epoch), mark: None }
}

fn doubts(held: u64, why: Why) -> Next {
    Next::Ask(Request::Excuse(Doubt { sink: 0, held: Epoch(held), why }))
}

#[test]
fn a_sink_ahead_of_the_checkpoint_stops_the_start_before_anything_is_claimed() {
    let newest = || Some(head(9, Kind::Data, 3, "other", None));
    for (newest, holds, expected) in [
        (newest(), held(1, 10, None), doubts(10, Why::Behind)),
        (None, held(1, 2, None), doubts(2, Why::Behind)),
        (None, others(2), doubts(2, Why::Forgotten)),
        // The lineage began after the newest manifest, or this checkpoint does not know it.
        (newest(), held(4, 5, None), doubts(5, Why::Behind)),
        (newest(), held(2, 5, None), doubts(5, Why::Another)),
    ] {
        let mut machine = claiming_over(newest, vec![holds]);
        assert_eq!(machine.next(), expected);
        machine.answer(Answer::NotExcused);
        assert!(matches!(machine.next(), Next::Stopped(Stop::Disagrees(_))));
    }
}

#[test]
fn an_equal_number_is_compared_by_its_manifest() {
    let newest = head(9, Kind::Claim, 3, "other", Some(8));
    let wrote = head(8, Kind::Data, 2, "wrote", None);
    let claim = Next::Ask(Request::Create(head(10, Kind::Claim, 4, "me", Some(8))));
    for (mark, found, expected) in [
        (Some(wrote.mark()), Answer::Found(wrote.clone()), claim.clone()),
        (None, Answer::Found(wrote.clone()), claim.clone()),
        (Some(wrote.mark()), Answer::NotFound, claim.clone()),
        (Some(head(8, Kind::Data, 2, "lost", None).mark()), Answer::Found(wrote.clone()), doubts(8, Why::Another)),
    ] {
        let mut machine = claiming_over(Some(newest.clone()), vec![held(1, 8, mark)]);
        let (asked, next) = told(&mut machine, [found]);
        assert_eq!((asked, next), (vec![Request::Read(Epoch(8))], expected));
    }
}

#[test]
fn a_claim_in_the_place_of_what_a_sink_holds_is_another_history_unless_it_is_a_leftover() {
    let newest = head(9, Kind::Claim, 4, "other", None);
    for (below, expected) in [
        (Answer::Found(head(6, Kind::Claim, 2, "other", None)), doubts(7, Why::Another)),
        (Answer::NotFound, Next::Ask(Request::Create(head(10, Kind::Claim, 5, "me", None)))),
    ] {
        let mut machine = claiming_over(Some(newest.clone()), vec![held(1, 7, None)]);
        let (asked, next) = told(&mut machine, [Answer::Found(head(7, Kind::Claim, 3, "other", None)), below]);
        assert_eq!((asked, next), (vec![Request::Read(Epoch(7)), Request::Read(Epoch(6))], expected));
    }
}

#[test]
fn what_older_lineages_and_other_checkpoints_hold_stops_nobody_who_has_decided_something() {
    let newest = Head { begun: Generation(3), ..head(9, Kind::Data, 3, "other", None) };
    let machine = claiming_over(Some(newest), vec![held(1, 40, None), others(70)]);
    let claim = Head { begun: Generation(3), ..head(10, Kind::Claim, 4, "me", Some(9)) };
    assert_eq!(machine.next(), Next::Ask(Request::Create(claim)));
}

#[test]
fn a_claim_that_is_excused_takes_a_generation_above_all_that_the_sinks_know() {
    let mut machine =
        claiming_over(Some(head(9, Kind::Data, 3, "other", None)), vec![held(1, 50, None), held(7, 60, None)]);
    machine.answer(Answer::Excused);
    assert_eq!(machine.next(), Next::Ask(Request::Create(head(10, Kind::Claim, 8, "me", None))));
    machine.begin_lineage();
    let claim = Head { begun: Generation(8), ..head(10, Kind::Claim, 8, "me", None) };
    assert_eq!(machine.next(), Next::Ask(Request::Create(claim)));
    let mut emptied = claiming_over(None, vec![held(7, 60, None)]);
    assert!(emptied.is_emptied());
    emptied.answer(Answer::Excused);
    assert_eq!(emptied.next(), Next::Ask(Request::Create(head(1, Kind::Claim, 8, "me", None))));
}

/// Epoch 9, before which `silver` had acknowledged `epoch`.
fn after_acknowledging(epoch: &Head) -> Head {
    let of = Acknowledged { place: place("silver"), begun: epoch.begun, epoch: epoch.epoch, mark: epoch.mark() };
    Head { acknowledged: vec![of], ..head(9, Kind::Data, 3, "other", None) }
}

#[test]
fn a_sink_that_lacks_what_it_acknowledged_is_asked_once_more_and_then_stops_the_start() {
    let (had, newest) =
        (head(7, Kind::Data, 3, "other", None), after_acknowledging(&head(7, Kind::Data, 3, "other", None)));
    let another = head(7, Kind::Data, 3, "another", None).mark();
    let went_back =
        |held| Next::Ask(Request::Excuse(Doubt { sink: 0, held: Epoch(held), why: Why::WentBack { from: Epoch(7) } }));
    let goes_on = Next::Ask(Request::Create(Head {
        acknowledged: newest.acknowledged.clone(),
        ..head(10, Kind::Claim, 4, "me", Some(9))
    }));
    for (says_then, expected) in [
        (vec![held(1, 5, None)], went_back(5)),
        (vec![], went_back(0)),
        // An epoch of another checkpoint proves nothing.
        (vec![others(8)], went_back(0)),
        (vec![held(1, 7, Some(another))], doubts(7, Why::Another)),
        // A live writer has committed since.
        (vec![held(1, 7, Some(had.mark()))], goes_on.clone()),
        (vec![held(1, 9, None)], goes_on.clone()),
    ] {
        let mut machine = claiming_over(Some(newest.clone()), vec![]);
        assert_eq!(machine.next(), Next::Ask(Request::AskSinksAnew));
        machine.answer(Answer::Unknown);
        machine.answer(holding(says_then));
        assert_eq!(machine.next(), expected);
    }
}

#[test]
fn a_sink_that_has_what_it_acknowledged_is_asked_once_and_one_that_is_no_sink_any_more_is_forgotten() {
    let mut newest = after_acknowledging(&head(7, Kind::Data, 3, "other", None));
    let kept = newest.acknowledged.clone();
    newest.acknowledged.push(Acknowledged {
        place: place("dropped"),
        begun: Generation(1),
        epoch: Epoch(8),
        mark: Mark(1),
    });
    let mut machine = claiming_over(Some(newest), vec![held(1, 9, None)]);
    // The sink holds the newest epoch, so its manifest is read first.
    assert_eq!(machine.next(), Next::Ask(Request::Read(Epoch(9))));
    machine.answer(Answer::NotFound);
    machine.pin(&[place("silver"), place("late")]);
    assert_eq!(
        machine.next(),
        Next::Ask(Request::Create(Head { acknowledged: kept, ..head(10, Kind::Claim, 4, "me", Some(9)) }))
    );
}

#[test]
fn what_is_in_doubt_counts_as_acknowledged_when_it_is_committed_and_a_lineage_that_begins_remembers_the_one_before() {
    for begins in [false, true] {
        let in_doubt = Head { writes: vec![place("late")], ..after_acknowledging(&head(7, Kind::Data, 3, "o", None)) };
        let mut machine = claiming_over(Some(in_doubt.clone()), vec![held(1, 7, None)]);
        while !matches!(machine.next(), Next::Ask(Request::Create(_))) {
            machine.answer(Answer::NotFound);
        }
        if begins {
            machine.begin_lineage();
        }
        told(&mut machine, [Answer::Created, free()]);
        machine.recover();
        told(&mut machine, [Answer::Found(in_doubt.clone()), Answer::Acknowledged]);
        machine.decide(vec![place("silver")]);
        let Next::Ask(Request::Create(next)) = machine.next() else { panic!("{:?}", machine.next()) };
        let late = Acknowledged { place: place("late"), begun: Generation(1), epoch: Epoch(9), mark: in_doubt.mark() };
        assert_eq!(next.acknowledged, [in_doubt.acknowledged[0].clone(), late.clone()]);
        assert_eq!(next.begun, Generation(if begins { 4 } else { 1 }));
        // The sink's own commit replaces the one of the former lineage.
        told(&mut machine, [Answer::Created, free(), Answer::Acknowledged]);
        machine.decide(vec![]);
        let Next::Ask(Request::Create(after)) = machine.next() else { panic!("{:?}", machine.next()) };
        let silver = Acknowledged { place: place("silver"), begun: next.begun, epoch: next.epoch, mark: next.mark() };
        assert_eq!(after.acknowledged, [late, silver]);
    }
}

#[test]
fn a_lineage_that_has_given_a_sink_nothing_yet_accuses_one_that_lacks_what_it_had_of_the_former_one() {
    let had = head(7, Kind::Data, 3, "other", None);
    let newest =
        Head { kind: Kind::Claim, generation: Generation(4), begun: Generation(4), ..after_acknowledging(&had) };
    let went_back =
        |held| Next::Ask(Request::Excuse(Doubt { sink: 0, held: Epoch(held), why: Why::WentBack { from: Epoch(7) } }));
    for (says, expected) in
        [(vec![held(1, 5, None)], Some(went_back(5))), (vec![], Some(went_back(0))), (vec![held(1, 7, None)], None)]
    {
        let mut machine = claiming_over(Some(newest.clone()), says.clone());
        if let Some(expected) = expected {
            assert_eq!(machine.next(), Next::Ask(Request::AskSinksAnew));
            machine.answer(holding(says));
            assert_eq!(machine.next(), expected);
        } else {
            assert!(matches!(machine.next(), Next::Ask(Request::Create(_))), "{:?}", machine.next());
        }
    }
}

#[test]
fn who_goes_on_from_a_sink_that_went_back_remembers_what_it_holds() {
    let had = head(7, Kind::Data, 3, "other", None);
    let mark = head(5, Kind::Data, 2, "other", None).mark();
    let mut machine = claiming_over(Some(after_acknowledging(&had)), vec![held(1, 5, Some(mark))]);
    machine.answer(Answer::NotFound);
    assert_eq!(machine.next(), Next::Ask(Request::AskSinksAnew));
    machine.answer(holding(vec![held(1, 5, Some(mark))]));
    machine.answer(Answer::Excused);
    machine.begin_lineage();
    let Next::Ask(Request::Create(claim)) = machine.next() else { panic!("{:?}", machine.next()) };
    assert_eq!(
        claim.acknowledged,
        [Acknowledged { place: place("silver"), begun: Generation(1), epoch: Epoch(5), mark }]
    );
}

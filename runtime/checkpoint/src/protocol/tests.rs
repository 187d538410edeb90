//! One writer's machine, answer by answer. `simulation` tests what several writers do to each other.

mod held;

use weir_plan::ids::Generation;

use super::*;

fn head(epoch: u64, kind: Kind, generation: u64, nonce: &str, in_doubt: Option<u64>) -> Head {
    Head {
        epoch: Epoch(epoch),
        kind,
        generation: Generation(generation),
        nonce: nonce.into(),
        in_doubt: in_doubt.map(Epoch),
        begun: Generation(1),
        writes: Vec::new(),
        acknowledged: Vec::new(),
    }
}

/// Gives each answer in turn. Returns what the machine asked, and what it says at the end.
fn told(machine: &mut Machine, answers: impl IntoIterator<Item = Answer>) -> (Vec<Request>, Next) {
    let mut asked = vec![];
    for answer in answers {
        match machine.next() {
            Next::Ask(request) => asked.push(request),
            other => panic!("{other:?} before {answer:?}, after {asked:?}"),
        }
        machine.answer(answer);
    }
    (asked, machine.next())
}

fn opened(newest: Option<Head>) -> Machine {
    let mut machine = Machine::new("me".into());
    told(&mut machine, [Answer::Created, Answer::AlreadyExists, Answer::Deleted, Answer::IdentityFound]);
    match newest {
        None => told(&mut machine, [Answer::Listed(None)]),
        Some(head) => told(&mut machine, [Answer::Listed(Some(head.epoch)), Answer::Found(head)]),
    };
    assert_eq!(machine.next(), Next::Rest(Rest::Opened));
    machine
}

fn place(sink: &str) -> Place {
    Place { sink: sink.into(), id: "id".into() }
}

/// The answer of two sinks that hold this.
fn holding(held: Vec<Held>) -> Answer {
    Answer::SinksHold(Told { asked: vec![place("silver"), place("late")], held })
}

/// A machine that claims while the sinks hold nothing.
fn claiming(newest: Option<Head>) -> Machine {
    claiming_over(newest, vec![])
}

fn claiming_over(newest: Option<Head>, held: Vec<Held>) -> Machine {
    let mut machine = opened(newest.clone());
    machine.claim();
    let hold = holding(held);
    let (asked, _) = match newest {
        None => told(&mut machine, [hold, Answer::Listed(None)]),
        Some(head) => told(&mut machine, [hold, Answer::Listed(Some(head.epoch)), Answer::Found(head)]),
    };
    assert_eq!(
        asked[..2],
        [Request::AskSinks, Request::List { above: None }],
        "what the sinks hold was decided before the listing"
    );
    machine
}

/// Nobody is above, and the manifest before is there.
fn free() -> Answer {
    Answer::Fenced { above: None, before: true }
}

fn overtaken(above: u64) -> Answer {
    Answer::Fenced { above: Some(Epoch(above)), before: false }
}

/// A writer of generation 4, whose claim is epoch 8; nothing is in doubt.
fn ready() -> Machine {
    let mut machine = claiming(Some(head(7, Kind::Claim, 3, "other", None)));
    told(&mut machine, [Answer::Created, free()]);
    machine.recover();
    assert_eq!(machine.next(), Next::Rest(Rest::Ready));
    machine
}

fn deciding() -> Machine {
    let mut machine = ready();
    machine.decide(vec![]);
    machine
}

#[test]
fn a_store_that_refuses_the_second_create_is_taken() {
    let (asked, next) = told(&mut Machine::new("me".into()), [Answer::Created, Answer::AlreadyExists, Answer::Unknown]);
    assert_eq!(asked, [Request::ProbeFirst(0), Request::ProbeSecond(0), Request::ProbeDelete(0)]);
    assert_eq!(next, Next::Ask(Request::ReadIdentity));
}

#[test]
fn a_probe_whose_first_create_is_unclear_is_tried_under_another_key() {
    for unclear in [Answer::Unknown, Answer::AlreadyExists] {
        let (_, next) = told(&mut Machine::new("me".into()), [unclear]);
        assert_eq!(next, Next::Ask(Request::ProbeFirst(1)));
    }
    let (_, next) = told(&mut Machine::new("me".into()), [Answer::Created, Answer::Unknown]);
    assert_eq!(next, Next::Ask(Request::ProbeSecond(0)));
}

#[test]
fn a_store_is_accused_only_after_two_objects() {
    let mut machine = Machine::new("me".into());
    let (_, next) = told(&mut machine, [Answer::Created, Answer::Created, Answer::Deleted]);
    assert_eq!(next, Next::Ask(Request::ProbeFirst(1)));
    let (_, next) = told(&mut machine, [Answer::Created, Answer::Created, Answer::Deleted]);
    assert_eq!(next, Next::Stopped(Stop::NoConditionalPut));
}

#[test]
fn an_identity_is_created_by_the_claim_and_always_read_back() {
    for became in [Answer::Created, Answer::AlreadyExists, Answer::Unknown] {
        let mut machine = Machine::new("me".into());
        told(&mut machine, [Answer::Created, Answer::AlreadyExists, Answer::Deleted]);
        let (asked, next) = told(&mut machine, [Answer::NotFound, Answer::Listed(None)]);
        assert_eq!(
            (asked, next),
            (vec![Request::ReadIdentity, Request::List { above: None }], Next::Rest(Rest::Opened))
        );
        machine.claim();
        let (asked, next) = told(&mut machine, [holding(vec![]), became, Answer::IdentityFound]);
        assert_eq!(asked, [Request::AskSinks, Request::CreateIdentity, Request::ReadIdentity]);
        assert_eq!(next, Next::Ask(Request::List { above: None }));
    }
}

#[test]
fn manifests_without_an_identity_are_refused_unless_somebody_is_just_beginning() {
    for (identity, expected) in [
        (Answer::NotFound, Next::Stopped(Stop::NoIdentity(Epoch(7)))),
        (Answer::IdentityFound, Next::Ask(Request::List { above: None })),
    ] {
        let mut machine = Machine::new("me".into());
        told(&mut machine, [Answer::Created, Answer::AlreadyExists, Answer::Deleted]);
        let (_, next) = told(&mut machine, [Answer::NotFound, Answer::Listed(Some(Epoch(7))), identity]);
        assert_eq!(next, expected);
    }
}

#[test]
fn a_manifest_that_vanishes_under_its_writer_stops_it_before_a_sink_is_touched() {
    let (asked, next) = told(&mut deciding(), [Answer::Created, Answer::Fenced { above: None, before: false }]);
    assert!(!asked.iter().any(|r| matches!(r, Request::Commit(_))));
    assert_eq!(next, Next::Stopped(Stop::Vanished(Epoch(9))));
}

#[test]
fn a_new_lineage_starts_with_a_claim_of_epoch_1() {
    assert_eq!(claiming(None).next(), Next::Ask(Request::Create(head(1, Kind::Claim, 1, "me", None))));
}

#[test]
fn a_claim_carries_the_newest_data_epoch_through_other_claims() {
    let upon_data = claiming(Some(head(7, Kind::Data, 3, "other", None)));
    assert_eq!(upon_data.next(), Next::Ask(Request::Create(head(8, Kind::Claim, 4, "me", Some(7)))));
    let upon_claim = claiming(Some(head(9, Kind::Claim, 5, "other", Some(7))));
    assert_eq!(upon_claim.next(), Next::Ask(Request::Create(head(10, Kind::Claim, 6, "me", Some(7)))));
}

#[test]
fn a_newest_manifest_collected_under_our_eyes_is_looked_for_again() {
    let mut machine = Machine::new("me".into());
    told(&mut machine, [Answer::Created, Answer::AlreadyExists, Answer::Deleted, Answer::IdentityFound]);
    let (asked, _) =
        told(&mut machine, [Answer::Listed(Some(Epoch(7))), Answer::NotFound, Answer::Listed(Some(Epoch(9)))]);
    assert_eq!(asked[2], Request::List { above: None });
    assert_eq!(machine.next(), Next::Ask(Request::Read(Epoch(9))));
}

#[test]
fn a_claim_that_lost_the_race_claims_upon_the_winner() {
    let mut machine = claiming(Some(head(7, Kind::Data, 3, "other", None)));
    let winner = head(8, Kind::Claim, 4, "winner", Some(7));
    let (asked, next) = told(
        &mut machine,
        [Answer::AlreadyExists, Answer::Found(winner.clone()), Answer::Listed(Some(Epoch(8))), Answer::Found(winner)],
    );
    assert_eq!(asked[1..], [Request::Read(Epoch(8)), Request::List { above: None }, Request::Read(Epoch(8))]);
    assert_eq!(next, Next::Ask(Request::Create(head(9, Kind::Claim, 5, "me", Some(7)))));
}

#[test]
fn a_claimer_gives_up_among_too_many_others() {
    let mut machine = claiming(Some(head(7, Kind::Data, 3, "other", None)));
    for round in 0..=u64::from(LOST_RACES_MAX) {
        let winner = head(8 + round, Kind::Claim, 4 + round, "winner", Some(7));
        told(&mut machine, [Answer::AlreadyExists, Answer::Found(winner.clone())]);
        if machine.next() == Next::Stopped(Stop::Crowded) {
            assert_eq!(round, u64::from(LOST_RACES_MAX));
            return;
        }
        told(&mut machine, [Answer::Listed(Some(winner.epoch)), Answer::Found(winner)]);
    }
    panic!("it never gave up");
}

#[test]
fn what_is_in_doubt_is_committed_before_anything_else() {
    let mut machine = claiming(Some(head(7, Kind::Data, 3, "other", None)));
    let (_, next) = told(&mut machine, [Answer::Created, free()]);
    assert_eq!(next, Next::Rest(Rest::Claimed));
    machine.recover();
    let (asked, next) =
        told(&mut machine, [Answer::Found(head(7, Kind::Data, 3, "other", None)), Answer::Acknowledged]);
    assert_eq!(asked, [Request::Read(Epoch(7)), Request::Commit(Epoch(7))]);
    assert_eq!(next, Next::Rest(Rest::Ready));
}

#[test]
fn an_epoch_in_doubt_that_is_gone_or_replaced_means_fenced_or_lost() {
    for (listed, stop) in
        [(Some(Epoch(12)), Stop::Fenced { ours: Epoch(8), found: Epoch(12) }), (None, Stop::Lost(Epoch(7)))]
    {
        let mut machine = claiming(Some(head(7, Kind::Data, 3, "other", None)));
        told(&mut machine, [Answer::Created, free()]);
        machine.recover();
        for there in [Answer::NotFound, Answer::Found(head(7, Kind::Claim, 3, "leftover", None))] {
            let mut machine = machine.clone();
            let (asked, next) = told(&mut machine, [there, Answer::Listed(listed)]);
            assert_eq!(asked[1], Request::List { above: Some(Epoch(8)) });
            assert_eq!(next, Next::Stopped(stop));
        }
    }
}

#[test]
fn an_epoch_is_created_then_fenced_then_committed() {
    let mut machine = deciding();
    let ours = head(9, Kind::Data, 4, "me", None);
    let (asked, next) = told(&mut machine, [Answer::Created, free(), Answer::Acknowledged]);
    assert_eq!(asked, [Request::Create(ours.clone()), Request::Fence(Epoch(9)), Request::Commit(Epoch(9))]);
    assert_eq!(next, Next::Rest(Rest::Ready));
    assert_eq!(machine.newest(), Some(&ours));
}

#[test]
fn a_lost_answer_is_told_from_a_lost_race_by_the_nonce() {
    for unclear in [Answer::Unknown, Answer::AlreadyExists] {
        let (_, ours) = told(&mut deciding(), [unclear.clone(), Answer::Found(head(9, Kind::Data, 4, "me", None))]);
        assert_eq!(ours, Next::Ask(Request::Fence(Epoch(9))));
        let (_, lost) = told(&mut deciding(), [unclear.clone(), Answer::Found(head(9, Kind::Claim, 5, "other", None))]);
        assert_eq!(lost, Next::Stopped(Stop::Fenced { ours: Epoch(9), found: Epoch(9) }));
        let (_, never_landed) = told(&mut deciding(), [unclear, Answer::NotFound]);
        assert_eq!(never_landed, Next::Ask(Request::Create(head(9, Kind::Data, 4, "me", None))));
    }
}

#[test]
fn a_created_epoch_below_another_touches_no_sink() {
    let (asked, next) = told(&mut deciding(), [Answer::Created, Answer::Unknown, overtaken(60)]);
    assert!(!asked.iter().any(|r| matches!(r, Request::Commit(_))));
    assert_eq!(next, Next::Stopped(Stop::Fenced { ours: Epoch(9), found: Epoch(60) }));
}

#[test]
fn a_manifest_in_our_place_that_nobody_could_have_written_stops_us() {
    for generation in [3, 4] {
        let (_, next) = told(
            &mut deciding(),
            [Answer::AlreadyExists, Answer::Found(head(9, Kind::Data, generation, "other", None))],
        );
        let stop = Stop::Unexplained { epoch: Epoch(9), generation: Generation(generation), ours: Generation(4) };
        assert_eq!(next, Next::Stopped(stop));
    }
}

#[test]
fn a_sink_with_a_later_epoch_fences_only_if_somebody_has_taken_over() {
    for (listed, stop) in
        [(Some(Epoch(12)), Stop::Fenced { ours: Epoch(9), found: Epoch(12) }), (None, Stop::OvertakenInSink(Epoch(9)))]
    {
        let (asked, next) =
            told(&mut deciding(), [Answer::Created, free(), Answer::SinkFenced, Answer::Listed(listed)]);
        assert_eq!(asked[3], Request::List { above: Some(Epoch(9)) });
        assert_eq!(next, Next::Stopped(stop));
    }
}

#[test]
fn retries_are_counted_until_there_is_progress() {
    let mut machine = deciding();
    told(&mut machine, [Answer::Unknown, Answer::Unknown, Answer::NotFound]);
    assert_eq!(machine.retries(), 3);
    told(&mut machine, [Answer::Created]);
    assert_eq!(machine.retries(), 0);
}

#[test]
fn commands_and_answers_out_of_turn_stop_the_machine() {
    let mut early = Machine::new("me".into());
    early.claim();
    assert_eq!(early.next(), Next::Stopped(Stop::Misused));
    let mut unrecovered = claiming(None);
    told(&mut unrecovered, [Answer::Created, free()]);
    unrecovered.decide(vec![]);
    assert_eq!(unrecovered.next(), Next::Stopped(Stop::Misused));
    let (_, next) = told(&mut deciding(), [Answer::Listed(None)]);
    assert_eq!(next, Next::Stopped(Stop::Misused));
}

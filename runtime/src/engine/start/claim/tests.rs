#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::Remedy;
use crate::checkpoint::manifest::Writer;
use crate::engine::state_action::epoch_to_restore;

const NEWEST: Epoch = Epoch(42);

/// One source `rides` of the topic `rides` with partition 0 at offset 2000, a state file, and a run that has not
/// reached its end.
fn manifest(epoch: Epoch) -> Manifest {
    let mut manifest = Manifest::decode(
        NEWEST,
        "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491",
        include_bytes!("../../../../fixtures/manifest-v2.json"),
    )
    .unwrap();
    manifest.epoch = epoch;
    manifest.fingerprint = serde_json::to_value(fingerprint(60)).unwrap();
    manifest.state_action = None;
    manifest.tokens_done = Vec::new();
    manifest.until = None;
    manifest.writer.namespace = None;
    manifest
}

fn fingerprint(window_size_us: i64) -> Fingerprint {
    serde_json::from_value(json!({
        "sources": [{"name": "rides", "topics": ["rides"]}],
        "steps": [{
            "name": "revenue", "operator": "Aggregate", "window": {"type": "Tumbling", "sizeUs": window_size_us}, "keys": [], "calls": [],
        }],
        "sinks": [],
    }))
    .unwrap()
}

fn discard(token: &str, offsets: Offsets) -> StateAction {
    StateAction { token: token.into(), kind: StateActionKind::Discard { offsets } }
}

fn restore(token: &str, epoch: u64) -> StateAction {
    StateAction { token: token.into(), kind: StateActionKind::Restore { epoch: Epoch(epoch) } }
}

fn topics() -> Topics {
    let partition =
        |partition, low, end| (TopicPartition { topic: "rides".into(), partition }, OffsetBounds { low, end });
    Topics {
        partitions: vec![partition(0, 100, 9_000), partition(1, 50, 60)],
        ids: BTreeMap::new(),
        at_time: BTreeMap::new(),
        gone: Vec::new(),
    }
}

const BY_NAME: [WantedSource<'static>; 1] = [WantedSource {
    name: "rides",
    start_from: &StartFrom::Latest,
    on_lost_offsets: OnLostOffsets::Fail,
    by_pattern: false,
}];
const BY_PATTERN: [WantedSource<'static>; 1] = [WantedSource {
    name: "rides",
    start_from: &StartFrom::Latest,
    on_lost_offsets: OnLostOffsets::Fail,
    by_pattern: true,
}];

struct Case {
    fingerprint: Fingerprint,
    trigger: Trigger,
    run: Option<&'static str>,
    by_pattern: bool,
    sinks: Vec<PinnedSink>,
    missing: Vec<(String, String)>,
    home: Home,
}

impl Case {
    fn new() -> Self {
        Self {
            fingerprint: fingerprint(60),
            trigger: Trigger::AsSoonAsPossible,
            run: None,
            by_pattern: false,
            sinks: Vec::new(),
            missing: Vec::new(),
            home: Home::default(),
        }
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            sources: if self.by_pattern { &BY_PATTERN } else { &BY_NAME },
            trigger: self.trigger,
            run: self.run,
            fingerprint: &self.fingerprint,
            sinks: &self.sinks,
            missing: &self.missing,
            home: &self.home,
        }
    }

    fn carried(
        &self,
        action: Option<&StateAction>,
        newest: Option<&Manifest>,
        restored: Option<&Manifest>,
    ) -> Result<Carried> {
        let base = Base::of(action, newest, restored)?;
        base.check_fit(&self.wanted())?;
        base.carried(&self.wanted(), &[topics()], 0)
    }
}

/// The offset at which each partition continues, and the number of state files.
fn goes_on(carried: &Carried) -> (Vec<i64>, usize) {
    (carried.sources[0].partitions.iter().map(|p| p.start).collect(), carried.tasks[0].state.len())
}

#[test]
fn without_an_action_everything_goes_on_and_a_partition_found_later_starts_at_its_earliest() {
    let newest = manifest(NEWEST);
    let carried = Case::new().carried(None, Some(&newest), None).unwrap();
    assert_eq!(goes_on(&carried), (vec![2000, 50], 1));
    assert_eq!((carried.begins_lineage, carried.state_action), (false, None));
    assert_eq!(carried.sources[0].watermark_after_us, newest.sources[0].watermark_after_us);
}

#[test]
fn discarding_drops_the_state_and_keeps_the_offsets_unless_it_is_told_to_start_anew() {
    let newest = manifest(NEWEST);
    for (offsets, next, watermark) in [
        (Offsets::Keep, vec![2000, 50], newest.sources[0].watermark_after_us),
        (Offsets::StartFrom, vec![9_000, 60], None),
    ] {
        let carried = Case::new().carried(Some(&discard("a", offsets)), Some(&newest), None).unwrap();
        assert_eq!(goes_on(&carried), (next, 0));
        assert_eq!(carried.sources[0].watermark_after_us, watermark);
        assert_eq!(carried.state_action, Some(ActedUpon { token: "a".into(), restored: None }));
        assert!(carried.begins_lineage);
    }
}

#[test]
fn restoring_goes_back_to_the_offsets_and_the_state_of_an_epoch() {
    let newest = manifest(NEWEST);
    let mut old = manifest(Epoch(30));
    old.sources[0].partitions[0].end = 1500;
    let action = restore("b", 30);
    assert_eq!(epoch_to_restore(Some(&action), Some(&newest)), Some(Epoch(30)));
    let carried = Case::new().carried(Some(&action), Some(&newest), Some(&old)).unwrap();
    assert_eq!(goes_on(&carried), (vec![1500, 50], 1));
    assert_eq!(carried.state_action, Some(ActedUpon { token: "b".into(), restored: Some(Epoch(30)) }));

    let gone = Case::new().carried(Some(&action), Some(&newest), None).unwrap_err();
    assert_eq!(gone.remedy, Remedy::Config);
    assert!(
        gone.message
            .starts_with("spec.stateAction.restore.epoch: found 30, which is not in the checkpoint: the newest is 42"),
        "{gone}"
    );
}

#[test]
fn a_topic_is_read_from_its_earliest_if_it_came_to_match_and_from_the_documents_start_if_it_came_to_be_named() {
    let newest = manifest(NEWEST);
    let mut found = topics();
    let other = TopicPartition { topic: "fares".into(), partition: 0 };
    found.partitions.push((other, OffsetBounds { low: 3, end: 30 }));
    for (by_pattern, next) in [(true, vec![2000, 50, 3]), (false, vec![2000, 50, 30])] {
        let case = Case { by_pattern, ..Case::new() };
        let base = Base::of(None, Some(&newest), None).unwrap();
        let carried = base.carried(&case.wanted(), std::slice::from_ref(&found), 0).unwrap();
        assert_eq!(goes_on(&carried).0, next, "{by_pattern}");
        let new = Base::of(None, None, None).unwrap().carried(&case.wanted(), std::slice::from_ref(&found), 0).unwrap();
        assert_eq!(goes_on(&new).0, [9_000, 60, 30], "a new pipeline begins at its start");
    }
}

#[test]
fn a_topic_that_is_gone_is_declared_and_its_partitions_are_not_carried_on() {
    let newest = manifest(NEWEST);
    let found =
        Topics { partitions: vec![], ids: BTreeMap::new(), at_time: BTreeMap::new(), gone: vec!["rides".into()] };
    let case = Case { by_pattern: true, ..Case::new() };
    let carried =
        Base::of(None, Some(&newest), None).unwrap().carried(&case.wanted(), std::slice::from_ref(&found), 0).unwrap();
    assert_eq!((carried.sources[0].partitions.len(), &carried.sources[0].topics_gone), (0, &vec!["rides".to_owned()]));
    assert_eq!(carried.sources[0].watermark_after_us, newest.sources[0].watermark_after_us);
}

#[test]
fn a_token_acts_once() {
    let mut newest = manifest(NEWEST);
    newest.state_action = Some(ActedUpon { token: "a".into(), restored: None });
    let again = Case::new().carried(Some(&discard("a", Offsets::Keep)), Some(&newest), None).unwrap();
    assert_eq!((again.begins_lineage, goes_on(&again).1), (false, 1));
    assert_eq!(again.state_action, newest.state_action, "it is remembered");
    assert!(Case::new().carried(Some(&discard("b", Offsets::Keep)), Some(&newest), None).unwrap().begins_lineage);
    let without = Case::new().carried(None, Some(&newest), None).unwrap();
    assert_eq!(without.state_action, newest.state_action, "also when the document does not have it any more");
    assert_eq!(epoch_to_restore(Some(&restore("a", 7)), Some(&newest)), None);
}

#[test]
fn a_token_that_comes_back_after_another_one_does_not_act_again_and_that_is_said() {
    let mut newest = manifest(NEWEST);
    for token in ["a", "b"] {
        let carried = Case::new().carried(Some(&discard(token, Offsets::StartFrom)), Some(&newest), None).unwrap();
        assert!(carried.begins_lineage, "{token}");
        (newest.state_action, newest.tokens_done) = (carried.state_action, carried.tokens_done);
    }
    assert_eq!(newest.tokens_done, ["a", "b"].map(token_digest));
    let back = discard("a", Offsets::StartFrom);
    let carried = Case::new().carried(Some(&back), Some(&newest), None).unwrap();
    assert_eq!((carried.begins_lineage, &carried.tokens_done), (false, &newest.tokens_done));
    assert_eq!(carried.state_action, newest.state_action, "b is still the last one");
    let said = Base::of(Some(&back), Some(&newest), None).unwrap().says().unwrap();
    assert!(said.starts_with("state action `a` was done before, and others since"), "{said}");
    assert_eq!(epoch_to_restore(Some(&restore("a", 7)), Some(&newest)), None);
}

#[test]
fn the_last_token_of_an_older_version_is_remembered_too() {
    let mut newest = manifest(NEWEST);
    newest.state_action = Some(ActedUpon { token: "a".into(), restored: None });
    let carried = Case::new().carried(Some(&discard("b", Offsets::Keep)), Some(&newest), None).unwrap();
    assert_eq!(carried.tokens_done, ["a", "b"].map(token_digest));
    assert_eq!(Case::new().carried(None, Some(&newest), None).unwrap().tokens_done, [token_digest("a")]);
}

#[test]
fn an_action_that_could_not_be_remembered_is_refused() {
    let mut newest = manifest(NEWEST);
    newest.tokens_done = (0..TOKENS_MAX).map(|n| token_digest(&n.to_string())).collect();
    let refused = Case::new().carried(Some(&discard("new", Offsets::Keep)), Some(&newest), None).unwrap_err();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(refused.message.contains("has done 1000 state actions, as many as it remembers"), "{refused}");
    assert!(Case::new().carried(Some(&discard("7", Offsets::Keep)), Some(&newest), None).is_ok());
}

/// The refusals of a start that continues from an epoch, and of a start that does a state action with it.
fn refusal(case: &Case, newest: &Manifest) -> (Option<String>, Option<String>) {
    let refused = |action: Option<&StateAction>| {
        let failure = case.carried(action, Some(newest), None).err()?;
        assert_eq!(failure.remedy, Remedy::Config);
        Some(failure.message)
    };
    (refused(None), refused(Some(&discard("a", Offsets::Keep))))
}

#[test]
fn a_table_that_is_not_there_any_more_is_refused_and_a_new_one_is_not() {
    let newest = manifest(NEWEST);
    let missing = |sink: &str, uri: &str| Case { missing: vec![(sink.to_owned(), uri.to_owned())], ..Case::new() };
    let says = "sink `silver`: there is no table at s3://lake/silver/rides_agg, and this pipeline has written to one \
                (its id is \
                0a5f0f0e-3a5c-4a53-9d1a-9a6f2b1c7d11): put it back, or begin another history for a new one with \
                spec.stateAction";
    assert_eq!(refusal(&missing("silver", "s3://lake/silver/rides_agg"), &newest), (Some(says.to_owned()), None));
    for elsewhere in [missing("silver", "s3://lake/moved"), missing("late", "s3://lake/silver/rides_agg")] {
        assert_eq!(refusal(&elsewhere, &newest), (None, None));
    }
}

#[test]
fn a_table_that_was_made_anew_is_refused_and_one_at_another_place_is_not() {
    let newest = manifest(NEWEST);
    let there = |sink: &str, uri: &str, table_id: &str| {
        let pinned = PinnedSink { name: sink.into(), kind: "Delta".into(), place: uri.into(), id: table_id.into() };
        Case { sinks: vec![pinned], ..Case::new() }
    };
    let says = "sink `silver`: the table at s3://lake/silver/rides_agg has the id another and had \
                0a5f0f0e-3a5c-4a53-9d1a-9a6f2b1c7d11 when \
                this checkpoint began: it was deleted and made anew; restore it, or begin another history for it with \
                spec.stateAction";
    assert_eq!(
        refusal(&there("silver", "s3://lake/silver/rides_agg", "another"), &newest),
        (Some(says.to_owned()), None)
    );
    for other in [
        there("silver", "s3://lake/silver/rides_agg", "0a5f0f0e-3a5c-4a53-9d1a-9a6f2b1c7d11"),
        there("silver", "s3://lake/moved", "another"),
        there("late", "s3://lake/silver/rides_agg", "another"),
    ] {
        assert_eq!(refusal(&other, &newest), (None, None));
    }
}

#[test]
fn a_checkpoint_of_another_home_or_with_a_fingerprint_that_is_none_is_refused() {
    let mut elsewhere = manifest(NEWEST);
    elsewhere.writer.namespace = Some("data".into());
    let says = Home::default().check(&elsewhere).unwrap_err().message;
    assert_eq!(refusal(&Case::new(), &elsewhere), (Some(says.clone()), Some(says)));

    let newer = Manifest { fingerprint: json!("of another kind"), ..manifest(NEWEST) };
    let (goes_on, discards) = refusal(&Case::new(), &newer);
    let goes_on = goes_on.unwrap();
    assert!(goes_on.starts_with("the checkpoint's fingerprint can't be read (invalid type"), "{goes_on}");
    assert!(goes_on.ends_with("); was it written by a newer version?"), "{goes_on}");
    assert_eq!(discards, None);
}

#[test]
fn a_new_pipeline_has_nothing_to_discard_and_notes_the_token() {
    let carried = Case::new().carried(Some(&discard("a", Offsets::Keep)), None, None).unwrap();
    assert_eq!((carried.begins_lineage, goes_on(&carried)), (false, (vec![9_000, 60], 0)));
    assert_eq!(carried.state_action.unwrap().token, "a");
    let refused = Case::new().carried(Some(&restore("a", 3)), None, None).unwrap_err();
    assert!(refused.message.ends_with("the checkpoint is empty"), "{refused}");
}

#[test]
fn what_only_another_version_can_commit_is_refused_before_the_claim_whatever_a_person_wants() {
    let (mut payload, mut pinned) = (manifest(NEWEST), manifest(NEWEST));
    payload.committables[0].payload.kind = "KafkaRecords".into();
    pinned.sinks[0].kind = "Kafka".into();
    for (newest, what) in
        [(payload, "its payload has the type `KafkaRecords`"), (pinned, "it is a sink of the kind `Kafka`")]
    {
        let newest = Manifest { writer: Writer { version: Some("9.3.0".into()), ..newest.writer }, ..newest };
        for action in [None, Some(discard("a", Offsets::Keep))] {
            let refused = Case::new().carried(action.as_ref(), Some(&newest), None).unwrap_err();
            let ours = crate::VERSION;
            let says = format!(
                "sink `silver`, epoch 42, which Weir 9.3.0 wrote: {what}, which this version of Weir, {ours}, does \
                 not know: run the version that \
                 wrote it"
            );
            assert_eq!((refused.remedy, refused.message), (Remedy::Config, says));
        }
    }
}

#[test]
fn state_that_does_not_fit_is_refused_unless_it_is_discarded() {
    let (newest, old) = (manifest(NEWEST), manifest(Epoch(30)));
    let changed = Case { fingerprint: fingerprint(61), ..Case::new() };
    let refused = changed.carried(None, Some(&newest), None).unwrap_err();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(refused.message.contains("the state of epoch 42 does not fit: step `revenue` had windows of"), "{refused}");
    assert!(changed.carried(Some(&restore("a", 30)), Some(&newest), Some(&old)).is_err());
    assert!(changed.carried(Some(&discard("a", Offsets::Keep)), Some(&newest), None).is_ok());
}

/// A source that comes into the document begins where the document says, and the others continue. In a run with ends,
/// the new source has ends of its own.
#[test]
fn a_source_that_is_new_in_the_document_begins_and_the_others_go_on() {
    let mut newest = manifest(NEWEST);
    let ends = vec![UntilPartition { source: "rides".into(), topic: "rides".into(), partition: 0, end: 5000 }];
    for (reached, expected) in
        [(false, vec![("rides", 5000), ("fares", 700)]), (true, vec![("rides", 9_000), ("rides", 60), ("fares", 700)])]
    {
        newest.until = Some(Until { run: None, ends: ends.clone(), reached });
        let [rides] = BY_NAME;
        let fares = WantedSource { name: "fares", ..rides.clone() };
        let case = Case { trigger: Trigger::AvailableNow, ..Case::new() };
        let sources = [rides, fares];
        let wanted = Wanted { sources: &sources, ..case.wanted() };
        let of_fares = (TopicPartition { topic: "fares".into(), partition: 0 }, OffsetBounds { low: 5, end: 700 });
        let of_fares = Topics { partitions: vec![of_fares], ..topics() };
        let carried = Base::of(None, Some(&newest), None).unwrap().carried(&wanted, &[topics(), of_fares], 0).unwrap();
        assert_eq!(goes_on(&carried), (vec![2000, 50], newest.tasks[0].state.len()));
        let [_, fares] = &carried.sources[..] else { panic!("two sources") };
        assert_eq!((fares.partitions[0].start, fares.watermark_after_us), (700, None), "Latest");
        let ends: Vec<_> =
            carried.until.iter().flat_map(|until| &until.ends).map(|e| (e.source.as_str(), e.end)).collect();
        assert_eq!(ends, expected, "reached: {reached}");
    }
}

#[test]
fn a_run_goes_on_to_its_ends_and_another_one_takes_its_own() {
    // Whether the run before reached its ends, its name, this run's name, and whether this run has the ends of the one
    // before.
    for (reached, was, is, same) in [
        (false, None, None, true),
        (true, None, None, false),
        (false, Some("a"), Some("a"), true),
        (true, Some("a"), Some("a"), true),
        (false, Some("a"), Some("b"), false),
        (true, Some("a"), Some("b"), false),
        (false, None, Some("b"), true),
        (true, Some("a"), None, false),
    ] {
        let mut newest = manifest(NEWEST);
        let ends = vec![UntilPartition { source: "rides".into(), topic: "rides".into(), partition: 0, end: 5000 }];
        newest.until = Some(Until { run: was.map(str::to_owned), ends, reached });
        let case = Case { trigger: Trigger::AvailableNow, run: is, ..Case::new() };
        let until = case.carried(None, Some(&newest), None).unwrap().until.unwrap();
        let ends: Vec<_> = until.ends.iter().map(|e| e.end).collect();
        let expected = if same { (vec![5000], reached) } else { (vec![9_000, 60], false) };
        assert_eq!((ends, until.reached), expected, "{was:?} {is:?} {reached}");
        let after_discard =
            case.carried(Some(&discard("a", Offsets::Keep)), Some(&newest), None).unwrap().until.unwrap();
        assert!(!after_discard.reached, "another history has another run");
    }
}

//! What a writer refuses or gives up, and its messages.

use futures::future::BoxFuture;

use super::*;

#[tokio::test]
async fn an_epoch_that_overlaps_or_a_sink_named_twice_is_refused_before_anything_is_decided() {
    let store = in_memory();
    let tables = Tables::default();
    for twice in [true, false] {
        let mut writer = started(&store, &format!("a{twice}"), &tables).await;
        let mut epoch = epoch_after(writer.newest(), vec![]);
        if twice {
            epoch.committables[1].sink = "silver".into();
        } else {
            epoch.sources[0].partitions[0].start -= 1;
        }
        let before = writer.newest().epoch;
        assert_eq!(writer.commit(epoch, &tables).await.unwrap_err().remedy, Remedy::Bug);
        assert_eq!(opened(&store, "look").await.unwrap().newest().unwrap().epoch, before);
    }
}

#[tokio::test]
async fn a_store_that_lets_a_second_create_through_is_refused() {
    let refused = opened(&Unreliable::overwriting(in_memory()), "a").await.err().unwrap();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(refused.message.starts_with("the store at test://checkpoint does not refuse a second create"), "{refused}");
}

#[tokio::test]
async fn another_pipelines_checkpoint_is_refused() {
    let store = in_memory();
    claimed(&store, "a").await;
    let refused = open(store, Path::from("c"), "orders", "l".into(), "b".into(), options(1)).await.err().unwrap();
    assert_eq!(refused.remedy, Remedy::Config);
    assert!(refused.message.contains("rides") && refused.message.contains("orders"), "{refused}");
}

#[tokio::test]
async fn a_store_that_stays_away_or_never_answers_is_given_up() {
    for (store, why) in [
        (Unreliable::on(in_memory(), 1, 1000), "connection reset"),
        (Unreliable::hanging(in_memory()), "no answer within"),
    ] {
        let mut impatient = options(1);
        impatient.retry.give_up_after = Duration::from_millis(30);
        impatient.call_deadline = Duration::from_millis(5);
        let gave_up = open(store, Path::from("c"), "rides", "l".into(), "n".into(), impatient).await.err().unwrap();
        assert_eq!(gave_up.remedy, Remedy::Retry);
        assert!(gave_up.message.contains("test://checkpoint"), "{gave_up}");
        assert!(gave_up.message.contains(why) || gave_up.message.contains("refused"), "{gave_up}");
    }
}

#[tokio::test]
async fn a_table_that_stays_away_ends_the_writer_and_the_next_one_commits_the_epoch() {
    struct Away;
    impl Committer for Away {
        fn commit<'a>(&'a self, _: &'a Manifest, _: &'a Committable) -> BoxFuture<'a, Result<Landed>> {
            Box::pin(async { Err(Failure::retry("503 from the table")) })
        }
    }
    let store = in_memory();
    let mut impatient = options(1);
    impatient.retry.give_up_after = Duration::from_millis(10);
    let opened = open(store.clone(), Path::from("c"), "rides", "l".into(), "n".into(), impatient).await.unwrap();
    let mut writer = opened.claim(&Nothing, carry).await.unwrap();
    writer.recover(&Away).await.unwrap();
    let next = epoch_after(writer.newest(), vec![]);
    let gave_up = writer.commit(next, &Away).await.unwrap_err();
    assert_eq!(gave_up.remedy, Remedy::Retry);
    assert!(
        gave_up.message.starts_with("commit epoch 2: sink ") && gave_up.message.contains("503 from the table"),
        "{gave_up}"
    );
    let tables = Tables::default();
    let mut next = claimed(&store, "next").await;
    assert_eq!(next.recover(&tables).await, Ok(Some(Epoch(2))));
    assert_eq!(tables.rows("silver"), [(100, 110)]);
}

//! Answers to questions for schemas.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use weir_base::failure::{Failure, Remedy, Result};
use weir_decode::schemas::{Effort, Known, Question, Registry, SchemaId, Schemas};
use weir_testing::schemas::{EFFORT, Shelf, absent};

fn known(definition: &str) -> Result<Known> {
    Ok(Known::Definition(definition.into()))
}

/// The answer that a question gets in the end.
async fn answer(question: &Question) -> Result<Known> {
    let answered = async {
        loop {
            match question.answer() {
                Some(answer) => return answer.clone(),
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.expect("the question was answered")
}

#[tokio::test]
async fn all_who_ask_for_a_schema_have_one_question_and_it_is_fetched_once() {
    let shelf = Arc::new(Shelf::default());
    let schemas = Schemas::new(Arc::clone(&shelf) as Arc<dyn Registry>, EFFORT);
    let (one, other) = (schemas.ask(SchemaId(7)), schemas.ask(SchemaId(7)));
    assert_eq!(one.answer(), None);
    shelf.define(7, "seven");
    assert_eq!((answer(&one).await, answer(&other).await), (known("seven"), known("seven")));
    assert_eq!(schemas.ask(SchemaId(7)).answer(), Some(&known("seven")), "at once");
    assert_eq!(shelf.asked(), [7]);
}

#[tokio::test]
async fn what_the_registry_does_not_have_it_is_asked_for_twice_and_then_not_until_it_is_time() {
    let shelf = Arc::new(Shelf::default());
    shelf.put(7, absent(7));
    let schemas = Schemas::new(Arc::clone(&shelf) as Arc<dyn Registry>, EFFORT);
    assert_eq!(answer(&schemas.ask(SchemaId(7))).await, absent(7));
    assert_eq!(schemas.ask(SchemaId(7)).answer(), Some(&absent(7)), "at once");
    assert_eq!(shelf.asked(), [7, 7]);
    let forgetful =
        Schemas::new(Arc::clone(&shelf) as Arc<dyn Registry>, Effort { absent_for: Duration::ZERO, ..EFFORT });
    assert_eq!(answer(&forgetful.ask(SchemaId(7))).await, absent(7));
    shelf.define(7, "seven");
    let later = async { while answer(&forgetful.ask(SchemaId(7))).await != known("seven") {} };
    tokio::time::timeout(Duration::from_secs(60), later).await.expect("it was asked for anew");
}

#[tokio::test]
async fn a_registry_that_stays_away_is_a_retry_and_one_that_refuses_is_asked_once() {
    let shelf = Arc::new(Shelf::default());
    shelf.put(1, Err(Failure::retry("the shelf is away")));
    shelf.put(2, Err(Failure::config("the shelf is locked")));
    let schemas = Schemas::new(Arc::clone(&shelf) as Arc<dyn Registry>, EFFORT);
    let away = answer(&schemas.ask(SchemaId(1))).await;
    assert_eq!(away, Err(Failure::retry("the shelf is away; given up after 50ms of trying")));
    assert!(shelf.asked().len() > 1);
    assert_eq!(answer(&schemas.ask(SchemaId(2))).await, Err(Failure::config("the shelf is locked")));
    assert_eq!(shelf.asked().iter().filter(|id| **id == 2).count(), 1);
    shelf.define(1, "one");
    let back = async { while answer(&schemas.ask(SchemaId(1))).await != known("one") {} };
    tokio::time::timeout(Duration::from_secs(60), back)
        .await
        .expect("who asks after a failure is not told of that one");
}

#[tokio::test]
async fn a_fetch_that_hangs_has_a_deadline_and_one_that_panics_says_so() {
    let hasty = Effort { fetch_within: Duration::from_millis(1), ..EFFORT };
    let schemas = Schemas::new(Arc::new(Shelf::default()), hasty);
    let hung = answer(&schemas.ask(SchemaId(1))).await.unwrap_err();
    assert_eq!(hung.remedy, Remedy::Retry);
    assert!(hung.message.starts_with("the shelf did not answer within 1ms; given up"), "{hung}");

    struct Broken;
    impl Registry for Broken {
        fn name(&self) -> &str {
            "broken"
        }
        fn fetch(&self, _: SchemaId) -> BoxFuture<'_, Result<Known>> {
            Box::pin(async { panic!("no such shelf") })
        }
    }
    let schemas = Schemas::new(Arc::new(Broken), EFFORT);
    assert_eq!(
        answer(&schemas.ask(SchemaId(1))).await,
        Err(Failure::bug("the fetch of schema 1 panicked: no such shelf"))
    );
}

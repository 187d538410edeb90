#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use tokio::sync::Notify;

use super::*;
use crate::Remedy;

const QUICK: RetryPolicy =
    RetryPolicy { first: Duration::from_millis(1), max: Duration::from_millis(2), give_up_after: Duration::from_millis(50) };

/// Patient with what is away for a moment only, and never with what is absent.
pub(crate) const EFFORT: Effort = Effort {
    retry: QUICK,
    fetch_within: Duration::from_secs(60),
    ask_again_after: Duration::from_millis(1),
    absent_for: Duration::from_secs(3600),
    kept_bytes_max: 1 << 20,
};

/// A registry that answers when the test has said what.
#[derive(Default)]
pub(crate) struct Shelf {
    answers: Mutex<HashMap<u32, Result<Known>>>,
    asked: Mutex<Vec<u32>>,
    changed: Notify,
}

impl Shelf {
    pub(crate) fn put(&self, id: u32, answer: Result<Known>) {
        self.answers.lock().unwrap().insert(id, answer);
        self.changed.notify_waiters();
    }

    pub(crate) fn define(&self, id: u32, definition: &str) {
        self.put(id, Ok(Known::Definition(definition.into())));
    }

    /// Which schemas were asked for, in order.
    pub(crate) fn asked(&self) -> Vec<u32> {
        self.asked.lock().unwrap().clone()
    }
}

impl Registry for Shelf {
    fn name(&self) -> &str {
        "the shelf"
    }

    fn fetch(&self, id: SchemaId) -> BoxFuture<'_, Result<Known>> {
        self.asked.lock().unwrap().push(id.0);
        Box::pin(async move {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(answer) = self.answers.lock().unwrap().get(&id.0).cloned() {
                    return answer;
                }
                changed.await;
            }
        })
    }
}

pub(crate) fn absent(id: u32) -> Result<Known> {
    Ok(Known::Absent(format!("the shelf has no schema {id}")))
}

fn known(definition: &str) -> Result<Known> {
    Ok(Known::Definition(definition.into()))
}

/// What comes of a question in the end.
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
    let forgetful = Schemas::new(Arc::clone(&shelf) as Arc<dyn Registry>, Effort { absent_for: Duration::ZERO, ..EFFORT });
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
    tokio::time::timeout(Duration::from_secs(60), back).await.expect("who asks after a failure is not told of that one");
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
    assert_eq!(answer(&schemas.ask(SchemaId(1))).await, Err(Failure::bug("the fetch of schema 1 panicked: no such shelf")));
}

/// Asks, and has it answered.
fn kept(kept: &mut Kept, id: u32, answer: Result<Known>, now: Instant) -> Arc<Question> {
    let (question, is_new) = kept.ask(SchemaId(id), now);
    assert!(is_new, "{id}");
    question.0.set(answer).unwrap();
    kept.answered(SchemaId(id), now);
    question
}

#[test]
fn what_was_used_least_lately_is_forgotten_and_what_is_being_asked_for_is_not() {
    let now = Instant::now();
    let mut all = Kept::new(2 * (ANSWER_BYTES + 10), Duration::from_secs(60));
    let (pending, _) = all.ask(SchemaId(0), now);
    let text = "a".repeat(10);
    kept(&mut all, 1, known(&text), now);
    kept(&mut all, 2, known(&text), now);
    assert!(!all.ask(SchemaId(1), now).1, "used once more");
    let third = kept(&mut all, 3, known(&text), now);
    assert_eq!(all.bytes, all.bytes_max);
    let mut ids: Vec<_> = all.questions.keys().map(|id| id.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 3]);
    let large = kept(&mut all, 4, known(&"a".repeat(1000)), now);
    assert_eq!(all.questions.len(), 2, "the last one stays, whatever its size");
    assert_eq!((third.answer(), large.answer().is_some()), (Some(&known(&text)), true), "who has asked has it");
    pending.0.set(known("")).unwrap();
    all.answered(SchemaId(0), now);
    assert_eq!((all.questions.len(), all.bytes), (1, ANSWER_BYTES));
}

#[test]
fn an_absent_schema_counts_for_as_long_as_it_is_said_to() {
    let now = Instant::now();
    let mut all = Kept::new(1 << 20, Duration::from_secs(60));
    kept(&mut all, 1, absent(1), now);
    assert!(!all.ask(SchemaId(1), now + Duration::from_secs(59)).1);
    let (anew, is_new) = all.ask(SchemaId(1), now + Duration::from_secs(60));
    assert_eq!((anew.answer(), is_new, all.bytes), (None, true, 0));
}

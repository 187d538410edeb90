//! Schemas that records name by id. All lanes of a source ask here, so each schema is fetched once, and the answer is
//! kept.
//!
//! No thread blocks on an answer. A lane that asks gets a [`Question`] and looks at it from time to time. Meanwhile a
//! task asks the registry, and tries again while the registry is away.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use weir_base::clock::steady;
use weir_base::failure::{Failure, Result};
use weir_base::retry::RetryPolicy;
use weir_plan::panics;

/// The most fetches at a time: a start over many partitions may ask for many schemas at once.
const FETCHES_MAX: usize = 8;

/// The number that a registry gives to a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u32);

/// A source of schemas.
pub trait Registry: Send + Sync {
    /// The registry's name for messages: `the schema registry https://registry.data:8081`.
    fn name(&self) -> &str;

    /// Asks the registry once. The definition contains everything that it refers to, and the registry's client limits
    /// its size.
    ///
    /// # Errors
    /// `Retry` if the registry does not answer, `Config` if a person has to change something. The messages name the
    /// registry.
    fn fetch(&self, id: SchemaId) -> BoxFuture<'_, Result<Known>>;
}

/// What a registry says about a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The schema, in the language that the source's decoder reads.
    Definition(String),
    /// The registry answers and does not have this schema. The sentence names the schema and the registry.
    Absent(String),
}

/// A question for a schema, which is answered later.
#[derive(Debug, Default)]
pub struct Question(OnceLock<Result<Known>>);

impl Question {
    /// The answer; `None` until there is one. A failure is final: the registry was away for too long, or a person has
    /// to do something.
    #[must_use]
    pub fn answer(&self) -> Option<&Result<Known>> {
        self.0.get()
    }
}

/// How hard Weir tries to get an answer, and how long it keeps one.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub retry: RetryPolicy,
    /// The deadline of one fetch.
    pub fetch_within: Duration,
    /// How long to wait before the registry is asked a second time for a schema that it does not have: a follower may
    /// lag behind its leader. Only after two such answers does the schema count as absent.
    pub ask_again_after: Duration,
    /// How long an absent schema counts as absent. Its records cost no fetch in this time. Then it is asked for again,
    /// since somebody may have registered it.
    pub absent_for: Duration,
    pub kept_bytes_max: usize,
}

impl Effort {
    #[must_use]
    pub fn of(retry: RetryPolicy) -> Self {
        Self {
            retry,
            fetch_within: Duration::from_secs(10),
            ask_again_after: Duration::from_secs(1),
            absent_for: Duration::from_secs(60),
            kept_bytes_max: 16 << 20,
        }
    }
}

/// The schemas of one source.
pub struct Schemas {
    registry: Arc<dyn Registry>,
    effort: Effort,
    turns: Arc<Semaphore>,
    kept: Arc<Mutex<Kept>>,
    handle: Handle,
}

impl Schemas {
    /// Fetches run on the tokio runtime in which this is called.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>, effort: Effort) -> Self {
        let kept = Arc::new(Mutex::new(Kept::new(effort.kept_bytes_max, effort.absent_for)));
        Self { registry, effort, turns: Arc::new(Semaphore::new(FETCHES_MAX)), kept, handle: Handle::current() }
    }

    /// Returns at once, most often with a question that is answered already.
    #[must_use]
    pub fn ask(&self, id: SchemaId) -> Arc<Question> {
        let (question, is_new) = lock(&self.kept).ask(id, steady());
        if is_new {
            tracing::info!(%id, "a schema is fetched");
            let (registry, effort, turns) = (Arc::clone(&self.registry), self.effort, Arc::clone(&self.turns));
            let (kept, asked) = (Arc::clone(&self.kept), Arc::clone(&question));
            self.handle.spawn(async move {
                let found = AssertUnwindSafe(find_out(&*registry, &effort, &turns, id)).catch_unwind().await;
                let answer = found.unwrap_or_else(|panic| {
                    Err(Failure::bug(format!("the fetch of schema {id} panicked: {}", panics::said(&*panic))))
                });
                // This can't fail: only this task answers this question.
                let _ = asked.0.set(answer);
                lock(&kept).answered(id, steady());
            });
        }
        question
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn find_out(registry: &dyn Registry, effort: &Effort, turns: &Semaphore, id: SchemaId) -> Result<Known> {
    let doing = format!("the fetch of schema {id}");
    let fetch = async || {
        let _turn = turns.acquire().await.map_err(|_| Failure::bug("fetches of schemas take no more turns"))?;
        let fetched = tokio::time::timeout(effort.fetch_within, registry.fetch(id)).await;
        fetched.unwrap_or_else(|_| {
            Err(Failure::retry(format!("{} did not answer within {:?}", registry.name(), effort.fetch_within)))
        })
    };
    match effort.retry.persist(&doing, fetch).await? {
        Known::Absent(_) => {
            tokio::time::sleep(effort.ask_again_after).await;
            effort.retry.persist(&doing, fetch).await
        }
        found @ Known::Definition(_) => Ok(found),
    }
}

/// All questions; the size of the answered ones is limited.
struct Kept {
    questions: HashMap<SchemaId, Asked>,
    bytes: usize,
    bytes_max: usize,
    absent_for: Duration,
    /// A counter that grows with each use.
    uses: u64,
}

struct Asked {
    question: Arc<Question>,
    last_use: u64,
    /// When the question was answered, and how many bytes the answer takes.
    answered: Option<(Instant, usize)>,
}

/// What an answer takes beside its text, in bytes.
const ANSWER_BYTES: usize = 200;

impl Kept {
    fn new(bytes_max: usize, absent_for: Duration) -> Self {
        Self { questions: HashMap::new(), bytes: 0, bytes_max, absent_for, uses: 0 }
    }

    /// The question for a schema. True means that the question is new and the caller must get it answered.
    fn ask(&mut self, id: SchemaId, now: Instant) -> (Arc<Question>, bool) {
        self.uses += 1;
        if let Some(asked) = self.questions.get_mut(&id).filter(|asked| asked.is_good(now, self.absent_for)) {
            asked.last_use = self.uses;
            return (Arc::clone(&asked.question), false);
        }
        self.forget(id);
        let question = Arc::new(Question::default());
        self.questions.insert(id, Asked { question: Arc::clone(&question), last_use: self.uses, answered: None });
        (question, true)
    }

    /// Notes the answer's size, and forgets the least recently used answers beyond the limit. Whoever holds a forgotten
    /// question still gets its answer.
    fn answered(&mut self, id: SchemaId, now: Instant) {
        let Some(asked) = self.questions.get_mut(&id) else { return };
        let bytes = ANSWER_BYTES + asked.question.answer().map_or(0, text_bytes);
        asked.answered = Some((now, bytes));
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            let others = self.questions.iter().filter(|(other, asked)| **other != id && asked.answered.is_some());
            let Some((&oldest, _)) = others.min_by_key(|(_, asked)| asked.last_use) else { break };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: SchemaId) {
        let gone = self.questions.remove(&id);
        self.bytes -= gone.and_then(|asked| asked.answered).map_or(0, |(_, bytes)| bytes);
    }
}

impl Asked {
    fn is_good(&self, now: Instant, absent_for: Duration) -> bool {
        match (self.question.answer(), self.answered) {
            (None | Some(Ok(Known::Definition(_))), _) | (_, None) => true,
            (Some(Ok(Known::Absent(_))), Some((at, _))) => now.saturating_duration_since(at) < absent_for,
            (Some(Err(_)), Some(_)) => false,
        }
    }
}

fn text_bytes(answer: &Result<Known>) -> usize {
    match answer {
        Ok(Known::Definition(text) | Known::Absent(text)) => text.len(),
        Err(failure) => failure.message.len(),
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn known(definition: &str) -> Result<Known> {
        Ok(Known::Definition(definition.into()))
    }

    /// Asks, and answers the question.
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
        kept(&mut all, 1, Ok(Known::Absent("there is none".into())), now);
        assert!(!all.ask(SchemaId(1), now + Duration::from_secs(59)).1);
        let (anew, is_new) = all.ask(SchemaId(1), now + Duration::from_secs(60));
        assert_eq!((anew.answer(), is_new, all.bytes), (None, true, 0));
    }
}

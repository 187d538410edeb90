//! The meaning of a document, according to the planner: code that compiles expressions which users write, and that may
//! not return.
//!
//! The planner runs in a thread of its own. A panic ends that thread; a thread that does not return in time is
//! abandoned. In both cases the document's pipeline gets a condition. Answers are kept per generation, so that a
//! document is read once and not at every look.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
use weir_crds::document::Spec;
use weir_crds::places::folders;
use weir_crds::resource::Reason;
use weir_crds::{Finding, Loaded};
use weir_plan::compat::{Fingerprint, fingerprint};
use xxhash_rust::xxh3::xxh3_64;

use crate::clock::{since, steady};
use crate::refusal::Refusal;

/// The time limit for a document. A document of one mebibyte takes a few seconds in a debug build.
const LIMIT: Duration = Duration::from_secs(30);
/// How many documents are read at the same time; others wait.
const READERS: usize = 4;
/// How many abandoned threads there may be. With more, no document is read any more, since each such thread may use a
/// core.
const LEFT_BEHIND_MAX: usize = 16;
/// The stack of the planner's thread, in bytes. Expressions are trees, which the planner walks recursively. The system
/// provides the memory only as it is used.
const STACK_BYTES: usize = 256 << 20;
/// Answers that nobody has asked for in this time belong to deleted pipelines.
const KEPT_UNASKED: Duration = Duration::from_secs(600);
/// Answers that are kept: two for each of the pipelines that an operator looks after, and more than enough. Beyond it
/// the one goes that was not asked for the longest.
const KEPT_MAX: usize = 20_000;

/// What the operator needs to know of a valid document.
#[derive(Debug, Clone)]
pub struct Reading {
    pub spec: Spec,
    pub fingerprint: Fingerprint,
    /// The token of the document's state action.
    pub state_action: Option<String>,
    /// What may not do what the document's author meant: a sentence each.
    pub notices: Vec<String>,
}

/// The reading of a valid document, or why it is refused.
pub type Outcome = Result<Arc<Reading>, Refusal>;

/// The function that reads a document: [`read`], except in tests.
type Read = fn(&Value) -> Result<Reading, Vec<Finding>>;

/// Reads each document once.
pub struct Planner {
    read: Read,
    limit: Duration,
    kept_max: usize,
    readers: Semaphore,
    left_behind: Arc<AtomicUsize>,
    /// The answers by the documents' origin: see [`Origin`].
    kept: Mutex<HashMap<Origin, Kept>>,
}

/// The origin of a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A pipeline's spec: its uid and generation.
    Spec { uid: String, generation: i64 },
    /// A revision's document: the pipeline's uid and a hash of the text.
    Revision { uid: String, hash: u64 },
}

struct Kept {
    outcome: Outcome,
    asked: Instant,
}

/// Reads a document as `weir validate` does, and also refuses what can't work on a cluster.
///
/// # Errors
/// All errors of the document.
pub fn read(document: &Value) -> Result<Reading, Vec<Finding>> {
    let loaded = weir_crds::load_value(document)?;
    let notices = weir_crds::notices(&loaded);
    let Loaded { document, plan } = loaded;
    let folders = folders(&document);
    if !folders.is_empty() {
        return Err(folders);
    }
    Ok(Reading {
        fingerprint: fingerprint(&plan),
        state_action: plan.state_action.map(|action| action.token),
        spec: document.spec,
        notices,
    })
}

impl Default for Planner {
    fn default() -> Self {
        Self::new(read, LIMIT)
    }
}

impl Planner {
    fn new(read: Read, limit: Duration) -> Self {
        let (left_behind, kept) = (Arc::default(), Mutex::default());
        Self { read, limit, kept_max: KEPT_MAX, readers: Semaphore::new(READERS), left_behind, kept }
    }

    /// The reading of a pipeline's spec.
    pub async fn spec(&self, uid: &str, generation: i64, document: impl FnOnce() -> Value) -> Outcome {
        self.outcome(Origin::Spec { uid: uid.to_owned(), generation }, document).await
    }

    /// The reading of a revision's document by this version of the operator.
    pub async fn revision(&self, uid: &str, text: &str, document: impl FnOnce() -> Value) -> Outcome {
        self.outcome(Origin::Revision { uid: uid.to_owned(), hash: xxh3_64(text.as_bytes()) }, document).await
    }

    async fn outcome(&self, origin: Origin, document: impl FnOnce() -> Value) -> Outcome {
        if let Some(kept) = self.kept(&origin) {
            return kept;
        }
        // While this call waited for its turn, another one may have read the document.
        let Ok(_turn) = self.readers.acquire().await else { return Err(failed("the operator is ending")) };
        if let Some(kept) = self.kept(&origin) {
            return kept;
        }
        if self.left_behind.load(Ordering::Relaxed) >= LEFT_BEHIND_MAX {
            let why = format!(
                "it still works on {LEFT_BEHIND_MAX} documents that took too long, and takes no other one; restart \
                 the operator"
            );
            return Err(failed(&why));
        }
        let outcome = self.in_a_thread(document()).await;
        self.keep(origin, outcome.clone());
        outcome
    }

    async fn in_a_thread(&self, document: Value) -> Outcome {
        let (tell, told) = oneshot::channel();
        let (read, left_behind) = (self.read, Arc::clone(&self.left_behind));
        let work = move || {
            let answer = catch_unwind(AssertUnwindSafe(|| read(&document)));
            // Nobody waits any more for an abandoned thread's answer.
            if tell.send(answer).is_err() {
                left_behind.fetch_sub(1, Ordering::Relaxed);
            }
        };
        // It is not a thread of the async runtime, which would wait for the thread when the process ends.
        if let Err(e) = std::thread::Builder::new().name("planner".to_owned()).stack_size(STACK_BYTES).spawn(work) {
            return Err(failed(&format!("it can't be started: {e}")));
        }
        let mut told = told;
        match tokio::time::timeout(self.limit, &mut told).await {
            Ok(Ok(Ok(Ok(reading)))) => Ok(Arc::new(reading)),
            Ok(Ok(Ok(Err(findings)))) => Err(Refusal { reason: Reason::InvalidDocument, message: lines(&findings) }),
            Ok(Ok(Err(panic))) => Err(failed(&format!("it ended with: {}", words(panic.as_ref())))),
            Ok(Err(_)) => Err(failed("it ended without an answer")),
            Err(_) => {
                self.left_behind.fetch_add(1, Ordering::Relaxed);
                // The answer may have come in this very moment.
                told.close();
                if told.try_recv().is_ok() {
                    self.left_behind.fetch_sub(1, Ordering::Relaxed);
                }
                Err(failed(&format!("it took longer than {} s", self.limit.as_secs())))
            }
        }
    }

    fn kept(&self, origin: &Origin) -> Option<Outcome> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get_mut(origin)?;
        kept.asked = steady();
        Some(kept.outcome.clone())
    }

    fn keep(&self, origin: Origin, outcome: Outcome) {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| since(kept.asked) < KEPT_UNASKED);
        if all.len() >= self.kept_max {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.asked).map(|(origin, _)| origin.clone());
            oldest.map(|oldest| all.remove(&oldest));
        }
        all.insert(origin, Kept { outcome, asked: steady() });
    }
}

fn failed(why: &str) -> Refusal {
    let message = format!(
        "the operator's planner failed over this document, which is a bug of Weir and changes nothing that runs: {why}"
    );
    Refusal { reason: Reason::PlannerFailed, message }
}

/// The message of a panic.
#[must_use]
pub fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use serde_json::json;

    use super::*;
    use crate::fixtures::rides;

    /// Reads a document, unless its field `does` asks for a panic or a hang.
    fn meddled(document: &Value) -> Result<Reading, Vec<Finding>> {
        match document["does"].as_str() {
            Some("panic") => panic!("a slice index of {}", 7),
            Some("hang") => loop {
                std::thread::park();
            },
            _ => read(document),
        }
    }

    fn planner(limit: Duration) -> Planner {
        Planner::new(meddled, limit)
    }

    async fn spec(planner: &Planner, uid: &str, document: Value) -> Outcome {
        planner.spec(uid, 1, || document).await
    }

    #[tokio::test]
    async fn a_panic_is_that_pipelines_refusal_and_the_next_one_is_read() {
        let planner = planner(LIMIT);
        for _ in 0..3 {
            let refusal = spec(&planner, "a", json!({"does": "panic"})).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::PlannerFailed);
            assert!(refusal.message.ends_with("it ended with: a slice index of 7"), "{}", refusal.message);
        }
        assert!(spec(&planner, "b", rides().document()).await.is_ok());
    }

    /// Runs on a single thread, which the renewal of the Lease would share too.
    #[tokio::test(flavor = "current_thread")]
    async fn one_that_does_not_come_back_holds_up_nobody_and_is_that_pipelines_refusal() {
        let mut planner = planner(LIMIT);
        let ticks = async {
            let mut ticks = 0_u32;
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                ticks += 1;
                if ticks == 10 {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            outcome = spec(&planner, "a", json!({"does": "hang"})) => panic!("no time for others: {outcome:?}"),
            () = ticks => {}
        }
        planner.limit = Duration::from_millis(1);
        let said = spec(&planner, "a", json!({"does": "hang"})).await.unwrap_err().message;
        assert!(said.contains("it took longer than"), "{said}");
        planner.limit = LIMIT;
        assert!(spec(&planner, "b", rides().document()).await.is_ok());
    }

    #[tokio::test]
    async fn a_document_is_read_once_per_generation_whatever_came_of_it() {
        let planner = planner(LIMIT);
        for (generation, does) in [(1, "panic"), (1, "nothing: this generation was read"), (2, "panic")] {
            let outcome = planner.spec("a", generation, || {
                assert_eq!(does, "panic");
                json!({"does": does})
            });
            assert_eq!(outcome.await.unwrap_err().reason, Reason::PlannerFailed);
        }
    }

    #[tokio::test]
    async fn an_unchanged_pipeline_is_read_once_however_often_it_is_looked_at() {
        let (planner, reads) = (planner(LIMIT), AtomicUsize::new(0));
        let look = async |generation| {
            let document = || {
                reads.fetch_add(1, Ordering::Relaxed);
                rides().document()
            };
            planner.spec("a", generation, document).await.unwrap()
        };
        let first = look(1).await;
        for _ in 0..10 {
            assert!(Arc::ptr_eq(&look(1).await, &first));
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        look(2).await;
        assert_eq!(reads.load(Ordering::Relaxed), 2, "another generation");
    }

    #[tokio::test]
    async fn of_too_many_answers_the_one_goes_that_was_not_asked_for_the_longest() {
        let planner = Planner { kept_max: 2, ..planner(LIMIT) };
        let is_read = async |uid: &str| {
            let read = AtomicUsize::new(0);
            let document = || {
                read.fetch_add(1, Ordering::Relaxed);
                rides().document()
            };
            planner.spec(uid, 1, document).await.unwrap();
            read.into_inner() == 1
        };
        for (uid, read) in [("a", true), ("b", true), ("a", false), ("c", true), ("a", false), ("b", true)] {
            assert_eq!(is_read(uid).await, read, "{uid}");
        }
    }

    #[tokio::test]
    async fn so_many_that_do_not_come_back_and_no_more_is_read() {
        let planner = planner(Duration::from_millis(1));
        for i in 0..LEFT_BEHIND_MAX {
            assert!(
                spec(&planner, &i.to_string(), json!({"does": "hang"}))
                    .await
                    .unwrap_err()
                    .message
                    .contains("took longer")
            );
        }
        let refusal = spec(&planner, "right", rides().document()).await.unwrap_err();
        assert!(refusal.message.contains("restart the operator"), "{}", refusal.message);
    }

    /// Recursion that is too deep is not a panic: it would end the process.
    #[tokio::test]
    async fn an_expression_as_deep_as_a_document_may_have_it_comes_back() {
        let planner = planner(LIMIT);
        let (sum, nots) = (format!("price{} > 0", " + 1".repeat(4_000)), format!("{}true", "NOT ".repeat(4_000)));
        let brackets = format!("{}price{} > 0", "(".repeat(8_000), ")".repeat(8_000));
        for (generation, filter) in [(1, sum), (2, nots), (3, brackets)] {
            let document = crate::fixtures::rides_with("/steps/0/map/where", json!(filter)).document();
            let outcome = planner.spec("deep", generation, || document).await;
            assert_ne!(outcome.err().map(|refusal| refusal.reason), Some(Reason::PlannerFailed), "{generation}");
        }
    }

    #[tokio::test]
    async fn no_refusal_shows_a_secret() {
        let planner = planner(LIMIT);
        for (pointer, value) in [
            ("/storage/0/s3/credentialsSecretRef", json!("hunter2")),
            ("/storage/0/s3/secretAccessKey", json!("hunter2")),
            ("/storage/0/s3/endpoint", json!("https://me:hunter2@s3.data:9000")),
            ("/checkpoint/uri", json!("s3://me:hunter2@lake/checkpoint")),
            ("/connections/0/kafka/bootstrapServers", json!("me:hunter2@kafka:9092")),
            ("/connections/0/kafka/sasl", json!({"mechanism": "SCRAM-SHA-512", "passwordSecretRef": "hunter2"})),
            ("/connections/0/kafka/sasl", json!({"mechanism": "SCRAM-SHA-512", "password": "hunter2"})),
        ] {
            let document = crate::fixtures::rides_with(pointer, value.clone()).document();
            let refusal = spec(&planner, &format!("{pointer}{value}"), document).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidDocument);
            assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
        }
    }

    #[test]
    fn a_folder_is_refused_where_it_stands() {
        let mut pipeline = rides();
        pipeline.spec["checkpoint"]["uri"] = json!("file:///tmp/checkpoint");
        pipeline.spec["sinks"][0]["delta"]["uri"] = json!("file:///tmp/table");
        let findings = read(&pipeline.document()).unwrap_err();
        let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("spec.checkpoint.uri: found `file:///tmp/checkpoint`"), "{said:?}");
        assert!(said[1].starts_with("spec.sinks[0].delta.uri: found `file:///tmp/table`"), "{said:?}");
    }
}

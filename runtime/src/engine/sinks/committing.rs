//! The set of a pipeline's sinks. It commits what a manifest says that each sink is to commit. It turns the manifest
//! into plain values first, because the sinks' crate does not know its format. Commits are idempotent: what a sink
//! remembers of the lineage decides.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::Mutex;
use weir_plan::quote::quoted;

use super::opening::pin_of;
use super::outputs::Parts;
use crate::checkpoint::manifest::{Committable, Manifest, Payload, PinnedSink};
use crate::checkpoint::sinks::{Committer, Landed};
use crate::failure::{Failure, Result};
use crate::sink::decided::{Decided, Outcome};
use crate::sink::writing::{self, Sealed};
use crate::sink::{self, Environment, Sink, SinkStatus};

/// An open sink. One commit uses it at a time.
type Open = Mutex<Box<dyn Sink>>;

/// The open sinks of the document. Sinks of former documents are opened when there is something to commit to them.
pub struct SinkSet {
    of: Environment,
    /// The lineage of what is decided from here on. An epoch of another lineage was decided before a state action.
    lineage: String,
    /// By name.
    sinks: BTreeMap<String, Open>,
}

impl SinkSet {
    #[must_use]
    pub fn new(of: Environment, lineage: String, sinks: Vec<Box<dyn Sink>>) -> Self {
        let sinks = sinks.into_iter().map(|sink| (sink.pin().sink, Mutex::new(sink))).collect();
        Self { of, lineage, sinks }
    }

    /// Gives each sink time for small work of its own. This waits for nothing.
    pub async fn between_epochs(&self) {
        for sink in self.sinks.values() {
            sink.lock().await.between_epochs();
        }
    }

    /// The status that each sink reports, by name.
    pub async fn status(&self) -> BTreeMap<String, SinkStatus> {
        let mut status = BTreeMap::new();
        for (name, sink) in &self.sinks {
            status.insert(name.clone(), sink.lock().await.status());
        }
        status
    }

    /// Turns what the writers gave into what each sink is to commit.
    ///
    /// # Errors
    /// A bug, if there is no such sink, or if it did not make these writers.
    pub async fn seal(&self, parts: Parts) -> Result<Vec<Committable>> {
        let mut committables = Vec::new();
        for (index, parts) in parts {
            let name = self.of.plan.sinks.get(index).map(|sink| &sink.name);
            let (name, sink) = name
                .and_then(|name| Some((name, self.sinks.get(name)?)))
                .ok_or_else(|| Failure::bug(format!("rows were written for the sink {index}, and there is none")))?;
            if let Some(Sealed { rows, payload: writing::Payload { kind, body } }) =
                sink.lock().await.seal(parts).await?
            {
                committables.push(Committable { sink: name.clone(), rows, payload: Payload { kind, body } });
            }
        }
        Ok(committables)
    }

    /// Where a sink's rows of this epoch go, by the document of that time. The open sink is `None` if the document has
    /// another place for it now.
    fn current<'a>(
        &'a self,
        manifest: &'a Manifest,
        committable: &Committable,
    ) -> Result<(&'a PinnedSink, Option<&'a Open>)> {
        let pinned = manifest.sinks.iter().find(|pinned| pinned.name == committable.sink).ok_or_else(|| {
            Failure::bug(format!(
                "epoch {} has rows for {} and does not name its table",
                manifest.epoch,
                quoted(&committable.sink)
            ))
        })?;
        let writes_there = self.of.plan.sinks.iter().any(|s| s.name == pinned.name && s.place() == pinned.place);
        Ok((pinned, self.sinks.get(&pinned.name).filter(|_| writes_there)))
    }

    async fn commit_one(&self, manifest: &Manifest, committable: &Committable) -> Result<Landed> {
        match self.current(manifest, committable)? {
            (pinned, Some(sink)) => self.commit_to(&mut **sink.lock().await, manifest, committable, pinned).await,
            // The epoch was decided under a document that had this sink.
            (pinned, None) => match self.open_former(pinned).await? {
                Some(mut sink) => self.commit_to(&mut *sink, manifest, committable, pinned).await,
                None if self.may_give_up(manifest) => {
                    tracing::warn!(
                        "{}: there is no table at {} any more",
                        given_up(manifest, committable),
                        pinned.place
                    );
                    Ok(Landed::GivenUp)
                }
                None => Err(Failure::config(format!(
                    "rows that were decided for {}, which the document no longer names, are to be committed before \
                     anything else, and there is \
                     no table: put it back, or give these rows up with a new spec.stateAction (`discard` or `restore`)",
                    pinned.place
                ))),
            },
        }
    }

    /// Whether the rows of an epoch may be given up. What was decided before a state action must not stop the pipeline
    /// for good: a person has said how to continue.
    fn may_give_up(&self, manifest: &Manifest) -> bool {
        manifest.lineage != self.lineage
    }

    async fn look_ahead(&self, manifest: &Manifest, committable: &Committable) -> Result<()> {
        let (_, Some(sink)) = self.current(manifest, committable)? else { return Ok(()) };
        sink.lock().await.ready(&self.decided(manifest, &committable.sink), &payload_of(committable)).await
    }

    async fn commit_to(
        &self,
        to: &mut dyn Sink,
        manifest: &Manifest,
        committable: &Committable,
        pinned: &PinnedSink,
    ) -> Result<Landed> {
        let (sink, epoch, rows) = (&committable.sink, manifest.epoch, committable.rows);
        if to.pin().id != pinned.id {
            // Only a state action lets a pipeline start on a table that was created again.
            tracing::warn!(%sink, %epoch, rows, "the rows were for the table at {} that is gone", pinned.place);
            return Ok(Landed::GivenUp);
        }
        match to.commit(&self.decided(manifest, sink), &payload_of(committable)).await? {
            Outcome::Committed => {
                tracing::debug!(%sink, %epoch, version = to.status().table_version, rows, "committed");
                Ok(Landed::Committed)
            }
            Outcome::AlreadyThere => Ok(Landed::Committed),
            Outcome::Gone { what, .. } if self.may_give_up(manifest) => {
                tracing::warn!("{}: {what} is gone from {}", given_up(manifest, committable), pinned.place);
                Ok(Landed::GivenUp)
            }
            Outcome::Gone { says, .. } => Err(says),
        }
    }

    /// What the sink is to remember of the epoch.
    fn decided(&self, manifest: &Manifest, sink: &str) -> Decided {
        Decided {
            pipeline: self.of.plan.pipeline.clone(),
            lineage: manifest.lineage.clone(),
            sink: sink.to_owned(),
            epoch: manifest.epoch,
            mark: manifest.head().mark().0,
            token: manifest.state_action.as_ref().map(|done| done.token.clone()),
            provenance: self.provenance(manifest),
        }
    }

    async fn open_former(&self, pinned: &PinnedSink) -> Result<Option<Box<dyn Sink>>> {
        sink::former(&pin_of(pinned), &self.of).await.map_err(|e| {
            e.context(format_args!(
                "rows that were decided for {}, which the document no longer names, are to be committed before \
                 anything else",
                pinned.place
            ))
        })
    }

    /// The origin of a version of the table. Offsets are half-open ranges, and times are in µs.
    fn provenance(&self, manifest: &Manifest) -> serde_json::Map<String, serde_json::Value> {
        let sources: Vec<_> = manifest
            .sources
            .iter()
            .map(|s| {
                let offsets: Vec<_> = s
                    .partitions
                    .iter()
                    .map(|p| json!({"topic": p.topic, "partition": p.partition, "start": p.start, "end": p.end}))
                    .collect();
                json!({"name": s.name, "watermarkUs": s.watermark_after_us, "offsets": offsets})
            })
            .collect();
        let fields = [
            ("pipeline", json!(self.of.plan.pipeline)),
            ("lineage", json!(manifest.lineage)),
            ("epoch", json!(manifest.epoch)),
            ("manifest", json!({"generation": manifest.writer.generation, "nonce": manifest.writer.nonce})),
            ("sources", json!(sources)),
        ];
        fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
    }
}

fn payload_of(committable: &Committable) -> writing::Payload {
    let Payload { kind, body } = committable.payload.clone();
    writing::Payload { kind, body }
}

/// The rows that a sink does not get and their origin, for the log.
fn given_up(manifest: &Manifest, committable: &Committable) -> String {
    let read = manifest.sources.iter().flat_map(|s| &s.partitions).filter(|p| p.end > p.start);
    let read: Vec<_> = read.map(|p| format!("{}-{} [{}, {})", p.topic, p.partition, p.start, p.end)).collect();
    format!(
        "sink {}: {} rows of epoch {}, which was decided before the state action, are given up (the epoch read {})",
        quoted(&committable.sink),
        committable.rows,
        manifest.epoch,
        if read.is_empty() { "nothing".to_owned() } else { read.join(", ") }
    )
}

impl Committer for SinkSet {
    fn commit<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<Landed>> {
        Box::pin(self.commit_one(manifest, committable))
    }

    fn ready<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.look_ahead(manifest, committable))
    }
}

#[cfg(test)]
mod tests;

//! The sinks that lanes, or workers, write to, as the driver sees them: what was written in each epoch, and the reason
//! when one cannot continue.

use std::collections::BTreeMap;

use weir_plan::quote::quoted;

use super::task::{SinkOutput, is_gone};
use crate::failure::{Failure, Result};
use crate::sink::writing::Part;

/// What the writers of each sink gave, by the sink's index in the plan. Only sinks with rows are in it.
pub type Parts = BTreeMap<usize, Vec<Part>>;

#[derive(Default)]
pub struct SinkOutputs {
    sinks: Vec<NamedOutput>,
}

struct NamedOutput {
    /// Index into the plan's sinks.
    index: usize,
    name: String,
    output: SinkOutput,
}

impl NamedOutput {
    fn named(&self, failure: Failure) -> Failure {
        failure.context(format_args!("sink {}", quoted(&self.name)))
    }
}

impl SinkOutputs {
    pub fn add(&mut self, index: usize, name: String, output: SinkOutput) {
        self.sinks.push(NamedOutput { index, name, output });
    }

    /// What was written for the epoch that was just closed.
    pub async fn parts(&mut self) -> Result<Parts> {
        let mut parts = Parts::new();
        for sink in &mut self.sinks {
            let written = sink.output.next().await.map_err(|f| sink.named(f))?;
            if !written.is_empty() {
                parts.entry(sink.index).or_default().extend(written);
            }
        }
        Ok(parts)
    }

    /// Resolves when a sink stops while an epoch is open, whether there are rows for it or not.
    pub async fn failed(&mut self) -> Failure {
        if self.sinks.is_empty() {
            return std::future::pending().await;
        }
        let failures = self.sinks.iter_mut().map(|sink| {
            Box::pin(async move {
                let failure = sink.output.failed().await;
                sink.named(failure)
            })
        });
        futures::future::select_all(failures).await.0
    }

    /// Why a lane or a worker has failed. A thread that could not write to a sink does not know why, so the sink gives
    /// the reason. A thread's own reason stands.
    pub fn reason(&mut self, of_thread: Failure) -> Failure {
        if !is_gone(&of_thread) {
            return of_thread;
        }
        let of_sink = self.sinks.iter_mut().find_map(|sink| {
            let failure = sink.output.failure()?;
            Some(sink.named(failure))
        });
        of_sink.unwrap_or(of_thread)
    }
}

//! A graph's document for the engine, as JSON, which is also YAML.

use serde_json::{Value as Json, json};

use super::nodes::{Graph, Mode, Sink};
use super::source::{EventTime, Source, TimeOf};
use crate::oracle::document::{columns, duration, storage};
use crate::oracle::site::Site;

impl Graph {
    /// The document for the engine at this site. Each sink's table is a side table of the site's table.
    #[must_use]
    pub fn document(&self, site: &Site) -> Json {
        let sources: Vec<Json> = self.sources.iter().map(|source| self.source_document(source, site)).collect();
        let mut steps = Vec::new();
        for step in &self.steps {
            let mut document = step.operation.document();
            document["name"] = json!(step.name);
            steps.push(document);
        }
        json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StreamPipeline", "metadata": {"name": self.name},
            "spec": {
                "trigger": site.trigger,
                "limits": {"recordsPerEpoch": site.records_per_epoch},
                "checkpoint": {"uri": site.checkpoint_uri, "keep": site.keep},
                "storage": storage(site),
                "connections": [{"name": "broker", "kafka": {"bootstrapServers": site.bootstrap}}],
                "sources": sources,
                "steps": steps,
                "sinks": self.sinks.iter().map(|sink| sink.document(site)).collect::<Vec<_>>(),
            }
        })
    }

    fn source_document(&self, source: &Source, site: &Site) -> Json {
        let mut kafka = json!({
            "connection": "broker", "topics": [Self::topic(site, source)], "startFrom": {"position": "Earliest"},
        });
        // Two sources must not publish their offsets of one topic for one group.
        if self.sources.iter().filter(|other| other.topic == source.topic).count() > 1 {
            kafka["groupId"] = json!(format!("weir-{}-{}", self.name, source.name));
        }
        let mut document = json!({
            "name": source.name,
            "kafka": kafka,
            "format": {"json": {}},
            "columns": columns(&source.columns),
            "badRecords": source.bad_records.document(),
        });
        if let Some(event_time) = &source.event_time {
            document["eventTime"] = event_time.document();
        }
        document
    }
}

impl EventTime {
    fn document(&self) -> Json {
        if self.of == TimeOf::ProcessingTime {
            return json!({"processingTime": {}});
        }
        let mut event_time = json!({"watermarkDelay": duration(self.delay_us)});
        match &self.of {
            TimeOf::Column(name) => event_time["expr"] = json!(name),
            TimeOf::KafkaTimestamp | TimeOf::ProcessingTime => event_time["kafkaTimestamp"] = json!({}),
        }
        for (field, us) in [
            ("idleAfter", self.idle_after_us),
            ("maxSkew", self.max_skew_us),
            ("closeIdleWindowsAfter", self.close_idle_windows_after_us),
        ] {
            if let Some(us) = us {
                event_time[field] = json!(duration(us));
            }
        }
        event_time
    }
}

impl Sink {
    fn document(&self, site: &Site) -> Json {
        let mut sink = json!({"name": self.name, "from": self.from});
        match &self.mode {
            Mode::Append => {
                sink["delta"] = json!({"uri": site.side_uri(&self.name)});
                if !self.partition_by.is_empty() {
                    sink["delta"]["partitionBy"] = json!(self.partition_by);
                }
                return sink;
            }
            Mode::Update { key } => (sink["mode"], sink["key"]) = (json!("Update"), json!(key)),
            Mode::Complete => sink["mode"] = json!("Complete"),
        }
        sink["console"] = json!({"rows": 1_000, "truncate": 1_000});
        sink
    }
}

//! A pipeline's document for the engine, as JSON, which is also YAML.

use serde_json::{Value as Json, json};

use super::aggregate::Aggregate;
use super::pipeline::{BadRecords, Column, Key, Map, Pipeline, S3_SECRET, Site};

impl Pipeline {
    /// The document for the engine at this site.
    #[must_use]
    pub fn document(&self, site: &Site) -> Json {
        let (steps, last) = self.steps();
        json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StreamPipeline", "metadata": {"name": self.name},
            "spec": {
                "trigger": site.trigger,
                "limits": {"recordsPerEpoch": site.records_per_epoch},
                "checkpoint": {"uri": site.checkpoint_uri, "keep": site.keep},
                "storage": storage(site),
                "connections": [{"name": "broker", "kafka": {"bootstrapServers": site.bootstrap}}],
                "sources": [self.source(site)],
                "steps": steps,
                "sinks": self.sinks(site, &last),
            }
        })
    }

    fn source(&self, site: &Site) -> Json {
        let mut event_time = json!({"expr": self.event_time, "watermarkDelay": duration(self.delay_us)});
        for (field, us) in [
            ("idleAfter", self.idle_after_us),
            ("maxFuture", self.max_future_us),
            ("maxSkew", self.max_skew_us),
            ("closeIdleWindowsAfter", self.close_idle_windows_after_us),
        ] {
            if let Some(us) = us {
                event_time[field] = duration(us).into();
            }
        }
        let mut source = json!({
            "name": "input",
            "kafka": {"connection": "broker", "topics": [site.topic], "startFrom": {"position": "Earliest"}},
            "format": {"json": {}},
            "columns": columns(&self.columns),
            "badRecords": self.bad_records.document(),
            "eventTime": event_time,
        });
        if self.skips_tombstones {
            source["tombstones"] = "Skip".into();
        }
        source
    }

    /// The steps, and the name of the last one.
    fn steps(&self) -> (Vec<Json>, String) {
        let mut steps = Vec::new();
        let mut last = "input".to_owned();
        if let Some(map) = &self.before {
            steps.push(json!({"name": "before", "map": map.document(&last)}));
            last = "before".into();
        }
        steps.push(json!({"name": "windows", "aggregate": {
            "from": last, "window": self.window.document(), "groupBy": group_by(&self.group_by), "columns": aggregates(&self.aggregates)}}));
        last = "windows".into();
        if let Some(map) = &self.after {
            steps.push(json!({"name": "after", "map": map.document(&last)}));
            last = "after".into();
        }
        (steps, last)
    }

    fn sinks(&self, site: &Site, last: &str) -> Vec<Json> {
        let mut delta = json!({"uri": site.table_uri});
        if !self.partition_by.is_empty() {
            delta["partitionBy"] = json!(self.partition_by);
        }
        let mut sinks = vec![json!({"name": "table", "from": last, "mode": "Append", "delta": delta})];
        if self.bad_records.are_kept() {
            sinks.push(
                json!({"name": "rejected", "from": "input.Rejected", "delta": {"uri": site.side_uri("rejected")}}),
            );
        }
        if self.bad_records.are_kept() && self.keeps_bad_rows {
            for step in ["windows", "after"].into_iter().filter(|step| *step == "windows" || self.after.is_some()) {
                let name = format!("bad-{step}");
                sinks.push(
                    json!({"name": name, "from": format!("{step}.Rejected"), "delta": {"uri": site.side_uri(&name)}}),
                );
            }
        }
        if self.keeps_late {
            sinks.push(json!({"name": "late", "from": "windows.Late", "delta": {"uri": site.side_uri("late")}}));
        }
        sinks
    }
}

impl BadRecords {
    pub(super) fn document(self) -> Json {
        match self {
            Self::Fail => json!({"policy": "Fail"}),
            Self::Drop => json!({"policy": "Drop"}),
            Self::Output => json!({"policy": "Output"}),
            Self::OutputUpTo(max) => json!({"policy": "Output", "maxPerMillion": max}),
        }
    }
}

impl Map {
    pub(super) fn document(&self, from: &str) -> Json {
        let columns: Vec<Json> = self.columns.iter().map(|(n, e)| json!({"name": n, "expr": e.sql()})).collect();
        let mut map = json!({"from": from, "columns": columns});
        if let Some(filter) = &self.filter {
            map["where"] = filter.sql().into();
        }
        map
    }
}

/// The columns of a source.
pub(super) fn columns(all: &[Column]) -> Vec<Json> {
    all.iter().map(|c| json!({"name": c.name, "type": c.r#type.ddl(), "required": c.required})).collect()
}

pub(super) fn group_by(keys: &[Key]) -> Vec<Json> {
    let column = |key: &Key| match &key.expr {
        None => json!({"name": key.name}),
        Some(expr) => json!({"name": key.name, "expr": expr.sql()}),
    };
    keys.iter().map(column).collect()
}

pub(super) fn aggregates(all: &[(String, Aggregate)]) -> Vec<Json> {
    all.iter().map(|(name, aggregate)| json!({"name": name, "expr": aggregate.sql()})).collect()
}

pub(super) fn storage(site: &Site) -> Vec<Json> {
    let of = |prefix: &String| {
        json!({"uriPrefix": prefix, "s3": {"endpoint": site.s3_endpoint, "region": crate::services::s3::REGION, "forcePathStyle": true,
               "credentialsSecretRef": {"name": S3_SECRET}}})
    };
    site.s3_prefixes().iter().map(of).collect()
}

/// A duration as Gateway API writes it.
pub(super) fn duration(us: i64) -> String {
    assert_eq!(us % 1000, 0, "documents know milliseconds at the finest");
    let (seconds, ms) = (us / 1_000_000, us / 1_000 % 1_000);
    if ms == 0 { format!("{seconds}s") } else { format!("{seconds}s{ms}ms") }
}

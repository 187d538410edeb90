//! Which pipeline owns which place: compares the checkpoints and tables of all pipelines that this operator sees.
//!
//! The pipeline whose accepted document names a place first keeps it. Only the operator's memory knows who was first,
//! and each leader begins with an empty memory. So a running pipeline keeps its places; and before pipelines that have
//! not been looked at yet, this one yields if they are older or already run.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use kube::ResourceExt;
use weir_crds::places::{Overlap, Place, PlaceKind, places};
use weir_crds::resource::{Reason, StreamPipeline};

use crate::refusal::Refusal;

/// How many claims of deleted pipelines may accumulate before they are removed.
const FORGOTTEN_WITH: usize = 64;

/// The places of each pipeline's accepted document, by the pipeline's uid.
#[derive(Debug, Default)]
pub struct Claims {
    held: Mutex<HashMap<String, Vec<Place>>>,
}

/// A place that belongs to another pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    wanted: Place,
    theirs: Place,
    how: Overlap,
    /// The other pipeline as `namespace/name`, if readers of this pipeline may know of it.
    other: Option<String>,
}

impl Claims {
    /// Claims the places that the spec of `pipeline` names. The running document has the places `held`. Until
    /// [`Self::hold`], the pipeline has both. If another pipeline already has one of the places, the conflict is
    /// returned and nothing new is claimed.
    pub fn claim<'a>(
        &self,
        pipeline: &StreamPipeline,
        held: Vec<Place>,
        all: impl Iterator<Item = &'a StreamPipeline> + Clone,
    ) -> Option<Conflict> {
        let wanted = places_of(pipeline);
        let mut claims = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.clone().count();
        if claims.len() > 2 * there + FORGOTTEN_WITH {
            let live: HashSet<_> = all.clone().filter_map(ResourceExt::uid).collect();
            claims.retain(|uid, _| live.contains(uid));
        }
        let mut in_the_way = None;
        for other in all.filter(|other| other.metadata.uid != pipeline.metadata.uid) {
            let theirs = claims.get(other.uid().as_deref().unwrap_or_default());
            let stranger = theirs.is_none();
            let theirs = theirs.cloned().unwrap_or_else(|| places_of(other));
            for (place, their_place, how) in conflicts(&wanted, &theirs) {
                let has_it = held.iter().any(|ours| collide(ours, their_place).is_some());
                let they_go_first = match (stranger, has_it) {
                    (false, false) => true,
                    (false, true) => age(other) < age(pipeline),
                    (true, false) => age(other) < age(pipeline) || runs(other),
                    // The other pipeline will be looked at soon, and is then one of the first two cases.
                    (true, true) => false,
                };
                if they_go_first && in_the_way.is_none() {
                    let may_know = other.namespace() == pipeline.namespace();
                    let other =
                        may_know.then(|| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any()));
                    in_the_way = Some(Conflict { wanted: place.clone(), theirs: their_place.clone(), how, other });
                }
            }
        }
        let is_free = in_the_way.is_none();
        let mut now = held;
        now.extend(is_free.then_some(wanted).into_iter().flatten());
        claims.insert(pipeline.uid().unwrap_or_default(), now);
        in_the_way
    }

    /// Sets the places that a pipeline has from now on.
    pub fn hold(&self, pipeline: &StreamPipeline, places: Vec<Place>) {
        let mut claims = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        claims.insert(pipeline.uid().unwrap_or_default(), places);
    }
}

impl Conflict {
    /// Whether the conflict is about the checkpoint of the pipeline that is refused.
    #[must_use]
    pub fn is_about_checkpoint(&self) -> bool {
        self.wanted.kind == PlaceKind::Checkpoint
    }

    /// The conflict as a condition reports it.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let reason = if self.is_about_checkpoint() { Reason::CheckpointInUse } else { Reason::TableInUse };
        let how = match self.how {
            Overlap::Same => "is",
            Overlap::Inside => "lies in",
            Overlap::Around => "holds",
        };
        let what = match self.theirs.kind {
            PlaceKind::Checkpoint => "checkpoint",
            PlaceKind::Table => "table",
        };
        let (whose, there) = match &self.other {
            Some(other) => (format!("the pipeline {other}"), format!(", {}", self.theirs.uri)),
            None => ("a pipeline of another namespace".to_owned(), String::new()),
        };
        let (path, uri) = (&self.wanted.path, &self.wanted.uri);
        let message = format!(
            "{path}: {uri} {how} the place of a {what} of {whose}{there}, which was there first; give this one its own"
        );
        Refusal { reason, message }
    }
}

/// The places that a spec names, even if the spec has errors.
#[must_use]
pub fn places_of(pipeline: &StreamPipeline) -> Vec<Place> {
    places(&pipeline.spec, &pipeline.namespace().unwrap_or_default())
}

fn conflicts<'a>(ours: &'a [Place], theirs: &'a [Place]) -> impl Iterator<Item = (&'a Place, &'a Place, Overlap)> {
    ours.iter().flat_map(move |place| {
        theirs.iter().filter_map(move |their_place| Some((place, their_place, collide(place, their_place)?)))
    })
}

/// How two places conflict. Several pipelines may append to one table. But a vacuum or worse destroys a table inside
/// another one, and anything that overlaps a checkpoint.
fn collide(a: &Place, b: &Place) -> Option<Overlap> {
    a.overlap(b).filter(|how| *how != Overlap::Same || !(a.is_shared && b.is_shared))
}

/// Whether the pipeline has ever been accepted.
fn runs(pipeline: &StreamPipeline) -> bool {
    pipeline.status.as_ref().is_some_and(|status| status.runtime.is_some())
}

fn age(pipeline: &StreamPipeline) -> impl Ord {
    let meta = &pipeline.metadata;
    (meta.creation_timestamp.as_ref().map(|t| t.0), meta.namespace.clone(), meta.name.clone(), meta.uid.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::fixtures::{at, rides};

    /// A pipeline that was created in minute `minute`.
    fn pipeline(uid: &str, minute: u32, checkpoint: &str, table: &str) -> StreamPipeline {
        let mut pipeline = rides();
        pipeline.metadata.uid = Some(uid.into());
        pipeline.metadata.name = Some(uid.into());
        pipeline.metadata.creation_timestamp = Some(at(&format!("2026-01-01T00:{minute:02}:00Z")));
        pipeline.spec["checkpoint"]["uri"] = json!(checkpoint);
        pipeline.spec["sinks"][0]["delta"]["uri"] = json!(table);
        pipeline
    }

    fn first() -> StreamPipeline {
        pipeline("first", 0, "s3://lake/checkpoints/first", "s3://lake/silver/rides")
    }

    /// The refusal of `pipeline` by an operator that has not looked at any pipeline yet.
    fn told(pipeline: &StreamPipeline, others: &[&StreamPipeline]) -> Option<String> {
        Claims::default().claim(pipeline, Vec::new(), others.iter().copied()).map(|conflict| conflict.refusal().message)
    }

    #[test]
    fn tables_within_one_another_and_whatever_touches_a_checkpoint_collide_and_one_table_for_two_does_not() {
        for (checkpoint, table, says) in [
            (
                "s3://lake/checkpoints/b",
                "s3://lake/silver",
                Some("spec.sinks[0].delta.uri: s3://lake/silver holds the place of a table of"),
            ),
            (
                "s3://lake/checkpoints/b",
                "s3://lake/silver/rides/x",
                Some("lies in the place of a table of the pipeline data/first, s3://lake/silver/rides"),
            ),
            ("s3://lake/checkpoints/b", "s3://lake/checkpoints/first", Some("is the place of a checkpoint of")),
            (
                "s3://lake/silver/rides",
                "s3://lake/b",
                Some("spec.checkpoint.uri: s3://lake/silver/rides is the place of a table of"),
            ),
            ("s3://lake/checkpoints", "s3://lake/b", Some("holds the place of a checkpoint of")),
            ("s3://lake/checkpoints/b", "s3://lake/silver/rides", None),
            ("s3://lake/checkpoints/b", "s3://lake/silver/rides_agg", None),
        ] {
            let second = pipeline("second", 1, checkpoint, table);
            match (told(&second, &[&first(), &second]), says) {
                (Some(said), Some(says)) => assert!(said.contains(says), "{said}"),
                (told, says) => assert_eq!((told, says), (None, None), "{checkpoint} {table}"),
            }
            assert_eq!(told(&first(), &[&first(), &second]), None, "the older one keeps it");
        }
    }

    #[test]
    fn who_asks_first_keeps_a_place_whoever_was_created_first() {
        let claims = Claims::default();
        let (older, younger) = (first(), pipeline("younger", 1, "s3://lake/checkpoints/b", "s3://lake/gold"));
        let changed = pipeline("first", 0, "s3://lake/checkpoints/first", "s3://lake/gold/rides");
        let all = [&older, &younger];
        assert_eq!(claims.claim(&older, Vec::new(), all.into_iter()), None);
        assert_eq!(claims.claim(&younger, Vec::new(), all.into_iter()), None);
        let conflict = claims.claim(&changed, places_of(&older), [&changed, &younger].into_iter()).unwrap();
        assert_eq!(conflict.refusal().reason, Reason::TableInUse);
        // The pipeline keeps the places that it had before.
        let third = pipeline("third", 2, "s3://lake/checkpoints/c", "s3://lake/silver");
        assert!(claims.claim(&third, Vec::new(), [&changed, &younger, &third].into_iter()).is_some());
        // Once the younger pipeline has moved away, the place is free.
        claims.hold(&younger, Vec::new());
        assert_eq!(claims.claim(&changed, places_of(&older), [&changed, &younger].into_iter()), None);
    }

    #[test]
    fn after_a_change_of_leaders_what_runs_keeps_its_places() {
        let mut running = pipeline("running", 1, "s3://lake/checkpoints/b", "s3://lake/silver");
        running.status =
            Some(serde_json::from_value(json!({"runtime": {"image": "i", "revision": "r", "generation": 1}})).unwrap());
        let older = first();
        let all = [&running, &older];
        // The older pipeline was refused before, and now asks first.
        assert!(Claims::default().claim(&older, Vec::new(), all.into_iter()).is_some());
        assert_eq!(Claims::default().claim(&running, places_of(&running), all.into_iter()), None);
        // If both run already, the older one has the place.
        let claims = Claims::default();
        assert_eq!(claims.claim(&running, places_of(&running), all.into_iter()), None);
        assert_eq!(claims.claim(&older, places_of(&older), all.into_iter()), None);
        assert!(claims.claim(&running, places_of(&running), all.into_iter()).is_some());
    }

    #[test]
    fn the_other_one_is_named_in_its_own_namespace_only() {
        let mut elsewhere = first();
        elsewhere.metadata.namespace = Some("secret".into());
        let second = pipeline("second", 1, "s3://lake/checkpoints/b", "s3://lake/silver");
        let said = told(&second, &[&elsewhere]).unwrap();
        assert!(said.contains("of a pipeline of another namespace, which was there first"), "{said}");
        assert!(!said.contains("secret") && !said.contains("rides"), "{said}");
    }

    #[test]
    fn the_same_document_in_two_namespaces_with_a_store_each_does_not_collide() {
        let minio = json!([{"uriPrefix": "s3://lake/", "s3": {"endpoint": "http://minio:9000"}}]);
        let of = |namespace: &str, minute| {
            let mut pipeline = pipeline(namespace, minute, "s3://lake/checkpoint", "s3://lake/silver");
            pipeline.metadata.namespace = Some(namespace.into());
            pipeline.spec["storage"] = minio.clone();
            pipeline
        };
        assert_eq!(told(&of("staging", 1), &[&of("dev", 0)]), None);
    }
}

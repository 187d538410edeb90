//! Writes and deletes of single objects. Only of objects that belong to the pipeline, and not of those that are as they
//! should be.
//!
//! Whose an object is was seen a moment before it is written. So every write carries what was seen: it creates where
//! nothing was, and changes or deletes exactly the object that was the pipeline's.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{NamespaceResourceScope, Request};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::context::FIELD_MANAGER;
use crate::desired::labels::Owner;
use crate::error::{Cause, Error, Result, asking};
use crate::ownership::{is_ours, refused};

/// The annotation with a hash of what was applied: fields that we no longer set show in it and nowhere else.
const APPLIED: &str = "weir.dev/applied";

/// So often an object is looked at while others write it at the same time. A Deployment's controller writes its status
/// a few times in a rollout; after that the pipeline as a whole is looked at again, later.
const LOOKS_MAX: usize = 4;

/// Writes in the name of one pipeline.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    pub client: &'a Client,
    pub owner: &'a Owner,
}

impl Writer<'_> {
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.owner.namespace)
    }

    /// Brings one object to what is wanted of it.
    ///
    /// # Errors
    /// If an object of that name belongs to somebody else, or the API server refuses or does not answer.
    pub async fn apply<K>(&self, object: &K) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Serialize
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        self.apply_by(&self.api::<K>(), &(), object, |meta| is_ours(meta, self.owner)).await
    }

    /// The same for an object of a kind that is not part of Kubernetes, or that is the pipeline's by another rule.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn apply_by<K>(
        &self,
        api: &Api<K>,
        kind: &K::DynamicType,
        object: &K,
        is_ours: impl Fn(&ObjectMeta) -> bool,
    ) -> Result<()>
    where
        K: Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
    {
        let target = Target::new(api, kind, object)?;
        for _ in 1..LOOKS_MAX {
            match self.bring(&target, &is_ours).await {
                Err(e) if Cause::of(&e) == Cause::Conflict => tracing::debug!("looked at again: {e}"),
                done => return done,
            }
        }
        self.bring(&target, &is_ours).await
    }

    /// One look and, if need be, one write, which the API server refuses with a conflict if the object is not as it was
    /// seen.
    async fn bring<K>(&self, target: &Target<'_, K>, is_ours: &impl Fn(&ObjectMeta) -> bool) -> Result<()>
    where
        K: Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
    {
        let Target { api, kind, name, .. } = target;
        match asking(format!("get {kind} {name}"), api.get_opt(name)).await? {
            None => target.create(self.client).await?,
            Some(there) if !is_ours(there.meta()) => return Err(refused(kind, there.meta(), self.owner)),
            Some(there) if target.is_met_by(&there)? => return Ok(()),
            Some(there) => target.change(there.meta()).await?,
        }
        tracing::info!(%kind, %name, namespace = %self.owner.namespace, "applied");
        Ok(())
    }

    /// Deletes an object that was found, and what belongs to it.
    ///
    /// # Errors
    /// If it belongs to somebody else, or the API server refuses or does not answer.
    pub async fn delete<K>(&self, found: &ObjectMeta) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug,
    {
        match is_ours(found, self.owner) {
            true => delete(&self.api::<K>(), found).await,
            false => Err(refused(&K::kind(&()), found, self.owner)),
        }
    }
}

/// An object as it is wanted, and where it goes.
struct Target<'a, K> {
    api: &'a Api<K>,
    api_version: String,
    kind: String,
    name: String,
    /// With the hash of itself.
    wanted: Value,
}

impl<'a, K> Target<'a, K>
where
    K: Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    fn new(api: &'a Api<K>, kind: &K::DynamicType, object: &K) -> Result<Self> {
        let name = object.meta().name.clone().unwrap_or_default();
        let mut target = Self {
            api,
            api_version: K::api_version(kind).into_owned(),
            kind: K::kind(kind).into_owned(),
            name,
            wanted: Value::Null,
        };
        target.wanted = target.value(object)?;
        target.wanted["metadata"]["annotations"][APPLIED] = json!(hash(&target.wanted));
        Ok(target)
    }

    fn value(&self, object: &K) -> Result<Value> {
        let mut value = serde_json::to_value(object).map_err(|e| self.unexpected(&e))?;
        value["apiVersion"] = json!(self.api_version);
        value["kind"] = json!(self.kind);
        Ok(value)
    }

    fn is_met_by(&self, there: &K) -> Result<bool> {
        Ok(is_within(&self.wanted, &self.value(there)?))
    }

    /// An object of this name that was made since is a conflict: an apply would take it over.
    ///
    /// The text is as the API server would write it: it keeps the data of a ControllerRevision byte for byte, and would
    /// take the same data in its own spelling, at the next apply, for a change of what can't be changed.
    async fn create(&self, client: &Client) -> Result<()> {
        let mut wanted = self.wanted.clone();
        wanted.sort_all_objects();
        let text =
            [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")]
                .into_iter()
                .fold(wanted.to_string(), |text, (sign, escaped)| text.replace(sign, escaped));
        let doing = format!("create {} {}", self.kind, self.name);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let request = Request::new(self.api.resource_url()).create(&params, text.into_bytes());
        let request = request.map_err(|e| Error::Unexpected { doing: doing.clone(), why: e.to_string() })?;
        asking(doing, client.request::<K>(request)).await.map(drop)
    }

    /// Another object of this name, and one that anybody has changed since it was seen, is a conflict.
    async fn change(&self, seen: &ObjectMeta) -> Result<()> {
        let doing = format!("apply {} {}", self.kind, self.name);
        let mut wanted = self.wanted.clone();
        wanted["metadata"]["uid"] = json!(seen.uid);
        wanted["metadata"]["resourceVersion"] = json!(seen.resource_version);
        if let Some(fields) = applied_fields(seen) {
            let of_seen = json!({"uid": seen.uid, "resourceVersion": seen.resource_version, "managedFields": fields});
            let patch = Patch::Merge(json!({"metadata": of_seen}));
            let moved = asking(&*doing, self.api.patch(&self.name, &PatchParams::default(), &patch)).await?;
            wanted["metadata"]["resourceVersion"] = json!(moved.meta().resource_version);
        }
        asking(doing, self.api.patch(&self.name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&wanted)))
            .await
            .map(drop)
    }

    fn unexpected(&self, error: &serde_json::Error) -> Error {
        Error::Unexpected { doing: format!("apply {} {}", self.kind, self.name), why: error.to_string() }
    }
}

/// The managed fields of an object that was created and never applied, as if its creation had been an apply: the API
/// server only takes away a field that we no longer set if an apply of ours has set it. None if there is nothing to
/// change.
fn applied_fields(seen: &ObjectMeta) -> Option<Vec<ManagedFieldsEntry>> {
    let mut fields = seen.managed_fields.clone()?;
    let is_ours =
        |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.subresource.is_none();
    let mut ours = fields.iter_mut().filter(|entry| is_ours(entry));
    match (ours.next(), ours.next()) {
        (Some(only), None) if only.operation.as_deref() == Some("Update") => only.operation = Some("Apply".to_owned()),
        _ => return None,
    }
    Some(fields)
}

/// Whether this is, to the last field, what was applied last to the object that is there.
#[must_use]
pub fn was_applied(wanted: &Deployment, there: &Deployment) -> bool {
    let applied = there.metadata.annotations.as_ref().and_then(|a| a.get(APPLIED));
    serde_json::to_value(wanted).is_ok_and(|wanted| applied == Some(&hash(&wanted)))
}

pub(crate) fn hash(wanted: &Value) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(wanted.to_string().as_bytes()))
}

/// Deletes exactly the object that was found. The caller knows whose it is.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn delete<K>(api: &Api<K>, found: &ObjectMeta) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let name = found.name.as_deref().unwrap_or_default();
    let this_one = Preconditions { uid: found.uid.clone(), resource_version: None };
    let request = async {
        match api.delete(name, &DeleteParams::background().preconditions(this_one)).await {
            // Gone, or another one by now.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            answer => answer.map(|_| ()),
        }
    };
    asking(format!("delete {name}"), request).await
}

/// Whether `there` has all that `wanted` asks for; what the API server or others added does not matter. An empty list
/// or map is stored as none, and an amount in another spelling.
fn is_within(wanted: &Value, there: &Value) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => wanted.iter().all(|(field, value)| match there.get(field) {
            None => is_empty(value),
            Some(found) if field == "requests" || field == "limits" => {
                is_within(value, found) || are_same_amounts(value, found)
            }
            Some(found) => is_within(value, found),
        }),
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.len() == there.len() && wanted.iter().zip(there).all(|(wanted, there)| is_within(wanted, there))
        }
        _ => wanted == there,
    }
}

/// API servers leave out empty lists and maps.
fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// API servers write `500m` for `0.5`.
fn are_same_amounts(wanted: &Value, there: &Value) -> bool {
    let (Some(wanted), Some(there)) = (wanted.as_object(), there.as_object()) else { return false };
    let amount = |value: &Value| value.as_str().and_then(weir_crds::amount);
    wanted.iter().all(|(resource, value)| {
        there.get(resource).is_some_and(|found| amount(value).is_some() && amount(value) == amount(found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_added_does_not_matter_and_what_they_changed_does() {
        let wanted = json!({"spec": {"replicas": 1, "args": ["a", "b"]}});
        assert!(is_within(&wanted, &json!({"spec": {"replicas": 1, "args": ["a", "b"], "uid": 7}, "status": {}})));
        assert!(!is_within(&wanted, &json!({"spec": {"replicas": 2, "args": ["a", "b"]}})));
        assert!(!is_within(&wanted, &json!({"spec": {"replicas": 1, "args": ["a", "b", "c"]}})));
        assert!(!is_within(&wanted, &json!({"spec": {"args": ["a", "b"]}})));
        assert!(is_within(&json!({"env": []}), &json!({})));
        assert!(!is_within(&json!({"env": []}), &json!({"env": ["a"]})));
    }

    #[test]
    fn an_amount_that_the_api_server_spells_otherwise_is_the_same() {
        let of = |cpu: &str, memory: &str| json!({"containers": [{"resources": {"limits": {"cpu": cpu, "memory": memory}}}]});
        assert!(is_within(&of("0.5", "1024Mi"), &of("500m", "1Gi")));
        assert!(!is_within(&of("0.5", "1Gi"), &of("501m", "1Gi")));
        assert!(!is_within(&json!({"limits": {"cpu": "1"}}), &json!({"limits": {"memory": "1"}})));
        // Elsewhere a text is a text.
        assert!(!is_within(&json!({"value": "0.5"}), &json!({"value": "500m"})));
    }
}

//! Writes and deletes single objects: only those that belong to the pipeline, and only if they differ from what is
//! wanted.
//!
//! The owner of an object is read a moment before the object is written. So every write states what was read: it
//! creates an object only if there was none, and changes or deletes exactly the object that belonged to the pipeline.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{NamespaceResourceScope, Request};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::context::FIELD_MANAGER;
use crate::error::{Cause, Error, Result, asking};
use crate::labels::Owner;
use crate::ownership::{is_ours, refused};

/// The annotation with a hash of what was applied. Only the hash shows that we no longer set a field.
const APPLIED: &str = "weir.dev/applied";

/// How often an object is read again because others write it at the same time. A Deployment's controller writes its
/// status a few times during a rollout. After that the whole pipeline is reconciled again later.
const LOOKS_MAX: usize = 4;

/// Writes on behalf of one pipeline.
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

    /// Makes an object match what is wanted.
    ///
    /// # Errors
    /// If an object of that name belongs to someone else, or the API server refuses or does not answer.
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

    /// Like [`Self::apply`], for an object of a kind that is not part of Kubernetes, or with another rule for its
    /// owner.
    ///
    /// # Errors
    /// Those of [`Self::apply`].
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

    /// Reads the object and, if necessary, writes it once. The API server refuses the write with a conflict if the
    /// object has changed since it was read.
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

    /// Deletes an object that was read, and all objects that it owns.
    ///
    /// # Errors
    /// If it belongs to someone else, or the API server refuses or does not answer.
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

/// A wanted object, and where to write it.
struct Target<'a, K> {
    api: &'a Api<K>,
    api_version: String,
    kind: String,
    name: String,
    /// The wanted object, with the annotation that has its hash.
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

    /// Creates the object. If an object of this name was created in the meantime, this is a conflict, whereas an apply
    /// would take that object over.
    ///
    /// The text is spelled as the API server would spell it. The server stores the data of a ControllerRevision byte
    /// for byte, and at the next apply it would consider another spelling of the same data a change of immutable data.
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

    /// Changes the object. It is a conflict if another object has this name by now, or if anyone has changed the object
    /// since it was read.
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

/// The managed fields of an object that was created but never applied, as if it had been applied: the API server
/// removes a field that we no longer set only if an apply of ours has set it. `None` if nothing has to change.
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

/// Whether `wanted` is exactly what was applied last to `there`.
#[must_use]
pub fn was_applied(wanted: &Deployment, there: &Deployment) -> bool {
    let applied = there.metadata.annotations.as_ref().and_then(|a| a.get(APPLIED));
    serde_json::to_value(wanted).is_ok_and(|wanted| applied == Some(&hash(&wanted)))
}

pub(crate) fn hash(wanted: &Value) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(wanted.to_string().as_bytes()))
}

/// Deletes exactly the object that was read. The caller has checked its owner.
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
            // The object is gone, or another one has its name by now.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            answer => answer.map(|_| ()),
        }
    };
    asking(format!("delete {name}"), request).await
}

/// Whether `there` has all that `wanted` asks for, whatever the API server or others have added. An empty list or map
/// equals none, and an amount equals another spelling of it.
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

/// Whether the value is an empty list or map, which API servers leave out.
fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Whether the amounts are equal: API servers write `500m` for `0.5`.
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
        // Outside of requests and limits, a text is only equal to the same text.
        assert!(!is_within(&json!({"value": "0.5"}), &json!({"value": "500m"})));
    }
}

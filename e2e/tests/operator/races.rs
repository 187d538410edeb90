//! Objects that somebody else creates, replaces or takes over between the operator's read and its write. For each kind
//! that the operator writes, the test has a client to which this happens at its first write.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use weir_e2e::namespace::Namespace;
use weir_operator::labels::Owner;
use weir_operator::write::Writer;
use weir_tests::or_skip;
use weir_tests::skip::Missing;

const NAME: &str = "rides-revenue";

/// One pipeline's objects of one kind.
struct Kind<K> {
    owner: Owner,
    api: Api<K>,
    client: Client,
    /// The fields beside the metadata.
    content: Value,
}

trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + PartialEq
    + Send
{
}
impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
        + PartialEq
        + Send
{
}

impl<K: Object + Sync + 'static> Kind<K> {
    async fn new(content: Value) -> Result<Self, Missing> {
        let namespace = Namespace::new().await?;
        let reference = reference("StreamPipeline", NAME);
        let owner = Owner { name: NAME.to_owned(), namespace: namespace.name.clone(), reference };
        Ok(Self {
            api: Api::namespaced(namespace.client(), &namespace.name),
            client: namespace.client(),
            owner,
            content,
        })
    }

    fn object(&self, metadata: Value) -> K {
        let mut object = self.content.clone();
        object["apiVersion"] = json!(K::api_version(&()));
        object["kind"] = json!(K::kind(&()));
        object["metadata"] = metadata;
        serde_json::from_value(object).unwrap()
    }

    /// The object as the operator wants it, with this annotation if given.
    fn ours(&self, annotation: Option<&str>) -> K {
        let mut object = self.object(json!({}));
        *object.meta_mut() = self.owner.meta(NAME);
        object.meta_mut().annotations = annotation.map(|name| [(name.to_owned(), "yes".to_owned())].into());
        object
    }

    /// The same object with another owner, so that the owner is the only conflict.
    fn others(&self) -> K {
        self.object(json!({"name": NAME, "labels": {"app": "other"}}))
    }

    async fn apply(&self, client: &Client, object: &K) -> Result<(), weir_operator::error::Error> {
        Writer { client, owner: &self.owner }.apply(object).await
    }

    /// Applies while `meanwhile` happens between the read and the write. The object that is there then must stay
    /// unchanged, and be refused.
    async fn is_refused<F: Future<Output = ()> + Send + 'static>(
        &self,
        wanted: &K,
        meanwhile: impl FnOnce(Api<K>) -> F + Send + 'static,
    ) {
        let kind = K::kind(&());
        let (there, api) = (Arc::new(Mutex::new(None)), self.api.clone());
        let seen = Arc::clone(&there);
        let client = with_a_race(self.client.clone(), async move {
            meanwhile(api.clone()).await;
            *seen.lock().await = Some(api.get(NAME).await.unwrap());
        });
        let refused = self.apply(&client, wanted).await.map_err(|e| e.to_string());
        let there = there.lock().await.take().expect("the operator has written something");
        assert_eq!(self.api.get(NAME).await.unwrap(), there, "{kind}");
        assert!(matches!(&refused, Err(said) if said.contains(&format!("the {kind} `{NAME}`"))), "{kind}: {refused:?}");
    }
}

/// A client that does something before its first write.
fn with_a_race(client: Client, meanwhile: impl Future<Output = ()> + Send + 'static) -> Client {
    let meanwhile = Arc::new(Mutex::new(Some(Box::pin(meanwhile))));
    let send = tower::service_fn(move |request: http::Request<Body>| {
        let (client, meanwhile) = (client.clone(), Arc::clone(&meanwhile));
        async move {
            if request.method() != http::Method::GET
                && let Some(meanwhile) = meanwhile.lock().await.take()
            {
                meanwhile.await;
            }
            client.send(request).await
        }
    });
    Client::new(send, "default")
}

fn reference(kind: &str, name: &str) -> OwnerReference {
    OwnerReference {
        api_version: "weir.dev/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: format!("{kind}-1"),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

async fn nothing_of_others_is_written<K: Object + Sync + 'static>(content: Value) -> Result<(), Missing> {
    // An object that was created where the operator saw none.
    let made = Kind::<K>::new(content.clone()).await?;
    let others = made.others();
    made.is_refused(&made.ours(None), async move |api| {
        drop(api.create(&PostParams::default(), &others).await.unwrap())
    })
    .await;

    // An object that replaced the one that the operator saw.
    let replaced = Kind::<K>::new(content.clone()).await?;
    replaced.apply(&replaced.client, &replaced.ours(None)).await.unwrap();
    let others = replaced.others();
    replaced
        .is_refused(&replaced.ours(Some("new")), async move |api| {
            api.delete(NAME, &DeleteParams::background()).await.unwrap();
            api.create(&PostParams::default(), &others).await.unwrap();
        })
        .await;

    // The object that the operator saw, given to another owner.
    let given = Kind::<K>::new(content).await?;
    given.apply(&given.client, &given.ours(None)).await.unwrap();
    given
        .is_refused(&given.ours(Some("new")), async move |api| {
            let patch = Patch::Merge(json!({"metadata": {"ownerReferences": [reference("Cluster", "postgres")]}}));
            api.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
        })
        .await;
    Ok(())
}

/// An object that was created, and not applied, loses what is no longer wanted, and keeps what others have added.
async fn what_is_no_longer_wanted_goes<K: Object + Sync + 'static>(content: Value) -> Result<(), Missing> {
    let kind = Kind::<K>::new(content).await?;
    kind.apply(&kind.client, &kind.ours(Some("old"))).await.unwrap();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"of-others": "yes"}}}));
    kind.api.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
    for annotation in ["new", "newer"] {
        kind.apply(&kind.client, &kind.ours(Some(annotation))).await.unwrap();
        let there = kind.api.get(NAME).await.unwrap();
        let mut found: Vec<_> = there.annotations().keys().map(String::as_str).filter(|a| !a.contains('/')).collect();
        found.sort_unstable();
        assert_eq!(found, [annotation, "of-others"], "{}", K::kind(&()));
        kind.apply(&kind.client, &kind.ours(Some(annotation))).await.unwrap();
        assert_eq!(kind.api.get(NAME).await.unwrap(), there, "the same again is no write");
    }
    Ok(())
}

fn template(restart: &str) -> Value {
    let container = json!({"name": "a", "image": "registry.example/a:1"});
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container], "restartPolicy": restart}})
}

macro_rules! of_each_kind {
    ($what:ident) => {
        let ports = json!([{"port": 80}]);
        or_skip!($what::<ServiceAccount>(json!({"automountServiceAccountToken": false})).await);
        or_skip!($what::<ConfigMap>(json!({"data": {"a": "b"}})).await);
        or_skip!($what::<Service>(json!({"spec": {"clusterIP": "None", "ports": ports, "selector": {"app": "a"}}})).await);
        or_skip!($what::<NetworkPolicy>(json!({"spec": {"podSelector": {"matchLabels": {"app": "a"}}}})).await);
        or_skip!($what::<ControllerRevision>(json!({"revision": 1, "data": {"a": "b"}})).await);
        let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template("Always")});
        or_skip!($what::<Deployment>(json!({"spec": spec})).await);
        or_skip!($what::<Job>(json!({"spec": {"template": template("Never")}})).await);
    };
}

#[tokio::test]
async fn what_somebody_else_makes_replaces_or_takes_while_it_is_looked_at_is_left_alone_whatever_its_kind() {
    of_each_kind!(nothing_of_others_is_written);
}

#[tokio::test]
async fn a_created_object_keeps_nothing_that_is_not_wanted_any_more_whatever_its_kind() {
    of_each_kind!(what_is_no_longer_wanted_goes);
}

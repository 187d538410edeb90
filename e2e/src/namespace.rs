//! A test's own namespace, and the requests that tests send to an API server in it.

use k8s_openapi::api::core::v1::Namespace as Kind;
use kube::api::{Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::{Api, Client, Resource as _};
use serde_json::{Value, json};
use weir_crds::resource::StreamPipeline;
use weir_tests::skip::Missing;

use crate::api_server::{self, ApiServer};

/// The namespace of one test, under the restricted Pod Security Standard. It is never deleted, since the server ends
/// with the tests.
pub struct Namespace {
    pub name: String,
    client: Client,
}

impl Namespace {
    /// A new namespace on the server that the tests of this process share.
    ///
    /// # Errors
    /// If the server is not available on this machine.
    pub async fn new() -> Result<Self, Missing> {
        Ok(Self::on(api_server::shared().await?).await)
    }

    /// A new namespace on this server.
    pub async fn on(server: &ApiServer) -> Self {
        let client = server.client().await;
        let restricted = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let generated = json!({"metadata": {"generateName": "admit-", "labels": restricted}});
        let namespaces: Api<Kind> = Api::all(client.clone());
        let created =
            namespaces.create(&PostParams::default(), &serde_json::from_value(generated).unwrap()).await.unwrap();
        Self { name: created.metadata.name.unwrap(), client }
    }

    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    #[must_use]
    pub fn pipelines(&self) -> Api<StreamPipeline> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Does what `kubectl apply --server-side` does.
    pub async fn apply(&self, manager: &str, document: &Value) -> Result<StreamPipeline, kube::Error> {
        let name = document["metadata"]["name"].as_str().unwrap_or_default();
        self.pipelines().patch(name, &PatchParams::apply(manager).validation_strict(), &Patch::Apply(document)).await
    }

    /// Does what `kubectl create --validate=…` does with `Strict`, `Warn` or `Ignore`. Returns the answer, which may be
    /// a refusal, and the warnings with it.
    pub async fn create(&self, document: &Value, field_validation: &str) -> (Value, Vec<String>) {
        let body = serde_json::to_vec(document).unwrap();
        let mut request = kube::core::Request::new(self.url()).create(&PostParams::default(), body).unwrap();
        *request.uri_mut() = format!("{}?fieldValidation={field_validation}", self.url()).parse().unwrap();
        let response = self.client.send(request.map(Body::from)).await.unwrap();
        let warnings = response.headers().get_all("warning").iter().map(|w| w.to_str().unwrap().to_owned()).collect();
        let body = response.into_body().collect_bytes().await.unwrap();
        (serde_json::from_slice(&body).unwrap(), warnings)
    }

    /// What `kubectl get` shows: the headings, and the cells of each row.
    pub async fn table(&self) -> Value {
        let mut request = kube::core::Request::new(self.url()).list(&kube::api::ListParams::default()).unwrap();
        request.headers_mut().insert("accept", "application/json;as=Table;v=v1;g=meta.k8s.io".parse().unwrap());
        self.client.request(request).await.unwrap()
    }

    /// Reads a subresource.
    pub async fn get(&self, pipeline: &str, subresource: &str) -> Value {
        let request = kube::core::Request::new(self.url()).get_subresource(subresource, pipeline).unwrap();
        self.client.request(request).await.unwrap()
    }

    fn url(&self) -> String {
        StreamPipeline::url_path(&(), Some(&self.name))
    }
}

/// The message with which an API server refused.
///
/// # Panics
/// If it accepted the document, or did not answer.
pub fn refusal<T>(answer: Result<T, kube::Error>) -> String {
    match answer {
        Err(kube::Error::Api(status)) => status.message,
        Err(other) => panic!("no answer of the API server: {other}"),
        Ok(_) => panic!("the API server took the document"),
    }
}

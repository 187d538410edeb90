//! Records what an operator asks of the API server: a proxy between the two.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// What a request needs: the API group, the resource with its subresource, and the verb.
pub type Right = (String, String, String);

/// The rights that requests needed, whether they were granted or not.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<BTreeSet<Right>>>);

impl Requests {
    /// A proxy to the server of a kubeconfig. Returns the kubeconfig for the proxy, which lies beside the other one.
    pub async fn through(kubeconfig: &Path) -> (PathBuf, Self) {
        let config = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let requests = Self::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(pass_on).with_state((client, requests.clone()));
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let mut through: Value = serde_yaml::from_str(&std::fs::read_to_string(kubeconfig).unwrap()).unwrap();
        through["clusters"][0]["cluster"] = json!({"server": format!("http://{address}")});
        // The proxy has the token.
        through["users"][0]["user"] = json!({});
        let file = kubeconfig.with_extension("proxy");
        std::fs::write(&file, through.to_string()).unwrap();
        (file, requests)
    }

    pub fn rights(&self) -> BTreeSet<Right> {
        self.0.lock().unwrap().clone()
    }
}

async fn pass_on(State((client, requests)): State<(Client, Requests)>, request: Request<Body>) -> Response {
    requests.0.lock().unwrap().insert(right(request.method(), request.uri()));
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    match client.send(Request::from_parts(head, kube::client::Body::from(body.to_vec()))).await {
        Ok(answer) => answer.map(Body::new),
        Err(e) => (StatusCode::BAD_GATEWAY, e.to_string()).into_response(),
    }
}

/// The right by the path: `/api/v1/…` or `/apis/GROUP/VERSION/…`, a namespace if there is one, and then the resource,
/// the object and the subresource.
fn right(method: &Method, uri: &Uri) -> Right {
    let parts: Vec<_> = uri.path().split('/').skip(1).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => ("", &parts[..]),
    };
    let (resource, object) = match rest {
        ["namespaces", _, resource, object @ ..] | [resource, object @ ..] => (*resource, object),
        [] => ("", rest),
    };
    let is_watch = uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("watch=")));
    let verb = match (method.as_str(), object.is_empty()) {
        ("GET", false) => "get",
        ("GET", true) if is_watch => "watch",
        ("GET", true) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", false) => "delete",
        ("DELETE", true) => "deletecollection",
        (other, _) => other,
    };
    let resource = object.get(1).map_or(resource.to_owned(), |sub| format!("{resource}/{sub}"));
    (group.to_owned(), resource, verb.to_owned())
}

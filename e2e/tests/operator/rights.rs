//! The operator of these tests has the rights that the chart gives it in a watched namespace, and no others.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use weir_e2e::namespace::Namespace;
use weir_tests::engine::repository_file;

const ACCOUNT: &str = "the-operator";

/// The kubeconfig, in `folder`, of an account with these rights.
pub async fn kubeconfig(namespace: &Namespace, admin: &Path, folder: &Path) -> PathBuf {
    let (client, name) = (namespace.client(), &namespace.name);
    let posted = PostParams::default();
    let object = |value: Value| serde_json::from_value(value).unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), name);
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": ACCOUNT}})).unwrap();
    accounts.create(&posted, &account).await.unwrap();
    for (role, rules) in [("weir", rules()), ("weir-leader", leader())] {
        let made: Role = object(json!({"metadata": {"name": role}, "rules": rules}));
        Api::namespaced(client.clone(), name).create(&posted, &made).await.unwrap();
        let subject = json!({"kind": "ServiceAccount", "name": ACCOUNT, "namespace": name});
        let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role});
        let binding: RoleBinding =
            serde_json::from_value(json!({"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]}))
                .unwrap();
        Api::namespaced(client.clone(), name).create(&posted, &binding).await.unwrap();
    }
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let token = accounts.create_token_request(ACCOUNT, &posted, &request).await.unwrap().status.unwrap().token;
    let mut config: Value = serde_yaml::from_str(&std::fs::read_to_string(admin).unwrap()).unwrap();
    config["users"][0]["user"] = json!({"token": token});
    let file = folder.join("operator.kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// The chart's rules, read from its template, which has no placeholders.
fn rules() -> Value {
    let text = std::fs::read_to_string(repository_file("charts/weir/templates/_rules.tpl")).unwrap();
    let body = text.split_once("{{- define \"weir.rules\" -}}").unwrap().1.split_once("{{- end -}}").unwrap().0;
    serde_yaml::from_str(body).unwrap()
}

/// The rights of the leader's Lease, as in `charts/tests/test_rights.py`.
fn leader() -> Value {
    let lease = |verbs: Value| json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs});
    let mut ours = lease(json!(["get", "update"]));
    ours["resourceNames"] = json!(["weir-operator"]);
    json!([lease(json!(["create"])), ours])
}

//! The operator of these tests has the rights that the chart gives it in a watched namespace, and no others; and it
//! uses each of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use weir_e2e::deadline;
use weir_e2e::namespace::Namespace;
use weir_operator::desired::pod_monitor;
use weir_tests::engine::repository_file;
use weir_tests::or_skip;

use crate::requests::Right;
use crate::stage::{LIMIT, NAME, Stage, runtime};

const ACCOUNT: &str = "the-operator";

/// The kubeconfig, in `folder`, of an account with these rights.
pub async fn kubeconfig(namespace: &Namespace, admin: &Path, folder: &Path) -> PathBuf {
    let (client, name) = (namespace.client(), &namespace.name);
    let posted = PostParams::default();
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), name);
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": ACCOUNT}})).unwrap();
    accounts.create(&posted, &account).await.unwrap();
    grant(namespace, "weir", rules(), name).await;
    grant(namespace, "weir-leader", leader(), name).await;
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

/// Lets the operator of another namespace manage pipelines in this one too.
pub async fn grant_to_operator_of(owner: &str, namespace: &Namespace) {
    grant(namespace, "weir", rules(), owner).await;
}

async fn grant(namespace: &Namespace, role: &str, rules: Value, owner: &str) {
    let (client, posted) = (namespace.client(), PostParams::default());
    let made: Role = serde_json::from_value(json!({"metadata": {"name": role}, "rules": rules})).unwrap();
    Api::namespaced(client.clone(), &namespace.name).create(&posted, &made).await.unwrap();
    let subject = json!({"kind": "ServiceAccount", "name": ACCOUNT, "namespace": owner});
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role});
    let binding = json!({"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]});
    let binding: RoleBinding = serde_json::from_value(binding).unwrap();
    Api::namespaced(client, &namespace.name).create(&posted, &binding).await.unwrap();
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

/// Rights that show in no request of their own: a plugin of API servers asks for this one when an object gets an owner
/// reference that blocks a foreground deletion.
const OF_PLUGINS: [(&str, &str, &str); 1] = [("weir.dev", "streampipelines/finalizers", "update")];

fn granted() -> BTreeSet<Right> {
    let texts = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
    let mut all = BTreeSet::new();
    for rule in rules().as_array().unwrap().iter().chain(leader().as_array().unwrap()) {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                all.extend(texts(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    all
}

/// Takes a label from one of the pipeline's objects, and waits until the operator has written it again.
async fn is_mended<K>(api: &Api<K>, name: &str)
where
    K: Resource + DeserializeOwned + Clone + std::fmt::Debug,
{
    const LABEL: &str = "app.kubernetes.io/managed-by";
    let other = Patch::Merge(json!({"metadata": {"labels": {LABEL: "other"}}}));
    api.patch(name, &PatchParams::default(), &other).await.unwrap();
    deadline::until(&format!("{name} is mended"), LIMIT, async || {
        (api.get(name).await.unwrap().labels()[LABEL] == "weir-operator").then_some(())
    })
    .await;
}

async fn all_names<K>(stage: &Stage) -> BTreeSet<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug,
{
    stage.api::<K>().list(&ListParams::default()).await.unwrap().items.iter().map(ResourceExt::name_any).collect()
}

async fn only_job(stage: &Stage) -> Job {
    deadline::until("there is one Job", LIMIT, async || {
        let mut jobs = stage.api::<Job>().list(&ListParams::default()).await.unwrap().items;
        (jobs.len() == 1).then(|| jobs.remove(0))
    })
    .await
}

/// The kind of the Prometheus operator, with any content.
async fn install_pod_monitors(stage: &Stage) {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "podmonitors.monitoring.coreos.com"},
        "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "versions": [version],
            "names": {"kind": "PodMonitor", "plural": "podmonitors"}},
    }))
    .unwrap();
    Api::all(stage.namespace.client()).create(&PostParams::default(), &definition).await.unwrap();
    let monitors = monitors(stage);
    deadline::until("there are PodMonitors", LIMIT, async || monitors.list(&ListParams::default()).await.ok()).await;
}

fn monitors(stage: &Stage) -> Api<DynamicObject> {
    Api::namespaced_with(stage.namespace.client(), &stage.namespace.name, &pod_monitor::resource())
}

#[tokio::test]
async fn the_operator_uses_each_of_its_rights_and_asks_for_no_other() {
    let (stage, requests) = or_skip!(Stage::recorded().await);
    install_pod_monitors(&stage).await;

    // A pipeline with pods, a finalizer, and objects that others change.
    let first = stage.run(1000, runtime().await).await;
    is_mended(&stage.api::<ConfigMap>(), &first).await;
    is_mended(&stage.api::<Service>(), NAME).await;
    is_mended(&stage.api::<ServiceAccount>(), NAME).await;
    is_mended(&stage.api::<NetworkPolicy>(), NAME).await;
    let monitor = Patch::Merge(json!({"spec": {"podMetricsEndpoints": []}}));
    monitors(&stage).patch(NAME, &PatchParams::default(), &monitor).await.unwrap();
    // The same event twice.
    for _ in 0..2 {
        stage.apply("/spec/steps/0/map/where", json!("prise >= 0")).await;
        stage.wait_for("Stalled", "True/InvalidDocument").await;
        stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
        stage.wait_for("Stalled", "False/UpToDate").await;
    }
    stage.apply("/spec/networkPolicy", json!({"mode": "Unmanaged"})).await;
    deadline::until("the NetworkPolicy is gone", LIMIT, async || {
        stage.api::<NetworkPolicy>().get_opt(NAME).await.unwrap().is_none().then_some(())
    })
    .await;
    // More revisions than are kept.
    let mut deployed = first.clone();
    for records in 2000..2012 {
        stage.apply("/spec/limits", json!({"recordsPerEpoch": records})).await;
        deployed = stage.deployed_other_than(&deployed).await;
    }
    deadline::until("the second revision is gone", LIMIT, async || {
        // The first one ran well, and stays.
        (all_names::<ConfigMap>(&stage).await.len() <= 12).then_some(())
    })
    .await;

    // Runs that end, one of which waits; then an endless pipeline again, and its end.
    let run = json!({"type": "AvailableNow", "runToken": "a"});
    stage.apply("/spec/trigger", run.clone()).await;
    only_job(&stage).await;
    stage
        .namespace
        .apply("a person", &{
            let mut suspended = crate::stage::document(NAME);
            suspended["spec"]["trigger"] = run;
            suspended["spec"]["suspend"] = json!(true);
            suspended
        })
        .await
        .unwrap();
    deadline::until("the Job waits", LIMIT, async || {
        (only_job(&stage).await.spec.unwrap().suspend == Some(true)).then_some(())
    })
    .await;
    stage.apply("/spec/deletionPolicy", json!("DeleteCheckpoint")).await;
    deadline::until("the Job is gone and the finalizer is there", LIMIT, async || {
        let jobs = all_names::<Job>(&stage).await;
        (jobs.is_empty() && !stage.pipeline().await.finalizers().is_empty()).then_some(())
    })
    .await;
    stage.delete_pods().await;
    stage.namespace.pipelines().delete(NAME, &DeleteParams::default()).await.unwrap();
    only_job(&stage).await;

    let shown: BTreeSet<Right> = OF_PLUGINS.map(|(g, r, v)| (g.to_owned(), r.to_owned(), v.to_owned())).into();
    let used: BTreeSet<_> = requests.rights().union(&shown).cloned().collect();
    let granted = granted();
    let (unused, missing): (Vec<_>, Vec<_>) =
        (granted.difference(&used).collect(), used.difference(&granted).collect());
    assert!(
        unused.is_empty() && missing.is_empty(),
        "granted and unused: {unused:?}; used and not granted: {missing:?}"
    );
}

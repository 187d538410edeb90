//! A namespace with its own operator, in which the test plays the rest of the cluster: it writes pods as a kubelet
//! would, and their runtime is a port that answers with one report.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_crds::resource::StreamPipeline;
use weir_e2e::api_server::ApiServer;
use weir_e2e::namespace::Namespace;
use weir_e2e::{api_server, deadline};
use weir_tests::services::ports;
use weir_tests::services::process::Process;
use weir_tests::skip::Missing;

use crate::requests::Requests;
use crate::rights;

/// The time until the operator sees something and acts on it. It looks at least every 10 s, so only a failing test
/// waits this long.
pub const LIMIT: Duration = Duration::from_secs(180);
/// The port of every runtime.
const RUNTIME_PORT: u16 = 9464;
const LOG: &str = "operator.log";
pub const NAME: &str = "rides-revenue";

/// An operator's process. It ends with the value.
pub struct Operator {
    /// The address at which it serves HTTP.
    pub address: String,
    process: Process,
}

pub struct Stage {
    pub namespace: Namespace,
    pub operator: Operator,
    logs: TempDir,
    kubeconfig: PathBuf,
}

impl Stage {
    /// # Errors
    /// If the API server is not available on this machine.
    pub async fn new() -> Result<Self, Missing> {
        Ok(Self::on(api_server::shared().await?).await)
    }

    /// A stage on this API server.
    pub async fn on(server: &ApiServer) -> Self {
        let (namespace, logs) = (Namespace::on(server).await, TempDir::new().unwrap());
        let kubeconfig = rights::kubeconfig(&namespace, &server.kubeconfig(), logs.path()).await;
        Self::with(namespace, logs, kubeconfig).await
    }

    /// A stage whose operator's requests are recorded.
    ///
    /// # Errors
    /// If the API server is not available on this machine.
    pub async fn recorded() -> Result<(Self, Requests), Missing> {
        let server = api_server::shared().await?;
        let (namespace, logs) = (Namespace::on(server).await, TempDir::new().unwrap());
        let kubeconfig = rights::kubeconfig(&namespace, &server.kubeconfig(), logs.path()).await;
        let (kubeconfig, requests) = Requests::through(&kubeconfig).await;
        Ok((Self::with(namespace, logs, kubeconfig).await, requests))
    }

    async fn with(namespace: Namespace, logs: TempDir, kubeconfig: PathBuf) -> Self {
        let operator = start(&kubeconfig, &namespace.name, "the-operator", logs.path(), "info", &[]);
        let stage = Self { namespace, operator, logs, kubeconfig };
        let keys = json!({"metadata": {"name": "lake"}, "stringData": {"accessKeyId": "a", "secretAccessKey": "b"}});
        stage.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(keys).unwrap()).await.unwrap();
        stage
    }

    /// Starts the operator again, as after a crash.
    pub fn start_operator(&mut self) {
        self.operator = self.start_another("the-operator");
    }

    /// Starts the operator again with all its logs switched on.
    pub fn trace_operator(&mut self) {
        self.kill_operator();
        self.operator = start(&self.kubeconfig, &self.namespace.name, "the-operator", self.logs.path(), "trace", &[]);
    }

    /// What the stage's operators have logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.logs.path().join(LOG)).unwrap()
    }

    /// The token with which the operators speak to the API server.
    #[must_use]
    pub fn token(&self) -> String {
        let config: Value = serde_yaml::from_str(&std::fs::read_to_string(&self.kubeconfig).unwrap()).unwrap();
        config["users"][0]["user"]["token"].as_str().unwrap().to_owned()
    }

    pub fn kill_operator(&mut self) {
        self.operator.process.signal(Signal::KILL);
        assert!(self.operator.process.wait(LIMIT).is_some(), "a killed process ends");
    }

    #[must_use]
    pub fn start_another(&self, identity: &str) -> Operator {
        self.start_another_with(identity, &[])
    }

    /// Starts an operator with further arguments.
    #[must_use]
    pub fn start_another_with(&self, identity: &str, further: &[&str]) -> Operator {
        start(&self.kubeconfig, &self.namespace.name, identity, self.logs.path(), "info", further)
    }

    /// Starts an operator for which nothing listens at the API server's address.
    #[must_use]
    pub fn start_without_api_server(&self) -> Operator {
        let mut config: Value = serde_yaml::from_str(&std::fs::read_to_string(&self.kubeconfig).unwrap()).unwrap();
        config["clusters"][0]["cluster"]["server"] = json!(format!("https://127.0.0.1:{}", ports::free()));
        let file = self.logs.path().join("kubeconfig");
        std::fs::write(&file, config.to_string()).unwrap();
        start(&file, &self.namespace.name, "the-lost", self.logs.path(), "info", &[])
    }

    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.namespace.client(), &self.namespace.name)
    }

    /// Does what `kubectl apply` does, with the rides pipeline and one place of its spec changed.
    pub async fn apply(&self, pointer: &str, value: Value) -> StreamPipeline {
        let mut document = document(NAME);
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[field] = value;
        self.namespace.apply("a person", &document).await.unwrap()
    }

    pub async fn pipeline(&self) -> StreamPipeline {
        self.namespace.pipelines().get(NAME).await.unwrap()
    }

    /// All metrics of the operator, as text.
    #[must_use]
    pub fn metrics(&self) -> String {
        weir_tests::web::get(&self.operator.address, "/metrics").unwrap().body
    }

    /// Waits for a condition such as `Ready`, `True/Running` about the current spec, and returns its message.
    pub async fn wait_for(&self, kind: &str, expected: &str) -> String {
        self.wait_for_other(NAME, kind, expected).await
    }

    /// Waits for a condition of another pipeline than the usual one.
    pub async fn wait_for_other(&self, name: &str, kind: &str, expected: &str) -> String {
        deadline::until(&format!("{kind}={expected} of {name}"), LIMIT, async || {
            let pipeline = self.namespace.pipelines().get(name).await.unwrap();
            let condition = pipeline.status?.conditions.into_iter().find(|c| c.type_ == kind)?;
            let is_current = condition.observed_generation == pipeline.metadata.generation;
            let found = format!("{}/{}", condition.status, condition.reason);
            (is_current && found == expected).then_some(condition.message)
        })
        .await
    }

    /// Waits until the Deployment asks for another revision than this one, and returns the new revision's name.
    pub async fn deployed_other_than(&self, revision: &str) -> String {
        deadline::until(&format!("a revision other than `{revision}` is deployed"), LIMIT, async || {
            self.deployed().await.filter(|found| found != revision)
        })
        .await
    }

    /// Applies the document with this limit, plays the pod of its revision, and waits until the revision runs. Returns
    /// the revision's name.
    pub async fn run(&self, records_per_epoch: u64, runtime: IpAddr) -> String {
        let before = self.deployed().await.unwrap_or_default();
        self.apply("/spec/limits", json!({"recordsPerEpoch": records_per_epoch})).await;
        let revision = self.deployed_other_than(&before).await;
        self.replace_pod(json!({"running": {}}), runtime).await;
        self.wait_for("Ready", "True/Running").await;
        revision
    }

    pub async fn deployed(&self) -> Option<String> {
        let deployment = self.api::<Deployment>().get_opt(NAME).await.unwrap()?;
        Some(deployment.spec?.template.metadata?.annotations?["weir.dev/revision"].clone())
    }

    /// Does what the Deployment's controller and a kubelet do: deletes the old pod, and creates one from the template,
    /// whose container is in this state.
    pub async fn replace_pod(&self, state: Value, ip: IpAddr) {
        self.delete_pods().await;
        let deployment = self.api::<Deployment>().get(NAME).await.unwrap();
        let set = self.replica_set(&deployment).await;
        let template = deployment.spec.unwrap().template;
        let mut pod = Pod { metadata: template.metadata.unwrap(), spec: template.spec, status: None };
        pod.metadata.owner_references = set.controller_owner_ref(&()).map(|reference| vec![reference]);
        self.make_pod(pod, state, ip).await;
    }

    /// Creates a pod of somebody else that has the labels of our pods.
    pub async fn make_stranger(&self, ip: IpAddr) {
        let deployment = self.api::<Deployment>().get(NAME).await.unwrap();
        let template = deployment.spec.unwrap().template;
        self.make_pod(
            Pod { metadata: template.metadata.unwrap(), spec: template.spec, status: None },
            json!({"running": {}}),
            ip,
        )
        .await;
    }

    async fn make_pod(&self, mut pod: Pod, state: Value, ip: IpAddr) {
        pod.metadata.generate_name = Some(format!("{NAME}-"));
        let name = self.api::<Pod>().create(&PostParams::default(), &pod).await.unwrap().metadata.name.unwrap();
        let is_ready = state.get("running").is_some();
        let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "containerStatuses": [{
            "name": "weir", "image": "weir:1", "imageID": "", "ready": is_ready, "restartCount": 0, "state": state,
        }]}});
        self.api::<Pod>().patch_status(&name, &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
    }

    async fn replica_set(&self, deployment: &Deployment) -> ReplicaSet {
        let spec = deployment.spec.clone().unwrap();
        let set = ReplicaSet {
            metadata: ObjectMeta {
                generate_name: Some(format!("{NAME}-")),
                labels: spec.template.metadata.as_ref().and_then(|m| m.labels.clone()),
                owner_references: deployment.controller_owner_ref(&()).map(|reference| vec![reference]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                selector: spec.selector,
                template: Some(spec.template),
                ..ReplicaSetSpec::default()
            }),
            status: None,
        };
        self.api::<ReplicaSet>().create(&PostParams::default(), &set).await.unwrap()
    }

    pub async fn delete_pods(&self) {
        let now = DeleteParams::default().grace_period(0);
        self.api::<Pod>().delete_collection(&now, &ListParams::default()).await.unwrap();
        deadline::until("the pods are gone", LIMIT, async || {
            self.api::<Pod>().list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
        })
        .await;
    }

    /// Writes what the Job's controller writes when its pod has succeeded.
    pub async fn complete_job(&self, name: &str) {
        let (start, end) = ("2026-01-01T02:00:00Z", "2026-01-01T02:10:00Z");
        let condition =
            |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": end, "lastProbeTime": end});
        let done = json!({"status": {"startTime": start, "completionTime": end, "succeeded": 1, "uncountedTerminatedPods": {}, "ready": 0,
            "terminating": 0, "conditions": [condition("SuccessCriteriaMet"), condition("Complete")]}});
        self.api::<Job>().patch_status(name, &PatchParams::default(), &Patch::Strategic(done)).await.unwrap();
    }

    pub async fn revision(&self, name: &str) -> ControllerRevision {
        self.api::<ControllerRevision>().get(name).await.unwrap()
    }

    /// Waits for an event about the pipeline.
    pub async fn event(&self, reason: &str) -> Event {
        deadline::until(&format!("an event `{reason}`"), LIMIT, async || {
            let events = self.api::<Event>().list(&ListParams::default()).await.unwrap();
            events
                .items
                .into_iter()
                .find(|e| e.reason.as_deref() == Some(reason) && e.involved_object.name.as_deref() == Some(NAME))
        })
        .await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.logs.path().join(LOG)).unwrap_or_default());
        }
    }
}

/// The labels of the pipeline's objects.
pub fn labels() -> Value {
    json!({
        "app.kubernetes.io/name": "weir", "app.kubernetes.io/component": "runtime", "app.kubernetes.io/managed-by": "weir-operator",
        "weir.dev/pipeline": NAME,
    })
}

/// The rides pipeline under another name.
pub fn document(name: &str) -> Value {
    let mut document: Value = serde_yaml::from_str(include_str!("../../../examples/rides.yaml")).unwrap();
    document["metadata"] = json!({"name": name});
    document
}

fn start(kubeconfig: &Path, namespace: &str, identity: &str, logs: &Path, level: &str, further: &[&str]) -> Operator {
    let test = std::env::current_exe().unwrap();
    // The test lies in target/<profile>/deps.
    let mut command = Command::new(test.parent().and_then(Path::parent).unwrap().join("weir-operator"));
    let address = format!("127.0.0.1:{}", ports::free());
    command.args([
        "run",
        "--http",
        &address,
        "--runtime-image",
        "registry.example/weir:0.1.0",
        "--namespace",
        namespace,
    ]);
    command.args(["--leader-election-namespace", namespace, "--identity", identity]).args(further);
    let log = File::options().create(true).append(true).open(logs.join(LOG)).unwrap();
    command.env("KUBECONFIG", kubeconfig).env("NO_COLOR", "1").env("WEIR_LOG", level).stderr(log);
    Operator { address, process: Process::spawn(&mut command).unwrap() }
}

/// A runtime that has committed an epoch, at its own address. It answers until the test ends.
pub async fn runtime() -> IpAddr {
    counted_runtime().await.0
}

/// A runtime as of [`runtime`], and how often it was asked.
pub async fn counted_runtime() -> (IpAddr, Arc<AtomicU64>) {
    let report = report();
    let (listener, ip) = listen().await;
    let asked = Arc::<AtomicU64>::default();
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 4096];
            // A caller that goes away will ask again.
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(answer("200 OK", &report).as_bytes()).await;
        }
    });
    (ip, asked)
}

/// What a runtime wrote, without its source, step and sink.
pub fn report() -> String {
    let mut report: Value = serde_json::from_str(include_str!("../../../plan/fixtures/report.json")).unwrap();
    report["timestamp"] = json!("2026-01-01T12:00:00Z");
    report["batchId"] = json!(7);
    report["eventTime"] = json!({});
    for nodes in ["sources", "stateOperators", "sinks"] {
        report[nodes] = json!([]);
    }
    report.to_string()
}

/// An answer over HTTP with this body.
pub fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: \
         close\r\n\r\n{body}"
    )
}

/// All runtimes have the same port, so each takes a loopback address that is free.
pub async fn listen() -> (TcpListener, IpAddr) {
    for last in 2..=254 {
        let ip = IpAddr::V4(Ipv4Addr::new(127, 9, 46, last));
        if let Ok(listener) = TcpListener::bind((ip, RUNTIME_PORT)).await {
            return (listener, ip);
        }
    }
    panic!("no loopback address has port {RUNTIME_PORT} free");
}

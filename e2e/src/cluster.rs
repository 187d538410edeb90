//! A whole cluster with the operator, a Kafka and an S3 server in it: `e2e/run` creates it and gives the addresses in
//! the environment.
//!
//! Tests do what a user does, with `kubectl`. Each has its own namespace, topic and bucket; a test that fails prints
//! what the namespace held.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::oracle::manifest::{self, Manifest};
use weir_tests::oracle::pipeline::{S3_SECRET, Site};
use weir_tests::oracle::replay::{Outcome, replay};
use weir_tests::oracle::{Pipeline, assert_same_rows};
use weir_tests::rides::Rides;
use weir_tests::services::s3::{ACCESS_KEY, SECRET_KEY};
use weir_tests::topic::{self, Record};
use weir_tests::{deadline, engine, table};

use crate::kstatus;

/// The time until a pod is scheduled, started and ready on a busy machine.
pub const START_LIMIT: Duration = Duration::from_secs(120);
/// The time until a few thousand records are read and committed.
pub const READ_LIMIT: Duration = Duration::from_secs(180);
/// The number of partitions of each topic.
pub const PARTITIONS: i32 = 3;

/// Addresses inside the cluster.
const KAFKA_INSIDE: &str = "kafka.data:9092";
const S3_INSIDE: &str = "http://s3.data:7070";

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: these tests are run by `make e2e`"))
}

/// The address at which this process reaches Kafka.
#[must_use]
pub fn kafka() -> String {
    setting("KAFKA_BOOTSTRAP")
}

fn s3() -> String {
    setting("S3_ENDPOINT")
}

/// Runs `kubectl`, and returns what it prints.
///
/// # Panics
/// If it fails.
pub fn kubectl(args: &[&str]) -> String {
    try_kubectl(args, None).unwrap_or_else(|said| panic!("kubectl {args:?}: {said}"))
}

/// Runs `kubectl`, and returns what it prints, or its error message.
///
/// # Errors
/// If it fails.
pub fn try_kubectl(args: &[&str], stdin: Option<&str>) -> Result<String, String> {
    let mut command = Command::new(std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".into()));
    command.args(args).arg("--request-timeout=30s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.unwrap_or_default().as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    if out.status.success() {
        Ok(String::from_utf8(out.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

/// This many rides, for topics with [`PARTITIONS`].
#[must_use]
pub fn rides(count: usize) -> Rides {
    Rides { partitions: PARTITIONS, ..Rides::new(count) }
}

/// A pipeline of the rides job with its own namespace, topic and bucket.
pub struct Rig {
    pub pipeline: Pipeline,
    pub site: Site,
    pub namespace: String,
}

impl Rig {
    /// Creates a namespace under the restricted Pod Security Standard with the Secret for S3, a bucket, and a topic
    /// with these records.
    #[must_use]
    pub fn new(name: &str, records: &[Record]) -> Self {
        let namespace = format!("{name}-{:x}", std::process::id());
        kubectl(&["create", "namespace", &namespace]);
        kubectl(&["label", "namespace", &namespace, "pod-security.kubernetes.io/enforce=restricted"]);
        let rig = Self {
            pipeline: Pipeline::rides(),
            site: Site {
                bootstrap: KAFKA_INSIDE.to_owned(),
                topic: namespace.clone(),
                checkpoint_uri: format!("s3://{namespace}/checkpoint"),
                table_uri: format!("s3://{namespace}/table"),
                s3_endpoint: Some(S3_INSIDE.to_owned()),
                trigger: json!({"type": "AsSoonAsPossible"}),
                records_per_epoch: 1000,
                keep: 10_000,
            },
            namespace,
        };
        rig.make_secret(SECRET_KEY);
        reader(&["make", &s3(), ACCESS_KEY, SECRET_KEY, &rig.namespace]);
        topic::create(&kafka(), &rig.site.topic, PARTITIONS);
        rig.produce(records);
        rig
    }

    /// # Panics
    /// If a record is for a partition that the topic does not have.
    pub fn produce(&self, records: &[Record]) {
        assert!(records.iter().all(|r| r.partition < PARTITIONS), "make the rides with `rides`");
        topic::produce(&kafka(), &self.site.topic, records);
    }

    pub fn make_secret(&self, secret_key: &str) {
        let (key, secret) = (
            format!("--from-literal=accessKeyId={ACCESS_KEY}"),
            format!("--from-literal=secretAccessKey={secret_key}"),
        );
        self.kubectl(&["create", "secret", "generic", S3_SECRET, &key, &secret]);
    }

    /// Runs `kubectl` in this rig's namespace.
    pub fn kubectl(&self, args: &[&str]) -> String {
        kubectl(&[&["--namespace", &self.namespace], args].concat())
    }

    /// The resource as a user's file has it.
    #[must_use]
    pub fn document(&self) -> Value {
        self.pipeline.document(&self.site)
    }

    /// Runs `kubectl apply`.
    ///
    /// # Errors
    /// The API server's message, if it refuses.
    pub fn apply(&self, document: &Value) -> Result<String, String> {
        try_kubectl(&["--namespace", &self.namespace, "apply", "--filename", "-"], Some(&document.to_string()))
    }

    /// # Panics
    /// If the API server refuses.
    pub fn applied(&self, document: &Value) {
        self.apply(document).unwrap_or_else(|said| panic!("{said}"));
    }

    #[must_use]
    pub fn resource(&self) -> Value {
        serde_json::from_str(&self.kubectl(&["get", "streampipeline", &self.pipeline.name, "--output=json"])).unwrap()
    }

    /// The condition as `status/reason`, if it is about the current spec.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<(String, String)> {
        let resource = self.resource();
        let conditions = resource["status"]["conditions"].as_array()?.clone();
        let condition = conditions.into_iter().find(|c| c["type"] == kind)?;
        let text = |field: &str| condition[field].as_str().unwrap().to_owned();
        (condition["observedGeneration"] == resource["metadata"]["generation"])
            .then(|| (format!("{}/{}", text("status"), text("reason")), text("message")))
    }

    /// Waits for a condition such as `Ready`, `True/Running`; returns its message.
    pub fn wait_for(&self, kind: &str, expected: &str) -> String {
        let mut last = None;
        deadline::until(&format!("{kind}={expected}"), START_LIMIT, || {
            last = self.condition(kind);
            last.clone().filter(|(found, _)| found == expected).map(|(_, message)| message)
        })
    }

    /// Waits until every record that was produced has been committed.
    pub fn wait_until_read(&self) {
        let ends: i64 = topic::ends(&kafka(), &self.site.topic, PARTITIONS).iter().sum();
        deadline::until("every record is committed", READ_LIMIT, || (self.records_committed() >= ends).then_some(()));
    }

    /// The names and uids of this pipeline's pods.
    #[must_use]
    pub fn pods(&self) -> Vec<(String, String)> {
        let selector = format!("weir.dev/pipeline={}", self.pipeline.name);
        let list: Value =
            serde_json::from_str(&self.kubectl(&["get", "pods", "--selector", &selector, "--output=json"])).unwrap();
        let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(|pod| (text(pod, "name"), text(pod, "uid"))).collect()
    }

    /// The name of a running pod, once there is one.
    #[must_use]
    pub fn running_pod(&self) -> String {
        deadline::until("a pod that runs", START_LIMIT, || {
            let (name, _) = self.pods().into_iter().next()?;
            let phase = self.kubectl(&["get", "pod", &name, "--ignore-not-found", "--output=jsonpath={.status.phase}"]);
            (phase == "Running").then_some(name)
        })
    }

    /// Deletes a pod at once, without waiting for its process to end, as if its node did not know it.
    pub fn delete_at_once(&self, pod: &str) {
        self.kubectl(&["delete", "pod", pod, "--force", "--grace-period=0", "--wait=false"]);
    }

    /// Waits until none of these pods exists any more.
    pub fn wait_until_gone(&self, pods: &[(String, String)]) {
        deadline::until("other pods", START_LIMIT, || self.pods().iter().all(|pod| !pods.contains(pod)).then_some(()));
    }

    /// The names of pods that are ready and not being deleted.
    #[must_use]
    pub fn ready_pods(&self) -> Vec<String> {
        let selector = format!("weir.dev/pipeline={}", self.pipeline.name);
        let list: Value =
            serde_json::from_str(&self.kubectl(&["get", "pods", "--selector", &selector, "--output=json"])).unwrap();
        let is_ready = |pod: &&Value| {
            let conditions = pod["status"]["conditions"].as_array();
            let ready = conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
            ready && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let pods = list["items"].as_array().unwrap().iter().filter(is_ready);
        pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The Deployment's revision and generation: another value means another rollout.
    #[must_use]
    pub fn deployment(&self) -> (String, i64) {
        let deployment: Value =
            serde_json::from_str(&self.kubectl(&["get", "deployment", &self.pipeline.name, "--output=json"])).unwrap();
        let revision = &deployment["spec"]["template"]["metadata"]["annotations"]["weir.dev/revision"];
        (revision.as_str().unwrap().to_owned(), deployment["metadata"]["generation"].as_i64().unwrap())
    }

    /// The number of records up to the consumer group's offsets.
    #[must_use]
    pub fn records_committed(&self) -> i64 {
        let group = format!("weir-{}-{}", self.namespace, self.pipeline.name);
        topic::group_offsets(&kafka(), &group, &self.site.topic, PARTITIONS).values().sum()
    }

    /// The sum of a runtime's metric samples whose lines begin with this text.
    #[must_use]
    pub fn metric(&self, pod: &str, prefix: &str) -> f64 {
        let text =
            kubectl(&["get", "--raw", &format!("/api/v1/namespaces/{}/pods/{pod}:9464/proxy/metrics", self.namespace)]);
        let samples = text
            .lines()
            .filter(|line| line.starts_with(prefix))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        samples.sum()
    }

    /// Every object of the pipeline except its table and checkpoint, as `kubectl get --output=name` prints them.
    #[must_use]
    pub fn objects(&self) -> String {
        let kinds = "deployments,jobs,pods,services,serviceaccounts,configmaps,controllerrevisions,networkpolicies,streampipelines";
        self.kubectl(&[
            "get",
            kinds,
            "--selector",
            &format!("weir.dev/pipeline={}", self.pipeline.name),
            "--output=name",
        ])
    }

    /// Runs `kubectl delete`, and waits until all objects are gone.
    pub fn delete(&self) {
        self.kubectl(&["delete", "streampipeline", &self.pipeline.name, "--timeout=60s"]);
        deadline::until("everything of it is gone", START_LIMIT, || self.objects().is_empty().then_some(()));
    }

    /// The verdict of Flux on the resource.
    #[must_use]
    pub fn kstatus(&self) -> String {
        kstatus::verdict(&self.resource())
    }

    pub fn suspend(&self, suspend: bool) {
        let patch = format!("--patch={}", json!({"spec": {"suspend": suspend}}));
        self.kubectl(&["patch", "streampipeline", &self.pipeline.name, "--type=merge", &patch]);
    }

    /// Suspends, so that nothing moves, and compares the manifests and the table with the oracle.
    pub fn assert_right(&self) -> Outcome {
        self.suspend(true);
        self.wait_for("Ready", "True/Suspended");
        self.assert_rows_right()
    }

    /// Compares the manifests and the table with the oracle, for a pipeline that writes nothing now.
    pub fn assert_rows_right(&self) -> Outcome {
        let contents = topic::read_for_another_clock(&kafka(), &self.site.topic);
        let outcome = replay(&self.pipeline, &contents, &self.manifests());
        assert_eq!(outcome.contradictions, Vec::<String>::new(), "the manifests and the oracle");
        assert_same_rows(&outcome.rows, &table::read(&self.site.table_uri, Some(&s3())));
        outcome
    }

    /// The checkpoint's manifests.
    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        let checkpoint = TempDir::new().unwrap();
        let place = self.site.checkpoint_uri.strip_prefix("s3://").unwrap();
        reader(&["copy", &s3(), ACCESS_KEY, SECRET_KEY, place, &checkpoint.path().to_string_lossy()]);
        manifest::read_all(checkpoint.path(), &manifest::all_of_it)
    }

    #[must_use]
    pub fn table_rows(&self) -> usize {
        table::read(&self.site.table_uri, Some(&s3())).len()
    }

    fn dump(&self) {
        let show = |args: &[&str]| {
            let args = [&["--namespace", &self.namespace], args].concat();
            let said = try_kubectl(&args, None).unwrap_or_else(|said| said);
            eprintln!("--- kubectl {}\n{said}", args.join(" "));
        };
        show(&["get", "streampipelines", "--output=yaml"]);
        show(&["get", "all,configmaps,controllerrevisions", "--output=wide"]);
        show(&["get", "events", "--sort-by=.lastTimestamp"]);
        show(&["describe", "pods"]);
        show(&["logs", "--selector", "app.kubernetes.io/name=weir", "--tail=40", "--prefix"]);
        show(&["logs", "--selector", "app.kubernetes.io/name=weir", "--tail=40", "--prefix", "--previous"]);
        let nodes = try_kubectl(&["get", "nodes", "--output=wide"], None);
        eprintln!("--- the nodes\n{}", nodes.unwrap_or_else(|said| said));
        let said = try_kubectl(
            &["--namespace=weir", "logs", "--selector=app.kubernetes.io/component=operator", "--tail=60", "--prefix"],
            None,
        );
        eprintln!("--- the operator\n{}", said.unwrap_or_else(|said| said));
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dump();
        }
        let _ = try_kubectl(&["delete", "namespace", &self.namespace, "--wait=false"], None);
    }
}

fn reader(args: &[&str]) {
    let script: PathBuf = engine::repository_file("tests/services/readers");
    let out = Command::new(script).args(["run", "s3_folder.py"]).args(args).output().unwrap();
    assert!(out.status.success(), "s3_folder.py {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

//! The runtime's pod. It passes the `restricted` Pod Security Standard, whatever the document says.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, HTTPGetAction, PodSecurityContext, PodSpec,
    PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{Owner, REVISION};
use crate::revision::Inputs;

/// Where the runtime serves /metrics and /progress.
pub const HTTP_PORT: i32 = 9464;
/// The one container.
pub const CONTAINER: &str = "weir";
/// The user of the image.
const USER: i64 = 65_532;
/// A node that is gone: long enough for a reboot of its network, short enough to be back within a minute.
const UNREACHABLE_SECONDS: i64 = 20;
/// An epoch in hand is finished on SIGTERM.
const GRACE_SECONDS: i64 = 60;

const DOCUMENT: &str = "document";
const TERMINATION_MESSAGE: &str = "/dev/termination-log";
const SECRETS_DIR: &str = "/var/run/secrets/weir";

/// The template of a revision's pods. What it is made from is in the revision, so an upgrade of the operator that would build another one
/// changes nothing that runs: see [`crate::revision`].
#[must_use]
pub fn template(owner: &Owner, inputs: &Inputs, revision: &str, config_map: &str) -> PodTemplateSpec {
    let mut labels = owner.labels();
    labels.extend(inputs.pod_labels.clone());
    labels.extend(owner.labels());
    let mut annotations = inputs.pod_annotations.clone();
    annotations.insert(REVISION.to_owned(), revision.to_owned());
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }),
        spec: Some(spec(owner, inputs, config_map)),
    }
}

fn spec(owner: &Owner, inputs: &Inputs, config_map: &str) -> PodSpec {
    PodSpec {
        containers: vec![container(inputs)],
        volumes: Some(volumes(inputs, config_map)),
        service_account_name: Some(owner.name.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        tolerations: Some(["not-ready", "unreachable"].map(short_toleration).to_vec()),
        ..PodSpec::default()
    }
}

fn short_toleration(taint: &str) -> Toleration {
    Toleration {
        key: Some(format!("node.kubernetes.io/{taint}")),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(UNREACHABLE_SECONDS),
        ..Toleration::default()
    }
}

fn container(inputs: &Inputs) -> Container {
    let args = [
        "run",
        "-f",
        "/etc/weir/pipeline.yaml",
        "--secrets",
        SECRETS_DIR,
        "--http",
        "0.0.0.0:9464",
        "--log-json",
        "--termination-message",
        TERMINATION_MESSAGE,
    ];
    Container {
        name: CONTAINER.to_owned(),
        image: Some(inputs.image.clone()),
        args: Some(args.map(str::to_owned).to_vec()),
        ports: Some(vec![ContainerPort { name: Some("http".to_owned()), container_port: HTTP_PORT, ..ContainerPort::default() }]),
        resources: Some(resources(inputs)),
        volume_mounts: Some(mounts(inputs)),
        readiness_probe: Some(probe("/readyz", 2, 3)),
        // Only a process that answers nothing for minutes is started again: what is away outside is not mended by that.
        liveness_probe: Some(probe("/healthz", 20, 9)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        // Why a runtime ended, in its own sentence; if it could not say, the end of its log.
        termination_message_path: Some(TERMINATION_MESSAGE.to_owned()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// As the document says; what it leaves out is enough for a small pipeline.
fn resources(inputs: &Inputs) -> ResourceRequirements {
    let with_defaults = |given: &BTreeMap<String, String>, defaults: &[(&str, &str)]| {
        let mut all: BTreeMap<String, Quantity> = defaults.iter().map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned()))).collect();
        all.extend(given.iter().map(|(k, v)| (k.clone(), Quantity(v.clone()))));
        Some(all)
    };
    ResourceRequirements {
        requests: with_defaults(&inputs.requests, &[("cpu", "100m"), ("memory", "256Mi")]),
        limits: with_defaults(&inputs.limits, &[("memory", "1Gi")]),
        ..ResourceRequirements::default()
    }
}

fn mounts(inputs: &Inputs) -> Vec<VolumeMount> {
    let mount = |name: &str, path: String, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path,
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount(DOCUMENT, "/etc/weir".to_owned(), true), mount("tmp", "/tmp".to_owned(), false)];
    mounts.extend(inputs.secrets.iter().enumerate().map(|(i, s)| mount(&secret_volume(i), format!("{SECRETS_DIR}/{s}"), true)));
    mounts
}

fn volumes(inputs: &Inputs, config_map: &str) -> Vec<Volume> {
    let document = Volume {
        name: DOCUMENT.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: config_map.to_owned(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    };
    let tmp = Volume { name: "tmp".to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() };
    let secrets = inputs.secrets.iter().enumerate().map(|(i, name)| Volume {
        name: secret_volume(i),
        secret: Some(SecretVolumeSource { secret_name: Some(name.clone()), ..SecretVolumeSource::default() }),
        ..Volume::default()
    });
    [document, tmp].into_iter().chain(secrets).collect()
}

/// By number: a Secret's name may be longer than a volume's.
fn secret_volume(i: usize) -> String {
    format!("secret-{i}")
}

//! The runtime's pod. It meets the `restricted` Pod Security Standard, whatever the document says.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar as PodEnvVar,
    EnvVarSource, HTTPGetAction, KeyToPath, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec,
    PodTemplateSpec, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretProjection,
    SecurityContext, Toleration, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use weir_crds::document::{self, EnvVar, PodTemplate, SecretRef};

use crate::inputs::Inputs;
use crate::labels::{Owner, REVISION};
use crate::secrets::secret_keys;
use crate::settings::Users;

/// The port on which the runtime serves /metrics and /progress.
pub const HTTP_PORT: u16 = 9464;
/// The name of the only container.
pub const CONTAINER: &str = "weir";
/// The user id in the image.
const USER: i64 = 65_532;
/// How long a pod stays on an unreachable node: long enough for a reboot of the node's network, and short enough to run
/// elsewhere within a minute.
const UNREACHABLE_SECONDS: i64 = 20;
/// The time to finish the current epoch after SIGTERM.
const GRACE_SECONDS: i64 = 60;

/// The document's key in its ConfigMap.
pub const DOCUMENT_KEY: &str = "pipeline.yaml";
/// The name of the volume with the document.
pub const DOCUMENT: &str = "document";
pub const DOCUMENT_PATH: &str = "/etc/weir/pipeline.yaml";
pub const TERMINATION_MESSAGE: &str = "/dev/termination-log";
pub const SECRETS_DIR: &str = "/var/run/secrets/weir";
/// The name of the volume with the Secrets.
const SECRETS: &str = "secrets";

/// The template of a revision's pods. The revision stores it, so that an operator upgrade which would build another
/// template does not change running pods: see [`crate::revision`].
#[must_use]
pub fn template(owner: &Owner, inputs: &Inputs, users: Users, revision: &str, config_map: &str) -> PodTemplateSpec {
    let given = inputs.pod_template.clone().unwrap_or_default();
    // Users can't override the labels and annotations that the operator uses.
    let mut labels = given.labels.clone().unwrap_or_default();
    labels.extend(owner.labels());
    let mut annotations = given.annotations.clone().unwrap_or_default();
    annotations.insert(REVISION.to_owned(), revision.to_owned());
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }),
        spec: Some(spec(owner, inputs, users, given, config_map)),
    }
}

fn spec(owner: &Owner, inputs: &Inputs, users: Users, given: PodTemplate, config_map: &str) -> PodSpec {
    let tolerations =
        ["not-ready", "unreachable"].map(short_toleration).into_iter().chain(given.tolerations.unwrap_or_default());
    let pull_secret = |secret: SecretRef| LocalObjectReference { name: secret.name };
    PodSpec {
        containers: vec![container(inputs, given.env.unwrap_or_default())],
        volumes: Some(volumes(inputs, config_map)),
        service_account_name: Some(given.service_account_name.unwrap_or_else(|| owner.name.clone())),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(security(users)),
        tolerations: Some(tolerations.collect()),
        node_selector: given.node_selector,
        affinity: given.affinity,
        topology_spread_constraints: given.topology_spread_constraints,
        priority_class_name: given.priority_class_name,
        image_pull_secrets: given.image_pull_secrets.map(|secrets| secrets.into_iter().map(pull_secret).collect()),
        ..PodSpec::default()
    }
}

fn security(users: Users) -> PodSecurityContext {
    let user = match users {
        Users::OfImage => Some(USER),
        Users::Assigned => None,
    };
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        fs_group: user,
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
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

fn container(inputs: &Inputs, env: Vec<EnvVar>) -> Container {
    let args = [
        "run",
        "-f",
        DOCUMENT_PATH,
        "--secrets",
        SECRETS_DIR,
        "--http",
        "0.0.0.0:9464",
        "--log-json",
        "--termination-message",
        TERMINATION_MESSAGE,
    ];
    // The kubelet takes any certificate.
    let scheme = inputs.http().tls.map(|_| "HTTPS".to_owned());
    Container {
        name: CONTAINER.to_owned(),
        image: Some(inputs.image.clone()),
        args: Some(args.map(str::to_owned).to_vec()),
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: i32::from(HTTP_PORT),
            ..ContainerPort::default()
        }]),
        env: Some(
            [home()]
                .into_iter()
                .chain(env.into_iter().map(|v| PodEnvVar { name: v.name, value: Some(v.value), value_from: None }))
                .collect(),
        ),
        resources: Some(resources(inputs)),
        volume_mounts: Some(mounts(inputs)),
        readiness_probe: Some(probe("/readyz", scheme.clone(), 2, 3)),
        // Restarts only a process that has not answered for minutes: a restart does not help if an external system is
        // unavailable.
        liveness_probe: Some(probe("/healthz", scheme, 20, 9)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        // The message is the runtime's last sentence or, if it wrote none, the end of its log.
        termination_message_path: Some(TERMINATION_MESSAGE.to_owned()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// The namespace as a variable. The checkpoint stores it, so that a run of the same document elsewhere does not take
/// the checkpoint over.
fn home() -> PodEnvVar {
    let field = ObjectFieldSelector { field_path: "metadata.namespace".to_owned(), api_version: None };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    PodEnvVar { name: "WEIR_NAMESPACE".to_owned(), value: None, value_from: Some(source) }
}

fn probe(path: &str, scheme: Option<String>, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            scheme,
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// The document's resources. Defaults for the others are enough for a small pipeline.
fn resources(inputs: &Inputs) -> ResourceRequirements {
    let given = inputs.resources.clone().unwrap_or_default();
    let quantities = |given: Option<BTreeMap<String, document::Quantity>>| -> BTreeMap<String, Quantity> {
        given.into_iter().flatten().map(|(name, quantity)| (name, Quantity(quantity.0))).collect()
    };
    let (mut requests, mut limits) = (quantities(given.requests), quantities(given.limits));
    // A default applies only if the document sets neither a request nor a limit for the resource: a request may not
    // exceed its limit.
    for (name, request, limit) in [("cpu", "100m", None), ("memory", "256Mi", Some("1Gi"))] {
        if !requests.contains_key(name) && !limits.contains_key(name) {
            requests.insert(name.to_owned(), Quantity(request.to_owned()));
            limits.extend(limit.map(|limit| (name.to_owned(), Quantity(limit.to_owned()))));
        }
    }
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..ResourceRequirements::default() }
}

fn mounts(inputs: &Inputs) -> Vec<VolumeMount> {
    let mount = |name: &str, path: String, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path,
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount(DOCUMENT, "/etc/weir".to_owned(), true), mount("tmp", "/tmp".to_owned(), false)];
    if !inputs.secrets.is_empty() {
        mounts.push(mount(SECRETS, SECRETS_DIR.to_owned(), true));
    }
    mounts
}

fn volumes(inputs: &Inputs, config_map: &str) -> Vec<Volume> {
    let document = Volume {
        name: DOCUMENT.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: config_map.to_owned(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    };
    let tmp = Volume { name: "tmp".to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() };
    let secrets = (!inputs.secrets.is_empty()).then(|| Volume {
        name: SECRETS.to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(secrets(inputs)), ..ProjectedVolumeSource::default() }),
        ..Volume::default()
    });
    [document, tmp].into_iter().chain(secrets).collect()
}

/// The keys that the document names, as files `<secret>/<key>`. A volume of a Secret is optional as a whole or not at
/// all, so keys that need not exist are a source of their own.
fn secrets(inputs: &Inputs) -> Vec<VolumeProjection> {
    let of = |name: &str, keys: BTreeSet<String>, optional: bool| {
        let path = |key: String| KeyToPath { path: format!("{name}/{key}"), key, mode: None };
        (!keys.is_empty()).then(|| VolumeProjection {
            secret: Some(SecretProjection {
                name: name.to_owned(),
                items: Some(keys.into_iter().map(path).collect()),
                optional: optional.then_some(true),
            }),
            ..VolumeProjection::default()
        })
    };
    let all = secret_keys(&inputs.document()["spec"]).into_iter();
    all.flat_map(|(name, keys)| [of(&name, keys.required, false), of(&name, keys.optional, true)]).flatten().collect()
}

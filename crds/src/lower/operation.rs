//! Fields that the operator acts on and `weir run` ignores: pods, image, scheduled runs. Both check them, so that a
//! document that is right on a laptop is right on a cluster.

use std::collections::BTreeMap;

use weir_plan::ids::Epoch;
use weir_plan::plan::{self, MEMORY_BYTES_MIN};
use weir_plan::quote::quoted;

use super::{name, quantity};
use crate::defaults;
use crate::document::{
    EnvVar, NetworkPolicy, NetworkPolicyMode, Offsets, PodTemplate, Quantity, Resources, Spec, StateAction, Trigger,
    TriggerType, unions,
};
use crate::finding::{Findings, Path};
use crate::schedule::Schedule;

const REPLICAS_MAX: i64 = 1;
const ENTRIES_MAX: usize = 64;
const PULL_SECRETS_MAX: usize = 16;
const TOLERATIONS_MAX: usize = 32;
const SPREADS_MAX: usize = 16;
const RESOURCES_MAX: usize = 16;
const PEERS_MAX: usize = 32;
/// The most characters of a label's value.
const LABEL_CHARS_MAX: usize = 63;
const TAG_CHARS_MAX: usize = 128;
const IMAGE_CHARS_MAX: usize = 512;
const ENV_VALUE_CHARS_MAX: usize = 4096;
/// The name of the resource.
const MEMORY: &str = "memory";
/// The prefix of labels and annotations that the operator and the runtime use themselves.
const OWN_PREFIX: &str = "weir.dev/";
/// Beginnings of annotations with which Kubernetes or a container runtime loosens what confines a pod: AppArmor,
/// seccomp and sysctls in their former shape, and CRI-O's devices and user namespaces.
const LOOSENING_PREFIXES: [&str; 5] = [
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
    "security.alpha.kubernetes.io/",
    "io.kubernetes.cri-o.",
];
/// Environment variables that the operator sets.
const OWN_VARIABLES: [&str; 2] = ["WEIR_NAMESPACE", "WEIR_RUN"];

/// Checks the fields that say how and where the pipeline runs.
pub(super) fn operation(spec: &Spec, at: &Path, out: &mut Findings) {
    if let Some(zone) = spec.time_zone.as_ref().filter(|z| *z != defaults::TIME_ZONE) {
        let found = quoted(zone);
        out.add(
            &at.field("timeZone"),
            format!(
                "not supported yet: {found}; write {}; for days of a time zone write `window: {{calendar: {{unit: Day, \
                 timeZone: Europe/Paris}}}}`",
                defaults::TIME_ZONE
            ),
        );
    }
    if let Some(replicas) = spec.replicas.filter(|r| !(0..=REPLICAS_MAX).contains(r)) {
        out.not_yet_value(&at.field("replicas"), replicas, &["0", "1"]);
    }
    if let Some(image) = spec.image.as_ref().filter(|image| !may_be_image(image)) {
        let message = format!("found `{image}`: write an image, as in registry.example.com/weir:0.1.0");
        out.add(&at.field("image"), message);
    }
    if let Some(version) = spec.runtime_version.as_ref().filter(|v| !is_tag(v)) {
        let message = format!("found `{version}`: write a version of the runtime, as in 0.1.0");
        out.add(&at.field("runtimeVersion"), message);
    }
    if let Some(own) = &spec.resources {
        resources(own, &at.field("resources"), out);
    }
    if let Some(template) = &spec.pod_template {
        pod_template(template, &at.field("podTemplate"), out);
    }
    if let Some(policy) = &spec.network_policy {
        network_policy(policy, &at.field("networkPolicy"), out);
    }
}

fn network_policy(policy: &NetworkPolicy, at: &Path, out: &mut Findings) {
    let at_peers = at.field("ingressFrom");
    let peers = policy.ingress_from.as_deref().unwrap_or_default();
    out.length(&at_peers, peers.len(), 0..=PEERS_MAX);
    match policy.mode.unwrap_or(defaults::NETWORK_POLICY_MODE) {
        NetworkPolicyMode::Managed => {}
        NetworkPolicyMode::Unmanaged => {
            if policy.ingress_from.is_some() {
                out.add(&at_peers, "belongs to the mode `Managed`, and the mode is `Unmanaged`; leave it out");
            }
        }
    }
    for (i, peer) in peers.iter().enumerate() {
        let selects = peer.namespace_selector.is_some() || peer.pod_selector.is_some();
        if selects == peer.ip_block.is_some() {
            let message = "write either an ipBlock, or a podSelector, a namespaceSelector or both";
            out.add(&at_peers.index(i), message);
        }
    }
}

/// Lowers what is to be done with the saved state; `None` also if it is wrong.
pub(super) fn state_action(action: &StateAction, at: &Path, out: &mut Findings) -> Option<plan::StateAction> {
    out.exactly_one(at, unions::STATE_ACTIONS, &[action.discard.is_some(), action.restore.is_some()]);
    let token = out.checked(&at.field("token"), check_token(&action.token));
    let kind = match (&action.discard, &action.restore) {
        (Some(discard), None) => plan::StateActionKind::Discard {
            offsets: match discard.offsets.unwrap_or(defaults::DISCARD_OFFSETS) {
                Offsets::Keep => plan::Offsets::Keep,
                Offsets::StartFrom => plan::Offsets::StartFrom,
            },
        },
        (None, Some(restore)) => match u64::try_from(restore.epoch) {
            Ok(epoch @ 1..) => plan::StateActionKind::Restore { epoch: Epoch(epoch) },
            _ => {
                let message = format!("found {}: write the number of an epoch, from 1", restore.epoch);
                out.add(&at.field("restore").field("epoch"), message);
                return None;
            }
        },
        _ => return None,
    };
    token.map(|()| plan::StateAction { token: action.token.clone(), kind })
}

/// Checks when an AvailableNow pipeline runs.
pub(super) fn runs(trigger: &Trigger, at: &Path, out: &mut Findings) {
    for (field, is_there) in [("schedule", trigger.schedule.is_some()), ("runToken", trigger.run_token.is_some())] {
        if is_there && trigger.kind != TriggerType::AvailableNow {
            let message =
                format!("belongs to the type `AvailableNow`, and the type is `{:?}`; leave it out", trigger.kind);
            out.add(&at.field(field), message);
        }
    }
    if let Some(text) = &trigger.schedule {
        out.checked(&at.field("schedule"), Schedule::parse(text));
    }
    if let Some(Err(message)) = trigger.run_token.as_deref().map(check_token) {
        out.add(&at.field("runToken"), message);
    }
}

fn resources(resources: &Resources, at: &Path, out: &mut Findings) {
    let requests = amounts(resources.requests.as_ref(), &at.field("requests"), out);
    let limits = amounts(resources.limits.as_ref(), &at.field("limits"), out);
    let memory = resources.limits.as_ref().and_then(|limits| limits.get(MEMORY));
    if let Some(found) =
        memory.filter(|_| limits.get(MEMORY).is_some_and(|limit| *limit < u128::from(MEMORY_BYTES_MIN) * 1000))
    {
        let least = MEMORY_BYTES_MIN >> 20;
        let message = format!(
            "found {}; a pipeline needs at least {least}Mi to begin: write {least}Mi or more",
            quoted(&found.0)
        );
        out.add(&at.field("limits").field(MEMORY), message);
    }
    for (resource, request) in requests {
        if limits.get(resource).is_some_and(|limit| request > *limit) {
            out.add(
                &at.field("requests").field(resource),
                format!("is more than the limit of {resource}, which Kubernetes refuses: write at most that"),
            );
        }
    }
}

/// The amounts in thousandths; wrong ones are findings and are left out.
fn amounts<'a>(
    amounts: Option<&'a BTreeMap<String, Quantity>>,
    at: &Path,
    out: &mut Findings,
) -> BTreeMap<&'a str, u128> {
    let Some(amounts) = amounts else { return BTreeMap::new() };
    out.length(at, amounts.len(), 0..=RESOURCES_MAX);
    let read = |(resource, amount): (&'a String, &'a Quantity)| {
        let at = at.field(resource);
        out.checked(&at, check_key(resource));
        Some((resource.as_str(), out.checked(&at, quantity::parse_thousandths(&amount.0))?))
    };
    amounts.iter().filter_map(read).collect()
}

fn pod_template(template: &PodTemplate, at: &Path, out: &mut Findings) {
    for (field, entries) in [
        ("labels", &template.labels),
        ("annotations", &template.annotations),
        ("nodeSelector", &template.node_selector),
    ] {
        let (at, Some(entries)) = (at.field(field), entries) else { continue };
        out.length(&at, entries.len(), 0..=ENTRIES_MAX);
        for (key, value) in entries {
            let at = at.field(key);
            out.checked(&at, check_key(key));
            if field != "nodeSelector" && key.starts_with(OWN_PREFIX) {
                out.add(
                    &at,
                    format!("begins with {OWN_PREFIX}, which the operator keeps for itself; take another key"),
                );
            }
            if let Some(prefix) = LOOSENING_PREFIXES.iter().find(|p| field == "annotations" && key.starts_with(**p)) {
                let message = format!("begins with {prefix}, which can loosen what confines the pod; leave it out");
                out.add(&at, message);
            }
            if field != "annotations" && !is_label(value) {
                let message = format!(
                    "found `{value}`: write at most {LABEL_CHARS_MAX} ASCII letters, digits, dots, hyphens and \
                     underscores"
                );
                out.add(&at, message);
            }
        }
    }
    out.length(&at.field("tolerations"), template.tolerations.as_ref().map_or(0, Vec::len), 0..=TOLERATIONS_MAX);
    let spreads = template.topology_spread_constraints.as_ref().map_or(0, Vec::len);
    out.length(&at.field("topologySpreadConstraints"), spreads, 0..=SPREADS_MAX);
    let objects = [
        ("priorityClassName", "PriorityClass", &template.priority_class_name),
        ("serviceAccountName", "ServiceAccount", &template.service_account_name),
    ];
    for (field, kind, found) in objects {
        if let Some(found) = found.as_ref().filter(|name| name::check_object(name).is_err()) {
            let message =
                format!("found `{found}`: write the name of a {kind}, lower-case letters, digits, hyphens and dots");
            out.add(&at.field(field), message);
        }
    }
    let (secrets, at_secrets) =
        (template.image_pull_secrets.as_deref().unwrap_or_default(), at.field("imagePullSecrets"));
    out.length(&at_secrets, secrets.len(), 0..=PULL_SECRETS_MAX);
    out.distinct(
        secrets.iter().enumerate().map(|(i, s)| (at_secrets.index(i).field("name"), &*s.name)),
        "pull Secrets",
    );
    for (i, secret) in secrets.iter().enumerate() {
        out.checked(&at_secrets.index(i).field("name"), name::check_object(&secret.name));
    }
    environment(template.env.as_deref().unwrap_or_default(), &at.field("env"), out);
}

fn environment(env: &[EnvVar], at: &Path, out: &mut Findings) {
    out.length(at, env.len(), 0..=ENTRIES_MAX);
    out.distinct(env.iter().enumerate().map(|(i, v)| (at.index(i).field("name"), &*v.name)), "environment variables");
    for (i, variable) in env.iter().enumerate() {
        let at = at.index(i);
        let plain = variable.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || variable.name.is_empty() || variable.name.starts_with(|c: char| c.is_ascii_digit()) {
            let message = format!(
                "found `{}`: write ASCII letters, digits and underscores, not beginning with a digit",
                variable.name
            );
            out.add(&at.field("name"), message);
        }
        if OWN_VARIABLES.contains(&variable.name.as_str()) {
            out.add(&at.field("name"), format!("the operator sets `{}` itself; leave it out", variable.name));
        }
        if variable.value.contains('\0') {
            let message = "found a character with the code 0, which no variable can have: leave it out";
            out.add(&at.field("value"), message);
        }
        let chars = variable.value.chars().count();
        if chars > ENV_VALUE_CHARS_MAX {
            out.add(&at.field("value"), format!("found {chars} characters: write at most {ENV_VALUE_CHARS_MAX}"));
        }
    }
}

/// Whether the text may name an image. The registry's rules are finer; what no registry takes is an address with a
/// scheme, and an end that is missing.
fn may_be_image(image: &str) -> bool {
    let is_plain = !image.contains(|c: char| c.is_whitespace() || c == '?') && !image.contains("://");
    is_plain && (1..=IMAGE_CHARS_MAX).contains(&image.len()) && !image.ends_with(['@', ':', '/'])
}

/// Checks a qualified name: the key of a label, an annotation or a resource.
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, own) = match key.split_once('/') {
        Some((prefix, own)) => (Some(prefix), own),
        None => (None, key),
    };
    if !own.is_empty() && is_label(own) && prefix.is_none_or(|p| name::check_object(p).is_ok()) {
        return Ok(());
    }
    Err(format!(
        "`{key}` is no key that Kubernetes takes: write ASCII letters, digits, dots, hyphens and underscores, as in \
         example.com/team"
    ))
}

fn check_token(token: &str) -> Result<(), String> {
    if !token.is_empty() && is_label(token) {
        return Ok(());
    }
    Err(format!(
        "found `{token}`: write 1 to {LABEL_CHARS_MAX} ASCII letters, digits, dots, hyphens and underscores, \
         as in run-7"
    ))
}

fn is_label(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || text.len() <= LABEL_CHARS_MAX
            && text.starts_with(alphanumeric)
            && text.ends_with(alphanumeric)
            && text.chars().all(|c| alphanumeric(c) || "-_.".contains(c))
}

fn is_tag(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    plain && (1..=TAG_CHARS_MAX).contains(&text.len()) && !text.starts_with(['-', '.'])
}

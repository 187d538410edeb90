//! When another version of a Secret matters. Pure.
//!
//! A running process takes up new credentials by itself, so a changed Secret replaces no pod that runs. It replaces a
//! pod that refuses to go on, and has a failed revision tried again.

use k8s_openapi::api::core::v1::Pod;
use weir_crds::resource::Reason;

use crate::labels::{REVISION, SECRETS};
use crate::observed::{Observed, deployed_template};
use crate::pods::refused_to_go_on;
use crate::refusal::Refusal;
use crate::secrets::versions;
use crate::verdict::Verdict;

/// The versions for the annotation of the pods. Another annotation replaces the pods, so it stays as long as the same
/// revision runs.
#[must_use]
pub fn versions_for_pods(verdict: &Verdict, observed: &Observed) -> String {
    let deployed = deployed_template(observed).and_then(|t| t.metadata.as_ref()?.annotations.as_ref());
    let same = deployed.filter(|a| a.get(REVISION) == verdict.target.as_ref().map(|target| &target.name));
    // The Secrets of a refused spec are not those of the running pods.
    let stays = same.filter(|_| verdict.refusal.is_some() || !any_refused(&observed.pods));
    stays.and_then(|annotations| annotations.get(SECRETS).cloned()).unwrap_or_else(|| versions(&observed.secrets))
}

/// Whether a change of a Secret may help, so that the operator should look for one often.
#[must_use]
pub fn may_help(verdict: &Verdict, observed: &Observed) -> bool {
    let waits = |refusal: &Refusal| {
        [Reason::SecretMissing, Reason::SecretNotAllowed, Reason::RolledBack].contains(&refusal.reason)
    };
    verdict.refusal.as_ref().is_some_and(waits) || any_refused(&observed.pods)
}

fn any_refused(pods: &[Pod]) -> bool {
    pods.iter().any(|pod| refused_to_go_on(pod).is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::fixtures::{cluster_running, empty_cluster, pod, rides, rides_with, verdict};

    fn write_again(observed: &mut Observed) {
        observed.secrets.get_mut("lake").unwrap().as_mut().unwrap().version = "s2".to_owned();
    }

    #[test]
    fn another_version_of_a_secret_replaces_a_pod_that_refuses_to_go_on_and_no_other() {
        let of = |observed: &Observed| versions_for_pods(&verdict(&rides(), observed), observed);
        let mut observed = cluster_running(&rides());
        write_again(&mut observed);
        assert_eq!(of(&observed), "lake=s1", "it runs");
        assert!(!may_help(&verdict(&rides(), &observed), &observed));
        observed.pods = vec![pod(json!({"terminated": {"exitCode": 3}}), false)];
        assert_eq!(of(&observed), "lake=s1", "something else is away");
        observed.pods = vec![pod(json!({"terminated": {"exitCode": 2}}), false)];
        assert_eq!(of(&observed), "lake=s2");
        assert!(may_help(&verdict(&rides(), &observed), &observed));

        // A refused spec may name other Secrets than the pods have.
        let wrong = rides_with("/sinks/0/from", json!("nowhere"));
        assert_eq!(versions_for_pods(&verdict(&wrong, &observed), &observed), "lake=s1");
    }

    #[test]
    fn another_revision_gets_the_versions_of_its_time() {
        let mut observed = cluster_running(&rides());
        write_again(&mut observed);
        let changed = rides_with("/steps/0/map/where", json!("price > 1"));
        assert_eq!(versions_for_pods(&verdict(&changed, &observed), &observed), "lake=s2");
    }

    #[test]
    fn a_missing_secret_is_looked_for() {
        let mut observed = empty_cluster();
        assert!(!may_help(&verdict(&rides(), &observed), &observed));
        observed.secrets.insert("lake".to_owned(), None);
        assert!(may_help(&verdict(&rides(), &observed), &observed));
        assert_eq!(versions(&observed.secrets), "");
    }
}

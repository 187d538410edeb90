//! Errors in fields that only the operator uses.

use crate::right::{said, told};

const TRIGGER: &str = "{type: Interval, interval: 5s}";

#[test]
fn wrong_fields_that_only_the_operator_acts_on() {
    let topic = told(&[
        (
            "pods ask for no more than they may use",
            &[&[("", "  resources: {requests: {cpu: 2500m, memory: 1Gi}, limits: {cpu: 2, memory: lots}}")]],
        ),
        (
            "a label that a comma cuts off, or without a value",
            &[
                &[("", "  podTemplate: {labels: {foo: a,b}}")],
                &[("metadata: {name: rides-revenue}", "metadata: {name: rides-revenue, labels: {foo: a,b}}")],
                &[("", "  podTemplate: {annotations: {foo: }}")],
            ],
        ),
        (
            "the operator's own labels are not the person's to set",
            &[&[(
                "",
                "  podTemplate: {labels: {weir.dev/pipeline: a, team: 'a b', 'x y': z}, nodeSelector: {weir.dev/pool: a}}",
            )]],
        ),
        (
            "no annotation loosens what confines the pod",
            &[&[(
                "",
                "  podTemplate: {annotations: {container.apparmor.security.beta.kubernetes.io/weir: unconfined, \
                 seccomp.security.alpha.kubernetes.io/pod: unconfined, security.alpha.kubernetes.io/unsafe-sysctls: \
                 a=b, io.kubernetes.cri-o.Devices: /dev/sda, kubernetes.io/description: fine}}",
            )]],
        ),
        (
            "the operator's own variables are not the person's to set",
            &[&[("", "  podTemplate: {env: [{name: WEIR_NAMESPACE, value: other}, {name: WEIR_LOG, value: debug}]}")]],
        ),
        (
            "names in the pod template are those of objects",
            &[&[(
                "",
                "  podTemplate: {priorityClassName: High, serviceAccountName: '', env: [{name: A-B, value: a}]}",
            )]],
        ),
        ("an image and a version are such", &[&[("", "  image: weir latest\n  runtimeVersion: '-1'")]]),
        (
            "a state action is named and is one of two",
            &[
                &[("", "  stateAction: {token: a b, restore: {epoch: 0}}")],
                &[("", "  stateAction: {token: a}")],
                &[("", "  stateAction: {token: a, discard: {}, restore: {epoch: 7}}")],
            ],
        ),
        (
            "runs by schedule or token belong to AvailableNow",
            &[
                &[(TRIGGER, "{type: AsSoonAsPossible, schedule: 0 2 * * *, runToken: a}")],
                &[(TRIGGER, "{type: AvailableNow, schedule: 0 25 * * *, runToken: a b}")],
                &[(TRIGGER, "{type: AvailableNow, runToken: run-7}")],
                &[(TRIGGER, "{type: AvailableNow, schedule: '0 2 * * mon-fri'}")],
                &[(TRIGGER, "{type: AvailableNow, schedule: 0 2 31 2 *}")],
            ],
        ),
        (
            "Kubernetes' own blocks have no other fields than Kubernetes knows",
            &[&[("", "  podTemplate: {tolerations: [{key: spot, opperator: Exists}]}")]],
        ),
        (
            "a network policy admits peers of Kubernetes' shape",
            &[
                &[("", "  networkPolicy: {mode: Unmanaged, ingressFrom: []}")],
                &[(
                    "",
                    "  networkPolicy: {ingressFrom: [{}, {podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}, {pods: {}}]}",
                )],
                &[("", "  networkPolicy: {mode: Off}")],
            ],
        ),
        (
            "a variable stands once in the environment",
            &[&[("", "  podTemplate: {env: [{name: A, value: a}, {name: A, value: b}]}")]],
        ),
    ]);
    insta::assert_snapshot!(topic);
}

#[test]
fn a_memory_limit_in_which_no_pipeline_begins_is_refused() {
    let limit = |memory: &str| format!("  resources: {{limits: {{memory: {memory}}}}}");
    for too_little in ["64", "63Mi", "60M"] {
        let sentence = format!(
            "spec.resources.limits.memory: found `{too_little}`; a pipeline needs at least 64Mi to begin: write 64Mi \
             or more"
        );
        said(&[("", &limit(too_little))], &[&sentence]);
    }
    said(&[("", &limit("64Mi"))], &[]);
}

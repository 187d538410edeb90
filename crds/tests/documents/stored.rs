//! Documents as an API server gives them back: `kubectl get streampipeline rides-revenue -o yaml`.

use crate::right::{RIGHT, findings, said, with};

const ADDED: &str = r#"metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"weir.dev/v1alpha1","kind":"StreamPipeline"}
  creationTimestamp: "2026-11-30T10:00:00Z"
  deletionGracePeriodSeconds: 0
  deletionTimestamp: "2026-12-01T10:00:00Z"
  finalizers: [weir.dev/checkpoint]
  generateName: rides-
  generation: 3
  labels: {team: rides}
  managedFields:
  - apiVersion: weir.dev/v1alpha1
    fieldsType: FieldsV1
    fieldsV1:
      f:metadata: {f:annotations: {.: {}}}
      f:status: {f:conditions: {'k:{"type":"Ready"}': {.: {}, f:status: {}}}}
    manager: weir-operator
    operation: Update
    subresource: status
    time: "2026-11-30T10:00:00Z"
  name: rides-revenue
  namespace: default
  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: 0c}]
  resourceVersion: "4711"
  selfLink: /apis/weir.dev
  uid: 0c5a7f5e-0000-4000-8000-000000000000
"#;
const STATUS: &str = r#"status:
  observedGeneration: 3
  replicas: 1
  conditions: [{type: Ready, status: "True", reason: Running, message: "", lastTransitionTime: "2026-11-30T10:00:00Z"}]
"#;
const METADATA: &str = "metadata: {name: rides-revenue}\n";

#[test]
fn what_an_api_server_adds_says_nothing_of_the_pipeline() {
    let stored = with(&[(METADATA, ADDED)]) + STATUS;
    let plan = weir_crds::load(&stored, None).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(plan.pipeline, "default/rides-revenue");
    let written = with(&[(METADATA, "metadata: {name: rides-revenue, namespace: default}\n")]);
    let explained = |text: &str| weir_crds::explain(text, None).unwrap();
    let labels = "  labels:\n    team: rides\n";
    assert!(explained(&stored).contains(labels), "{}", explained(&stored));
    let spec = |text: &str| explained(text).split_once("\nspec:").unwrap().1.to_owned();
    assert_eq!(spec(&stored), spec(&written));
    // An override may come from a cluster too.
    assert!(weir_crds::load(RIGHT, Some(&format!("{STATUS}metadata: {{uid: 0c}}"))).is_ok());
}

#[test]
fn a_misspelt_field_is_refused_beside_what_an_api_server_adds() {
    said(
        &[(METADATA, &ADDED.replace("namespace:", "namespce:"))],
        &["metadata.namespce: there is no field `namespce`; did you mean `namespace`?"],
    );
    said(
        &[(METADATA, &ADDED.replace("resourceVersion:", "resourceVersoin:"))],
        &[
            "metadata.resourceVersoin: there is no field `resourceVersoin`: write name, namespace, labels or annotations",
        ],
    );
    assert_eq!(
        findings(&(with(&[]) + &STATUS.replace("status:\n", "statuss:\n"))),
        ["statuss: there is no field `statuss`: write apiVersion, kind, metadata or spec"]
    );
}

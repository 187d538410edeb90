//! Changes of the document and of the chart, and changes that are taken back.

use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use weir_e2e::cluster::{Rig, START_LIMIT, kubectl, rides};
use weir_e2e::operator;
use weir_tests::deadline;
use weir_tests::rides::Rides;

#[test]
fn a_change_that_saved_state_fits_rolls_out_and_goes_on() {
    let mut rig = Rig::new("fits", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    let before = rig.pods();
    rig.site.records_per_epoch = 500;
    rig.applied(&rig.document());
    rig.wait_until_gone(&before);
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn a_change_that_saved_state_does_not_fit_is_refused_and_the_old_pods_go_on() {
    let rig = Rig::new("refused", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let before = rig.pods();
    let mut document = rig.document();
    let steps = document["spec"]["steps"].as_array_mut().unwrap();
    let step = steps.iter_mut().find(|s| s.get("aggregate").is_some()).unwrap();
    step["aggregate"]["window"]["tumbling"]["size"] = json!("7m");
    rig.applied(&document);
    let message = rig.wait_for("Stalled", "True/StateIncompatible");
    assert!(message.contains("had windows of 300 s and now has windows of 420 s"), "{message}");
    rig.wait_for("Ready", "True/Running");
    assert_eq!(rig.pods(), before);
    rig.applied(&rig.document());
    rig.wait_for("Stalled", "False/UpToDate");
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn suspended_pipelines_have_no_pods_and_resumed_ones_go_on() {
    let rig = Rig::new("suspend", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.assert_right();
    assert!(rig.pods().is_empty());
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.suspend(false);
    rig.wait_until_read();
    rig.assert_right();
}

#[test]
fn an_upgrade_of_the_chart_rolls_no_pipeline_and_upgrades_the_resource() {
    let rig = Rig::new("chart", &rides(500).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    let (pods, deployment, operators) = (rig.pods(), rig.deployment(), operator::pods());
    // This replaces every pod of the operator, adds one, and brings another default image and a newer definition.
    let chart = TempDir::new().unwrap();
    let copied = Command::new("cp").arg("--recursive").arg(operator::chart()).arg(chart.path()).status().unwrap();
    assert!(copied.success());
    let definition = chart.path().join("weir/files/streampipelines.weir.dev.yaml");
    let text = std::fs::read_to_string(&definition).unwrap();
    let newer = text.replace(
        "additionalPrinterColumns:\n",
        "additionalPrinterColumns:\n    - {jsonPath: .spec.timeZone, name: Newer, type: string}\n",
    );
    assert_ne!(newer, text);
    std::fs::write(&definition, newer).unwrap();
    let settings = ["replicaCount=3", "env[0].name=WEIR_LOG", "env[0].value=debug", "runtime.image.tag=newer"];
    let restored = Restored::new();
    operator::helm_upgrade(&chart.path().join("weir"), &settings);
    // Helm waits for the new pods; an old one may still be in deletion.
    deadline::until("other pods of the operator", START_LIMIT, || {
        operator::pods().iter().all(|pod| !operators.contains(pod)).then_some(())
    });
    assert!(rig.kubectl(&["get", "streampipelines"]).contains("NEWER"));
    rig.kubectl(&["annotate", "streampipeline", &rig.pipeline.name, "test=looked-at"]);
    rig.produce(&Rides { seed: 2, ..rides(500) }.starting(500_000_000).records());
    rig.wait_until_read();
    assert_eq!((rig.pods(), rig.deployment()), (pods.clone(), deployment.clone()));
    drop(restored);
    assert!(!rig.kubectl(&["get", "streampipelines"]).contains("NEWER"));
    assert_eq!((rig.pods(), rig.deployment()), (pods, deployment));
    rig.assert_right();
}

/// Restores the chart as it was installed, when this is dropped.
struct Restored {
    tag: String,
}

impl Restored {
    fn new() -> Self {
        let args = kubectl(&[
            "--namespace=weir",
            "get",
            "deployment",
            "--selector=app.kubernetes.io/component=operator",
            "--output=jsonpath={.items[0].spec.template.spec.containers[0].args}",
        ]);
        let args: Vec<String> = serde_json::from_str(&args).unwrap();
        let image = args.iter().skip_while(|a| *a != "--runtime-image").nth(1).unwrap();
        Self { tag: image.rsplit_once(':').unwrap().1.to_owned() }
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        operator::helm_upgrade(
            &operator::chart(),
            &["replicaCount=2", "env=null", &format!("runtime.image.tag={}", self.tag)],
        );
    }
}

#[test]
fn a_deleted_pipeline_leaves_nothing_but_its_table_and_checkpoint() {
    let rig = Rig::new("delete", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.delete();
    // A pipeline that is applied again continues where it stopped.
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.applied(&rig.document());
    rig.wait_until_read();
    rig.assert_right();
}

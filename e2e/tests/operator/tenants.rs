//! Two tenants under one operator, each with a namespace, a Secret and a bucket of its own: what the author of one of
//! them may try against the other.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use weir_e2e::deadline;
use weir_e2e::namespace::{Namespace, refusal};
use weir_tests::or_skip;
use weir_tests::skip::Missing;

use crate::rights;
use crate::stage::{LIMIT, NAME, Stage, document};

/// The rides pipeline in the tenant's own bucket with the tenant's own Secret.
fn document_of(tenant: &str) -> Value {
    let text = document(NAME).to_string().replace("s3://lake", &format!("s3://{tenant}-lake"));
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["spec"]["storage"][0]["s3"]["credentialsSecretRef"]["name"] = json!(format!("{tenant}-keys"));
    document
}

/// Tenant `red`, whose pipeline runs, and the namespace of tenant `blue`.
async fn tenants() -> Result<(Stage, Namespace), Missing> {
    let mut red = Stage::new().await?;
    let blue = Namespace::new().await?;
    red.kill_operator();
    rights::grant_to_operator_of(&red.namespace.name, &blue).await;
    red.operator = red.start_another_with("the-operator", &["--namespace", &blue.name]);
    for (tenant, namespace) in [("red", &red.namespace), ("blue", &blue)] {
        let name = format!("{tenant}-keys");
        let keys = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"accessKeyId": "a", "secretAccessKey": "b"}});
        let secrets = Api::<Secret>::namespaced(namespace.client(), &namespace.name);
        secrets.patch(&name, &PatchParams::apply("a person"), &Patch::Apply(keys)).await.unwrap();
    }
    red.namespace.apply("red", &document_of("red")).await.unwrap();
    red.wait_for("Validated", "True/Valid").await;
    Ok((red, blue))
}

/// Waits until the pipeline is refused for this reason. Returns the message, which must not name the other tenant.
async fn refused(red: &Stage, blue: &Namespace, document: &Value, reason: &str) -> String {
    blue.apply("blue", document).await.unwrap();
    let name = document["metadata"]["name"].as_str().unwrap();
    let said = deadline::until(reason, LIMIT, async || {
        let pipeline = blue.pipelines().get(name).await.unwrap();
        let stalled = pipeline.status?.conditions.into_iter().find(|condition| condition.type_ == "Stalled")?;
        let is_current = stalled.observed_generation == pipeline.metadata.generation;
        (is_current && stalled.reason == reason).then_some(stalled.message)
    })
    .await;
    assert!(!said.contains(&red.namespace.name), "{said}");
    said
}

#[tokio::test]
async fn what_a_tenant_tries_against_another_is_refused_with_a_sentence_that_tells_nothing_of_it() {
    let (red, blue) = or_skip!(tenants().await);

    // The same name, with places and Secrets of its own, is nobody's business.
    blue.apply("blue", &document_of("blue")).await.unwrap();
    deadline::until("both are accepted", LIMIT, async || {
        let status = blue.pipelines().get(NAME).await.unwrap().status?;
        status.conditions.iter().any(|c| c.type_ == "Validated" && c.status == "True").then_some(())
    })
    .await;

    let tries = |name: &str, pointer: &str, value: Value| {
        let mut document = document_of("blue");
        // The author reaches the other bucket too, on the same server.
        let mut other = document["spec"]["storage"][0].clone();
        other["uriPrefix"] = json!("s3://red-lake/");
        document["spec"]["storage"].as_array_mut().unwrap().push(other);
        *document.pointer_mut(pointer).unwrap() = value;
        document["metadata"]["name"] = json!(name);
        // The first pipeline of this tenant has these.
        if pointer != "/spec/checkpoint/uri" {
            document["spec"]["checkpoint"]["uri"] = json!(format!("s3://blue-lake/checkpoints/{name}"));
        }
        document
    };
    let theirs = document_of("red");
    let (checkpoint, table) = (&theirs["spec"]["checkpoint"]["uri"], &theirs["spec"]["sinks"][0]["delta"]["uri"]);

    let said =
        refused(&red, &blue, &tries("theirs", "/spec/checkpoint/uri", checkpoint.clone()), "CheckpointInUse").await;
    let place = checkpoint.as_str().unwrap();
    assert_eq!(
        said,
        format!(
            "spec.checkpoint.uri: {place} is the place of a checkpoint of a pipeline of another namespace, which was \
             there first; give this one its own"
        )
    );
    let inside = json!(format!("{}/mine", table.as_str().unwrap()));
    let said = refused(&red, &blue, &tries("inside", "/spec/sinks/0/delta/uri", inside), "TableInUse").await;
    assert!(said.contains(" lies in the place of a table of a pipeline of another namespace, "), "{said}");
    let said = refused(&red, &blue, &tries("over", "/spec/sinks/0/delta/uri", checkpoint.clone()), "TableInUse").await;
    assert!(said.contains(" is the place of a checkpoint of a pipeline of another namespace, "), "{said}");

    let secret = "/spec/storage/0/s3/credentialsSecretRef";
    let said = refused(&red, &blue, &tries("secret", secret, json!({"name": "red-keys"})), "SecretMissing").await;
    assert!(said.starts_with("there is no Secret `red-keys` in this namespace: create it with the key "), "{said}");
    let elsewhere = json!({"name": "red-keys", "namespace": red.namespace.name});
    let said = refusal(blue.apply("blue", &tries("elsewhere", secret, elsewhere)).await);
    assert!(said.contains("credentialsSecretRef.namespace: field not declared in schema"), "{said}");

    // A checkpoint knows its pipeline by namespace and name.
    let mut disguised = tries("disguised", "/spec/checkpoint/uri", json!("s3://blue-lake/checkpoints/disguised"));
    let variable = json!({"name": "WEIR_NAMESPACE", "value": red.namespace.name});
    disguised["spec"]["podTemplate"] = json!({"env": [variable]});
    let said = refused(&red, &blue, &disguised, "InvalidDocument").await;
    assert_eq!(said, "spec.podTemplate.env[0].name: the operator sets `WEIR_NAMESPACE` itself; leave it out");

    red.wait_for("Stalled", "False/UpToDate").await;
}

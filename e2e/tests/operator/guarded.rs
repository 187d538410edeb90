//! Pods whose HTTP port has TLS and a token. The test plays such a pod; `tests/tests/https.rs` has the runtime's side.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use weir_e2e::deadline;
use weir_tests::certificates::{Authority, Certificate};
use weir_tests::or_skip;

use crate::stage::{LIMIT, NAME, Stage, answer, listen, report};

const TOKEN: &str = "a-token-that-nobody-else-has";
const OTHER_TOKEN: &str = "another-token-that-nobody-has";

/// A runtime that answers over TLS to who has the token. It takes up new ones at once.
struct Guarded {
    ip: IpAddr,
    has: Arc<Mutex<(Arc<ServerConfig>, String)>>,
    /// How often it gave its report.
    served: Arc<AtomicU64>,
}

fn config(certificate: &Certificate) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

impl Guarded {
    async fn new(certificate: &Certificate, token: &str) -> Self {
        let (listener, ip) = listen().await;
        let has = Arc::new(Mutex::new((config(certificate), token.to_owned())));
        let had = Arc::clone(&has);
        let served = Arc::<AtomicU64>::default();
        let count = Arc::clone(&served);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (config, token) = had.lock().unwrap().clone();
                let Ok(mut stream) = TlsAcceptor::from(config).accept(connection).await else { continue };
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).to_ascii_lowercase();
                let answer = match request.contains(&format!("authorization: bearer {token}\r\n")) {
                    true => {
                        count.fetch_add(1, Ordering::Relaxed);
                        answer("200 OK", &report())
                    }
                    false => answer("401 Unauthorized", ""),
                };
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { ip, has, served }
    }

    /// Waits until the operator has got the report twice more, and so has written what it made of the first one.
    async fn is_served_again(&self) {
        let before = self.served.load(Ordering::Relaxed);
        deadline::until("the operator gets the report again", LIMIT, async || {
            (self.served.load(Ordering::Relaxed) >= before + 2).then_some(())
        })
        .await;
    }

    fn have(&self, certificate: &Certificate, token: &str) {
        *self.has.lock().unwrap() = (config(certificate), token.to_owned());
    }
}

async fn put(stage: &Stage, name: &str, keys: Value) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys});
    let params = PatchParams::apply("a person").force();
    stage.api::<Secret>().patch(name, &params, &Patch::Apply(secret)).await.unwrap();
}

async fn put_certificate(stage: &Stage, certificate: &Certificate, authority: &str) {
    let keys = json!({"tls.crt": certificate.chain, "tls.key": certificate.key, "ca.crt": authority});
    put(stage, "page-tls", keys).await;
}

async fn put_token(stage: &Stage, token: &str) {
    put(stage, "page", json!({"token": token})).await;
}

/// The pipeline with a guarded port, and a pod of it that runs.
async fn run(stage: &Stage, runtime: IpAddr) {
    let http = json!({"tls": {"secretRef": {"name": "page-tls"}}, "tokenSecretRef": {"name": "page", "key": "token"}});
    stage.apply("/spec/http", http).await;
    stage.deployed_other_than("").await;
    stage.replace_pod(json!({"running": {}}), runtime).await;
}

fn certificate(stage: &Stage, authority: &Authority) -> Certificate {
    authority.server_called(&format!("{NAME}.{}.svc", stage.namespace.name))
}

#[tokio::test]
async fn a_guarded_pod_is_asked_by_its_secrets_and_an_exchange_of_them_goes_unnoticed() {
    let stage = or_skip!(Stage::new().await);
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let (old, new) = (certificate(&stage, &first), certificate(&stage, &second));
    put_certificate(&stage, &old, &first.pem()).await;
    put_token(&stage, TOKEN).await;
    let pod = Guarded::new(&old, TOKEN).await;
    run(&stage, pod.ip).await;
    stage.wait_for("Ready", "True/Running").await;

    let template = stage.api::<Deployment>().get(NAME).await.unwrap().spec.unwrap().template.spec.unwrap();
    let probe = template.containers[0].liveness_probe.as_ref().unwrap().http_get.as_ref().unwrap();
    assert_eq!(probe.scheme.as_deref(), Some("HTTPS"));
    let mounted = serde_json::to_value(template.volumes.unwrap()).unwrap().to_string();
    for file in ["page/token", "page-tls/tls.crt", "page-tls/tls.key"] {
        assert!(mounted.contains(file), "{mounted}");
    }
    assert!(!mounted.contains("ca.crt"), "the pod has no use for it: {mounted}");

    // The Secrets come first, and the pod has their files a minute later: it is reached all the time.
    put_certificate(&stage, &new, &second.pem()).await;
    put_token(&stage, OTHER_TOKEN).await;
    let ready = async || {
        let conditions = stage.pipeline().await.status.unwrap().conditions;
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        (ready.status, ready.last_transition_time)
    };
    let before = ready().await;
    pod.is_served_again().await;
    pod.have(&new, OTHER_TOKEN);
    pod.is_served_again().await;
    assert_eq!(ready().await, before);
}

#[tokio::test]
async fn a_pod_that_does_not_take_the_token_or_shows_another_certificate_is_told_and_later_asked_again() {
    let stage = or_skip!(Stage::new().await);
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let right = certificate(&stage, &ours);
    put_certificate(&stage, &right, &ours.pem()).await;
    put_token(&stage, TOKEN).await;
    let pod = Guarded::new(&right, OTHER_TOKEN).await;
    run(&stage, pod.ip).await;
    let says = async |words: &str| {
        deadline::until(&format!("it says `{words}`"), LIMIT, async || {
            let said = stage.wait_for("Ready", "Unknown/Unreachable").await;
            assert!(!said.contains(TOKEN) && !said.contains(OTHER_TOKEN), "{said}");
            said.contains(words).then_some(())
        })
        .await;
    };
    says("does not take the token in the key `token` of the Secret `page`").await;
    pod.have(&certificate(&stage, &other), TOKEN);
    says("has a certificate that is not from the authority in the key `ca.crt` of the Secret `page-tls`").await;
    pod.have(&ours.server(), TOKEN);
    says(&format!("has a certificate that is not for {NAME}.{}.svc", stage.namespace.name)).await;
    pod.have(&right, TOKEN);
    stage.wait_for("Ready", "True/Running").await;
    // Where no authority is given, the certificate speaks for itself.
    put_certificate(&stage, &certificate(&stage, &other), "").await;
    pod.have(&certificate(&stage, &other), TOKEN);
    says("has another certificate than the key `tls.crt` of the Secret `page-tls`").await;
    put_certificate(&stage, &right, "").await;
    pod.have(&right, TOKEN);
    stage.wait_for("Ready", "True/Running").await;
}

#[tokio::test]
async fn a_port_whose_secrets_are_missing_is_refused_by_their_names() {
    let stage = or_skip!(Stage::new().await);
    put(&stage, "page-tls", json!({"tls.crt": "a"})).await;
    let http = json!({"tls": {"secretRef": {"name": "page-tls"}}, "tokenSecretRef": {"name": "page", "key": "token"}});
    stage.apply("/spec/http", http).await;
    let said = stage.wait_for("Validated", "False/SecretMissing").await;
    assert_eq!(
        said,
        "there is no Secret `page` in this namespace: create it with the key `token`\n\
         the Secret `page-tls` has no key `tls.key`: add it"
    );
    assert_eq!(stage.deployed().await, None);
}

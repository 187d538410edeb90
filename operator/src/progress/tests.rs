//! The reader, asking pods that answer as they like.
#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::fixtures::owner;
use crate::guard;

const TOKEN: &str = "the-token-of-the-page";

/// The keys from a Secret for TLS, and one with this token.
fn keys(secret: &[(&str, &str)], token: &str) -> Keys {
    let data = |entries: &[(&str, &str)]| {
        entries.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec()))).collect()
    };
    Keys {
        trust: Some(guard::trust("page-tls", &data(secret), &owner()).unwrap()),
        token: Some(guard::token("page", "token", &data(&[("token", token)])).unwrap()),
    }
}

/// A pod that sends these parts to every client, and repeats the last part forever if `endless`. It counts requests
/// and bytes.
async fn pod(head: String, part: Vec<u8>, endless: bool) -> (ProgressReader, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The deadline is generous, so that the test does not depend on a busy machine.
    let reader = ProgressReader::within(Duration::from_secs(60)).unwrap();
    let reader = ProgressReader { port: listener.local_addr().unwrap().port(), ..reader };
    let (asked, sent) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counts = (Arc::clone(&asked), Arc::clone(&sent));
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            counts.0.fetch_add(1, Ordering::Relaxed);
            let _ = connection.read(&mut [0; 4096]).await;
            let _ = connection.write_all(head.as_bytes()).await;
            while connection.write_all(&part).await.is_ok() && endless {
                counts.1.fetch_add(part.len(), Ordering::Relaxed);
            }
        }
    });
    (reader, asked, sent)
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, asked, _) = pod("HTTP/1.1 204 No Content\r\n\r\n".into(), Vec::new(), false).await;
    let head = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{}/latest/meta-data\r\ncontent-length: 0\r\n\r\n",
        elsewhere.port
    );
    let (reader, _, _) = pod(head, Vec::new(), false).await;
    let said = reader.read("127.0.0.1", &Keys::default()).await.unwrap_err().why;
    assert!(said.contains("answers 302 Found"), "{said}");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "nobody else was asked");
}

#[tokio::test]
async fn a_body_without_an_end_is_given_up_at_a_mebibyte() {
    let (reader, _, sent) = pod("HTTP/1.1 200 OK\r\n\r\n".into(), vec![b' '; 1 << 16], true).await;
    let said = reader.read("127.0.0.1", &Keys::default()).await.unwrap_err().why;
    assert!(said.contains("more than 1048576 bytes"), "{said}");
    // Bytes in the sockets' buffers count as sent.
    assert!(sent.load(Ordering::Relaxed) < 32 << 20, "{sent:?}");
}

#[tokio::test]
async fn addresses_of_the_nodes_own_network_are_not_asked() {
    let reader = ProgressReader::new().unwrap();
    for ip in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "metadata.google.internal", "10.0.0.1/admin?"] {
        let said = reader.read(ip, &Keys::default()).await.unwrap_err().why;
        assert!(said.starts_with("the pod's address"), "{said}");
    }
}

/// A pod with TLS, which answers who has the token, and the reader for its port.
async fn guarded(certificate: &Certificate) -> ProgressReader {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.0.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(certificate.1.as_bytes()).unwrap(),
        )
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let reader = ProgressReader::within(Duration::from_secs(60)).unwrap();
    let reader = ProgressReader { port: listener.local_addr().unwrap().port(), ..reader };
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(connection).await else { continue };
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let answer = match request.contains("authorization: bearer the-token-of-the-page\r\n") {
                true => "204 No Content",
                false => "401 Unauthorized",
            };
            let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    reader
}

/// A certificate and its key in PEM.
type Certificate = (String, String);

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn self_signed(params: &CertificateParams) -> Certificate {
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = params("ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

const HOST: &str = "rides-revenue.data.svc";

/// What is said of a pod with this certificate if the Secret has these keys.
async fn said_of(certificate: &Certificate, secret: &[(&str, &str)], token: &str) -> Result<(), Unread> {
    let reader = guarded(certificate).await;
    let keys = keys(secret, token);
    reader.read("127.0.0.1", &keys).await.map(|report| assert!(report.is_none())).map_err(|unread| Unread {
        why: unread.why.replace(&format!("https://127.0.0.1:{}/progress ", reader.port), ""),
        ..unread
    })
}

#[tokio::test]
async fn a_pod_is_trusted_by_the_secrets_authority_or_else_by_the_certificate_itself() {
    let (ours, former, other) = (Authority::new("ours"), Authority::new("ours"), Authority::new("other"));
    let (mut expired, mut as_authority) = (params(HOST), params(HOST));
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    as_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signed = ours.sign(&params(HOST));
    let authority = ours.0.pem();
    let not_ours = "has a certificate that is not from the authority in the key `ca.crt` of the Secret `page-tls`; a \
                    pod takes a new certificate within two minutes";
    let another = "has another certificate than the key `tls.crt` of the Secret `page-tls`; a pod takes a new one \
                   within two minutes";
    let elsewhere = "has a certificate that is not for rides-revenue.data.svc: have that name put into it";
    let old = "has a certificate that has expired: renew it in the Secret `page-tls`";
    for (shown, says) in [
        (signed.clone(), None),
        (ours.sign(&params(HOST)), None),
        (other.sign(&params(HOST)), Some(not_ours)),
        (former.sign(&params(HOST)), Some(not_ours)),
        (self_signed(&params(HOST)), Some(not_ours)),
        (ours.sign(&params("fares.data.svc")), Some(elsewhere)),
        (ours.sign(&expired), Some(old)),
    ] {
        let found = said_of(&shown, &[("ca.crt", &authority), ("tls.crt", "not looked at")], TOKEN).await;
        assert_eq!(found.err().map(|unread| unread.why), says.map(str::to_owned));
    }
    for (shown, says) in [
        (signed.clone(), None),
        (self_signed(&params(HOST)), None),
        (self_signed(&as_authority), None),
        (self_signed(&params("fares.data.svc")), Some(elsewhere)),
        (ours.sign(&params("fares.data.svc")), Some(elsewhere)),
        (self_signed(&expired), Some(old)),
        (ours.sign(&expired), Some(old)),
    ] {
        let found = said_of(&shown, &[("ca.crt", ""), ("tls.crt", &shown.0)], TOKEN).await;
        assert_eq!(found.err().map(|unread| unread.why), says.map(str::to_owned));
    }
    // Not even one from the same authority, whose certificate stands behind the other.
    for text in [signed.0.clone(), format!("{}{authority}", signed.0)] {
        let found = said_of(&ours.sign(&params(HOST)), &[("tls.crt", &text)], TOKEN).await.unwrap_err();
        assert_eq!((found.why.as_str(), found.is_refused), (another, true));
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_by_its_place() {
    let certificate = self_signed(&params(HOST));
    let refused = said_of(&certificate, &[("tls.crt", &certificate.0)], "another-token-of-a-page").await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.why.as_str(), refused.is_refused),
        (
            "does not take the token in the key `token` of the Secret `page`; a pod takes a new token within two \
             minutes",
            true
        )
    );
}

#[tokio::test]
async fn a_token_is_sent_to_nobody_who_is_not_trusted() {
    let (reader, asked, _) = pod("HTTP/1.1 204 No Content\r\n\r\n".into(), Vec::new(), false).await;
    let keys = keys(&[("tls.crt", &self_signed(&params(HOST)).0)], TOKEN);
    let unread = reader.read("127.0.0.1", &keys).await.unwrap_err();
    assert!(unread.why.contains("does not speak TLS as it should"), "{}", unread.why);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "its port was asked, and heard no HTTP");
}

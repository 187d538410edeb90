//! The port as its clients see it.
#![allow(clippy::unwrap_used)]

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use weir_plan::plan::{Http, SecretKey};

use super::guard::Keys;
use super::server::{self, LIMITS, Limits};
use super::{Guard, Shared, start};
use crate::failure::{Remedy, Result};
use crate::observe::metrics::Metrics;
use crate::storage::Secrets;

/// The name in certificates.
const NAME: &str = "rides.data.svc";
const TOKEN: &str = "the-token-of-the-page";
/// How long a test waits for what should come at once.
const SOON: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(100);

/// An authority that signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A port, and the folder of its Secrets.
struct Port {
    address: SocketAddr,
    secrets: TempDir,
}

fn write(secrets: &Path, secret: &str, key: &str, text: &str) {
    std::fs::create_dir_all(secrets.join(secret)).unwrap();
    std::fs::write(secrets.join(secret).join(key), text).unwrap();
}

impl Port {
    /// A port with the certificate and the token that are given.
    async fn new(certificate: Option<(String, String)>, token: Option<&str>) -> Self {
        Self::within(certificate, token, LIMITS).await.unwrap()
    }

    async fn within(certificate: Option<(String, String)>, token: Option<&str>, limits: Limits) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = Self { address: listener.local_addr().unwrap(), secrets: TempDir::new().unwrap() };
        let key = SecretKey { secret: "page".into(), key: "token".into() };
        let http = Http {
            tls_secret: certificate.is_some().then(|| "page-tls".into()),
            token: token.is_some().then_some(key),
        };
        if let Some(certificate) = certificate {
            port.have(&certificate);
        }
        if let Some(token) = token {
            write(port.secrets.path(), "page", "token", token);
        }
        let guard = Guard::new(&http, &Secrets { dir: Some(port.secrets.path().to_owned()) });
        let shared = Arc::new(Shared::new(Metrics::new("rides", None)));
        start(listener, guard, shared, limits, MOMENT / 10)?;
        Ok(port)
    }

    /// Puts this certificate into the Secret.
    fn have(&self, (chain, key): &(String, String)) {
        write(self.secrets.path(), "page-tls", "tls.crt", chain);
        write(self.secrets.path(), "page-tls", "tls.key", key);
    }

    /// The answer over plain HTTP.
    async fn ask(&self, path: &str, authorization: Option<&str>) -> String {
        ask(TcpStream::connect(self.address).await.unwrap(), path, authorization).await.unwrap()
    }

    /// The answer over TLS to a client that trusts this authority and means this host.
    async fn ask_with_tls(&self, trusted: &Authority, host: &str, token: &str) -> io::Result<String> {
        let stream = connect(self.address, trusted, host).await?;
        ask(stream, "/metrics", Some(&format!("Bearer {token}"))).await
    }
}

async fn connect(
    address: SocketAddr,
    trusted: &Authority,
    host: &str,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.0.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host.to_owned()).unwrap(), stream).await
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
    authorization: Option<&str>,
) -> io::Result<String> {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\n{authorization}\r\n").as_bytes()).await?;
    to_the_end(stream).await
}

/// What comes until the other side closes the connection.
async fn to_the_end(mut stream: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut text = Vec::new();
    timeout(SOON, stream.read_to_end(&mut text)).await.expect("the port closes the connection")?;
    Ok(String::from_utf8(text).unwrap())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// Waits until this is the case, at the latest soon.
async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    timeout(SOON, async { while !is_so().await {} }).await.expect("it should be so by now");
}

#[tokio::test]
async fn over_tls_only_a_client_that_trusts_the_authority_and_means_the_name_is_served() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let port = Port::new(Some(ours.sign(NAME)), None).await;
    let answer = port.ask_with_tls(&ours, NAME, "").await.unwrap();
    assert!(status(&answer) == "200" && answer.contains("weir_epochs_total"), "{answer}");
    for (trusted, host, says) in [(&other, NAME, "UnknownIssuer"), (&ours, "fares.data.svc", "not valid for name")] {
        let said = port.ask_with_tls(trusted, host, "").await.unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn a_client_without_tls_is_told_to_use_it_and_sees_nothing_else() {
    let port = Port::new(Some(Authority::new("ours").sign(NAME)), None).await;
    for path in ["/metrics", "/healthz"] {
        let answer = port.ask(path, None).await;
        let said = answer.split("\r\n\r\n").nth(1).unwrap();
        assert_eq!((status(&answer), said), ("400", "this port speaks HTTPS: write https:// in place of http://\n"));
    }
}

#[tokio::test]
async fn without_its_token_a_page_is_refused_and_a_probe_is_not() {
    let port = Port::new(None, Some(TOKEN)).await;
    for (path, authorization, code) in [
        ("/metrics", Some(format!("Bearer {TOKEN}")), "200"),
        ("/metrics", Some(format!("bearer   {TOKEN}")), "200"),
        ("/progress", Some(format!("Bearer {TOKEN}")), "204"),
        ("/nothing", Some(format!("Bearer {TOKEN}")), "404"),
        ("/metrics", None, "401"),
        ("/progress", None, "401"),
        ("/nothing", None, "401"),
        ("/healthz/", None, "401"),
        ("/metrics", Some(format!("Bearer {TOKEN}x")), "401"),
        ("/metrics", Some(format!("Bearer {}", &TOKEN[1..])), "401"),
        ("/metrics", Some("Bearer ".to_owned()), "401"),
        ("/metrics", Some(format!("Basic {TOKEN}")), "401"),
        ("/metrics", Some(TOKEN.to_owned()), "401"),
        ("/healthz", None, "200"),
        ("/readyz", None, "503"),
    ] {
        let answer = port.ask(path, authorization.as_deref()).await;
        assert_eq!(status(&answer), code, "{path} with {authorization:?}: {answer}");
        let challenges = answer.to_lowercase().contains("www-authenticate: bearer");
        assert_eq!(challenges, code == "401", "{answer}");
        assert!(!answer.contains(&TOKEN[1..]), "{answer}");
    }
}

#[tokio::test]
async fn a_new_token_replaces_the_old_one_and_what_is_none_does_not() {
    let port = Port::new(None, Some(TOKEN)).await;
    let is = async |token: &str| status(&port.ask("/metrics", Some(&format!("Bearer {token}"))).await) == "200";
    write(port.secrets.path(), "page", "token", "another-token-of-the-page\n");
    until(|| is("another-token-of-the-page")).await;
    assert!(!is(TOKEN).await);
    // No text of this Secret is taken until it is a token again.
    write(port.secrets.path(), "page", "token", "short");
    tokio::time::sleep(MOMENT).await;
    assert!(is("another-token-of-the-page").await && !is("short").await);
    write(port.secrets.path(), "page", "token", TOKEN);
    until(|| is(TOKEN)).await;
}

#[tokio::test]
async fn a_new_certificate_replaces_the_old_one_and_a_broken_one_does_not() {
    let (first, second) = (Authority::new("one"), Authority::new("one"));
    let port = Port::new(Some(first.sign(NAME)), None).await;
    let is = async |of: &Authority| port.ask_with_tls(of, NAME, "").await.is_ok();
    let (new, unfitting) = (second.sign(NAME), second.sign(NAME).1);
    // A connection from before the exchange is served to its end.
    let before = connect(port.address, &first, NAME).await.unwrap();
    for broken in [(new.0.clone(), unfitting), (new.0.clone(), String::new()), ("none".to_owned(), new.1.clone())] {
        port.have(&broken);
        tokio::time::sleep(MOMENT).await;
        assert!(is(&first).await);
    }
    std::fs::remove_dir_all(port.secrets.path().join("page-tls")).unwrap();
    tokio::time::sleep(MOMENT).await;
    assert!(is(&first).await);
    port.have(&new);
    until(|| is(&second)).await;
    assert!(!is(&first).await);
    assert_eq!(status(&ask(before, "/metrics", None).await.unwrap()), "200");
}

#[tokio::test]
async fn secrets_that_can_not_be_used_end_the_start_with_the_reason() {
    let authority = Authority::new("ours");
    let ((chain, key), other) = (authority.sign(NAME), authority.sign(NAME).1);
    let damaged = chain.replace("MII", "???");
    let (crt, private) = ("tls.crt", "tls.key");
    let of = |key: &str| format!("the key `{key}` of the Secret `page-tls` (http.tls.secretRef)");
    for (chain, key, says) in [
        ("", &key, format!("{} has no certificate in PEM", of(crt))),
        (&damaged, &key, format!("{} has a damaged certificate in it", of(crt))),
        (&chain, &chain, format!("{} has no private key in PEM", of(private))),
        (&chain, &other, format!("{} does not belong to the certificate in `tls.crt`", of(private))),
    ] {
        let failed = Port::within(Some((chain.to_owned(), key.clone())), None, LIMITS).await.err().unwrap();
        assert!(failed.remedy == Remedy::Config && failed.message.starts_with(&says), "{says}: {failed}");
    }
    let failed = Port::within(None, Some("short"), LIMITS).await.err().unwrap();
    assert!(failed.message.contains("(http.tokenSecretRef) has no token of 16 to 4096"), "{failed}");
}

#[tokio::test]
async fn a_client_that_is_slow_is_cut_off() {
    let limits = Limits { handshake: MOMENT, answer: MOMENT, ..LIMITS };
    // One that says nothing, or begins a handshake and does not go on.
    let with_tls = Port::within(Some(Authority::new("ours").sign(NAME)), None, limits).await.unwrap();
    for begun in [&b""[..], b"\x16\x03\x01"] {
        let mut stream = TcpStream::connect(with_tls.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        assert_eq!(to_the_end(stream).await.unwrap(), "");
    }
    // One that begins a request and does not go on.
    let plain = Port::within(None, None, limits).await.unwrap();
    let mut stream = TcpStream::connect(plain.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    assert_eq!(to_the_end(stream).await.unwrap(), "");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    const BYTES: usize = 64 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let pages = Router::new().fallback(async || "x".repeat(BYTES));
    let keys = watch::channel(Arc::new(Keys::default())).1;
    tokio::spawn(server::serve(listener, pages, keys, Limits { answer: MOMENT, ..LIMITS }));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(5 * MOMENT).await;
    let mut taken = Vec::new();
    // The system has sent what it had taken of the answer.
    let _ = timeout(SOON, stream.read_to_end(&mut taken)).await.expect("the port closes the connection");
    assert!(!taken.is_empty() && taken.len() < BYTES, "{}", taken.len());
}

#[tokio::test]
async fn connections_that_are_held_open_keep_no_probe_out() {
    let port = Port::within(None, None, Limits { connections: 3, ..LIMITS }).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(TcpStream::connect(port.address).await.unwrap());
    }
    assert_eq!(status(&port.ask("/healthz", None).await), "200");
    // The last two are open: what is asked over them is answered. The probe took the place of the one before.
    for last in held.split_off(6) {
        assert_eq!(status(&ask(last, "/healthz", None).await.unwrap()), "200");
    }
    for oldest in held {
        assert_eq!(to_the_end(oldest).await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_request_is_bounded_and_changes_nothing() {
    let port = Port::new(None, Some(TOKEN)).await;
    let long = "x".repeat(20 << 10);
    assert_eq!(status(&port.ask("/healthz", Some(&long)).await), "431");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        let request = format!("{method} /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(status(&to_the_end(stream).await.unwrap()), "405");
    }
}

//! One HTTP GET and its answer, as with `curl`, over plain HTTP or TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The status line and headers, in lower case.
    pub head: String,
    pub body: String,
}

/// # Errors
/// If nothing listens there, or the answer is not HTTP.
pub fn get(address: &str, path: &str) -> std::io::Result<Answer> {
    ask(connect(address)?, address, path, None)
}

/// A GET over TLS, with the authority in this PEM trusted, and the server's certificate checked for `localhost`.
///
/// # Errors
/// If nothing listens there, the certificate is not trusted, or the answer is not HTTP.
pub fn get_with_tls(address: &str, authority: &str, path: &str, token: Option<&str>) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).map_err(std::io::Error::other)?).ok();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    ask(StreamOwned::new(connection, connect(address)?), address, path, token)
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn ask(mut stream: impl Read + Write, host: &str, path: &str, token: Option<&str>) -> std::io::Result<Answer> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    // HTTP/1.0: the end of the connection is the end of the answer.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n{token}\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let odd = || std::io::Error::other(format!("no HTTP answer: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(odd)?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(odd)?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

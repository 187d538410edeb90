//! What is wrong with a broker's certificate. OpenSSL tells librdkafka that it could not be verified, and not why. So a
//! second implementation of TLS looks at the certificate once more, only to find words; it decides nothing.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};

const DEADLINE: Duration = Duration::from_secs(3);

/// Looks at the certificate of the server at `host:port`, with these authorities trusted (in PEM), or those of the
/// machine. `None` if nothing can be said.
pub(super) fn fault(address: &str, trusted: Option<&str>) -> Option<String> {
    let (host, error) = error(address, trusted)?;
    Some(match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the broker's certificate has expired; have it renewed".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet; see whether the clocks are right".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // Each is written as `DnsName("kafka.data")`.
            let names: Vec<_> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
            format!(
                "the broker's certificate is not for {host} but for {}; write an address that it is for, or have {host} \
                 put into it",
                names.join(", ")
            )
        }
        CertificateError::NotValidForName => format!("the broker's certificate is not for {host}"),
        CertificateError::UnknownIssuer => match trusted {
            Some(_) => {
                "the broker's certificate was not signed by the authority in `tls.caSecretRef`; write the one that has \
                 signed it"
            }
            None => {
                "the broker's certificate was signed by an authority that this machine does not know; write its \
                 certificate as `tls.caSecretRef` in the connection"
            }
        }
        .to_owned(),
        other => format!("the broker's certificate can't be trusted: {other}"),
    })
}

/// Whether the server at `host:port` answers with a certificate, so that it speaks TLS.
pub(super) fn is_there(address: &str) -> bool {
    // Nobody is trusted, so each certificate is a fault.
    error(address, Some("")).is_some()
}

/// Whether anybody takes a connection at `host:port`.
pub(super) fn is_reached(address: &str) -> bool {
    connect(address).is_some()
}

fn connect(address: &str) -> Option<TcpStream> {
    TcpStream::connect_timeout(&address.to_socket_addrs().ok()?.next()?, DEADLINE).ok()
}

/// The host of this address, and why its certificate is not trusted.
fn error(address: &str, trusted: Option<&str>) -> Option<(String, CertificateError)> {
    let host = address.rsplit_once(':')?.0.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).ok()?;
    let mut roots = RootCertStore::empty();
    match trusted {
        Some(pem) => roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten()),
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    stream.set_write_timeout(Some(DEADLINE)).ok()?;
    let error = connection.complete_io(&mut stream).err()?;
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(error) => Some((host, error.clone())),
        _ => None,
    }
}

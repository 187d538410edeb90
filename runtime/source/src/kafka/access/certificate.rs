//! What is wrong with a broker's certificate. OpenSSL tells librdkafka that it could not be verified, and not why. So a
//! second implementation of TLS looks at the certificate once more, only to find words; it decides nothing.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use weir_base::certificates::{Server, authorities};
use weir_base::storage::Secrets;
use weir_plan::plan::SecretKey;

const DEADLINE: Duration = Duration::from_secs(3);

/// Looks at the certificate of the broker at `host:port`, with the document's CA trusted, or those of the machine.
/// `None` if nothing can be said.
pub(super) fn fault(address: &str, ca: Option<&SecretKey>, secrets: &Secrets) -> Option<String> {
    let trusted = match ca {
        Some(ca) => authorities(ca, secrets).ok()?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let broker = Server {
        certificate: "the broker's certificate",
        ca,
        ca_field: "`tls.caSecretRef`",
        address_field: "`bootstrapServers`",
    };
    Some(broker.refused(&error(address, trusted)?))
}

/// Whether the server at `host:port` answers with a certificate, so that it speaks TLS.
pub(super) fn is_there(address: &str) -> bool {
    // Nobody is trusted, so each certificate is a fault.
    error(address, Vec::new()).is_some()
}

/// Whether anybody takes a connection at `host:port`.
pub(super) fn is_reached(address: &str) -> bool {
    connect(address).is_some()
}

fn connect(address: &str) -> Option<TcpStream> {
    TcpStream::connect_timeout(&address.to_socket_addrs().ok()?.next()?, DEADLINE).ok()
}

/// Why the certificate at this address is not trusted.
fn error(address: &str, trusted: Vec<CertificateDer<'static>>) -> Option<CertificateError> {
    let host = address.rsplit_once(':')?.0.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).ok()?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
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
        rustls::Error::InvalidCertificate(error) => Some(error.clone()),
        _ => None,
    }
}

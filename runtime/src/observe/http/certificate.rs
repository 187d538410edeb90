//! The server's side of TLS, from the certificate and the key of a Secret.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, ServerConfig};

use crate::failure::{Failure, Result};

/// The keys of a Secret of the type `kubernetes.io/tls`.
pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const PRIVATE_KEY: &str = "tls.key";

/// TLS 1.2 or 1.3 with this certificate, followed by intermediate ones if there are any, and its private key, both in
/// PEM.
///
/// # Errors
/// `Config` for texts that can't be used. The messages show nothing of them.
pub(super) fn server(secret: &str, certificates: &str, private_key: &str) -> Result<Arc<ServerConfig>> {
    let of = |key: &str| format!("the key `{key}` of the Secret `{secret}` (http.tls.secretRef)");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
    let chain = chain.map_err(|_| Failure::config(format!("{} has a damaged certificate in it", of(CERTIFICATE))))?;
    if chain.is_empty() {
        return Err(Failure::config(format!(
            "{} has no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----",
            of(CERTIFICATE)
        )));
    }
    let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes()).map_err(|_| {
        Failure::config(format!(
            "{} has no private key in PEM that can be read, which begins with -----BEGIN PRIVATE KEY----- and is not \
             encrypted",
            of(PRIVATE_KEY)
        ))
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                Failure::config(format!("{} does not belong to the certificate in `{CERTIFICATE}`", of(PRIVATE_KEY)))
            }
            other => Failure::config(format!("{} and `{PRIVATE_KEY}` can't be used: {other}", of(CERTIFICATE))),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

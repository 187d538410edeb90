//! TLS to a store: the CA that the document names, and what it means when a server's certificate is refused.

use std::error::Error;
use std::io;

use object_store::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, InvalidMessage, RootCertStore};
use weir_plan::plan::SecretKey;
use weir_plan::quote::quoted;

use super::secrets::Secrets;
use crate::failure::{Failure, Result};

/// The certificates in a key of a Secret, at least one. They are trusted beside those of the system.
pub(super) fn authorities(ca: &SecretKey, secrets: &Secrets) -> Result<Vec<Certificate>> {
    let pem = secrets.read(&ca.secret, &ca.key)?;
    let wrong = |why: &str| {
        Failure::config(format!(
            "{}: {why}; put the certificate of the server's CA there, in PEM (`-----BEGIN CERTIFICATE-----`)",
            named(ca)
        ))
    };
    let mut found = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = der.ok().and_then(|der| certificate(&der));
        found.push(certificate.ok_or_else(|| wrong("a certificate in it is damaged"))?);
    }
    if found.is_empty() { Err(wrong("there is no certificate in it")) } else { Ok(found) }
}

/// The certificate for the client, which itself would only find out later that it is damaged.
fn certificate(der: &CertificateDer<'static>) -> Option<Certificate> {
    RootCertStore::empty().add(der.clone()).ok()?;
    Certificate::from_der(der).ok()
}

/// Why no request could be sent over TLS, if that is the error: one sentence with the remedy.
pub(super) fn refusal(error: &object_store::Error, endpoint: &str, ca: Option<&SecretKey>) -> Option<String> {
    Some(match tls_error(error)? {
        rustls::Error::InvalidCertificate(why) => match why {
            // The signature is bad if another CA has the same name, as after an exchange of the CA.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => match ca {
                None => format!(
                    "the certificate of {endpoint} is from a CA that this machine does not trust: name the CA's \
                     certificate in s3.caSecretRef"
                ),
                Some(ca) => format!(
                    "the certificate of {endpoint} is not from the CA in {}: put the certificate of the server's own \
                     CA there",
                    named(ca)
                ),
            },
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "the certificate of {endpoint} has expired: renew it on the server, or correct this machine's clock"
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of {endpoint} is not valid yet: correct this machine's clock, or give the server \
                 another certificate"
            ),
            CertificateError::NotValidForNameContext { expected, presented } => format!(
                "the certificate of {endpoint} is not for the host {} but for {}: write a host that it names into \
                 s3.endpoint, or give the server a certificate for this one",
                quoted(expected.to_str()),
                names(presented)
            ),
            other => format!(
                "the certificate of {endpoint} is refused ({other}): give the server one that a CA has issued for \
                 its host"
            ),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{endpoint} does not answer with TLS: write http:// into s3.endpoint if the server has no TLS")
        }
        rustls::Error::PeerIncompatible(why) => {
            format!("{endpoint} can't agree on how to use TLS ({why:?}): TLS 1.2 or 1.3 is needed")
        }
        _ => return None,
    })
}

/// Whether the server's certificate was refused.
pub(super) fn is_refused(error: &object_store::Error) -> bool {
    matches!(tls_error(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// The error of TLS below an error of the store's client.
fn tls_error(error: &object_store::Error) -> Option<&rustls::Error> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |e| cause(*e))
        .find_map(|e| e.downcast_ref::<rustls::Error>())
}

/// The cause of an error. An I/O error leaves out the error that it holds when it is asked for its source.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

fn named(key: &SecretKey) -> String {
    format!("the key {} of the Secret {}", quoted(&key.key), quoted(&key.secret))
}

/// The names in a certificate. rustls writes each as `DnsName("host")` or `IpAddress(1.2.3.4)`.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        quoted(inner.trim_matches('"'))
    };
    if presented.is_empty() {
        "no host at all".to_owned()
    } else {
        presented.iter().map(plain).collect::<Vec<_>>().join(", ")
    }
}

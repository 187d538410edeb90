//! The certificates of CAs that a document names, and what it means when a server's certificate is refused. Stores and
//! brokers share the words.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, RootCertStore};
use weir_plan::plan::SecretKey;
use weir_plan::quote::quoted;

use crate::failure::{Failure, Result};
use crate::storage::Secrets;

/// The certificates in a key of a Secret, at least one. They are looked at here, because some clients would only find
/// out later that one is damaged.
///
/// # Errors
/// `Config`, if the Secret lacks the key, or a certificate in it can't be read.
pub fn authorities(ca: &SecretKey, secrets: &Secrets) -> Result<Vec<CertificateDer<'static>>> {
    let pem = secrets.read(&ca.secret, &ca.key)?;
    let wrong = |why: &str| {
        Failure::config(format!(
            "{}: {why}; put the certificate of the server's CA there, in PEM (`-----BEGIN CERTIFICATE-----`)",
            named(ca)
        ))
    };
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate =
            certificate.ok().filter(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
        found.push(certificate.ok_or_else(|| wrong("a certificate in it is damaged"))?);
    }
    if found.is_empty() { Err(wrong("there is no certificate in it")) } else { Ok(found) }
}

/// A server whose certificate was looked at, as a person would look for it.
pub struct Server<'a> {
    /// Its certificate, such as "the certificate of `https://store:9000`".
    pub certificate: &'a str,
    /// The CA that the document names for it.
    pub ca: Option<&'a SecretKey>,
    /// The field in which the document names the CA.
    pub ca_field: &'a str,
    /// The field in which the document has its address.
    pub address_field: &'a str,
}

impl Server<'_> {
    /// One sentence that says why the certificate is refused, with the remedy.
    #[must_use]
    pub fn refused(&self, why: &CertificateError) -> String {
        let Self { certificate, ca, ca_field, address_field } = self;
        match why {
            // The signature is bad if another CA has the same name, as after an exchange of the CA.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => match ca {
                None => format!(
                    "{certificate} is from a CA that this machine does not trust: name the CA's certificate in \
                     {ca_field}"
                ),
                Some(ca) => format!(
                    "{certificate} is not from the CA in {}: put the certificate of the server's own CA there",
                    named(ca)
                ),
            },
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("{certificate} has expired: renew it on the server, or correct this machine's clock")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "{certificate} is not valid yet: correct this machine's clock, or give the server another certificate"
            ),
            CertificateError::NotValidForNameContext { expected, presented } => format!(
                "{certificate} is not for the host {} but for {}: write a host that it names into {address_field}, or \
                 give the server a certificate for this one",
                quoted(expected.to_str()),
                names(presented)
            ),
            other => {
                format!("{certificate} is refused ({other}): give the server one that a CA has issued for its host")
            }
        }
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

//! Which certificate of a pod is trusted. It must be valid for the name of the pipeline's Service, now, and either from
//! the authority in `ca.crt` of the Secret or, without one, the very certificate in `tls.crt`.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The key of a Secret with the certificates of the authority that has signed `tls.crt`, as cert-manager writes it.
pub const CA_KEY: &str = "ca.crt";

/// Trust in the certificate of a pod.
#[derive(Clone)]
pub struct Trust {
    pub config: ClientConfig,
    /// The name for which the certificate must be valid.
    pub host: String,
    secret: String,
    is_in_authority: bool,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("host", &self.host).field("secret", &self.secret).finish_non_exhaustive()
    }
}

impl Trust {
    /// Trust in what this authority has signed.
    ///
    /// # Errors
    /// One sentence, for a text without certificates.
    pub(super) fn in_authority(secret: &str, pem: &[u8], host: &str) -> Result<Self, String> {
        Self::new(secret, CA_KEY, pem, host)
    }

    /// Trust in this certificate, whoever has signed it.
    ///
    /// # Errors
    /// One sentence, for a text without certificates.
    pub(super) fn in_certificate(secret: &str, pem: &[u8], host: &str) -> Result<Self, String> {
        Self::new(secret, "tls.crt", pem, host)
    }

    fn new(secret: &str, key: &str, pem: &[u8], host: &str) -> Result<Self, String> {
        let wrong = || format!("the key `{key}` of the Secret `{secret}` has no certificate in PEM: put one there");
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let is_in_authority = key == CA_KEY;
        let verifier = Verifier {
            by_authority: by_authority.map_err(|_| wrong())?,
            own: certificates.into_iter().next().filter(|_| !is_in_authority),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { config, host: host.to_owned(), secret: secret.to_owned(), is_in_authority })
    }

    /// What is wrong with the TLS of a pod, as the end of a sentence that begins with its address.
    #[must_use]
    pub fn describe(&self, error: &Error) -> String {
        let Self { host, secret, .. } = self;
        let Error::InvalidCertificate(error) = error else {
            return format!("does not speak TLS as it should: {error}");
        };
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("has a certificate that has expired: renew it in the Secret `{secret}`")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "has a certificate that is not valid yet: see whether the clocks are right".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("has a certificate that is not for {host}: have that name put into it")
            }
            // The second one is that of another authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature if self.is_in_authority => format!(
                "has a certificate that is not from the authority in the key `{CA_KEY}` of the Secret `{secret}`; a pod \
                 takes a new certificate within two minutes"
            ),
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "has another certificate than the key `tls.crt` of the Secret `{secret}`; a pod takes a new one within \
                 two minutes"
            ),
            other => format!("has a certificate that can't be trusted: {other}"),
        }
    }
}

#[derive(Debug)]
struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    /// The only certificate that is trusted, whoever has signed it.
    own: Option<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own.as_ref().is_some_and(|own| own != end_entity) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let verified = self.by_authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Nobody else needs to vouch for our own certificate: neither an authority that it does not name, nor one
            // that it is itself, as with `openssl req -x509`. The dates were looked at before.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
                if self.own.is_some() =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

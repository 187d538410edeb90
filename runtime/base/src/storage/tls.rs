//! TLS to a store: what it means when no request could be sent over it.

use std::error::Error;
use std::io;

use rustls::InvalidMessage;
use weir_plan::plan::SecretKey;

use crate::certificates::Server;

/// Why no request could be sent over TLS, if that is the error: one sentence with the remedy.
pub(super) fn refusal(error: &object_store::Error, endpoint: &str, ca: Option<&SecretKey>) -> Option<String> {
    Some(match tls_error(error)? {
        rustls::Error::InvalidCertificate(why) => {
            let certificate = &format!("the certificate of {endpoint}");
            Server { certificate, ca, ca_field: "s3.caSecretRef", address_field: "s3.endpoint" }.refused(why)
        }
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
pub(super) fn is_certificate_refused(error: &object_store::Error) -> bool {
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

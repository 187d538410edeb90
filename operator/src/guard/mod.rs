//! What the operator needs to ask a pod whose HTTP port is guarded: whom to trust, and a token. Both come from the
//! Secrets that the document of the pod names.

mod certificate;
mod keyring;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use reqwest::header::HeaderValue;
use weir_crds::document::Http;

pub use self::certificate::{CA_KEY, Trust};
pub use self::keyring::Keyring;
use crate::error::asking;
use crate::labels::Owner;

/// What to ask a pod with.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// `None`: over plain HTTP.
    pub trust: Option<Trust>,
    /// `None`: without a token.
    pub token: Option<Token>,
}

/// A token, which the client's own logs do not show.
#[derive(Debug, Clone)]
pub struct Token {
    pub header: HeaderValue,
    /// Where it is from, for messages.
    pub from: String,
}

/// The name under which the pods of a pipeline are known: their Service's. Certificates must be valid for it.
#[must_use]
pub fn host(owner: &Owner) -> String {
    format!("{}.{}.svc", owner.name, owner.namespace)
}

/// Reads the Secrets. No other code of the operator keeps a value of a Secret.
///
/// # Errors
/// One sentence, if the API server does not answer or a Secret is not right.
pub async fn read(client: &Client, owner: &Owner, http: &Http) -> Result<Keys, String> {
    let api = Api::<Secret>::namespaced(client.clone(), &owner.namespace);
    let get = async |name: &str| {
        let secret = asking(format!("get Secret {name}"), api.get_opt(name)).await.map_err(|e| e.to_string())?;
        Ok::<_, String>(secret.and_then(|secret| secret.data).unwrap_or_default())
    };
    let trust = match &http.tls {
        Some(tls) => Some(trust(&tls.secret_ref.name, &get(&tls.secret_ref.name).await?, owner)?),
        None => None,
    };
    let token = match &http.token_secret_ref {
        Some(key) => Some(token(&key.name, &key.key, &get(&key.name).await?)?),
        None => None,
    };
    Ok(Keys { trust, token })
}

pub(crate) type Data = BTreeMap<String, ByteString>;

pub(crate) fn trust(secret: &str, data: &Data, owner: &Owner) -> Result<Trust, String> {
    let text = |key: &str| data.get(key).map(|value| value.0.as_slice()).filter(|value| !value.is_empty());
    match (text(CA_KEY), text("tls.crt")) {
        (Some(authority), _) => Trust::in_authority(secret, authority, &host(owner)),
        (None, Some(certificate)) => Trust::in_certificate(secret, certificate, &host(owner)),
        (None, None) => Err(format!("the Secret `{secret}` has no key `tls.crt`: add it")),
    }
}

pub(crate) fn token(secret: &str, key: &str, data: &Data) -> Result<Token, String> {
    let from = format!("the key `{key}` of the Secret `{secret}`");
    let text = data.get(key).ok_or_else(|| format!("the Secret `{secret}` has no key `{key}`: add it"))?;
    // As the runtime reads it, without one line end at its end.
    let text = text.0.strip_suffix(b"\n").map_or(&*text.0, |text| text.strip_suffix(b"\r").unwrap_or(text));
    let mut header = HeaderValue::from_bytes(&[b"Bearer ", text].concat())
        .map_err(|_| format!("{from} has no token that a header can have: put another one there"))?;
    header.set_sensitive(true);
    Ok(Token { header, from })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn data(key: &str, value: &str) -> Data {
        [(key.to_owned(), ByteString(value.as_bytes().to_vec()))].into()
    }

    #[test]
    fn a_token_is_sent_without_its_line_end_and_shown_nowhere() {
        for text in ["0123456789abcdef", "0123456789abcdef\n", "0123456789abcdef\r\n"] {
            let token = token("page", "token", &data("token", text)).unwrap();
            assert_eq!(token.header.as_bytes(), b"Bearer 0123456789abcdef");
            let shown = format!("{:?}", Keys { trust: None, token: Some(token) });
            assert!(!shown.contains("0123"), "{shown}");
        }
    }

    #[test]
    fn what_a_secret_lacks_is_named_and_what_it_has_is_not_shown() {
        let owner = crate::fixtures::owner();
        let said = |found: Result<(), String>| found.unwrap_err();
        assert_eq!(
            said(token("page", "token", &data("pin", "1")).map(drop)),
            "the Secret `page` has no key `token`: add it"
        );
        assert_eq!(
            said(token("page", "token", &data("token", "two\nlines")).map(drop)),
            "the key `token` of the Secret `page` has no token that a header can have: put another one there"
        );
        assert_eq!(
            said(trust("page-tls", &data("tls.crt", ""), &owner).map(drop)),
            "the Secret `page-tls` has no key `tls.crt`: add it"
        );
        assert_eq!(
            said(trust("page-tls", &data("ca.crt", "secret"), &owner).map(drop)),
            "the key `ca.crt` of the Secret `page-tls` has no certificate in PEM: put one there"
        );
    }
}

//! Tokens from an authorization server, asked for with OAuth's client credentials (RFC 6749, section 4.4).

use std::time::Duration;

use reqwest::{Certificate, StatusCode};
use serde::Deserialize;
use url::Url;
use weir_base::certificates::authorities;
use weir_base::failure::{Failure, Result};
use weir_base::storage::Secrets;
use weir_plan::plan::{Oauth, Tls};

use super::tokens::{DEADLINE, Token};

/// The most bytes of an answer that are read; a token has some thousand.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The lifetime of a token whose server gives none.
const LIVES: Duration = Duration::from_secs(300);
/// The most characters of a server's explanation that a message repeats.
const EXPLANATION_CHARS_MAX: usize = 200;

pub(super) struct Client {
    oauth: Oauth,
    /// The endpoint as messages show it.
    endpoint: String,
    secrets: Secrets,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Client {
    /// # Errors
    /// `Config`, if the certificates that are to be trusted can't be read.
    pub(super) fn new(oauth: &Oauth, tls: Option<&Tls>, secrets: &Secrets) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .timeout(DEADLINE)
            .https_only(true)
            // A redirect would send the client's secret to whoever the answer names.
            .redirect(reqwest::redirect::Policy::none());
        // A server of one's own is mostly under the brokers' authority.
        if let Some(key) = tls.and_then(|tls| tls.ca.as_ref()) {
            for authority in authorities(key, secrets)? {
                let authority = Certificate::from_der(&authority)
                    .map_err(|e| Failure::bug(format!("a certificate that was just read can't be used: {e}")))?;
                builder = builder.add_root_certificate(authority);
            }
        }
        let http = builder.build().map_err(|e| Failure::config(format!("the client for tokens: {e}")))?;
        let endpoint = shown(&oauth.token_endpoint);
        Ok(Self { oauth: oauth.clone(), endpoint, secrets: secrets.clone(), http })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Reads the client's secret again and asks once.
    pub(super) async fn ask(&self) -> Result<Token> {
        let Oauth { token_endpoint, client_id, client_secret, scope } = &self.oauth;
        let endpoint = &self.endpoint;
        let secret = self.secrets.read(&client_secret.secret, &client_secret.key)?;
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let sent = self.http.post(token_endpoint).basic_auth(form_encoded(client_id), Some(form_encoded(&secret)));
        let unreachable = |e: reqwest::Error| {
            Failure::retry(format!("the token endpoint {endpoint} can't be reached: {}", causes(&e.without_url())))
        };
        let mut answer = sent.form(&form).send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let says = format!("the token endpoint {endpoint} sent more than {ANSWER_BYTES_MAX} bytes");
                return Err(Failure::config(format!("{says}; is it the address for tokens?")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
                Failure::config(format!(
                    "the token endpoint {endpoint} answered {status} without an `access_token` in JSON; is it \
                     the address for tokens?"
                ))
            })?;
            let lives = answer.expires_in.map_or(LIVES, Duration::from_secs);
            return Ok(Token { value: answer.access_token, principal: client_id.clone(), lives });
        }
        Err(self.refused(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn refused(&self, status: StatusCode, Refusal { error, error_description }: &Refusal) -> Failure {
        let Oauth { client_id, client_secret, .. } = &self.oauth;
        let explanation = [error, error_description].map(|text| text.chars().take(EXPLANATION_CHARS_MAX).collect());
        let explanation: Vec<String> = explanation.into_iter().filter(|text: &String| !text.is_empty()).collect();
        let explanation = if explanation.is_empty() {
            String::new()
        } else {
            format!(" ({})", explanation.join(": ").escape_debug())
        };
        let says = format!("the token endpoint {} answered {status}{explanation}", self.endpoint);
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Failure::retry(says);
        }
        Failure::config(format!(
            "{says}; see whether `{client_id}` may have tokens there, and whether the key `{}` of the Secret `{}` is its \
             secret",
            client_secret.key, client_secret.secret
        ))
    }
}

/// The endpoint without what may be a secret in it: a user before the host, and what it asks for.
fn shown(endpoint: &str) -> String {
    let Ok(mut url) = Url::parse(endpoint) else { return "(hidden)".to_owned() };
    let hides_user = !url.username().is_empty() || url.password().is_some();
    let (asks, has_fragment) = (url.query().is_some(), url.fragment().is_some());
    // Both fail only for an address without a host, which has no user.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(asks.then_some("(hidden)"));
    url.set_fragment((has_fragment && !asks).then_some("(hidden)"));
    match hides_user {
        true => url.as_str().replacen("://", "://(hidden)@", 1),
        false => url.into(),
    }
}

/// RFC 6749, section 2.3.1: both are encoded as in a form before they go into the header.
fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// An error with all that caused it: reqwest's own text says only that the request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn an_endpoint_is_shown_without_its_user_and_without_what_it_asks_for() {
        for (endpoint, as_shown) in [
            ("https://login/oauth2/token", "https://login/oauth2/token"),
            ("https://login:8443/t", "https://login:8443/t"),
            ("https://login/t?x=hunter2#hunter2", "https://login/t?(hidden)"),
            ("https://login/t#hunter2", "https://login/t#(hidden)"),
            ("https://u:hunter2@login/t", "https://(hidden)@login/t"),
            ("https://hunter2@login/t?x=hunter2", "https://(hidden)@login/t?(hidden)"),
            ("https://u:hun/hunter2@login/t", "(hidden)"),
        ] {
            assert_eq!(shown(endpoint), as_shown);
        }
    }
}

//! The certificate and the token that guard the port, as the files of mounted Secrets have them now.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;
use weir_plan::plan::{Http, SecretKey};

use super::certificate::{self, CERTIFICATE, PRIVATE_KEY};
use super::token::Token;
use crate::failure::{Failure, Result};
use crate::storage::Secrets;

/// The wait between two looks at the files. The kubelet itself takes a minute or so to bring a Secret's new content.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// What the document says of the port, and where its Secrets are.
#[derive(Clone)]
pub(in crate::observe) struct Guard {
    http: Http,
    secrets: Secrets,
}

/// What a connection and a request are held against.
#[derive(Default)]
pub(super) struct Keys {
    /// `None`: plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// `None`: no token is asked for.
    pub(super) token: Option<Token>,
}

/// A mark of what the files were at some moment. It says whether they are others now, and nothing else about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Guard {
    /// Reads no file yet.
    pub(in crate::observe) fn new(http: &Http, secrets: &Secrets) -> Self {
        Self { http: http.clone(), secrets: secrets.clone() }
    }

    /// Whether the keys come from files.
    pub(super) fn may_change(&self) -> bool {
        self.http.tls_secret.is_some() || self.http.token.is_some()
    }

    /// Reads the files.
    ///
    /// # Errors
    /// `Config` for a Secret that is not there or can't be used.
    pub(super) fn read(&self) -> Result<(Mark, Keys)> {
        let texts = self.texts()?;
        Ok((texts.mark(), self.keys(&texts)?))
    }

    /// Reads the files again from time to time, and tells the server what is new. What can't be used changes nothing,
    /// and the log says why, once.
    pub(super) async fn renew(self, every: Duration, mut mark: Mark, tell: watch::Sender<Arc<Keys>>) {
        let mut told = None;
        while !tell.is_closed() {
            tokio::time::sleep(every).await;
            let guard = self.clone();
            let look = tokio::task::spawn_blocking(move || guard.others_than(mark)).await;
            match look.unwrap_or_else(|e| Err(Failure::bug(format!("look for a new certificate and token: {e}")))) {
                Ok(None) => told = None,
                Ok(Some((now, keys))) => {
                    (mark, told) = (now, None);
                    tell.send_replace(Arc::new(keys));
                    tracing::info!("the HTTP port has the new content of its Secrets now");
                }
                Err(failure) if told.as_ref() != Some(&failure) => {
                    tracing::warn!(
                        "the HTTP port keeps its certificate and token, since the new ones can't be used: {failure}"
                    );
                    told = Some(failure);
                }
                Err(_) => {}
            }
        }
    }

    fn others_than(&self, mark: Mark) -> Result<Option<(Mark, Keys)>> {
        let texts = self.texts()?;
        let now = texts.mark();
        if now == mark { Ok(None) } else { Ok(Some((now, self.keys(&texts)?))) }
    }

    fn texts(&self) -> Result<Texts> {
        let pair = |secret: &String| {
            let read = |key| self.secrets.read(secret, key);
            // A certificate and a key of different moments would not fit.
            self.secrets.at_one_moment(secret, || Ok((read(CERTIFICATE)?, read(PRIVATE_KEY)?)))
        };
        let token = |SecretKey { secret, key }: &SecretKey| {
            self.secrets.at_one_moment(secret, || self.secrets.read(secret, key))
        };
        Ok(Texts {
            tls: self.http.tls_secret.as_ref().map(pair).transpose()?,
            token: self.http.token.as_ref().map(token).transpose()?,
        })
    }

    fn keys(&self, texts: &Texts) -> Result<Keys> {
        let tls = self.http.tls_secret.as_ref().zip(texts.tls.as_ref());
        let token = self.http.token.as_ref().zip(texts.token.as_ref());
        Ok(Keys {
            tls: tls.map(|(secret, (chain, key))| certificate::server(secret, chain, key)).transpose()?,
            token: token.map(|(key, text)| Token::new(text, key)).transpose()?,
        })
    }
}

/// The content of the files.
struct Texts {
    tls: Option<(String, String)>,
    token: Option<String>,
}

impl Texts {
    fn mark(&self) -> Mark {
        let mut hasher = DefaultHasher::new();
        (&self.tls, &self.token).hash(&mut hasher);
        Mark(hasher.finish())
    }
}

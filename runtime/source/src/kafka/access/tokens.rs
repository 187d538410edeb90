//! Tokens for the mechanism OAUTHBEARER. A thread keeps one at hand that is still good for a while, so that
//! librdkafka's callback, which runs on a lane's thread, never waits for the server that gives tokens.

use std::error::Error;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::OAuthToken;
use tokio::runtime::Runtime;
use weir_base::clock::wall_ms;
use weir_base::failure::{Failure, Result};
use weir_base::storage::Secrets;
use weir_plan::plan::{KafkaConnection, Sasl};

use super::{msk, oauth};

/// How long the first token may take; until then there is no client.
const FIRST_DEADLINE: Duration = Duration::from_secs(30);
/// How long one question may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// The wait after a question without an answer.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The part of its lifetime after which a token is replaced, in percent. librdkafka asks after 80 percent.
const REPLACED_AFTER_PERCENT: u64 = 70;
/// The least time between two tokens, whatever lifetime the server gives them.
const REPLACED_AFTER_MIN: Duration = Duration::from_secs(1);

/// A token that the brokers take.
pub(super) struct Token {
    pub(super) value: String,
    /// Who the token is for, as far as the client knows.
    pub(super) principal: String,
    pub(super) lives: Duration,
}

/// Whatever gives tokens.
enum Giver {
    Oauth(oauth::Client),
    Msk(msk::Signer),
}

impl Giver {
    async fn ask(&self) -> Result<Token> {
        let asked = async {
            match self {
                Self::Oauth(client) => client.ask().await,
                Self::Msk(signer) => signer.ask().await,
            }
        };
        let late = || Failure::retry(format!("{self} did not answer within {DEADLINE:?}"));
        tokio::time::timeout(DEADLINE, asked).await.map_err(|_| late())?
    }
}

impl std::fmt::Display for Giver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Oauth(client) => write!(f, "the token endpoint {}", client.endpoint()),
            Self::Msk(_) => f.write_str("AWS' server for credentials"),
        }
    }
}

/// The present token, and the thread that replaces it. Dropping this ends the thread.
pub(super) struct Tokens {
    shared: Arc<Mutex<Shared>>,
    _alive: mpsc::Sender<()>,
}

#[derive(Default)]
struct Shared {
    token: Option<OAuthToken>,
    /// Why the last question had no answer.
    failure: Option<String>,
}

impl Tokens {
    /// Waits for the first token.
    ///
    /// # Errors
    /// `Config`, if the server refuses this client; `Retry`, if it does not answer.
    pub(super) fn start(sasl: &Sasl, connection: &KafkaConnection, secrets: &Secrets) -> Result<Self> {
        let giver = match sasl {
            Sasl::OauthBearer(oauth) => Giver::Oauth(oauth::Client::new(oauth, connection.tls.as_ref(), secrets)?),
            Sasl::AwsMskIam => Giver::Msk(msk::Signer::new(&connection.bootstrap_servers)?),
            Sasl::Password { .. } => return Err(Failure::bug("a password is no token")),
        };
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let (alive, ended) = mpsc::channel();
        let (first, answer) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::retry(format!("start a thread for tokens: {e}")))?;
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("kafka-tokens".into())
            .spawn(move || keep(&giver, &runtime, &of_thread, &first, &ended))
            .map_err(|e| Failure::retry(format!("start a thread for tokens: {e}")))?;
        match answer.recv_timeout(FIRST_DEADLINE) {
            Ok(Ok(())) => Ok(Self { shared, _alive: alive }),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::retry(format!("no token came within {FIRST_DEADLINE:?}"))),
        }
    }

    /// The present token.
    ///
    /// # Errors
    /// Why there is none that is still good.
    pub(super) fn current(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        match &shared.token {
            Some(t) if t.lifetime_ms > wall_ms() => Ok(OAuthToken {
                token: t.token.clone(),
                principal_name: t.principal_name.clone(),
                lifetime_ms: t.lifetime_ms,
            }),
            _ => Err(shared.failure.clone().unwrap_or_else(|| "the last token has expired".to_owned()).into()),
        }
    }
}

/// Replaces the token until nobody needs it any more.
fn keep(
    giver: &Giver,
    runtime: &Runtime,
    shared: &Mutex<Shared>,
    first: &mpsc::Sender<Result<()>>,
    ended: &mpsc::Receiver<()>,
) {
    let mut first = Some(first);
    loop {
        let asked_at = wall_ms();
        let (result, next) = match runtime.block_on(giver.ask()) {
            Ok(token) => {
                let lives = u64::try_from(token.lives.as_millis()).unwrap_or(u64::MAX);
                let next = Duration::from_millis(lives.saturating_mul(REPLACED_AFTER_PERCENT) / 100);
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                shared.token = Some(OAuthToken {
                    token: token.value,
                    principal_name: token.principal,
                    lifetime_ms: asked_at.saturating_add_unsigned(lives),
                });
                shared.failure = None;
                (Ok(()), next.max(REPLACED_AFTER_MIN))
            }
            Err(failure) => {
                if first.is_none() {
                    tracing::warn!("Kafka: no new token: {failure}");
                }
                shared.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(failure.message.clone());
                (Err(failure), AGAIN_AFTER)
            }
        };
        if let Some(first) = first.take() {
            let failed = result.is_err();
            if first.send(result).is_err() || failed {
                return;
            }
        }
        if ended.recv_timeout(next) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

//! An authorization server that gives tokens for OAuth's client credentials, over HTTPS. Its tokens are not signed; the
//! broker of the tests takes them, and checks their form, their user and how long they live.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Certificate;

/// The server. Its threads end with the process.
#[derive(Clone)]
pub struct TokenServer {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<ServerConfig>,
    client: Mutex<(String, String)>,
    user: String,
    lives_s: AtomicU64,
    given: AtomicUsize,
}

impl TokenServer {
    /// `{"alg":"none"}` in base64, which every token begins with.
    pub const TOKENS_BEGIN_WITH: &str = "eyJhbGciOiJub25lIn0.";

    /// Gives tokens for `user` to the client with this id and secret.
    #[must_use]
    pub fn start(certificate: &Certificate, client: (&str, &str), user: &str) -> Self {
        let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            config: Arc::new(config),
            client: Mutex::new((client.0.to_owned(), client.1.to_owned())),
            user: user.to_owned(),
            lives_s: AtomicU64::new(3600),
            given: AtomicUsize::new(0),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                // A client that does not trust the server ends the connection.
                std::thread::spawn(move || drop(shared.answer(stream)));
            }
        });
        Self { port, shared }
    }

    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}/oauth2/token", self.port)
    }

    /// Tokens given from now on live for so many seconds.
    pub fn tokens_live(&self, seconds: u64) {
        self.shared.lives_s.store(seconds, Ordering::Relaxed);
    }

    /// Takes another secret from now on, and the old one no more.
    pub fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.shared.client.lock().unwrap_or_else(PoisonError::into_inner).1);
    }

    /// How many tokens it has given.
    #[must_use]
    pub fn given(&self) -> usize {
        self.shared.given.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).map_err(std::io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            head += &line;
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let (status, answer) = self.judge(&head, &String::from_utf8_lossy(&body));
        let stream = stream.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    fn judge(&self, head: &str, body: &str) -> (&'static str, String) {
        let (id, secret) = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // RFC 6749, section 2.3.1: both are encoded as in a form first, where a space is a plus sign.
        let credentials = BASE64_STANDARD.encode(format!("{id}:{secret}").replace(' ', "+"));
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        let is_client = headers.any(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && value.strip_prefix("Basic ") == Some(credentials.as_str())
        });
        if !head.starts_with("POST /oauth2/token ") {
            return ("404 Not Found", "{}".to_owned());
        }
        if !is_client {
            return (
                "401 Unauthorized",
                r#"{"error":"invalid_client","error_description":"unknown client"}"#.to_owned(),
            );
        }
        if !body.contains("grant_type=client_credentials") {
            return ("400 Bad Request", r#"{"error":"unsupported_grant_type"}"#.to_owned());
        }
        self.given.fetch_add(1, Ordering::Relaxed);
        let lives_s = self.lives_s.load(Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = format!(r#"{{"sub":"{}","iat":{now},"exp":{}}}"#, self.user, now + lives_s);
        let token = format!("{}{}.", TokenServer::TOKENS_BEGIN_WITH, BASE64_URL_SAFE_NO_PAD.encode(claims));
        ("200 OK", format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{lives_s}}}"#))
    }
}

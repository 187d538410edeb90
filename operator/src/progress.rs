//! Asks a runtime's pod for its progress.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, StatusCode};
use weir_plan::report::{Hold, Report, Source};

use crate::guard::{Keys, Trust};
use crate::pod_template::HTTP_PORT;

/// The deadline for the whole answer, so that a slow pod does not delay other pipelines.
const DEADLINE: Duration = Duration::from_secs(3);
/// The most bytes of an answer. A report of 64 sources with thousands of partitions has a tenth of it. Users choose the
/// image, so the pod may send anything.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The source that holds back the pipeline's watermark, and its partition: the source with the least watermark.
#[must_use]
pub fn held_by(report: &Report) -> Option<(&Source, &Hold)> {
    let held = report.sources.iter().filter_map(|source| Some((source, source.watermark_held_by.as_ref()?)));
    held.min_by_key(|(source, _)| source.watermark.as_ref().and_then(|text| text.parse::<Timestamp>().ok()))
}

/// Reads progress over HTTP. It sends requests only to the address that it was given, since the answer may come from
/// any program.
#[derive(Debug, Clone)]
pub struct ProgressReader {
    client: Client,
    port: u16,
    deadline: Duration,
}

/// Why a pod could not be asked.
#[derive(Debug)]
pub struct Unread {
    /// One sentence that says which address failed and how.
    pub why: String,
    /// Whether the pod does not take the token, or shows a certificate that is not trusted.
    pub is_refused: bool,
}

fn unread(why: String) -> Unread {
    Unread { why, is_refused: false }
}

impl ProgressReader {
    /// A reader with the default deadline.
    ///
    /// # Errors
    /// If the HTTP client can't be created.
    pub fn new() -> reqwest::Result<Self> {
        Self::within(DEADLINE)
    }

    fn within(deadline: Duration) -> reqwest::Result<Self> {
        Ok(Self { client: client(deadline).build()?, port: HTTP_PORT, deadline })
    }

    /// The last report; `None` before the checkpoint is claimed.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn read(&self, pod_ip: &str, keys: &Keys) -> Result<Option<Report>, Unread> {
        let ip: IpAddr =
            pod_ip.parse().map_err(|_| unread(format!("the pod's address `{pod_ip}` is no IP address")))?;
        if is_link_local(ip) {
            return Err(unread(format!("the pod's address {ip} is one of the node's own network, which no pod has")));
        }
        let address = SocketAddr::new(ip, self.port);
        let (url, page) = match &keys.trust {
            None => (format!("http://{address}/progress"), format!("http://{address}/progress")),
            // The name is that of the certificate; the address is the pod's all the same.
            Some(trust) => {
                (format!("https://{}:{}/progress", trust.host, self.port), format!("https://{address}/progress"))
            }
        };
        let failed = |e: reqwest::Error| failure(&page, e, keys.trust.as_ref());
        let mut request = match &keys.trust {
            None => self.client.get(&url),
            Some(trust) => {
                let client = client(self.deadline).use_preconfigured_tls(trust.config.clone());
                client.https_only(true).resolve(&trust.host, address).build().map_err(failed)?.get(&url)
            }
        };
        if let Some(token) = &keys.token {
            request = request.header(AUTHORIZATION, token.header.clone());
        }
        let mut answer = request.send().await.map_err(failed)?;
        match (answer.status(), &keys.token) {
            (StatusCode::OK, _) => {}
            (StatusCode::NO_CONTENT, _) => return Ok(None),
            (StatusCode::UNAUTHORIZED, Some(token)) => {
                let from = &token.from;
                let why =
                    format!("{page} does not take the token in {from}; a pod takes a new token within two minutes");
                return Err(Unread { why, is_refused: true });
            }
            (other, _) => return Err(unread(format!("{page} answers {other}: it is no runtime of Weir, or not well"))),
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len() + part.len() > BODY_BYTES_MAX {
                let why = format!("{page} answers with more than {BODY_BYTES_MAX} bytes: it is no runtime of Weir");
                return Err(unread(why));
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|e| unread(format!("{page} answers with something that is no report: {e}")))
    }
}

fn client(deadline: Duration) -> ClientBuilder {
    Client::builder().timeout(deadline).no_proxy().redirect(Policy::none())
}

fn failure(page: &str, error: reqwest::Error, trust: Option<&Trust>) -> Unread {
    match trust.zip(tls_error(&error)) {
        Some((trust, error)) => Unread { why: format!("{page} {}", trust.describe(error)), is_refused: true },
        None => unread(format!("{page} does not answer: {}", in_full(&error.without_url()))),
    }
}

/// The error of TLS that is the reason for this one.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    // An I/O error takes the source of the error in it for its own.
    let in_io = || error.downcast_ref::<std::io::Error>()?.get_ref().and_then(|inner| tls_error(inner));
    error.downcast_ref().or_else(in_io).or_else(|| tls_error(error.source()?))
}

/// The sentence of an error, and of what has caused it.
fn in_full(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", in_full(source)))
}

/// Whether the address is link-local: there, clouds serve credentials to their machines.
fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;

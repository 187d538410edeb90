//! Asks a runtime's pod for its progress.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use weir_plan::report::{Hold, Report, Source};

use crate::desired::pod::HTTP_PORT;

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
    client: reqwest::Client,
    port: u16,
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
        let client = reqwest::Client::builder().timeout(deadline).no_proxy().redirect(Policy::none()).build()?;
        Ok(Self { client, port: HTTP_PORT })
    }

    /// The last report; `None` before the checkpoint is claimed.
    ///
    /// # Errors
    /// One sentence that says which address failed and how.
    pub async fn read(&self, pod_ip: &str) -> Result<Option<Report>, String> {
        let ip: IpAddr = pod_ip.parse().map_err(|_| format!("the pod's address `{pod_ip}` is no IP address"))?;
        if is_link_local(ip) {
            return Err(format!("the pod's address {ip} is one of the node's own network, which no pod has"));
        }
        let url = format!("http://{}/progress", SocketAddr::new(ip, self.port));
        let failed = |e: reqwest::Error| format!("{url} does not answer: {e}");
        let mut answer = self.client.get(&url).send().await.map_err(failed)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => return Ok(None),
            other => return Err(format!("{url} answers {other}: it is no runtime of Weir, or not well")),
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len() + part.len() > BODY_BYTES_MAX {
                return Err(format!("{url} answers with more than {BODY_BYTES_MAX} bytes: it is no runtime of Weir"));
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|e| format!("{url} answers with something that is no report: {e}"))
    }
}

/// Whether the address is link-local: there, clouds serve credentials to their machines.
fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A pod that sends these parts to every client, and repeats the last part forever if `endless`. It counts requests
    /// and bytes.
    async fn pod(head: String, part: Vec<u8>, endless: bool) -> (ProgressReader, Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // The deadline is generous, so that the test does not depend on a busy machine.
        let reader = ProgressReader::within(Duration::from_secs(60)).unwrap();
        let reader = ProgressReader { port: listener.local_addr().unwrap().port(), ..reader };
        let (asked, sent) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&asked), Arc::clone(&sent));
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                counts.0.fetch_add(1, Ordering::Relaxed);
                let _ = connection.read(&mut [0; 4096]).await;
                let _ = connection.write_all(head.as_bytes()).await;
                while connection.write_all(&part).await.is_ok() && endless {
                    counts.1.fetch_add(part.len(), Ordering::Relaxed);
                }
            }
        });
        (reader, asked, sent)
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (elsewhere, asked, _) = pod("HTTP/1.1 204 No Content\r\n\r\n".into(), Vec::new(), false).await;
        let head = format!(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{}/latest/meta-data\r\ncontent-length: 0\r\n\r\n",
            elsewhere.port
        );
        let (reader, _, _) = pod(head, Vec::new(), false).await;
        let said = reader.read("127.0.0.1").await.unwrap_err();
        assert!(said.contains("answers 302 Found"), "{said}");
        assert_eq!(asked.load(Ordering::Relaxed), 0, "nobody else was asked");
    }

    #[tokio::test]
    async fn a_body_without_an_end_is_given_up_at_a_mebibyte() {
        let (reader, _, sent) = pod("HTTP/1.1 200 OK\r\n\r\n".into(), vec![b' '; 1 << 16], true).await;
        let said = reader.read("127.0.0.1").await.unwrap_err();
        assert!(said.contains("more than 1048576 bytes"), "{said}");
        // Bytes in the sockets' buffers count as sent.
        assert!(sent.load(Ordering::Relaxed) < 32 << 20, "{sent:?}");
    }

    #[tokio::test]
    async fn addresses_of_the_nodes_own_network_are_not_asked() {
        let reader = ProgressReader::new().unwrap();
        for ip in
            ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "metadata.google.internal", "10.0.0.1/admin?"]
        {
            let said = reader.read(ip).await.unwrap_err();
            assert!(said.starts_with("the pod's address"), "{said}");
        }
    }
}

//! The part of HTTP/1.1 that the proxy needs: requests with a length, answers that end with the connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::line::Line;

/// Longer than any client's own timeout: a connection that takes longer is stuck.
const IO_LIMIT: Duration = Duration::from_secs(120);
const BODY_BYTES_MAX: usize = 256 << 20;

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names (as sent) and values, in order, without headers that apply only between client and proxy.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The value of a header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// Reads a request; `None` if the client went away without sending one.
pub fn read_request(client: &mut TcpStream, line: &Line) -> io::Result<Option<Request>> {
    client.set_read_timeout(Some(IO_LIMIT))?;
    let mut input = BufReader::new(client.try_clone()?);
    let mut first = String::new();
    if input.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let (mut headers, mut length, mut chunked) = (Vec::new(), 0, false);
    loop {
        let mut header = String::new();
        input.read_line(&mut header)?;
        let header = header.trim_end_matches(['\r', '\n']);
        let Some((name, value)) = header.split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" | "keep-alive" => continue,
            // curl asks for permission before it sends a long body.
            "expect" => {
                client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                continue;
            }
            "content-length" => length = value.parse().map_err(|_| invalid("a content-length that is no number"))?,
            "transfer-encoding" => chunked = true,
            _ => {}
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    if chunked {
        return Err(invalid("a chunked request body, which S3 clients don't send"));
    }
    if length > BODY_BYTES_MAX {
        return Err(invalid("a request body above the proxy's bound"));
    }
    let mut body = vec![0; length];
    line.read(&mut input, &mut body)?;
    Ok(Some(Request { method, target, headers, body }))
}

/// Sends the request on and reads the whole answer, ready to be passed back.
pub fn forward(request: &Request, upstream: &str) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream)?;
    server.set_read_timeout(Some(IO_LIMIT))?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    server.write_all(head.as_bytes())?;
    server.write_all(&request.body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(closing(answer))
}

/// The status of a complete answer.
#[must_use]
pub fn status(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

/// S3's answer when it has stored an object.
#[must_use]
pub fn stored_answer() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        .to_vec()
}

/// An error with the code that S3 gives with this status.
#[must_use]
pub fn error_answer(status: u16) -> Vec<u8> {
    let code = match status {
        403 => "AccessDenied",
        409 => "ConditionalRequestConflict",
        412 => "PreconditionFailed",
        503 => "SlowDown",
        _ => "InternalError",
    };
    worded_answer(status, code, "injected by a test")
}

/// An error as S3 words it.
#[must_use]
pub fn worded_answer(status: u16, code: &str, message: &str) -> Vec<u8> {
    let reason = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        409 => "Conflict",
        412 => "Precondition Failed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

/// Replaces the answer's `Connection` header with `close`.
fn closing(answer: Vec<u8>) -> Vec<u8> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else { return answer };
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut kept: Vec<&str> =
        head.split("\r\n").filter(|l| !l.to_ascii_lowercase().starts_with("connection:")).collect();
    kept.push("Connection: close");
    let mut out = kept.join("\r\n").into_bytes();
    out.extend_from_slice(&answer[end..]);
    out
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the proxy met {what}"))
}

//! A real S3 server for tests: versitygw over a folder. It shares no code with our client, checks signatures, and lets
//! exactly one of several conditional puts succeed.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::process::{Process, remove_at_exit};
use super::{ports, script};
use crate::certificates::Certificate;
use crate::deadline;
use crate::skip::Missing;

pub const ACCESS_KEY: &str = "weir";
pub const SECRET_KEY: &str = "weir-secret-key";
pub const REGION: &str = "us-east-1";

const READY_LIMIT: Duration = Duration::from_secs(120);

/// One server. It is killed with the handle, and with the test process in any case.
#[derive(Debug)]
pub struct S3 {
    dir: TempDir,
    port: u16,
    has_tls: bool,
    process: Mutex<Option<Process>>,
}

/// The server that all tests of this binary share. For tests that do not touch the server itself.
pub fn shared() -> Result<&'static S3, Missing> {
    static SHARED: OnceLock<Result<S3, Missing>> = OnceLock::new();
    SHARED.get_or_init(S3::start).as_ref().map_err(Clone::clone)
}

impl S3 {
    /// Starts a server and waits until it answers.
    pub fn start() -> Result<Self, Missing> {
        let s3 = Self::new(false)?;
        s3.restart();
        Ok(s3)
    }

    /// Starts a server with TLS and this certificate.
    pub fn start_with_tls(certificate: &Certificate) -> Result<Self, Missing> {
        let s3 = Self::new(true)?;
        s3.restart_with_tls(certificate);
        Ok(s3)
    }

    /// Starts a server that also knows users, of [`Self::add_user`].
    pub fn start_with_users() -> Result<Self, Missing> {
        let s3 = Self::new(false)?;
        s3.restart_with(&[("WEIR_S3_USERS", "1".as_ref())]);
        Ok(s3)
    }

    /// Adds a user who may do everything.
    pub fn add_user(&self, access_key: &str, secret_key: &str) {
        self.create_user(access_key, secret_key, "admin");
    }

    /// Adds a user who may do nothing in the buckets of others.
    pub fn add_guest(&self, access_key: &str, secret_key: &str) {
        self.create_user(access_key, secret_key, "user");
    }

    fn create_user(&self, access_key: &str, secret_key: &str, role: &str) {
        self.users(&["create-user", "--access", access_key, "--secret", secret_key, "--role", role]);
    }

    /// Removes a user, whose keys are refused from then on.
    pub fn remove_user(&self, access_key: &str) {
        self.users(&["delete-user", "--access", access_key]);
    }

    fn users(&self, arguments: &[&str]) {
        let mut command = Command::new(script::path("s3"));
        command.arg("users").arg(self.dir.path()).arg(self.port.to_string()).args(arguments);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&[out.stdout, out.stderr].concat()));
    }

    /// Lets a guest do this much in a bucket, by a policy as Amazon's.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn allow(&self, access_key: &str, bucket: &str, statements: &[(&[&str], &str)]) {
        let statements: Vec<_> = statements
            .iter()
            .map(|(actions, resource)| {
                json!({
                    "Effect": "Allow",
                    "Principal": {"AWS": [access_key]},
                    "Action": actions,
                    "Resource": [format!("arn:aws:s3:::{resource}")],
                })
            })
            .collect();
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let mut curl = Command::new("curl");
        curl.args(["-s", "-X", "PUT", "--aws-sigv4", &format!("aws:amz:{REGION}:s3")])
            .args(["--user", &format!("{ACCESS_KEY}:{SECRET_KEY}"), "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(["-H", "content-type: application/json", "--data-binary", &policy, "-w", "%{http_code}"])
            .arg(format!("{}/{bucket}?policy=", self.endpoint()));
        let said = String::from_utf8(curl.output().unwrap().stdout).unwrap();
        assert!(said.ends_with("204"), "the policy is refused: {said}");
    }

    fn new(has_tls: bool) -> Result<Self, Missing> {
        script::fetch("the S3 server", "s3")?;
        let dir = tempfile::Builder::new().prefix("weir-tests-s3-").tempdir().unwrap();
        remove_at_exit(dir.path());
        Ok(Self { dir, port: ports::free(), has_tls, process: Mutex::new(None) })
    }

    /// The server's address, `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}://{}", if self.has_tls { "https" } else { "http" }, self.address())
    }

    /// Creates a bucket, which is a folder to this server.
    pub fn create_bucket(&self, name: &str) {
        std::fs::create_dir(self.bucket_folder(name)).unwrap();
    }

    /// The folder in which the objects of a bucket lie as files, so that tests can look at them without a client.
    #[must_use]
    pub fn bucket_folder(&self, name: &str) -> PathBuf {
        self.dir.path().join("data").join(name)
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Starts it again on the same port and folder and waits until it answers.
    pub fn restart(&self) {
        self.restart_with(&[]);
    }

    /// Starts it again with another secret key, so that it refuses clients that use the usual one.
    pub fn restart_with_secret(&self, secret_key: &str) {
        self.restart_with(&[("WEIR_S3_SECRET", secret_key.as_ref())]);
    }

    /// Starts a server with TLS again, with another certificate.
    pub fn restart_with_tls(&self, certificate: &Certificate) {
        let folder = self.dir.path().join("tls");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tls.crt"), &certificate.chain).unwrap();
        std::fs::write(folder.join("tls.key"), &certificate.key).unwrap();
        self.restart_with(&[("WEIR_S3_TLS", folder.as_os_str())]);
    }

    fn restart_with(&self, env: &[(&str, &OsStr)]) {
        let mut process = self.process();
        *process = None;
        let mut command = Command::new(script::path("s3"));
        command.arg("run").arg(self.dir.path()).arg(self.port.to_string()).envs(env.iter().copied());
        let mut started = Process::spawn(&mut command).unwrap();
        deadline::until("the S3 server answers", READY_LIMIT, || {
            if let Some(status) = started.ended() {
                let words = std::fs::read_to_string(self.dir.path().join("server.out")).unwrap_or_default();
                panic!("the S3 server ended at its start ({status}):\n{words}");
            }
            self.answers().then_some(())
        });
        *process = Some(started);
    }

    /// Sends SIGSTOP: the server keeps its connections and answers no request.
    pub fn stop(&self) {
        self.process().as_ref().expect("the server runs").signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn cont(&self) {
        self.process().as_ref().expect("the server runs").signal(Signal::CONT);
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether the server gives a real answer: 403 to a request without a signature.
    fn answers(&self) -> bool {
        if self.has_tls {
            let mut curl = Command::new("curl");
            curl.args(["-s", "--insecure", "--max-time", "2", "-o", "/dev/null", "-w", "%{http_code}"]);
            return curl.arg(self.endpoint()).output().unwrap().stdout == b"403";
        }
        let ask = || -> std::io::Result<bool> {
            let mut tcp = TcpStream::connect(self.address())?;
            tcp.set_read_timeout(Some(Duration::from_secs(2)))?;
            tcp.write_all(
                format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address()).as_bytes(),
            )?;
            let mut answer = [0; 12];
            tcp.read_exact(&mut answer)?;
            Ok(&answer == b"HTTP/1.1 403")
        };
        ask().unwrap_or(false)
    }
}

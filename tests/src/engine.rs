//! The engine as users run it: the program `weir` as an operating-system process.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value as Json;

use crate::deadline;
use crate::services::process::Process;

/// The time that a busy machine may take to reclaim the memory of a killed process.
const KILLED_WITHIN: Duration = Duration::from_secs(60);

/// The exit codes.
pub const OK: i32 = 0;
pub const CONFIG: i32 = 2;
pub const RETRY_EXHAUSTED: i32 = 3;
pub const DATA: i32 = 4;
pub const FENCED: i32 = 5;
pub const MEMORY: i32 = 6;
pub const BUG: i32 = 70;
/// The exit code after a second signal.
pub const CUT_SHORT: i32 = 130;

/// `$WEIR_BIN`, or `weir` next to the test's own program: `target/<profile>/weir`.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn binary() -> PathBuf {
    let path = std::env::var_os("WEIR_BIN").map_or_else(
        || {
            let test = std::env::current_exe().unwrap();
            test.parent().and_then(Path::parent).unwrap().join("weir") // the test lies in target/<profile>/deps
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "{} is not there: run `make test`, or `cargo build -p weir` first", path.display());
    path
}

/// Runs a subcommand to its end.
#[must_use]
pub fn call(args: &[&str]) -> std::process::Output {
    Command::new(binary()).args(args).output().unwrap()
}

/// Starts a subcommand that runs beside the test, such as a producer. Its stderr goes to a file.
#[must_use]
pub fn start(args: &[&str], stderr: &Path) -> Process {
    let mut command = Command::new(binary());
    command.args(args).stdout(std::process::Stdio::null()).stderr(std::fs::File::create(stderr).unwrap());
    Process::spawn(&mut command).unwrap()
}

/// The file of the repository at this path.
#[must_use]
pub fn repository_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The names of all fail points, from the program itself, so that a new one can't be forgotten here.
#[must_use]
pub fn fail_points() -> Vec<String> {
    let out = call(&["fail-points"]);
    assert!(out.status.success(), "weir fail-points: {}", String::from_utf8_lossy(&out.stderr));
    let names: Vec<String> = String::from_utf8(out.stdout).unwrap().split_whitespace().map(str::to_owned).collect();
    assert!(!names.is_empty(), "weir fail-points lists none");
    names
}

/// A pipeline's document, or a file that holds one.
#[derive(Debug, Clone)]
pub enum Document {
    Json(Json),
    File(PathBuf),
}

impl From<Json> for Document {
    fn from(json: Json) -> Self {
        Self::Json(json)
    }
}

/// How to start the engine.
#[derive(Debug, Clone)]
pub struct Start {
    /// Holds the document, the Secrets, and the output of the runs.
    pub folder: PathBuf,
    pub document: Document,
    pub env: Vec<(String, String)>,
    pub args: Vec<String>,
}

impl Start {
    /// Aborts the process when it passes a fail point for the `nth` time.
    #[must_use]
    pub fn fail_at(mut self, point: &str, nth: u32) -> Self {
        self.env.push(("WEIR_FAILPOINT".into(), format!("{point}:{nth}")));
        self
    }

    /// Halts the process (SIGSTOP) when it passes a fail point for the `nth` time.
    #[must_use]
    pub fn stop_at(mut self, point: &str, nth: u32) -> Self {
        self.env.push(("WEIR_FAILPOINT".into(), format!("{point}:{nth}=stop")));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// How long the engine waits for a service that is away (`--give-up-after`).
    #[must_use]
    pub fn give_up_after(self, limit: Duration) -> Self {
        self.arg("--give-up-after").arg(&limit.as_secs().to_string())
    }

    /// Starts the engine. Each run writes into its own folder below `folder`.
    #[must_use]
    pub fn spawn(&self) -> Engine {
        let runs = self.folder.join("runs");
        std::fs::create_dir_all(&runs).unwrap();
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&runs).unwrap().keep();
        let document = match &self.document {
            Document::File(file) => file.clone(),
            Document::Json(json) => {
                let file = folder.join("pipeline.yaml");
                std::fs::write(&file, serde_json::to_vec_pretty(json).unwrap()).unwrap();
                file
            }
        };
        let mut command = Command::new(binary());
        command.arg("run").arg("-f").arg(&document).arg("--secrets").arg(self.folder.join("secrets"));
        command
            .arg("--summary")
            .arg(folder.join("summary.json"))
            .arg("--progress")
            .arg(folder.join("progress.jsonl"))
            .args(&self.args);
        // Settings in the environment of the test must not change its outcome.
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ENDPOINT_URL",
            "AWS_PROFILE",
            "WEIR_FAILPOINT",
            "WEIR_NAMESPACE",
            "KUBERNETES_SERVICE_HOST",
        ] {
            command.env_remove(name);
        }
        command.env("WEIR_PHASE_FILE", folder.join("phase"));
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command
            .stdout(std::fs::File::create(folder.join("stdout")).unwrap())
            .stderr(std::fs::File::create(folder.join("stderr")).unwrap());
        let process = Process::spawn(&mut command).unwrap();
        Engine { process, folder }
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// If it takes longer than `limit`.
    #[must_use]
    pub fn run(&self, limit: Duration) -> Exit {
        self.spawn().wait(limit)
    }
}

/// A running engine; dropping it kills it.
#[derive(Debug)]
pub struct Engine {
    process: Process,
    folder: PathBuf,
}

impl Engine {
    /// # Panics
    /// If it has not ended within `limit`.
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Exit {
        let Some(status) = self.process.wait(limit) else {
            panic!("the engine has not ended within {} s; it said:\n{}", limit.as_secs(), tail(&self.stderr()));
        };
        Exit::of(status, &self.folder)
    }

    /// How it ended, if it has ended already.
    #[must_use]
    pub fn ended(&mut self) -> Option<Exit> {
        self.process.ended().map(|status| Exit::of(status, &self.folder))
    }

    /// Sends SIGKILL and returns what the run left.
    #[must_use]
    pub fn kill(self) -> Exit {
        self.process.signal(Signal::KILL);
        self.wait(KILLED_WITHIN)
    }

    /// The last fail point that the process has passed so far.
    #[must_use]
    pub fn phase(&self) -> String {
        std::fs::read_to_string(self.folder.join("phase")).unwrap_or_default().trim().to_owned()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGABRT to a process that may leave a core dump of any size, and returns the dump's file if there is one.
    ///
    /// # Panics
    /// If the kernel gives dumps to a program, so that nothing can be said.
    #[must_use]
    pub fn abort_with_core(self) -> Option<PathBuf> {
        let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
        assert!(!pattern.starts_with('|'), "core dumps go to {pattern}");
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap());
        prlimit(pid, Resource::Core, Rlimit { current: None, maximum: None }).unwrap();
        let in_folder = std::fs::read_link(format!("/proc/{}/cwd", self.id())).unwrap();
        let names = || std::fs::read_dir(&in_folder).unwrap().map(|f| f.unwrap().path()).collect::<BTreeSet<_>>();
        let before = names();
        self.process.signal(Signal::ABORT);
        let exit = self.wait(KILLED_WITHIN);
        assert_eq!(exit.signal, Some(Signal::ABORT.as_raw()));
        names()
            .difference(&before)
            .find(|file| file.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"core")))
            .cloned()
    }

    /// Sends SIGTERM: the process should finish the open epoch and exit with 0.
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.process.signal(Signal::INT);
    }

    /// Sends SIGSTOP.
    pub fn stop(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn cont(&self) {
        self.process.signal(Signal::CONT);
    }

    /// The reports so far: one object per epoch.
    #[must_use]
    pub fn progress(&self) -> Vec<Json> {
        json_lines(&self.folder.join("progress.jsonl"))
    }

    /// Waits until it has reported this many epochs.
    pub fn wait_for_epochs(&mut self, epochs: usize, limit: Duration) {
        deadline::until(&format!("{epochs} epochs are reported"), limit, || {
            if let Some(status) = self.process.ended() {
                panic!("the engine ended early ({status}):\n{}", tail(&self.stderr()));
            }
            (self.progress().len() >= epochs).then_some(())
        });
    }

    /// Waits until its reports add up to this many records.
    pub fn wait_for_records(&mut self, records: u64, limit: Duration) {
        deadline::until(&format!("{records} records are reported"), limit, || {
            if let Some(status) = self.process.ended() {
                panic!("the engine ended early ({status}):\n{}", tail(&self.stderr()));
            }
            let read: u64 = self.progress().iter().map(|p| p["numInputRows"].as_u64().unwrap()).sum();
            (read >= records).then_some(())
        });
    }

    /// Waits until stderr contains these words.
    pub fn wait_for_words(&mut self, words: &str, limit: Duration) {
        deadline::until(&format!("the engine says `{words}`"), limit, || {
            if let Some(status) = self.process.ended() {
                panic!("the engine ended early ({status}):\n{}", tail(&self.stderr()));
            }
            self.stderr().contains(words).then_some(())
        });
    }

    /// Waits until it is halted, by a fail point that halts or by `stop`.
    pub fn wait_until_stopped(&mut self, limit: Duration) {
        deadline::until("the engine is stopped", limit, || {
            if let Some(status) = self.process.ended() {
                panic!("the engine ended ({status}) before it was stopped:\n{}", tail(&self.stderr()));
            }
            let state =
                Command::new("ps").args(["-o", "stat=", "-p", &self.process.id().to_string()]).output().unwrap();
            state.stdout.starts_with(b"T").then_some(())
        });
    }

    /// Its resident memory, in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Its resident memory without pages of mapped files, in bytes. The memory limit applies to this.
    #[must_use]
    pub fn anonymous_bytes(&self) -> u64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let kib =
            status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.unwrap() * 1024
    }

    #[must_use]
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }
}

/// How a run ended, and the output that it left.
#[derive(Debug, Clone)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub summary: Option<Json>,
    pub progress: Vec<Json>,
    /// The last fail point that the run passed.
    pub phase: String,
}

impl Exit {
    fn of(status: ExitStatus, folder: &Path) -> Self {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        Self {
            code: status.code(),
            signal: status.signal(),
            stdout: read("stdout"),
            stderr: read("stderr"),
            summary: serde_json::from_str(&read("summary.json")).ok(),
            progress: json_lines(&folder.join("progress.jsonl")),
            phase: read("phase").trim().to_owned(),
        }
    }

    /// # Panics
    /// With the run's output, if it ended with another code.
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "the engine should exit with {code} (signal {:?}); it said:\n{}",
            self.signal,
            tail(&self.stderr)
        );
        self
    }

    /// Whether a fail point ended the run, with SIGABRT.
    #[must_use]
    pub fn aborted(&self) -> bool {
        self.signal == Some(Signal::ABORT.as_raw())
    }

    /// A field of the summary.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn figure(&self, name: &str) -> u64 {
        let summary =
            self.summary.as_ref().unwrap_or_else(|| panic!("no summary was written; it said:\n{}", tail(&self.stderr)));
        summary[name].as_u64().unwrap_or_else(|| panic!("no number `{name}` in {summary}"))
    }
}

/// Writes a Secret as a mounted folder: `folder/secrets/NAME/KEY`.
pub fn write_secret(folder: &Path, name: &str, entries: &[(&str, &str)]) {
    let secret = folder.join("secrets").join(name);
    std::fs::create_dir_all(&secret).unwrap();
    for (key, value) in entries {
        let mut file = std::fs::File::create(secret.join(key)).unwrap();
        file.write_all(value.as_bytes()).unwrap();
    }
}

/// Exchanges a Secret in a mounted folder as the kubelet does: keys are links into the folder to which the link
/// `..data` points, and pointing `..data` to another folder exchanges them all at once.
pub fn exchange_secret(folder: &Path, name: &str, entries: &[(&str, &str)]) {
    let secret = folder.join("secrets").join(name);
    std::fs::create_dir_all(&secret).unwrap();
    let files = tempfile::Builder::new().prefix("..").tempdir_in(&secret).unwrap().keep();
    for (key, value) in entries {
        std::fs::write(files.join(key), value).unwrap();
        let link = secret.join(key);
        if !link.is_symlink() {
            // A plain file, if the Secret was written by `write_secret`.
            let _ = std::fs::remove_file(&link);
            symlink(Path::new("..data").join(key), link).unwrap();
        }
    }
    let (data, next) = (secret.join("..data"), secret.join("..data_tmp"));
    let before = data.read_link().ok();
    symlink(files.file_name().unwrap(), &next).unwrap();
    std::fs::rename(next, data).unwrap();
    if let Some(before) = before {
        std::fs::remove_dir_all(secret.join(before)).unwrap();
    }
}

/// Reads whole lines only: the process may still be writing the last one.
fn json_lines(file: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("progress line `{l}`: {e}"))).collect()
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

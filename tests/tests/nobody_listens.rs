//! The reader of the program's output sleeps, has gone, or has a full disk. None of this changes the program's outcome.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use weir_tests::engine::{self, CONFIG, OK};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::services::process::Process;
use weir_tests::{or_skip, table};

/// The bytes that a pipe holds before its reader must read.
const PIPE_BYTES: usize = 65_536;

/// A subcommand over the rig's document as it is now.
fn command(rig: &Rig, subcommand: &str) -> Command {
    let file = rig.folder().join("said-to-nobody.yaml");
    std::fs::write(&file, rig.pipeline.document(&rig.site).to_string()).unwrap();
    let mut command = Command::new(engine::binary());
    command.arg(subcommand).arg("-f").arg(file);
    command
}

fn no_disk() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_log_that_nobody_takes_holds_no_pipeline_up() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &[]);
    let (asleep, mut full) = std::io::pipe().unwrap();
    full.write_all(&[b'x'; PIPE_BYTES]).unwrap();
    let (gone, closed) = std::io::pipe().unwrap();
    drop(gone);
    for (n, (who, stderr)) in
        (0..).zip([("sleeps", full.into()), ("has gone", closed.into()), ("is a full disk", no_disk())])
    {
        rig.produce(&Rides { partitions: 2, ..Rides::new(1_500) }.starting(n * 1_500_000_000).records());
        let run = Process::spawn(command(&rig, "run").env("WEIR_LOG", "debug").stdout(Stdio::null()).stderr(stderr));
        let ended =
            run.unwrap().wait(RUN_LIMIT).unwrap_or_else(|| panic!("the reader {who}, and the pipeline stands still"));
        assert_eq!(ended.code(), Some(OK), "the reader {who}");
    }
    drop(asleep);
    assert_eq!(rig.assert_right().read, 4_500);
}

#[test]
fn a_result_that_nobody_reads_is_no_failure_and_one_that_can_not_be_written_is() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    let said = |subcommand: &str, stdout: Stdio| {
        let mut command =
            if subcommand == "validate" { command(&rig, subcommand) } else { Command::new(engine::binary()) };
        if subcommand != "validate" {
            command.arg(subcommand);
        }
        let out = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    for subcommand in ["validate", "schema", "fail-points"] {
        let (gone, closed) = std::io::pipe().unwrap();
        drop(gone);
        assert_eq!(said(subcommand, closed.into()), (Some(OK), String::new()), "{subcommand}");
        let (code, stderr) = said(subcommand, no_disk());
        assert!(
            code == Some(CONFIG) && stderr.starts_with("error: standard output can't be written"),
            "{subcommand}: {code:?} {stderr}"
        );
    }
}

//! `weir demo` needs neither a broker nor any other service.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use weir_tests::engine::{self, CONFIG, OK};

#[test]
fn the_demo_prints_three_windows_and_refuses_to_run_over_them() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let args = ["demo", "--dir", &dir.to_string_lossy()];
    let out = engine::call(&args);
    let (said, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(OK), "{said}\n{errors}");
    let (_, rows) = said.split_once("windows that closed:\n").unwrap_or_else(|| panic!("no windows: {said}"));
    // The columns are: city, the window's start as day and time, …
    let starts: BTreeSet<&str> =
        rows.lines().skip(1).take_while(|l| !l.is_empty()).filter_map(|l| l.split_whitespace().nth(2)).collect();
    assert!(starts.len() >= 3, "{said}");
    assert!(said.contains("120000 rides read"), "{said}");

    let again = engine::call(&args);
    assert_eq!(again.status.code(), Some(CONFIG));
    assert!(String::from_utf8_lossy(&again.stderr).contains("has another demo"));
}

#[test]
fn two_demos_at_once_both_run() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || {
        let mut command = Command::new(engine::binary());
        command.arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [demo(), demo()].map(|demo| demo.wait_with_output().unwrap());
    for out in both {
        let (said, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.code() == Some(OK) && said.contains("120000 rides read"), "{said}\n{errors}");
    }
}

#[test]
fn a_folder_that_no_uri_can_name_is_the_persons_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let out = engine::call(&["demo", "--dir", &folder.path().join("a b").to_string_lossy()]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(CONFIG), "{said}");
    assert!(said.contains("found ` ` in") && said.contains("give another --dir"), "{said}");
}

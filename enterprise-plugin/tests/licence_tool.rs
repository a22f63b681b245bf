//! The licence tool, run as the vendor runs it.

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let tool = env!("CARGO_BIN_EXE_hearth-licence");
    Command::new(tool).args(arguments).current_dir(folder).output().expect("the tool runs")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const WANTED: [&str; 7] = ["issue", "--holder", "Verona Ltd", "--id", "7", "--members", "5"];

#[test]
fn makes_a_key_issues_a_licence_and_reads_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(folder.path(), arguments);
    assert!(run(&["keygen", "vendor"]).status.success());
    let again = run(&["keygen", "vendor"]);
    assert!(!again.status.success() && told(&again).contains("vendor"), "a key is never replaced");

    let issued = run(&[&WANTED[..], &["--key", "vendor", "--from", "2026-01-01"]].concat());
    assert!(issued.status.success(), "{}", told(&issued));
    std::fs::write(folder.path().join("licence"), issued.stdout).expect("written");
    let read = run(&["inspect", "licence", "--public-key", "vendor.pub"]);
    let licence: serde_json::Value = serde_json::from_slice(&read.stdout).expect("JSON");
    assert_eq!(licence["holder"], "Verona Ltd");
    assert_eq!(
        (&licence["issued"], &licence["expires"]),
        (&"2026-01-01".into(), &"2026-12-31".into())
    );

    let foreign = run(&["inspect", "licence"]);
    assert!(!foreign.status.success() && told(&foreign).contains("another vendor's key"));
}

#[test]
fn says_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("text"), "no key").expect("written");
    let missing = run(folder.path(), &[&WANTED[..], &["--key", "nowhere"]].concat());
    assert!(told(&missing).contains("nowhere"), "{}", told(&missing));
    let wrong = run(folder.path(), &[&WANTED[..], &["--key", "text"]].concat());
    assert!(told(&wrong).contains("is not a key"), "{}", told(&wrong));
    let day = run(folder.path(), &[&WANTED[..], &["--key", "text", "--from", "1.1.2026"]].concat());
    assert!(told(&day).contains("2027-11-22"), "{}", told(&day));
}

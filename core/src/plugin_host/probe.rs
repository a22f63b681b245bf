//! Loading a file for the first time, in a child process: a file may pass every check and still
//! kill whoever loads it. The child has an empty environment, no inherited descriptors, tight limits,
//! and little time; it prints the manifest.

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use hearth_plugin_api::loader::{self, precheck};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::manifest::Manifest;

/// A plugin that takes longer to be asked for its manifest is stuck.
const TIME: Duration = Duration::from_secs(20);
/// Octets of output that are read.
const OUTPUT: u64 = 4 << 20;
/// Exit code of a child that refuses the file; the reason is on standard error.
pub const REFUSED: u8 = 8;
/// Ourselves, also after an upgrade has replaced our file.
const SELF: &str = "/proc/self/exe";

/// Why a file was not accepted by the probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The loader said no, in words.
    #[error("{0}")]
    Refused(String),
    #[error("it did not answer within {} s of being loaded: its start-up code hangs", TIME.as_secs())]
    Hangs,
    #[error("loading it killed the process that tried: {0}")]
    Killed(String),
    #[error("loading it ended the process that tried, with exit code {0}{1}")]
    Exited(i32, String),
    #[error("it was loaded, but no manifest came out of it{0}")]
    NoManifest(String),
    /// Ours.
    #[error("no process could be started to look at it: {0}; see the limits of this machine")]
    Process(String),
}

/// Asks `file` for its manifest in a child process; `program` is this binary.
pub async fn probe(file: &Path) -> Result<Manifest, ProbeError> {
    probe_by(Path::new(SELF), file).await
}

/// The manifest of a file, for a person.
pub async fn inspect(file: &Path) -> Result<serde_json::Value, String> {
    let octets = std::fs::read(file).map_err(|error| error.to_string())?;
    precheck(&octets).map_err(|error| error.to_string())?;
    let manifest = probe(file).await.map_err(|error| error.to_string())?;
    serde_json::to_value(manifest).map_err(|error| error.to_string())
}

/// The same by another program, for tests.
async fn probe_by(program: &Path, file: &Path) -> Result<Manifest, ProbeError> {
    let process = |error: std::io::Error| ProbeError::Process(error.to_string());
    // The child is elsewhere.
    let file = std::path::absolute(file).map_err(process)?;
    let mut command = Command::new(program);
    inherit_nothing(&mut command);
    let mut child = command
        .arg0("hearth")
        .args(["plugin", "probe"])
        .arg(file)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(process)?;
    let group = child.id().and_then(|id| Pid::from_raw(id as i32));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(TIME, async {
        tokio::join!(read(stdout), read(stderr), child.wait())
    });
    let ended = ended.await;
    // What the child itself has started must not outlive it.
    if let Some(group) = group {
        // Mostly nobody is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let (stdout, stderr, status) = ended.map_err(|_| ProbeError::Hangs)?;
    verdict(status.map_err(process)?, &stdout, &stderr)
}

/// Ours close on exec; those that we were started with, or that a library opened, may not.
#[allow(unsafe_code)]
fn inherit_nothing(command: &mut Command) {
    // SAFETY: between fork and exec `close_on_exec` makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(close_on_exec) };
}

/// Marks every descriptor but the standard three, so that the next program does not get it.
fn close_on_exec() -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, c"/proc/self/fd", flags, Mode::empty())?;
    let mut room = [const { MaybeUninit::uninit() }; 4096];
    let mut open = RawDir::new(&folder, &mut room);
    while let Some(entry) = open.next() {
        let entry = entry?;
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            mark(number)?;
        }
    }
    Ok(())
}

#[allow(unsafe_code)]
fn mark(number: RawFd) -> std::io::Result<()> {
    // SAFETY: the folder names what is open in this very process, where one thread runs.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(fcntl_setfd(descriptor, FdFlags::CLOEXEC)?)
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut octets = Vec::new();
    if let Some(from) = from {
        // What was read until it broke is what there is to tell.
        let _ = from.take(OUTPUT).read_to_end(&mut octets).await;
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// The last line is the manifest; the plugin's own code may have printed before.
fn verdict(status: ExitStatus, stdout: &str, stderr: &str) -> Result<Manifest, ProbeError> {
    let said = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let quoted = || match said {
        "" => String::new(),
        said => format!("; it said: {said}"),
    };
    if let Some(signal) = status.signal() {
        return Err(ProbeError::Killed(format!("{}{}", signal_words(signal), quoted())));
    }
    match status.code() {
        Some(0) => {
            let line = stdout.lines().last().unwrap_or_default();
            serde_json::from_str(line).map_err(|_| ProbeError::NoManifest(quoted()))
        }
        Some(code) if code == i32::from(REFUSED) => {
            Err(ProbeError::Refused(said.trim_start_matches("hearth: ").to_owned()))
        }
        code => Err(ProbeError::Exited(code.unwrap_or_default(), quoted())),
    }
}

fn signal_words(number: i32) -> String {
    let words = match Signal::from_named_raw(number) {
        Some(Signal::ABORT) => "it aborted",
        Some(Signal::SEGV) => "it touched memory that is not there",
        Some(Signal::BUS) => "its file does not hold what its tables promise",
        Some(Signal::ILL) => "it uses instructions that this processor lacks",
        Some(Signal::FPE) => "a calculation failed",
        Some(Signal::XCPU) => "its start-up code used up its processor time",
        Some(Signal::XFSZ) => "it tried to write files",
        Some(Signal::SYS) => "it made a forbidden system call",
        Some(Signal::KILL) => "killed from outside, perhaps for want of memory",
        _ => "unexpected",
    };
    format!("{words} (signal {number})")
}

/// The child's side: limits itself, loads the file and returns what the parent reads.
pub fn in_this_process(file: &Path) -> Result<String, String> {
    let limits = [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Cpu, TIME.as_secs()),
        (Resource::Nofile, 64),
        (Resource::Data, 4 << 30),
    ];
    for (resource, limit) in limits {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(resource, limit).map_err(|error| format!("the limits cannot be set: {error}"))?;
    }
    let library = loader::load(file).map_err(|error| error.to_string())?;
    let manifest = library.manifest().map_err(|error| error.to_string())?;
    serde_json::to_string(&manifest).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for the child: a script that ends as loading a bad library would.
    async fn by(script: &str) -> Result<Manifest, ProbeError> {
        let folder = tempfile::tempdir().expect("a folder");
        let (text, program) = (folder.path().join("text"), folder.path().join("child"));
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).expect("written");
        // By another process: a file that we wrote ourselves is busy while a child that some other
        // test has just forked still holds it open.
        let install = Command::new("install").args(["-m", "700"]).args([&text, &program]).status();
        assert!(install.await.expect("install runs").success());
        probe_by(&program, Path::new("/nothing")).await
    }

    #[tokio::test]
    async fn the_last_line_is_the_manifest() {
        let manifest = Manifest { id: "hello".to_owned(), ..Manifest::default() };
        let json = serde_json::to_string(&manifest).expect("JSON");
        let found = by(&format!("echo noise; echo '{json}'")).await;
        assert_eq!(found, Ok(manifest));
    }

    #[tokio::test]
    async fn the_child_gets_nothing_of_ours() {
        let ours = tempfile::NamedTempFile::new().expect("a file");
        fcntl_setfd(&ours, FdFlags::empty()).expect("it would be inherited");
        let told = by("echo \"$HOME:$(ls -l /proc/self/fd | tr '\\n' ' '):$*\" >&2; exit 8").await;
        let Err(ProbeError::Refused(told)) = told else { panic!("{told:?}") };
        assert!(told.starts_with(':') && told.ends_with(":plugin probe /nothing"), "{told}");
        let name = ours.path().to_str().expect("a name");
        assert!(!told.contains(name), "{told}");
    }

    #[tokio::test]
    async fn each_way_to_die_is_told_apart() {
        let aborted = by("kill -ABRT $$").await.expect_err("aborted");
        assert!(aborted.to_string().contains("it aborted"), "{aborted}");
        let crashed = by("kill -BUS $$").await.expect_err("crashed");
        assert!(crashed.to_string().contains("does not hold"), "{crashed}");
        let exited = by("echo assertion >&2; exit 127").await;
        assert_eq!(exited, Err(ProbeError::Exited(127, "; it said: assertion".to_owned())));
        let refused = by("echo 'hearth: too new' >&2; exit 8").await;
        assert_eq!(refused, Err(ProbeError::Refused("too new".to_owned())));
        assert_eq!(by("exit 0").await, Err(ProbeError::NoManifest(String::new())));
    }
}

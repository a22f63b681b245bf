//! The real binary: what it prints, what it returns, what it leaves behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// A home folder that goes away with the test.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Home {
        Home { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
        for variable in ["DOMAIN", "DATABASE_URL", "ADMIN_PASSWORD", "TOKEN"] {
            command.env_remove(format!("HEARTH_{variable}"));
        }
        command.env("HEARTH_HOME", self.path()).stdin(Stdio::null());
        command.args(arguments.split_whitespace());
        command
    }

    fn hearth(&self, arguments: &str) -> Output {
        finish(&mut self.command(arguments))
    }

    /// Runs a command that must succeed; what it printed.
    fn done(&self, arguments: &str) -> String {
        let output = self.hearth(arguments);
        assert!(output.status.success(), "{arguments}: {}", told(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs a command that must fail with this code in one line; that line.
    fn refused(&self, arguments: &str, code: i32) -> String {
        let output = self.hearth(arguments);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {told}");
        // Before it, a server may have logged.
        let mut lines = told.lines().skip_while(|line| !line.starts_with("hearth: "));
        let line = lines.next().expect("a line for people").to_owned();
        assert_eq!(lines.next(), None, "{told}");
        line
    }

    fn set_up(&self) {
        self.done("setup --domain localhost --database sqlite --ephemeral-ports");
    }

    /// Starts the server and waits until it accepts.
    fn start(&self) -> Server {
        let child = self.command("run").stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut server = Server { child: child.expect("the binary runs") };
        let ports = self.path().join("run/ports.json");
        let end = Instant::now() + DEADLINE;
        while !ports.exists() {
            assert!(server.child.try_wait().expect("a child").is_none(), "the server has ended");
            assert!(Instant::now() < end, "no {} in time", ports.display());
            std::thread::yield_now();
        }
        server
    }
}

/// Runs a command to its end, which must come in time.
fn finish(command: &mut Command) -> Output {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary runs");
    let pid = child.id().to_string();
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match ended.recv_timeout(DEADLINE) {
        Ok(output) => output.expect("its output"),
        Err(_) => {
            Command::new("kill").args(["-9", &pid]).status().expect("kill runs");
            panic!("{command:?} does not end");
        }
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running server; killed with the test.
struct Server {
    child: Child,
}

impl Server {
    /// Sends SIGTERM and waits for the end.
    fn stop(mut self) -> Option<i32> {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(kill.expect("kill runs").success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

#[test]
fn set_up_prints_the_password_once_and_is_not_repeated() {
    let home = Home::new();
    let printed = home.done("setup --domain Chat.Example --database sqlite");
    assert!(printed.contains("administrator: admin") && printed.contains("password:"), "{printed}");
    let line = home.refused("setup --domain chat.example", 3);
    assert!(line.contains("set up already"), "{line}");
    let server: serde_json::Value =
        serde_json::from_str(&home.done("api GET /server")).expect("JSON");
    assert_eq!(server["domain"], "chat.example");
}

#[test]
fn a_failed_set_up_leaves_nothing() {
    for (arguments, code) in [
        ("setup --database sqlite", 2),
        ("setup --domain a..b --database sqlite", 2),
        ("setup --domain localhost --database mysql://x", 3),
        ("setup --domain localhost --database postgres://x:y@127.0.0.1:1/none", 4),
        ("setup --domain localhost --set no.such.property=1", 2),
        ("setup --domain localhost --admin-password-file /nonexistent/file", 2),
    ] {
        let home = Home::new();
        home.refused(arguments, code);
        assert!(!home.path().exists(), "{arguments}");
    }
}

#[test]
fn the_environment_sets_up_without_arguments() {
    let home = Home::new();
    let mut command = home.command("setup --json --ephemeral-ports");
    command.env("HEARTH_DOMAIN", "env.example").env("HEARTH_ADMIN_PASSWORD", "very secret");
    let output = finish(&mut command);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", told(&output));
    assert!(printed.contains("env.example") && !printed.contains("secret"), "{printed}");
}

#[test]
fn users_are_managed_with_and_without_a_server() {
    let home = Home::new();
    home.set_up();
    let file = home.folder.path().join("password");
    write(&file, "very secret\n");
    let by_file = format!("--password-file {}", file.display());
    home.done(&format!("user add romeo {by_file}"));
    let server = home.start();
    home.done(&format!("user add juliet --admin {by_file}"));
    home.done(&format!("user add --count 3 --prefix extra {by_file}"));
    let listed: serde_json::Value =
        serde_json::from_str(&home.done("user list --json")).expect("JSON");
    let names: Vec<_> =
        listed.as_array().expect("a list").iter().map(|user| user["name"].clone()).collect();
    assert_eq!(names, ["admin", "extra0", "extra1", "extra2", "juliet", "romeo"]);
    home.done("user lock romeo");
    assert!(home.done("user show romeo").contains("\"locked\": true"));
    home.done("user unlock romeo");
    home.done("user delete extra0 extra1 extra2");
    assert!(home.refused("user show extra0", 1).contains("extra0"));
    assert!(home.refused(&format!("user add romeo {by_file}"), 1).contains("taken"));
    assert_eq!(server.stop(), Some(0));
    assert!(!home.done("user list").contains("extra"));
}

#[test]
fn a_token_opens_the_api_and_a_wrong_one_does_not() {
    let home = Home::new();
    home.set_up();
    let _server = home.start();
    let token = home.done("token create --days 1");
    home.done(&format!("api GET /server --token {}", token.trim()));
    let line = home.refused("api GET /server --token hearth_wrong", 7);
    assert!(line.contains("token"), "{line}");
    let line = home.refused("api GET /nowhere", 1);
    assert!(line.contains("openapi"), "{line}");
}

#[test]
fn a_second_server_on_one_home_is_refused() {
    let home = Home::new();
    home.set_up();
    let server = home.start();
    let line = home.refused("run", 6);
    assert!(line.contains("in use by process"), "{line}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_stopped_server_leaves_no_ports_and_no_token() {
    let home = Home::new();
    home.set_up();
    let server = home.start();
    let token = home.path().join("run/admin-token");
    let mode = std::fs::metadata(&token).map(|meta| {
        use std::os::unix::fs::PermissionsExt;
        meta.permissions().mode() & 0o777
    });
    assert_eq!(mode.expect("a token"), 0o600);
    assert_eq!(server.stop(), Some(0));
    assert!(!token.exists() && !home.path().join("run/ports.json").exists());
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new();
    home.set_up();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let file = home.path().join("hearth.toml");
    let text = std::fs::read_to_string(&file).expect("a file");
    let text = text.replace("console = 0", &format!("console = {port}"));
    let text = text.replace("console_addresses = [\"::\"]", "console_addresses = [\"127.0.0.1\"]");
    write(&file, &text);
    let line = home.refused("run", 5);
    assert!(line.contains(&port.to_string()), "{line}");
    assert!(!home.path().join("run/ports.json").exists());
}

#[test]
fn a_wrong_configuration_key_is_named() {
    let home = Home::new();
    home.set_up();
    let file = home.path().join("hearth.toml");
    let text = std::fs::read_to_string(&file).expect("a file");
    write(&file, &text.replace("console =", "consol ="));
    for command in ["run", "user list"] {
        let line = home.refused(command, 3);
        assert!(line.contains("consol") && line.contains("did you mean"), "{line}");
    }
}

#[test]
fn an_unreadable_certificate_is_named() {
    let home = Home::new();
    home.set_up();
    write(&home.path().join("certs/fullchain.pem"), "no certificate");
    write(&home.path().join("certs/privkey.pem"), "no key");
    let line = home.refused("run", 3);
    assert!(line.contains("fullchain.pem"), "{line}");
}

#[test]
fn a_damaged_database_is_named() {
    let home = Home::new();
    home.set_up();
    for log in ["hearth.db-wal", "hearth.db-shm"] {
        // They are there when the last process did not close the database.
        let _ = std::fs::remove_file(home.path().join(log));
    }
    write(&home.path().join("hearth.db"), &"this is no database ".repeat(1000));
    let line = home.refused("run", 4);
    assert!(line.contains("hearth.db"), "{line}");
}

#[test]
fn a_home_that_is_not_set_up_is_named() {
    let home = Home::new();
    let line = home.refused("user list", 3);
    assert!(line.contains("hearth setup"), "{line}");
    assert!(!home.path().exists());
}

#[test]
fn a_backup_is_restored_to_another_home() {
    let home = Home::new();
    home.set_up();
    let server = home.start();
    home.done("user add romeo");
    let file = |name: &str| home.folder.path().join(name).display().to_string();
    for name in ["all.jsonl", "all.db"] {
        home.done(&format!("backup {}", file(name)));
        assert!(home.refused(&format!("backup {}", file(name)), 1).contains("exists"));
        home.refused(&format!("restore {}", file(name)), 6);
        let other = Home::new();
        other.done(&format!("restore {}", file(name)));
        assert!(other.done("user list").contains("romeo"), "{name}");
    }
    assert_eq!(server.stop(), Some(0));
    let broken = home.folder.path().join("broken");
    write(&broken, "no backup");
    home.refused(&format!("restore {}", broken.display()), 4);
    assert!(home.done("user list").contains("romeo"));
}

#[test]
fn help_and_version_succeed() {
    let home = Home::new();
    assert!(home.done("--version").starts_with("hearth "));
    assert!(home.done("--help").contains("setup"));
    home.refused("frobnicate", 2);
}

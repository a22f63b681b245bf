use clap::CommandFactory;

use super::*;

fn read(arguments: &[&str]) -> Result<Option<Cli>, CliError> {
    let all = ["hearth"].iter().chain(arguments);
    parse(all.map(|argument| OsString::from(*argument)))
}

fn command(arguments: &[&str]) -> Option<Command> {
    read(arguments).expect("right").expect("a command line").command
}

#[test]
fn the_declaration_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn no_command_means_run() {
    assert!(command(&[]).is_none());
    assert!(matches!(command(&["run"]), Some(Command::Run(_))));
}

#[test]
fn global_options_stand_anywhere() {
    for arguments in [["--home", "x", "user", "list"], ["user", "list", "--home", "x"]] {
        let cli = read(&arguments).expect("right").expect("a command line");
        assert_eq!(cli.global.home, PathBuf::from("x"));
    }
}

#[test]
fn scripts_can_rely_on_these_lines() {
    for line in [
        "setup --home h --domain d --database sqlite --admin-password-file f --ephemeral-ports",
        "setup --domain d --set c2s.starttls=optional --set limits.x=0",
        "user add romeo juliet --password-file -",
        "user add --count 10 --prefix user --password-file f",
        "user add boss --admin",
        "user list --json",
        "user password romeo --password-file -",
        "user lock romeo",
        "user unlock romeo",
        "user show romeo",
        "user delete romeo juliet",
        "property list",
        "property get c2s.starttls",
        "property set c2s.starttls optional",
        "property reset c2s.starttls",
        "token create --home h",
        "token create ci --days 30",
        "token list",
        "token revoke 0123",
        "api GET /users",
        "backup file.jsonl",
        "restore file.jsonl",
        "api POST /users --data {}",
        "plugin new guestbook --path plugin-api",
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        assert!(command(&arguments).is_some(), "{line}");
    }
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    for (line, word) in [
        ("user", "subcommand"),
        ("user ad romeo", "ad"),
        ("user add", "NAMES"),
        ("user add --count 3", "--prefix"),
        ("user add romeo --count 3 --prefix u", "cannot be used"),
        ("user delete", "NAMES"),
        ("setup --set novalue", "NAME=VALUE"),
        ("serve", "serve"),
        ("--color", "--color"),
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let error = read(&arguments).expect_err(line);
        let told = error.to_string();
        assert_eq!(error.exit, Exit::Usage, "{line}");
        assert!(told.starts_with("hearth: ") && told.contains(word), "{line}: {told}");
        assert!(!told.contains('\n'), "{told}");
    }
}

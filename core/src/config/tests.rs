use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::clock::Random;
use crate::storage::DatabaseUrl;

fn parse(text: &str) -> Result<Config, String> {
    let text = format!("node = \"00c0ffee\"\n{text}");
    Config::parse(&text, Path::new("hearth.toml")).map_err(|e| e.to_string())
}

#[test]
fn the_rendered_file_reads_back_the_same() {
    let mut config = Config::new(&Random::system());
    config.ports.s2s = Port::Off;
    config.ports.c2s = Port::Number(0);
    config.log.format = LogFormat::Json;
    let text = config.render();
    assert_eq!(Config::parse(&text, Path::new("hearth.toml")).unwrap(), config);
    assert!(text.contains("[ports]\n# Clients, STARTTLS."), "{text}");
}

#[test]
fn every_key_is_in_the_file_and_documented() {
    let text = Config::new(&Random::system()).render();
    let keys = text.lines().filter(|line| line.contains(" = ")).count();
    let table: toml::Table = text.parse().unwrap();
    let leaves: usize = table.values().map(|v| v.as_table().map_or(1, |t| t.len())).sum();
    let value = toml::Table::try_from(Config::default()).unwrap();
    let fields: usize = value.values().map(|v| v.as_table().map_or(1, |t| t.len())).sum();
    assert_eq!((keys, leaves), (fields, fields));
}

#[test]
fn an_unknown_key_is_refused_with_a_hint() {
    assert_eq!(
        parse("[ports]\nc2s_tsl = 1").unwrap_err(),
        "hearth.toml: unknown key `ports.c2s_tsl`; did you mean `c2s_tls`?"
    );
    assert_eq!(
        parse("[databse]\nurl = \"sqlite\"").unwrap_err(),
        "hearth.toml: unknown key `databse`; did you mean `database`?"
    );
    assert_eq!(parse("colour = 1").unwrap_err(), "hearth.toml: unknown key `colour`");
}

#[test]
fn wrong_values_name_the_line_or_the_key() {
    let wrong = parse("[ports]\nc2s = 70000").unwrap_err();
    assert!(wrong.starts_with("hearth.toml, line 3: ") && wrong.contains("65535"), "{wrong}");
    let wrong = parse("[database]\nurl = \"mysql://x\"").unwrap_err();
    assert!(wrong.starts_with("hearth.toml: database.url: "), "{wrong}");
    let wrong = parse("[database]\nsynchronous = \"off\"").unwrap_err();
    assert!(wrong.contains("normal or full"), "{wrong}");
    assert!(parse("[listen]\naddresses = [\"nowhere\"]").unwrap_err().contains("line 3"));
    assert!(parse("[ports\n").unwrap_err().starts_with("hearth.toml, line "));
}

#[test]
fn the_first_load_makes_a_private_file_and_later_ones_keep_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("home"));
    home.create().unwrap();
    let (environment, random) = (Environment::default(), Random::system());
    let first = Config::load(&home, &environment, &random).unwrap();
    assert_eq!(Config::load(&home, &environment, &random).unwrap(), first);
    assert!(first.node_id().is_some());
    let mode = fs::metadata(home.config()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_environment_goes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    home.create().unwrap();
    let url = Some("postgres://hearth:secret@db.example/hearth".to_owned());
    let environment = Environment { database_url: url, ..Environment::default() };
    let config = Config::load(&home, &environment, &Random::system()).unwrap();
    let url = config.database_url(&home).unwrap();
    assert!(matches!(url, DatabaseUrl::Postgres(_)));
    assert_eq!(url.to_string(), "postgres://db.example:5432/hearth");
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn a_second_process_on_the_same_home_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    home.create().unwrap();
    let lock = home.lock().unwrap();
    let refused = home.lock().unwrap_err().to_string();
    assert!(refused.contains(&format!("process {};", std::process::id())), "{refused}");
    drop(lock);
    home.lock().unwrap();
}

#[test]
fn a_write_that_dies_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hearth.toml");
    write_atomically(&path, b"old", 0o600).unwrap();
    // What a process killed between write and rename leaves behind does not stop the next one.
    let litter = folder.path().join(format!(".hearth.toml.{}.tmp", std::process::id()));
    fs::write(&litter, b"ne").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    write_atomically(&path, b"new", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert!(!litter.exists());
}

#[test]
fn a_write_that_fails_leaves_nothing_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir(&path).unwrap();
    assert!(write_atomically(&path, b"x", 0o600).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn open_ports_are_written_in_the_agreed_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ports.json");
    let mut ports = OpenPorts { c2s: Some(5222), c2s_tls: Some(5223), ..OpenPorts::default() };
    ports.console = Some(9090);
    ports.others.insert("turn".to_owned(), 3478);
    ports.write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, r#"{"c2s":5222,"c2s_tls":5223,"console":9090,"turn":3478}"#);
    assert_eq!(OpenPorts::read(&path).unwrap(), ports);
}

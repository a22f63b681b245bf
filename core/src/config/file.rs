//! `hearth.toml`: the structs, reading with hints, writing with comments.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ConfigError, Environment, Home, Ports, did_you_mean, write_atomically};
use crate::clock::Random;
use crate::storage::{DatabaseUrl, StorageError, Synchronous};

/// What `hearth.toml` says, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Eight hexadecimal digits, drawn when the file is made.
    pub node: String,
    pub database: Database,
    pub listen: Listen,
    pub ports: Ports,
    pub log: Log,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    pub url: String,
    pub synchronous: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listen {
    pub addresses: Vec<IpAddr>,
    pub console_addresses: Vec<IpAddr>,
    pub host_name: String,
    pub certificates: PathBuf,
    pub proxy_protocol: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Every key with what the file says about it, in the order of the file. Keys that are not here
/// are unknown.
const KEYS: &[(&str, &str, &str)] = &[
    ("", "node", "The number of this node, eight hexadecimal digits. Never copy it to another."),
    (
        "database",
        "url",
        "sqlite (hearth.db beside this file), sqlite:FILE or\npostgres://user:password@host:port/name?sslmode=disable|prefer|require|verify-full\n(&sslrootcert=FILE or &sslfingerprint=SHA256 say which certificate is trusted).",
    ),
    (
        "database",
        "synchronous",
        "SQLite only: normal survives the death of the process, full also power loss.",
    ),
    ("listen", "addresses", "Where clients and servers connect to; :: is every address, IPv4 too."),
    ("listen", "console_addresses", "Where the console and the API listen."),
    (
        "listen",
        "host_name",
        "The name of this machine in DNS, when it is not the domain itself: a self-signed certificate\nnames it too.",
    ),
    ("listen", "certificates", "Folder of certificates and keys (PEM), relative to this file."),
    (
        "listen",
        "proxy_protocol",
        "true behind a load balancer that tells whose connection it forwards (PROXY protocol 1 or 2):\nthen clients cannot connect to the client ports but through it.",
    ),
    ("ports", "c2s", "Clients, STARTTLS. Each port: a number, 0 for any free one, or \"off\"."),
    ("ports", "c2s_tls", "Clients, direct TLS."),
    ("ports", "s2s", "Servers, STARTTLS."),
    ("ports", "s2s_tls", "Servers, direct TLS."),
    ("ports", "component", "External components (XEP-0114)."),
    ("ports", "http", "HTTP binding, WebSocket, uploads, host-meta."),
    ("ports", "https", "The same over TLS."),
    ("ports", "console", "Console and API for this machine; from elsewhere it redirects to TLS."),
    ("ports", "console_tls", "Console and API over TLS."),
    (
        "log",
        "filter",
        "error, warn, info, debug or trace; also per module: info,hearth::s2s=debug.",
    ),
    ("log", "format", "text or json; logs go to stderr."),
];

impl Config {
    /// A new node's configuration.
    pub fn new(random: &Random) -> Config {
        let node = format!("{:08x}", u32::from_be_bytes(random.bytes()));
        Config { node, ..Config::default() }
    }

    /// Reads the home's `hearth.toml`, or makes one. The environment goes before the file.
    pub fn load(
        home: &Home,
        environment: &Environment,
        random: &Random,
    ) -> Result<Config, ConfigError> {
        let path = home.config();
        let mut config = match std::fs::read_to_string(&path) {
            Ok(text) => Config::parse(&text, &path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let config = Config::new(random);
                config.write(home)?;
                config
            }
            Err(source) => return Err(ConfigError::File { path, source }),
        };
        if let Some(url) = &environment.database_url {
            config.database.url = url.clone();
            config.database_url(home).map_err(|e| ConfigError::Value {
                path: "the environment".into(),
                key: "HEARTH_DATABASE_URL",
                why: e.to_string(),
            })?;
        }
        Ok(config)
    }

    /// Parses and checks the text of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let syntax = |error: toml::de::Error| syntax(&error, text, path);
        check_keys(&toml::from_str(text).map_err(syntax)?, path)?;
        let config: Config = toml::from_str(text).map_err(syntax)?;
        let wrong = |key, why| ConfigError::Value { path: path.to_owned(), key, why };
        if config.node_id().is_none() {
            return Err(wrong("node", "it takes eight hexadecimal digits".to_owned()));
        }
        let folder = path.parent().unwrap_or(path);
        DatabaseUrl::parse(&config.database.url, folder)
            .map_err(|e| wrong("database.url", e.to_string()))?;
        if !["normal", "full"].contains(&config.database.synchronous.as_str()) {
            return Err(wrong("database.synchronous", "it takes normal or full".to_owned()));
        }
        Ok(config)
    }

    /// Writes the home's `hearth.toml`, which may hold a password: for this user only.
    pub fn write(&self, home: &Home) -> Result<(), ConfigError> {
        let path = home.config();
        write_atomically(&path, self.render().as_bytes(), 0o600)
            .map_err(|source| ConfigError::File { path, source })
    }

    /// The file's text: every key with its comment.
    pub fn render(&self) -> String {
        let values = toml::Table::try_from(self).expect("the structs hold only what TOML can say");
        let mut text = String::new();
        let mut open = "";
        for (section, key, doc) in KEYS {
            if *section != open {
                text.push_str(&format!("\n[{section}]\n"));
                open = section;
            }
            for line in doc.lines() {
                text.push_str(&format!("# {line}\n"));
            }
            let table = values.get(*section).and_then(toml::Value::as_table).unwrap_or(&values);
            if let Some(value) = table.get(*key) {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        text
    }

    /// The number of this node in ids and leases.
    pub fn node_id(&self) -> Option<u32> {
        let hex = self.node.len() == 8 && self.node.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(&self.node, 16).ok()).flatten()
    }

    /// Where the database is.
    pub fn database_url(&self, home: &Home) -> Result<DatabaseUrl, StorageError> {
        DatabaseUrl::parse(&self.database.url, home.path())
    }

    /// How durable a commit to the embedded database is.
    pub fn synchronous(&self) -> Synchronous {
        match self.database.synchronous.as_str() {
            "full" => Synchronous::Full,
            _ => Synchronous::Normal,
        }
    }

    /// The folder of certificates.
    pub fn certificates(&self, home: &Home) -> PathBuf {
        home.path().join(&self.listen.certificates)
    }
}

impl Default for Database {
    fn default() -> Database {
        Database { url: "sqlite".to_owned(), synchronous: "normal".to_owned() }
    }
}

impl std::fmt::Debug for Database {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("synchronous", &self.synchronous).finish_non_exhaustive()
    }
}

impl Default for Listen {
    fn default() -> Listen {
        let all = vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let console_addresses = all.clone();
        Listen {
            addresses: all,
            console_addresses,
            host_name: String::new(),
            certificates: "certs".into(),
            proxy_protocol: false,
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Refuses keys that are not in [`KEYS`], naming the nearest one.
fn check_keys(table: &toml::Table, path: &Path) -> Result<(), ConfigError> {
    let known = |section: &str, key: &str| KEYS.iter().any(|(s, k, _)| *s == section && *k == key);
    for (name, value) in table {
        match value.as_table() {
            None if known("", name) => {}
            Some(section) if KEYS.iter().any(|(s, _, _)| s == name) => {
                if let Some(key) = section.keys().find(|key| !known(name, key)) {
                    let near = KEYS.iter().filter(|(s, _, _)| s == name).map(|(_, k, _)| *k);
                    return Err(unknown(format!("{name}.{key}"), did_you_mean(key, near), path));
                }
            }
            _ => {
                let near = KEYS.iter().map(|(s, k, _)| if s.is_empty() { *k } else { *s });
                return Err(unknown(name.clone(), did_you_mean(name, near), path));
            }
        }
    }
    Ok(())
}

fn unknown(key: String, hint: String, path: &Path) -> ConfigError {
    ConfigError::UnknownKey { path: path.to_owned(), key, hint }
}

fn syntax(error: &toml::de::Error, text: &str, path: &Path) -> ConfigError {
    let line = error.span().and_then(|span| text.get(..span.start));
    let line = line.map(|before| format!(", line {}", before.matches('\n').count() + 1));
    ConfigError::Syntax {
        path: path.to_owned(),
        line: line.unwrap_or_default(),
        why: error.message().replace('\n', "; "),
    }
}

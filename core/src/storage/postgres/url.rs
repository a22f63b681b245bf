//! `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=ca.pem`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::storage::StorageError;

/// Where the external database is and how its TLS certificate is judged.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Config,
    verify: Verify,
    text: String,
    place: String,
}

/// How the server's certificate is judged once TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// `sslmode=prefer|require`: encrypted, whoever answers.
    Nothing,
    /// `sslmode=verify-full`: name and chain, against the public roots.
    PublicRoots,
    /// `sslrootcert=FILE`: name and chain, against these roots (PEM).
    RootFile(PathBuf),
    /// `sslfingerprint=HEX`: exactly this certificate, by the SHA-256 of its DER form.
    Fingerprint([u8; 32]),
}

/// A connection that answers nothing for this long is given up.
const SILENCE: Duration = Duration::from_secs(10);

impl PostgresUrl {
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// How the server's certificate is judged.
    pub fn verify(&self) -> &Verify {
        &self.verify
    }

    /// `host:port/database`, fit for logs: no user, no password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The URL with its password, for `hearth.toml`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for PostgresUrl {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<PostgresUrl, StorageError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let tls = TlsOptions::split(query)?;
        let plain = match tls.others.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{}", tls.others.join("&")),
        };
        let mut config: Config = plain.parse().map_err(|e| wrong(&e))?;
        config.ssl_mode(tls.mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        config.keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("hearth");
        }
        if config.get_dbname().is_none() {
            return Err(StorageError::Url("it names no database: add /NAME".to_owned()));
        }
        let place = place(&config);
        Ok(PostgresUrl { config, verify: tls.verify, text: text.to_owned(), place })
    }
}

fn wrong(error: &tokio_postgres::Error) -> StorageError {
    let cause = std::error::Error::source(error).map(|c| format!(": {c}")).unwrap_or_default();
    StorageError::Url(format!("{error}{cause}"))
}

fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

/// What libpq knows and tokio-postgres does not.
struct TlsOptions<'a> {
    mode: SslMode,
    verify: Verify,
    others: Vec<&'a str>,
}

impl<'a> TlsOptions<'a> {
    fn split(query: &'a str) -> Result<TlsOptions<'a>, StorageError> {
        let mut options =
            TlsOptions { mode: SslMode::Prefer, verify: Verify::Nothing, others: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => options.mode(mode)?,
                Some(("sslrootcert", file)) => {
                    options.mode = SslMode::Require;
                    options.verify = Verify::RootFile(file.into());
                }
                Some(("sslfingerprint", hex)) => {
                    options.mode = SslMode::Require;
                    options.verify = Verify::Fingerprint(fingerprint(hex)?);
                }
                _ => options.others.push(pair),
            }
        }
        Ok(options)
    }

    fn mode(&mut self, mode: &str) -> Result<(), StorageError> {
        self.mode = match mode {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            "require" | "verify-full" => SslMode::Require,
            other => {
                let known = "disable, prefer, require, verify-full";
                return Err(StorageError::Url(format!("sslmode={other} is none of {known}")));
            }
        };
        if mode == "verify-full" && self.verify == Verify::Nothing {
            self.verify = Verify::PublicRoots;
        }
        Ok(())
    }
}

/// 64 hexadecimal digits, with or without colons.
fn fingerprint(hex: &str) -> Result<[u8; 32], StorageError> {
    let wrong = || StorageError::Url("sslfingerprint needs 64 hexadecimal digits".to_owned());
    let digits: Vec<u8> = hex.bytes().filter(|b| *b != b':').collect();
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(wrong());
    }
    let mut octets = [0; 32];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *octet = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(octets)
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

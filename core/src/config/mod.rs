//! What a node needs to reach its database and open its ports: `hearth.toml` in the home folder,
//! and the environment, which is read here only. All other settings are `properties`.

mod atomic;
mod environment;
mod file;
mod hint;
mod home;
mod ports;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use atomic::write_atomically;
pub use environment::Environment;
#[cfg(test)]
pub use environment::test_postgres;
pub use file::{Config, Database, Listen, Log, LogFormat};
pub use hint::did_you_mean;
pub use home::{Home, HomeLock};
pub use ports::{NoPort, OpenPorts, Port, Ports};

/// What is wrong with the configuration. All are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}; check that the folder exists and belongs to the server's user", path = .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}{line}: {why}", path = .path.display())]
    Syntax { path: PathBuf, line: String, why: String },
    #[error("{path}: unknown key `{key}`{hint}", path = .path.display())]
    UnknownKey { path: PathBuf, key: String, hint: String },
    #[error("{path}: {key}: {why}", path = .path.display())]
    Value { path: PathBuf, key: &'static str, why: String },
    #[error(
        "the home folder {home} is in use by process {pid}; stop that server, or choose another \
         folder with --home", home = .home.display()
    )]
    InUse { home: PathBuf, pid: String },
    #[error("the environment variable {0} is not UTF-8")]
    Environment(&'static str),
}

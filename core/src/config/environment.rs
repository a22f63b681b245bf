//! The environment variables of an unattended set-up (containers).

use std::env::{self, VarError};

use super::ConfigError;

/// `HEARTH_DOMAIN`, `HEARTH_DATABASE_URL`, `HEARTH_ADMIN_PASSWORD`; absent or empty is `None`.
/// `HEARTH_HOME` is an argument of the command line.
#[derive(Clone, Default)]
pub struct Environment {
    pub domain: Option<String>,
    pub database_url: Option<String>,
    pub admin_password: Option<String>,
}

impl Environment {
    /// Reads the process' environment.
    pub fn read() -> Result<Environment, ConfigError> {
        Ok(Environment {
            domain: variable("HEARTH_DOMAIN")?,
            database_url: variable("HEARTH_DATABASE_URL")?,
            admin_password: variable("HEARTH_ADMIN_PASSWORD")?,
        })
    }

    /// Whether it says anything about a set-up, so that a first start asks nobody.
    pub fn is_unattended(&self) -> bool {
        let all = [&self.domain, &self.database_url, &self.admin_password];
        all.iter().any(|variable| variable.is_some())
    }
}

fn variable(name: &'static str) -> Result<Option<String>, ConfigError> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ConfigError::Environment(name)),
    }
}

/// The PostgreSQL server that tests may use: `postgres://user@127.0.0.1:port/database`.
#[cfg(test)]
pub fn test_postgres() -> Option<String> {
    variable("HEARTH_TEST_POSTGRES").ok().flatten()
}

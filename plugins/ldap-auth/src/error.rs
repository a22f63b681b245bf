//! What goes wrong between here and a directory. No variant holds a password.

use hearth_plugin_api::{Error, ErrorKind};
use ldap3::LdapError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LdapFault {
    /// Ours: a setting.
    #[error("{0}")]
    Setting(String),
    /// The directory's: each server that was tried and what it said.
    #[error("no LDAP server answers: {0}")]
    Unreachable(String),
    /// Ours or the directory's: the account by which it is searched.
    #[error("{server} does not let `{dn}` in: {why}; correct `bind-dn` and `bind-password`")]
    Bind { server: String, dn: String, why: String },
    /// The directory's: an answer that is an error.
    #[error("{server}: {why}")]
    Answer { server: String, why: String },
    /// The directory's.
    #[error("{server} did not answer within {ms} ms")]
    Late { server: String, ms: u128 },
    /// Ours: the filter finds several.
    #[error("`{user}` is not one user but several: make `user-filter` or `base-dn` narrower")]
    Ambiguous { user: String },
}

impl LdapFault {
    /// An error of `ldap3` at a server.
    pub fn at(server: &str, error: &LdapError) -> LdapFault {
        LdapFault::Answer { server: server.to_owned(), why: said(error) }
    }
}

/// What a server said, in one line.
pub fn said(error: &LdapError) -> String {
    match error {
        LdapError::LdapResult { result } => refusal(result),
        LdapError::Io { source } => source.to_string(),
        LdapError::FilterParsing => "the filter is none (RFC 4515)".to_owned(),
        other => other.to_string(),
    }
}

/// A result code and the server's own words (RFC 4511 §4.1.9).
pub fn refusal(result: &ldap3::LdapResult) -> String {
    let name = match result.rc {
        32 => "noSuchObject: the base is not there",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        4 => "sizeLimitExceeded: make `page-size` smaller",
        11 => "adminLimitExceeded: make `page-size` smaller",
        13 => "confidentialityRequired: set `starttls`, or use ldaps",
        _ => "",
    };
    format!("result {} {name} {}", result.rc, result.text).trim_end().to_owned()
}

impl From<LdapFault> for Error {
    fn from(fault: LdapFault) -> Error {
        let kind = match fault {
            LdapFault::Setting(_) | LdapFault::Bind { .. } | LdapFault::Ambiguous { .. } => {
                ErrorKind::Invalid
            }
            // `Timeout` would count as the plugin's own fault.
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("LDAP: {fault}"))
    }
}

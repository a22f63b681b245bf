//! A connection to the first server that answers, and what is asked on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hearth_plugin_api::Verified;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{LdapFault, refusal, said};
use crate::settings::Settings;

/// Result codes (RFC 4511, appendix A) by which a server refuses a password or its owner:
/// constraintViolation (locked), inappropriateAuthentication, invalidCredentials,
/// unwillingToPerform (disabled).
const REFUSALS: [u32; 4] = [19, 48, 49, 53];

/// Result codes of a server that another one may stand in for: busy, unavailable.
const ELSEWHERE: [u32; 2] = [51, 52];

/// An open connection on which the searching account has signed in.
pub struct Connection {
    pub(crate) ldap: Ldap,
    pub(crate) server: String,
    pub(crate) settings: Settings,
}

impl Connection {
    /// Tries the servers, from the one that answered last. `Unreachable` names what each has said.
    pub async fn open(
        settings: Settings,
        answering: &AtomicUsize,
    ) -> Result<Connection, LdapFault> {
        let servers = settings.servers.len();
        let first = answering.load(Ordering::Relaxed) % servers;
        let mut tried = Vec::new();
        for index in (first..servers).chain(0..first) {
            match Connection::at(&settings, &settings.servers[index]).await {
                Ok(connection) => {
                    answering.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(LdapFault::Unreachable(why)) => tried.push(why),
                Err(other) => return Err(other),
            }
        }
        Err(LdapFault::Unreachable(tried.join("; ")))
    }

    /// Connects to one server and signs in there.
    pub async fn at(settings: &Settings, server: &str) -> Result<Connection, LdapFault> {
        let away = |why: String| LdapFault::Unreachable(format!("{server}: {why}"));
        let (ldap, timeout) = (connect(settings, server), settings.timeout);
        let late = || away(format!("no answer within {} ms", timeout.as_millis()));
        let ldap = tokio::time::timeout(timeout, ldap).await.map_err(|_| late())?;
        let ldap = ldap.map_err(|error| match error {
            Connecting::Setting(text) => LdapFault::Setting(text),
            Connecting::Ldap(error) => away(said(&error)),
        })?;
        let (server, settings) = (server.to_owned(), settings.clone());
        let mut connection = Connection { ldap, server, settings };
        let Settings { bind_dn, bind_password, .. } = connection.settings.clone();
        if bind_dn.is_empty() {
            return Ok(connection);
        }
        let bound = within(timeout, connection.ldap.simple_bind(&bind_dn, &bind_password)).await;
        match bound {
            None => Err(late()),
            Some(Err(error)) => Err(away(said(&error))),
            Some(Ok(result)) if result.rc == 0 => Ok(connection),
            Some(Ok(result)) if ELSEWHERE.contains(&result.rc) => Err(away(refusal(&result))),
            Some(Ok(result)) => {
                let (server, why) = (connection.server, refusal(&result));
                Err(LdapFault::Bind { server, dn: bind_dn, why })
            }
        }
    }

    /// Whether a password is the user's: his entry is looked for, then he signs in with it. The
    /// connection is his afterwards, and of no use for searching.
    pub async fn verify(&mut self, user: &str, password: &str) -> Result<Verified, LdapFault> {
        let Some((dn, _)) = self.find(user).await? else { return Ok(Verified::Unknown) };
        // RFC 4513 §5.1.2: a bind without password succeeds, and proves nothing.
        if password.is_empty() {
            return Ok(Verified::Refused);
        }
        let timeout = self.settings.timeout;
        let bound = within(timeout, self.ldap.simple_bind(&dn, password)).await;
        let result = bound.ok_or_else(|| self.late())?;
        match result.map_err(|error| LdapFault::at(&self.server, &error))? {
            result if result.rc == 0 => Ok(Verified::Accepted),
            result if REFUSALS.contains(&result.rc) => Ok(Verified::Refused),
            result => {
                let (server, why) = (self.server.clone(), refusal(&result));
                Err(LdapFault::Answer { server, why })
            }
        }
    }

    /// Says goodbye (RFC 4511 §4.3); a server that is gone does not mind.
    pub async fn close(mut self) {
        let _ = within(self.settings.timeout, self.ldap.unbind()).await;
    }

    pub(crate) fn late(&self) -> LdapFault {
        LdapFault::Late { server: self.server.clone(), ms: self.settings.timeout.as_millis() }
    }
}

/// The answer, or `None` when it does not come in time.
pub async fn within<T>(timeout: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(timeout, future).await.ok()
}

enum Connecting {
    Setting(String),
    Ldap(LdapError),
}

async fn connect(settings: &Settings, server: &str) -> Result<Ldap, Connecting> {
    let mut how = LdapConnSettings::new().set_starttls(settings.starttls);
    if !settings.ca.is_empty() {
        how = how.set_config(trusting(&settings.ca).map_err(Connecting::Setting)?);
    }
    let connecting = LdapConnAsync::with_settings(how, server).await;
    let (connection, ldap) = connecting.map_err(Connecting::Ldap)?;
    // Moves the bytes until `ldap` is gone; ends with the plugin's runtime at the latest.
    tokio::spawn(connection.drive());
    Ok(ldap)
}

/// TLS that trusts these authorities only.
fn trusting(pem: &str) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("`ca` is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("`ca` is no certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("`ca` holds no certificate: paste it with its BEGIN and END lines".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

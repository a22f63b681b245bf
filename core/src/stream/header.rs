//! The stream header (RFC 6120 §4.7): which host, which version, and that neither changes.

use std::sync::Arc;

use super::output::HeaderFields;
use super::{
    Account, Authenticated, Negotiating, Outputs, Profile, Profiles, StreamFault, StreamState,
    TlsFacts, features,
};
use crate::jid::{Jid, domainpart};
use crate::xml::{ContentNamespace, StreamHeader};

/// Nothing is known of the peer but its connection.
pub struct AwaitHeader {
    pub(super) profiles: Profiles,
    pub(super) tls: Option<TlsFacts>,
}

/// The stream starts anew on the same connection, for the same host.
pub struct AwaitRestart {
    pub(super) link: Link,
    pub(super) account: Option<Account>,
}

/// What every state after the first header carries.
pub(super) struct Link {
    pub profile: Arc<Profile>,
    pub tls: Option<TlsFacts>,
    pub lang: Option<String>,
    /// Attempts that failed so far.
    pub failures: u8,
}

impl Link {
    /// Counts a failed attempt; the last one is one too many (RFC 6120 §6.4.5).
    pub fn count_failure(&mut self) -> Result<(), StreamFault> {
        self.failures = self.failures.saturating_add(1);
        if self.failures > self.profile.max_failures {
            return Err(StreamFault::TooManyAttempts);
        }
        Ok(())
    }

    /// Writes our header and the features for what is to come.
    fn open(&mut self, header: &StreamHeader, account: Option<&Account>, out: &mut Outputs) {
        self.lang = header.lang.as_ref().map(|lang| lang.as_str().to_owned());
        let id = (self.profile.tokens)();
        let to = header.from.as_deref();
        out.header(&HeaderFields { domain: &self.profile.domain, to, id: &id });
        features::write(self, account.is_some(), out);
    }
}

impl AwaitHeader {
    pub(super) fn header(
        self,
        header: &StreamHeader,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        check_form(header)?;
        let domain = header.to.as_deref().ok_or(StreamFault::NoDomain)?;
        let domain = domainpart(domain).map_err(|_| StreamFault::HostUnknown)?;
        let profile = self.profiles.find(&domain).ok_or(StreamFault::HostUnknown)?;
        check_from(header, &profile.domain, None)?;
        let mut link = Link { profile, tls: self.tls, lang: None, failures: 0 };
        link.open(header, None, out);
        Ok(StreamState::Negotiating(Box::new(Negotiating { link })))
    }
}

impl AwaitRestart {
    pub(super) fn header(
        mut self,
        header: &StreamHeader,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        check_form(header)?;
        // What was negotiated holds for the domain of the first header only.
        let same = header.to.as_deref().is_none_or(|to| {
            domainpart(to).is_ok_and(|domain| domain == self.link.profile.domain.as_str())
        });
        if !same {
            return Err(StreamFault::DomainChanged);
        }
        check_from(header, &self.link.profile.domain, self.account.as_ref())?;
        self.link.open(header, self.account.as_ref(), out);
        Ok(match self.account {
            None => StreamState::Negotiating(Box::new(Negotiating { link: self.link })),
            Some(account) => {
                StreamState::Authenticated(Box::new(Authenticated { link: self.link, account }))
            }
        })
    }
}

fn check_form(header: &StreamHeader) -> Result<(), StreamFault> {
    if header.content != ContentNamespace::Client {
        return Err(StreamFault::WrongNamespace);
    }
    // RFC 6120 §4.7.5: no version means 0.9, which knows neither features nor SASL.
    match header.version {
        Some((major, _)) if major >= 1 => Ok(()),
        _ => Err(StreamFault::UnsupportedVersion),
    }
}

/// RFC 6120 §4.7.1: a client may say who it is, but only somebody of this host, and after
/// authentication nobody else than who it is.
fn check_from(
    header: &StreamHeader,
    domain: &str,
    account: Option<&Account>,
) -> Result<(), StreamFault> {
    let Some(from) = header.from.as_deref() else { return Ok(()) };
    let from = Jid::parse(from).map_err(|_| StreamFault::InvalidFrom)?;
    let fits = match account {
        Some(account) => from.bare_str() == account.jid.as_str(),
        None => from.domain() == domain,
    };
    if fits { Ok(()) } else { Err(StreamFault::InvalidFrom) }
}

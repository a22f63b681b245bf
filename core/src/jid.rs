//! Addresses (RFC 7622): `localpart@domainpart/resourcepart`, always in prepared form.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::precis_core::{IdentifierClass, StringClass};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

#[cfg(test)]
mod tests;

/// RFC 7622 §3: no part may exceed 1023 octets after preparation.
const MAX_PART: usize = 1023;

/// Why a text is not an address. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    #[error("an address part is empty")]
    Empty,
    #[error("an address part exceeds 1023 octets")]
    TooLong,
    #[error("the localpart holds a character that RFC 7622 forbids, such as a space, @ or /")]
    Localpart,
    #[error("the domainpart is not a host name or address")]
    Domainpart,
    #[error("the resourcepart holds a character that RFC 7622 forbids")]
    Resourcepart,
}

/// A prepared address. Cloning shares the text.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Octet length of the localpart; 0 when there is none.
    local: u16,
    /// Octet at which the domainpart ends.
    domain_end: u16,
}

impl Jid {
    /// Parses and prepares `text` (RFC 7622 §3.1: the first `/` ends the domainpart, the first `@`
    /// before it ends the localpart).
    pub fn parse(text: &str) -> Result<Jid, JidError> {
        let (bare, resource) = match memchr::memchr(b'/', text.as_bytes()) {
            Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
            None => (text, None),
        };
        let (local, domain) = match memchr::memchr(b'@', bare.as_bytes()) {
            Some(at) => (Some(&bare[..at]), &bare[at + 1..]),
            None => (None, bare),
        };
        let local = local.map(localpart).transpose()?;
        let domain = domainpart(domain)?;
        let resource = resource.map(resourcepart).transpose()?;
        Ok(Jid::assemble(text, local.as_deref(), &domain, resource.as_deref()))
    }

    /// An address in prepared form: only looks where its parts end.
    pub fn prepared(text: &str) -> Result<Jid, JidError> {
        let domain_end = memchr::memchr(b'/', text.as_bytes()).unwrap_or(text.len());
        let local = memchr::memchr(b'@', &text.as_bytes()[..domain_end]);
        let domain = local.map_or(0, |at| at + 1)..domain_end;
        let resource = text.len().checked_sub(domain_end + 1);
        if local == Some(0) || domain.is_empty() || resource == Some(0) {
            return Err(JidError::Empty);
        }
        let longest = local.unwrap_or(0).max(domain.len()).max(resource.unwrap_or(0));
        if longest > MAX_PART {
            return Err(JidError::TooLong);
        }
        // Both fit, as each part does.
        let (local, domain_end) = (local.unwrap_or(0) as u16, domain_end as u16);
        Ok(Jid { text: text.into(), local, domain_end })
    }

    /// An address from its parts, each prepared here.
    pub fn from_parts(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Jid, JidError> {
        let local = local.map(localpart).transpose()?;
        let domain = domainpart(domain)?;
        let resource = resource.map(resourcepart).transpose()?;
        Ok(Jid::assemble("", local.as_deref(), &domain, resource.as_deref()))
    }

    /// `hint` is used as it is when preparation changed nothing, which saves building the text.
    fn assemble(hint: &str, local: Option<&str>, domain: &str, resource: Option<&str>) -> Jid {
        let local_len = local.map_or(0, str::len);
        let domain_end = local.map_or(0, |l| l.len() + 1) + domain.len();
        let length = domain_end + resource.map_or(0, |r| r.len() + 1);
        let unchanged = hint.len() == length
            && hint.starts_with(local.unwrap_or(""))
            && hint[..domain_end].ends_with(domain)
            && hint.ends_with(resource.unwrap_or(""));
        let text: Arc<str> = if unchanged {
            hint.into()
        } else {
            let mut text = String::with_capacity(length);
            if let Some(local) = local {
                text.push_str(local);
                text.push('@');
            }
            text.push_str(domain);
            if let Some(resource) = resource {
                text.push('/');
                text.push_str(resource);
            }
            text.into()
        };
        // Both fit: each part is at most 1023 octets.
        Jid { text, local: local_len as u16, domain_end: domain_end as u16 }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn local(&self) -> Option<&str> {
        (self.local > 0).then(|| &self.text[..self.local as usize])
    }

    pub fn domain(&self) -> &str {
        let start = if self.local > 0 { self.local as usize + 1 } else { 0 };
        &self.text[start..self.domain_end as usize]
    }

    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.domain_end as usize + 1..)
    }

    /// The text without the resourcepart.
    pub fn bare_str(&self) -> &str {
        &self.text[..self.domain_end as usize]
    }

    pub fn is_bare(&self) -> bool {
        self.text.len() == self.domain_end as usize
    }

    /// Has both a localpart and a resourcepart.
    pub fn is_full(&self) -> bool {
        self.local > 0 && !self.is_bare()
    }

    pub fn to_bare(&self) -> Jid {
        if self.is_bare() {
            return self.clone();
        }
        Jid { text: self.bare_str().into(), local: self.local, domain_end: self.domain_end }
    }

    /// This address with another resourcepart.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        let resource = resourcepart(resource)?;
        Ok(Jid::assemble("", self.local(), self.domain(), Some(&resource)))
    }
}

/// RFC 7622 §3.3: UsernameCaseMapped, without the eight characters of §3.3.1.
pub fn localpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    if text.is_empty() {
        return Err(JidError::Empty);
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._+".contains(&b);
    let prepared = if text.bytes().all(plain) {
        Cow::Borrowed(text)
    } else {
        UsernameCaseMapped::enforce(text).map_err(|_| JidError::Localpart)?
    };
    if prepared.contains(['"', '&', '\'', '/', ':', '<', '>', '@']) {
        return Err(JidError::Localpart);
    }
    sized(prepared)
}

/// RFC 7622 §3.2: an IP literal or an internationalised host name, in lower case, without the
/// final dot.
pub fn domainpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(JidError::Empty);
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    // RFC 1123 §2.1: a label neither begins nor ends with a hyphen.
    let label = |l: &str| (1..=63).contains(&l.len()) && !l.starts_with('-') && !l.ends_with('-');
    let labels = |text: &str| text.split('.').all(label);
    if text.bytes().all(plain) && labels(text) && !text.contains("xn--") {
        return sized(Cow::Borrowed(text));
    }
    if let Some(literal) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let valid = literal.parse::<std::net::Ipv6Addr>().is_ok();
        return if valid {
            Ok(text.to_ascii_lowercase().into())
        } else {
            Err(JidError::Domainpart)
        };
    }
    let (unicode, outcome) = idna::domain_to_unicode(text);
    outcome.map_err(|_| JidError::Domainpart)?;
    // UTS 46 lets symbols pass that IDNA2008 does not; the class of RFC 8264 knows the same letters
    // and digits as RFC 5892.
    IdentifierClass::default().allows(&*unicode).map_err(|_| JidError::Domainpart)?;
    let ascii = idna::domain_to_ascii_strict(&unicode).map_err(|_| JidError::Domainpart)?;
    if !labels(&ascii) {
        return Err(JidError::Domainpart);
    }
    sized(Cow::Owned(unicode))
}

/// RFC 7622 §3.4: OpaqueString.
pub fn resourcepart(text: &str) -> Result<Cow<'_, str>, JidError> {
    if text.is_empty() {
        return Err(JidError::Empty);
    }
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return sized(Cow::Borrowed(text));
    }
    sized(OpaqueString::enforce(text).map_err(|_| JidError::Resourcepart)?)
}

fn sized(part: Cow<'_, str>) -> Result<Cow<'_, str>, JidError> {
    if part.len() > MAX_PART { Err(JidError::TooLong) } else { Ok(part) }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Jid) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl std::hash::Hash for Jid {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid({})", self.text)
    }
}

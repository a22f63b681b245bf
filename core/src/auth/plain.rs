//! PLAIN (RFC 4616) and the preparation of passwords.

use std::borrow::Cow;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use zeroize::Zeroizing;

/// Longest password in octets; RFC 7622 bounds the other parts, nothing else bounds this one.
pub const MAX_PASSWORD: usize = 1024;

/// Why a message or a password is refused. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlainError {
    #[error("the PLAIN message is not `authzid NUL authcid NUL password` in UTF-8 (RFC 4616 §2)")]
    Malformed,
    #[error("the password is empty, longer than 1024 octets or holds a forbidden character")]
    Password,
}

/// A decoded PLAIN message. The password is prepared, and wiped when dropped.
pub struct Plain<'a> {
    pub authzid: Option<&'a str>,
    pub authcid: &'a str,
    pub password: Zeroizing<String>,
}

impl<'a> Plain<'a> {
    /// Reads `[authzid] NUL authcid NUL passwd` (RFC 4616 §2). The caller checks the authzid.
    pub fn parse(message: &'a [u8]) -> Result<Plain<'a>, PlainError> {
        let text = std::str::from_utf8(message).map_err(|_| PlainError::Malformed)?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(authcid), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PlainError::Malformed);
        };
        if authcid.is_empty() || password.is_empty() {
            return Err(PlainError::Malformed);
        }
        let authzid = (!authzid.is_empty()).then_some(authzid);
        Ok(Plain { authzid, authcid, password: prepare_password(password)? })
    }
}

/// The password as it enters key derivation: OpaqueString (RFC 8265 §4.2), which agrees with
/// RFC 4013 on everything but compatibility characters.
pub fn prepare_password(password: &str) -> Result<Zeroizing<String>, PlainError> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(PlainError::Password);
    }
    if password.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Ok(Zeroizing::new(password.to_owned()));
    }
    let prepared = OpaqueString::enforce(password).map_err(|_| PlainError::Password)?;
    Ok(Zeroizing::new(Cow::into_owned(prepared)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_three_parts() {
        let plain = Plain::parse(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((plain.authzid, plain.authcid), (None, "tim"));
        assert_eq!(plain.password.as_str(), "tanstaaftanstaaf");
        let plain = Plain::parse(b"ursel@im.example\0kurt\0xipj3plmq").unwrap();
        assert_eq!(plain.authzid, Some("ursel@im.example"));
    }

    #[test]
    fn malformed_messages_are_refused() {
        let cases: [&[u8]; 8] =
            [b"", b"\0", b"\0a", b"\0\0", b"\0a\0", b"\0\0b", b"\0a\0b\0", b"\0a\0\xff"];
        for message in cases {
            assert_eq!(Plain::parse(message).err(), Some(PlainError::Malformed), "{message:?}");
        }
    }

    #[test]
    fn passwords_are_prepared() {
        // RFC 8265 §4.3: other spaces become U+0020, composition is NFC, case stays.
        assert_eq!(prepare_password("A\u{3000}b").unwrap().as_str(), "A b");
        assert_eq!(prepare_password("e\u{301}").unwrap().as_str(), "\u{e9}");
        assert!(prepare_password("tab\there").is_err());
        assert!(prepare_password("").is_err());
        assert!(prepare_password(&"x".repeat(MAX_PASSWORD + 1)).is_err());
    }
}

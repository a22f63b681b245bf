//! The SASL mechanisms by name, in order of strength, and the hashes that SCRAM stands on.

use ring::{digest, hmac, pbkdf2};

/// Hash of a SCRAM mechanism (RFC 5802, RFC 7677, draft-melnikov-scram-sha-512).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    pub const ALL: [Hash; 3] = [Hash::Sha1, Hash::Sha256, Hash::Sha512];

    /// Name as stored in the `credential` table.
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "SHA-1",
            Hash::Sha256 => "SHA-256",
            Hash::Sha512 => "SHA-512",
        }
    }

    pub fn from_name(name: &str) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.name() == name)
    }

    pub(crate) fn digest(self) -> &'static digest::Algorithm {
        match self {
            // SCRAM needs no collision resistance of its hash; RFC 6120 makes SHA-1 mandatory.
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        }
    }

    pub(crate) fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    pub(crate) fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// A SASL mechanism that the server speaks. The order is the order of strength: channel binding
/// first, then the hash, PLAIN last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    Plain,
    Scram(Hash),
    ScramPlus(Hash),
}

impl Mechanism {
    /// Strongest first, as a stream offers them.
    pub const ALL: [Mechanism; 7] = [
        Mechanism::ScramPlus(Hash::Sha512),
        Mechanism::ScramPlus(Hash::Sha256),
        Mechanism::ScramPlus(Hash::Sha1),
        Mechanism::Scram(Hash::Sha512),
        Mechanism::Scram(Hash::Sha256),
        Mechanism::Scram(Hash::Sha1),
        Mechanism::Plain,
    ];

    /// Name in the IANA registry of SASL mechanisms.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha1) => "SCRAM-SHA-1",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
            Mechanism::ScramPlus(Hash::Sha1) => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramPlus(Hash::Sha256) => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramPlus(Hash::Sha512) => "SCRAM-SHA-512-PLUS",
        }
    }

    pub fn from_name(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// PLAIN shows the password to whoever listens; -PLUS binds to the TLS channel.
    pub fn needs_tls(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::ScramPlus(_))
    }

    pub fn binds_channel(self) -> bool {
        matches!(self, Mechanism::ScramPlus(_))
    }
}

/// A kind of channel binding (the IANA registry's names; XEP-0440 announces them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// RFC 9266, TLS 1.3 (and 1.2 with the extended master secret).
    TlsExporter,
    /// RFC 5929 §4: hash of the server's certificate.
    TlsServerEndPoint,
}

impl BindingType {
    pub const ALL: [BindingType; 2] = [BindingType::TlsExporter, BindingType::TlsServerEndPoint];

    pub fn name(self) -> &'static str {
        match self {
            BindingType::TlsExporter => "tls-exporter",
            BindingType::TlsServerEndPoint => "tls-server-end-point",
        }
    }

    pub fn from_name(name: &str) -> Option<BindingType> {
        BindingType::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_the_mechanism_and_strength_falls() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
        }
        assert!(Mechanism::ALL.is_sorted_by(|stronger, weaker| stronger > weaker));
        assert_eq!(Mechanism::from_name("scram-sha-1"), None);
        assert_eq!(Mechanism::from_name("ANONYMOUS"), None);
    }
}

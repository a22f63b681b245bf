//! The client's side of SCRAM (RFC 5802, RFC 7677) without channel binding.

use crate::error::{LoadError, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{digest, hmac, pbkdf2};
use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::rc::Rc;

/// base64 of the GS2 header `n,,` (no channel binding, no authzid).
const GS2_BASE64: &str = "biws";

/// The hash of the mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            // SCRAM-SHA-1 is the mechanism that every XMPP server has (RFC 6120 §13.8).
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        }
    }

    fn digest(self, bytes: &[u8]) -> digest::Digest {
        match self {
            Self::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes),
            Self::Sha256 => digest::digest(&digest::SHA256, bytes),
        }
    }
}

/// What is derived from a password; good for every login with the same salt.
struct Keys {
    client_key: Vec<u8>,
    stored_key: hmac::Key,
    server_key: hmac::Key,
}

#[derive(PartialEq, Eq, Hash)]
struct Salted {
    hash: Hash,
    salt: Vec<u8>,
    iterations: NonZeroU32,
    password: String,
}

/// Derived keys by salt, iterations and password, so that a repeated login measures the server and
/// not PBKDF2 in the client.
#[derive(Default)]
pub struct KeyCache(RefCell<HashMap<Salted, Rc<Keys>>>);

impl KeyCache {
    fn keys(&self, salted: Salted) -> Rc<Keys> {
        if let Some(known) = self.0.borrow().get(&salted) {
            return known.clone();
        }
        let keys = Rc::new(derive(&salted));
        self.0.borrow_mut().insert(salted, keys.clone());
        keys
    }
}

fn derive(salted: &Salted) -> Keys {
    let hash = salted.hash;
    let mut password = vec![0; hash.hmac().digest_algorithm().output_len()];
    let (iterations, secret) = (salted.iterations, salted.password.as_bytes());
    pbkdf2::derive(hash.pbkdf2(), iterations, &salted.salt, secret, &mut password);
    let salted_password = hmac::Key::new(hash.hmac(), &password);
    let client_key = hmac::sign(&salted_password, b"Client Key").as_ref().to_vec();
    let server_key = hmac::sign(&salted_password, b"Server Key");
    Keys {
        stored_key: hmac::Key::new(hash.hmac(), hash.digest(&client_key).as_ref()),
        server_key: hmac::Key::new(hash.hmac(), server_key.as_ref()),
        client_key,
    }
}

/// One exchange: first message, final message, verification.
pub struct Scram<'a> {
    hash: Hash,
    password: &'a str,
    nonce: String,
    first_bare: String,
    server_signature: Option<hmac::Tag>,
}

impl<'a> Scram<'a> {
    /// `nonce` must be fresh and printable without a comma; the caller has the randomness.
    pub fn new(hash: Hash, user: &str, password: &'a str, nonce: String) -> Self {
        let name = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        Self { hash, password, nonce, first_bare, server_signature: None }
    }

    /// client-first-message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// client-final-message for the server's first message.
    pub fn last(&mut self, server_first: &str, cache: &KeyCache) -> Result<String> {
        let (nonce, salt, iterations) = parse_server_first(server_first)?;
        if !nonce.starts_with(&self.nonce) {
            return Err(LoadError::Protocol("SCRAM nonce does not extend ours".into()));
        }
        let password = self.password.to_owned();
        let keys = cache.keys(Salted { hash: self.hash, salt, iterations, password });
        let without_proof = format!("c={GS2_BASE64},r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = hmac::sign(&keys.stored_key, auth_message.as_bytes());
        let xor = keys.client_key.iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign);
        let proof = BASE64_STANDARD.encode(xor.collect::<Vec<u8>>());
        self.server_signature = Some(hmac::sign(&keys.server_key, auth_message.as_bytes()));
        Ok(format!("{without_proof},p={proof}"))
    }

    /// Checks the server's signature in server-final-message.
    pub fn verify(&self, server_final: &str) -> Result<()> {
        let signature = server_final.strip_prefix("v=").and_then(|rest| rest.split(',').next());
        let signature = signature.and_then(|text| BASE64_STANDARD.decode(text).ok());
        match (&self.server_signature, signature) {
            (Some(ours), Some(theirs)) if ours.as_ref() == theirs => Ok(()),
            _ => Err(LoadError::Protocol(format!("wrong SCRAM server signature: {server_final}"))),
        }
    }
}

fn parse_server_first(message: &str) -> Result<(&str, Vec<u8>, NonZeroU32)> {
    let field = |key: &str| message.split(',').find_map(|part| part.strip_prefix(key));
    let parse = || {
        let salt = BASE64_STANDARD.decode(field("s=")?).ok()?;
        Some((field("r=")?, salt, field("i=")?.parse().ok()?))
    };
    parse().ok_or_else(|| LoadError::Protocol(format!("SCRAM server-first-message {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5802 §5.
    #[test]
    fn the_example_of_rfc_5802() {
        let cache = KeyCache::default();
        let mut scram = Scram::new(Hash::Sha1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL".into());
        assert_eq!(scram.first(), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let last = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                    p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
        assert_eq!(scram.last(first, &cache).unwrap(), last);
        scram.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").unwrap();
        assert!(scram.verify("v=AAAA").is_err());
        assert!(scram.verify("e=invalid-proof").is_err());
    }

    /// RFC 7677 §3; twice, as the second time the keys come from the cache.
    #[test]
    fn the_example_of_rfc_7677() {
        let cache = KeyCache::default();
        for _ in 0..2 {
            let mut scram =
                Scram::new(Hash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".into());
            let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
            let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
            assert_eq!(scram.last(first, &cache).unwrap(), last);
            scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        }
        assert_eq!(cache.0.borrow().len(), 1);
    }

    #[test]
    fn refuses_a_foreign_nonce_and_broken_messages() {
        let cache = KeyCache::default();
        let mut scram = Scram::new(Hash::Sha1, "a=b,c", "p", "abc".into());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=abc");
        assert!(scram.last("r=xyz,s=QSXCR+Q6sek8bf92,i=1", &cache).is_err());
        assert!(scram.last("r=abcd,s=QSXCR+Q6sek8bf92,i=0", &cache).is_err());
        assert!(scram.last("r=abcd,s=!,i=1", &cache).is_err());
        assert!(scram.last("nonsense", &cache).is_err());
    }
}

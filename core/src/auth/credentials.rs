//! What the server keeps of a password: per hash the salt, the iterations, StoredKey and ServerKey
//! (RFC 5802 §3). From these nobody can log in elsewhere, nor here.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use super::mechanism::Hash;

/// PBKDF2 rounds of new keys. RFC 7677 §4 asks for at least 4096 and for more as machines grow
/// faster. The client pays them at each login, small phones included, and the server at each PLAIN
/// login, so they are a compromise: 10,000 is what other servers have proven clients to bear.
pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(10_000).expect("10,000 is not 0");

/// Octets of a salt; RFC 5802 names no size, 128 bits never repeat.
pub const SALT_LEN: usize = 16;

/// Longest digest among the hashes, in octets.
const MAX_DIGEST: usize = digest::SHA512_OUTPUT_LEN;

/// Keys of one account for one hash.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    pub hash: Hash,
    pub iterations: NonZeroU32,
    pub salt: Box<[u8]>,
    /// H(ClientKey); as long as the digest.
    pub stored_key: Box<[u8]>,
    /// HMAC(SaltedPassword, "Server Key"); as long as the digest.
    pub server_key: Box<[u8]>,
}

impl ScramKeys {
    /// Derives the keys from a prepared password. Costs `iterations` HMACs: never on the reactor
    /// (see `derive`).
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> ScramKeys {
        let length = hash.digest().output_len();
        let mut salted = Zeroizing::new([0u8; MAX_DIGEST]);
        pbkdf2::derive(hash.pbkdf2(), iterations, salt, password.as_bytes(), &mut salted[..length]);
        let salted = hmac::Key::new(hash.hmac(), &salted[..length]);
        let client_key = hmac::sign(&salted, b"Client Key");
        ScramKeys {
            hash,
            iterations,
            salt: salt.into(),
            stored_key: digest::digest(hash.digest(), client_key.as_ref()).as_ref().into(),
            server_key: hmac::sign(&salted, b"Server Key").as_ref().into(),
        }
    }

    /// Whether `password` (prepared) has these keys. As expensive as `derive`.
    pub fn verify(&self, password: &str) -> bool {
        let derived = ScramKeys::derive(self.hash, password, &self.salt, self.iterations);
        equal(&derived.stored_key, &self.stored_key)
    }

    /// Keys for a name that has none, so that the answer to it looks like any other and stays the
    /// same when asked again. `secret` is the server's and never changes. Nobody knows a password
    /// for them.
    pub fn fake(hash: Hash, secret: &[u8], name: &str, iterations: NonZeroU32) -> ScramKeys {
        let secret = hmac::Key::new(hmac::HMAC_SHA512, secret);
        let part = |label: &str, length: usize| -> Box<[u8]> {
            let mut context = hmac::Context::with_key(&secret);
            for text in [label, "\0", hash.name(), "\0", name] {
                context.update(text.as_bytes());
            }
            context.sign().as_ref()[..length].into()
        };
        let length = hash.digest().output_len();
        ScramKeys {
            hash,
            iterations,
            salt: part("salt", SALT_LEN),
            stored_key: part("stored key", length),
            server_key: part("server key", length),
        }
    }
}

/// All keys of one account, one set per hash.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(pub Vec<ScramKeys>);

impl Credentials {
    /// Keys of `password` (prepared) for every hash. Costs three PBKDF2 runs: never on the
    /// reactor. `salts` come from the system's randomness.
    pub fn derive(
        password: &str,
        salts: &[[u8; SALT_LEN]; Hash::ALL.len()],
        iterations: NonZeroU32,
    ) -> Credentials {
        let keys = Hash::ALL
            .iter()
            .zip(salts)
            .map(|(hash, salt)| ScramKeys::derive(*hash, password, salt, iterations));
        Credentials(keys.collect())
    }

    pub fn get(&self, hash: Hash) -> Option<&ScramKeys> {
        self.0.iter().find(|keys| keys.hash == hash)
    }

    /// The set to check a plain password against: SHA-256 where there is one, because it is the
    /// cheapest of the strong ones.
    pub fn for_password(&self) -> Option<&ScramKeys> {
        self.get(Hash::Sha256).or_else(|| self.0.first())
    }
}

/// Comparison whose duration depends on the lengths only (which are no secret).
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |bits, (x, y)| bits | (x ^ y));
    // The barrier keeps the compiler from leaving the loop at the first difference.
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: NonZeroU32 = NonZeroU32::new(16).unwrap();

    #[test]
    fn a_password_verifies_against_its_own_keys_only() {
        let credentials = Credentials::derive("pencil", &[[1; 16], [2; 16], [3; 16]], FEW);
        for hash in Hash::ALL {
            let keys = credentials.get(hash).unwrap();
            assert!(keys.verify("pencil"));
            assert!(!keys.verify("pencil "));
        }
        assert_eq!(credentials.for_password().unwrap().hash, Hash::Sha256);
    }

    #[test]
    fn fake_keys_are_stable_and_differ_by_name_hash_and_secret() {
        let fake = |hash, secret: &[u8], name| ScramKeys::fake(hash, secret, name, FEW);
        let first = fake(Hash::Sha256, b"secret", "mercutio");
        assert!(first == fake(Hash::Sha256, b"secret", "mercutio"));
        assert_eq!((first.salt.len(), first.stored_key.len()), (SALT_LEN, 32));
        assert_ne!(first.salt, fake(Hash::Sha256, b"secret", "tybalt").salt);
        assert_ne!(first.salt, fake(Hash::Sha512, b"secret", "mercutio").salt);
        assert_ne!(first.salt, fake(Hash::Sha256, b"other", "mercutio").salt);
    }
}

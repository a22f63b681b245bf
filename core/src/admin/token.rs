//! Bearer tokens: 192 random bits, of which the database keeps a hash only.

use std::fmt;

use ring::digest::{SHA256, digest};

use crate::clock::Random;

/// What every token begins with, so that one found in a log or a repository can be told.
const PREFIX: &str = "hearth_";

/// A token in clear: shown once, never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(random: &Random) -> Token {
        Token(format!("{PREFIX}{}", random.token()))
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The text that a client sends.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a token. A fast hash is enough for a secret that cannot be guessed.
#[derive(Clone, Copy, Debug)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    pub fn of(presented: &str) -> TokenHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, presented.as_bytes()).as_ref());
        TokenHash(hash)
    }

    /// Compares in constant time.
    pub fn is(&self, other: &TokenHash) -> bool {
        crate::auth::credentials::equal(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_fresh_and_hidden() {
        let random = Random::system();
        let (one, two) = (Token::new(&random), Token::new(&random));
        assert_ne!(one, two);
        // 128 bits are 22 characters of base64.
        assert!(one.reveal().len() >= PREFIX.len() + 22);
        assert!(!format!("{one:?}").contains(&one.reveal()[PREFIX.len()..]));
    }

    #[test]
    fn the_hash_tells_tokens_apart() {
        let token = Token::new(&Random::system());
        assert!(token.hash().is(&TokenHash::of(token.reveal())));
        assert!(!token.hash().is(&TokenHash::of(&format!("{}x", token.reveal()))));
        // FIPS 180-2, appendix B.1.
        assert_eq!(TokenHash::of("abc").0[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}

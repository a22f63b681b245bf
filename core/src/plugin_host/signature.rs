//! The signature that may stand at the end of a plugin file: an ELF file may be followed by
//! anything, so that a signed plugin is still one file that loads as it is.
//!
//! ```text
//! the library | Ed25519 signature (64) | public key (32) | "HEARTH-SIGNED-1\n" (16)
//! ```
//!
//! Signed is a context string and the SHA-256 of the library.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

const MAGIC: &[u8; 16] = b"HEARTH-SIGNED-1\n";
/// Keeps these signatures apart from whatever else a key signs.
const CONTEXT: &[u8] = b"Hearth plugin, version 1\0";
const TRAILER: usize = 64 + 32 + MAGIC.len();

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// Why a signature or a key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("its signature does not fit its content: the file was changed after it was signed")]
    Forged,
    #[error(
        "no public key is `{0}`: it is 32 octets in base64, as `hearth plugin keygen` prints it"
    )]
    PublicKey(String),
    #[error("the file holds no private key as `hearth plugin keygen` writes it")]
    PrivateKey,
    #[error("the file is signed already")]
    Signed,
}

/// An Ed25519 public key (RFC 8032).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads base64, as [`PublicKey::to_string`] writes it.
    pub fn parse(text: &str) -> Result<PublicKey, SignatureError> {
        let octets = STANDARD.decode(text.trim()).ok();
        let key = octets.and_then(|octets| octets.try_into().ok());
        key.map(PublicKey).ok_or_else(|| SignatureError::PublicKey(text.trim().to_owned()))
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// The key whose signature the file carries, if it carries one; a wrong one is an error.
pub fn signer(file: &[u8]) -> Result<Option<PublicKey>, SignatureError> {
    let Some((content, trailer)) = split(file) else { return Ok(None) };
    let (signature, key) = trailer.split_at(64);
    let key: [u8; 32] = key.try_into().expect("the trailer has a fixed length");
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&message(content), signature)
        .map_err(|_| SignatureError::Forged)?;
    Ok(Some(PublicKey(key)))
}

/// The library, and signature and key behind it.
fn split(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let unmarked = file.strip_suffix(MAGIC)?;
    unmarked.split_at_checked(unmarked.len().checked_sub(TRAILER - MAGIC.len())?)
}

fn message(content: &[u8]) -> Vec<u8> {
    [CONTEXT, digest(&SHA256, content).as_ref()].concat()
}

/// Who signs plugins.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Makes a key; the text is what [`SigningKey::parse`] reads.
    pub fn generate() -> (SigningKey, String) {
        let random = ring::rand::SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&random);
        let document = document.expect("getrandom(2) does not fail once the machine has booted");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("ring reads what it wrote");
        let pem = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(document.as_ref()));
        (SigningKey(pair), pem)
    }

    /// Reads a private key in PEM (PKCS #8).
    pub fn parse(pem: &str) -> Result<SigningKey, SignatureError> {
        let body = pem.trim().strip_prefix(PEM_BEGIN).and_then(|rest| rest.strip_suffix(PEM_END));
        let body: String = body.ok_or(SignatureError::PrivateKey)?.split_whitespace().collect();
        let document = STANDARD.decode(body).map_err(|_| SignatureError::PrivateKey)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document);
        pair.map(SigningKey).map_err(|_| SignatureError::PrivateKey)
    }

    pub fn public(&self) -> PublicKey {
        let key = self.0.public_key().as_ref().try_into();
        PublicKey(key.expect("an Ed25519 key has 32 octets"))
    }

    /// What is to be appended to a library so that it counts as signed.
    pub fn sign(&self, content: &[u8]) -> Result<Vec<u8>, SignatureError> {
        if split(content).is_some() {
            return Err(SignatureError::Signed);
        }
        let signature = self.0.sign(&message(content));
        Ok([signature.as_ref(), &self.public().0, MAGIC].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(content: &[u8]) -> (Vec<u8>, PublicKey) {
        let (key, _) = SigningKey::generate();
        let file = [content, &key.sign(content).expect("not signed yet")].concat();
        (file, key.public())
    }

    #[test]
    fn a_signed_file_names_its_signer() {
        let (file, key) = signed(b"library");
        assert_eq!(signer(&file), Ok(Some(key)));
        assert_eq!(signer(b"library"), Ok(None));
        assert_eq!(signer(MAGIC), Ok(None));
    }

    #[test]
    fn any_changed_octet_breaks_it() {
        let (file, _) = signed(b"library");
        for at in 0..file.len() - MAGIC.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert_eq!(signer(&changed), Err(SignatureError::Forged), "octet {at}");
        }
    }

    #[test]
    fn a_key_survives_its_text() {
        let (key, pem) = SigningKey::generate();
        let again = SigningKey::parse(&pem).expect("PEM");
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::parse(&key.public().to_string()), Ok(key.public()));
        assert!(PublicKey::parse("AAAA").is_err());
        assert!(SigningKey::parse("no key").is_err());
    }

    #[test]
    fn nothing_is_signed_twice() {
        let (file, _) = signed(b"library");
        let (key, _) = SigningKey::generate();
        assert_eq!(key.sign(&file), Err(SignatureError::Signed));
    }
}

//! The text of a licence: between a BEGIN and an END line, base64 of an envelope in JSON, whose
//! signature covers the exact octets of the licence within.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};

use super::{Licence, LicenceError, TrustedKey};

const BEGIN: &str = "-----BEGIN HEARTH LICENCE-----";
const END: &str = "-----END HEARTH LICENCE-----";
/// No licence of ours comes near it.
const LONGEST: usize = 16 * 1024;
const LINE: usize = 64;
/// Before what is signed, so that a signature for another purpose is none for a licence.
const PURPOSE: &str = "hearth licence\n";
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope {
    /// [`TrustedKey::id`] of the signer.
    key: String,
    licence: String,
    signature: String,
}

/// The licence in `text`, when `key` has signed it. Blank space does not matter: mail programs
/// change it.
pub fn verify(text: &str, key: &TrustedKey) -> Result<Licence, LicenceError> {
    let damaged = |what| move |_| LicenceError::Damaged(what);
    let inner = between_lines(text).ok_or(LicenceError::NotALicence)?;
    let packed: String = inner.split_whitespace().collect();
    let envelope = STANDARD.decode(packed).map_err(damaged("characters are missing or wrong"))?;
    let envelope: Envelope =
        serde_json::from_slice(&envelope).map_err(|_| LicenceError::Damaged("its envelope"))?;
    if envelope.key != key.id() {
        return Err(LicenceError::Foreign(envelope.key));
    }
    let signature = STANDARD.decode(&envelope.signature).map_err(damaged("its signature"))?;
    if !key.has_signed(signed(&envelope.licence).as_bytes(), &signature) {
        return Err(LicenceError::Tampered);
    }
    #[derive(Deserialize)]
    struct Form {
        v: u32,
    }
    let content = |_| LicenceError::Damaged("its content");
    let Form { v } = serde_json::from_str(&envelope.licence).map_err(content)?;
    if v > FORM {
        return Err(LicenceError::Newer(v));
    }
    serde_json::from_str(&envelope.licence).map_err(content)
}

/// The text of a licence, signed.
pub fn issue(licence: &Licence, key: &Ed25519KeyPair) -> Result<String, serde_json::Error> {
    let licence = serde_json::to_string(licence)?;
    let signature = STANDARD.encode(key.sign(signed(&licence).as_bytes()));
    let mut public = [0; 32];
    public.copy_from_slice(key.public_key().as_ref());
    let envelope = Envelope { key: TrustedKey::new(public).id(), licence, signature };
    let packed = STANDARD.encode(serde_json::to_vec(&envelope)?);
    let mut text = format!("{BEGIN}\n");
    let mut rest = packed.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.extend([line, "\n"]);
        rest = after;
    }
    Ok(text + END + "\n")
}

fn between_lines(text: &str) -> Option<&str> {
    let text = (text.len() <= LONGEST).then_some(text)?;
    let (_, after) = text.split_once(BEGIN)?;
    let (inner, _) = after.split_once(END)?;
    Some(inner)
}

fn signed(licence: &str) -> String {
    [PURPOSE, licence].concat()
}

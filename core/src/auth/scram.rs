//! SCRAM (RFC 5802), the server's side, as three values: [`ClientFirst`] is read from the client,
//! becomes [`Challenged`] once the keys are known, and [`Challenged::finish`] gives the verdict.
//! No key derivation happens here: a login costs the server three HMACs.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac};

use super::credentials::{ScramKeys, equal};
use super::mechanism::{BindingType, Hash};

/// Longest message in octets: an authzid and a name of 1023 octets each, every octet escaped,
/// and room for a nonce.
const MAX_MESSAGE: usize = 8192;
/// Longest nonce that a client may send, in octets; what clients send has 16 to 64.
const MAX_NONCE: usize = 256;

/// Why an exchange fails. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    #[error("the SCRAM message does not follow RFC 5802 §7")]
    Malformed,
    #[error("the SCRAM message or its nonce is too long")]
    TooLong,
    #[error("the client requires a SCRAM extension that is not supported")]
    Extension,
    #[error("the client saw no -PLUS mechanism, but one was offered: somebody is in between")]
    Downgraded,
    #[error("the GS2 header does not fit the mechanism")]
    Binding,
    #[error("the channel binding does not match: the client speaks to somebody else's TLS")]
    BindingMismatch,
    #[error("the nonce of the final message is not the one that was sent")]
    Nonce,
    #[error("the proof is wrong")]
    Proof,
}

/// What this stream offered, to judge the GS2 header by.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The client chose a -PLUS mechanism.
    pub plus_chosen: bool,
    /// Some -PLUS mechanism was among the offered ones.
    pub plus_offered: bool,
}

/// What a stream's features offer, as XEP-0474 §5.1 hashes it: names in the order of their octets.
pub fn offered(mechanisms: &mut [&str], bindings: &mut [&str]) -> String {
    mechanisms.sort_unstable();
    bindings.sort_unstable();
    let mut offered = mechanisms.join("\u{1e}");
    if !bindings.is_empty() {
        offered.push('\u{1f}');
        offered.push_str(&bindings.join("\u{1e}"));
    }
    offered
}

/// The client's first message.
#[derive(Debug)]
pub struct ClientFirst {
    /// As sent, unescaped; the caller prepares it.
    pub username: String,
    /// As sent, unescaped; the caller checks it.
    pub authzid: Option<String>,
    /// The channel binding that the client uses; `Some` exactly for -PLUS.
    pub binding: Option<BindingType>,
    gs2_header: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Reads `gs2-header client-first-message-bare` (RFC 5802 §7).
    pub fn parse(message: &[u8], offer: Offer) -> Result<ClientFirst, ScramError> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(ScramError::Malformed)?;
        let binding = binding(flag, offer)?;
        let (authzid, bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
        let authzid = match authzid {
            "" => None,
            other => Some(unescape(other.strip_prefix("a=").ok_or(ScramError::Malformed)?)?),
        };
        let mut attributes = bare.split(',');
        let username = match attributes.next() {
            Some(name) if name.starts_with("m=") => return Err(ScramError::Extension),
            Some(name) => unescape(name.strip_prefix("n=").ok_or(ScramError::Malformed)?)?,
            None => return Err(ScramError::Malformed),
        };
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r="));
        let nonce = checked_nonce(nonce.ok_or(ScramError::Malformed)?)?;
        Ok(ClientFirst {
            username,
            authzid,
            binding,
            gs2_header: text[..text.len() - bare.len()].to_owned(),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }

    /// The server's first message. `binding_data` is what this end knows of the channel, empty
    /// without -PLUS; `nonce` is the server's part, 128 random bits or more, no comma. `offered`
    /// is what [`offered`] made of the stream's features.
    pub fn challenge(
        self,
        keys: ScramKeys,
        binding_data: &[u8],
        nonce: &str,
        offered: Option<&str>,
    ) -> (Challenged, String) {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = BASE64.encode(&keys.salt);
        let mut server_first = format!("r={nonce},s={salt},i={}", keys.iterations);
        if let Some(offered) = offered {
            // XEP-0474 §5.1: the proofs cover it, so who changed the features cannot change it.
            server_first.push_str(",h=");
            let hash = digest::digest(keys.hash.digest(), offered.as_bytes());
            BASE64.encode_string(hash, &mut server_first);
        }
        // RFC 5802 §6: the client repeats its GS2 header and binds it to the channel's data.
        let channel = BASE64.encode([self.gs2_header.as_bytes(), binding_data].concat());
        let auth_message = format!("{},{server_first},", self.bare);
        (Challenged { hash: keys.hash, keys, nonce, channel, auth_message }, server_first)
    }
}

/// The exchange after the server's first message.
pub struct Challenged {
    hash: Hash,
    keys: ScramKeys,
    nonce: String,
    /// The `c=` value that the client must send.
    channel: String,
    /// `client-first-message-bare,server-first-message,` so far.
    auth_message: String,
}

impl Challenged {
    /// Checks the client's final message; returns the server's, which proves the server in turn.
    pub fn finish(mut self, message: &[u8]) -> Result<String, ScramError> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let mut attributes = without_proof.split(',');
        let channel = attributes.next().and_then(|a| a.strip_prefix("c="));
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r="));
        let (Some(channel), Some(nonce)) = (channel, nonce) else {
            return Err(ScramError::Malformed);
        };
        let proof = BASE64.decode(proof).map_err(|_| ScramError::Malformed)?;
        if !equal(nonce.as_bytes(), self.nonce.as_bytes()) {
            return Err(ScramError::Nonce);
        }
        if !equal(channel.as_bytes(), self.channel.as_bytes()) {
            return Err(ScramError::BindingMismatch);
        }
        self.auth_message.push_str(without_proof);
        self.verify(&proof)?;
        Ok(self.server_final())
    }

    /// RFC 5802 §3: ClientKey = ClientProof XOR ClientSignature, and its hash is StoredKey.
    fn verify(&self, proof: &[u8]) -> Result<(), ScramError> {
        let signature = self.sign(&self.keys.stored_key);
        let signature = signature.as_ref();
        if proof.len() != signature.len() {
            return Err(ScramError::Malformed);
        }
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        let stored = digest::digest(self.hash.digest(), &client_key);
        if equal(stored.as_ref(), &self.keys.stored_key) { Ok(()) } else { Err(ScramError::Proof) }
    }

    fn server_final(&self) -> String {
        let mut message = String::from("v=");
        BASE64.encode_string(self.sign(&self.keys.server_key), &mut message);
        message
    }

    fn sign(&self, key: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.hash.hmac(), key), self.auth_message.as_bytes())
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MAX_MESSAGE {
        return Err(ScramError::TooLong);
    }
    let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
    if text.contains('\0') { Err(ScramError::Malformed) } else { Ok(text) }
}

/// The gs2-cbind-flag against what was offered (RFC 5802 §6).
fn binding(flag: &str, offer: Offer) -> Result<Option<BindingType>, ScramError> {
    match (flag, offer.plus_chosen) {
        ("y", false) if offer.plus_offered => Err(ScramError::Downgraded),
        ("y" | "n", false) => Ok(None),
        ("y" | "n", true) => Err(ScramError::Binding),
        (other, plus_chosen) => {
            let name = other.strip_prefix("p=").ok_or(ScramError::Malformed)?;
            let kind = BindingType::from_name(name).ok_or(ScramError::Binding)?;
            if plus_chosen { Ok(Some(kind)) } else { Err(ScramError::Binding) }
        }
    }
}

/// RFC 5802 §7: printable ASCII without the comma.
fn checked_nonce(nonce: &str) -> Result<&str, ScramError> {
    match nonce.len() {
        0 => Err(ScramError::Malformed),
        n if n > MAX_NONCE => Err(ScramError::TooLong),
        _ if nonce.bytes().all(|b| b.is_ascii_graphic() && b != b',') => Ok(nonce),
        _ => Err(ScramError::Malformed),
    }
}

/// RFC 5802 §5.1: `=2C` is a comma, `=3D` an equals sign, any other `=` an error.
fn unescape(name: &str) -> Result<String, ScramError> {
    let mut parts = name.split('=');
    let mut unescaped = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = if let Some(rest) = part.strip_prefix("2C") {
            (',', rest)
        } else if let Some(rest) = part.strip_prefix("3D") {
            ('=', rest)
        } else {
            return Err(ScramError::Malformed);
        };
        write!(unescaped, "{character}{rest}").expect("writing to a String cannot fail");
    }
    if unescaped.is_empty() { Err(ScramError::Malformed) } else { Ok(unescaped) }
}

#[cfg(test)]
#[path = "scram_tests.rs"]
mod tests;

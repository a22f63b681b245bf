//! Ids that sort by time: archive ids and stanza ids (XEP-0359).

use std::fmt;
use std::str::FromStr;

use super::Timestamp;

/// 128 bits, most significant first: 48 milliseconds, 16 logical time, 32 node, 32 counter. They
/// sort alike as numbers, as octets and as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StanzaId(pub u128);

/// The text is not 32 hexadecimal digits. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this server")]
pub struct StanzaIdError;

impl StanzaId {
    pub(super) fn new(logical_time: u64, node: u32, counter: u32) -> StanzaId {
        StanzaId(u128::from(logical_time) << 64 | u128::from(node) << 32 | u128::from(counter))
    }

    /// The smallest id that a stanza of `time` can have: the bound of a query by time.
    pub fn first_at(time: Timestamp) -> StanzaId {
        StanzaId(u128::from((time.0.max(0) as u64) << 16) << 64)
    }

    /// When it was given, on the giving node's clock.
    pub fn time(self) -> Timestamp {
        Timestamp((self.logical_time() >> 16) as i64)
    }

    pub(super) fn logical_time(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// As a key of a table: octets that sort like the id.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From [`StanzaId::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> StanzaId {
        StanzaId(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for StanzaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for StanzaId {
    type Err = StanzaIdError;

    fn from_str(text: &str) -> Result<StanzaId, StanzaIdError> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(StanzaIdError);
        }
        u128::from_str_radix(text, 16).map(StanzaId).map_err(|_| StanzaIdError)
    }
}

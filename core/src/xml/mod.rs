//! From octets to strictly checked XML and back: a byte framer, a reader that refuses what RFC 6120
//! §11 forbids, and a writer of the canonical form. No octet of a peer is passed on as it came.

pub mod canonical;
mod chars;
#[cfg(test)]
mod corpus;
pub mod element;
mod error;
pub mod framer;
pub mod header;
mod names;
pub mod reader;
mod tag;
pub mod writer;

pub use chars::clean;
pub use element::Element;
pub use error::XmlError;
pub use framer::{Frame, FrameLimits, Framer, single_element};
pub use header::{ContentNamespace, StreamContext, StreamHeader};

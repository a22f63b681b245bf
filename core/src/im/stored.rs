//! Stanzas as tables keep them: canonical, as in a client's stream.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{AddressMemo, Parsed, RootNamespace, Stanza, parse};
use crate::xml::writer::Writer;
use crate::xml::{ContentNamespace, StreamContext};

static CLIENT: StreamContext = StreamContext::new(ContentNamespace::Client);

/// What [`read`] reads.
pub fn bytes(stanza: &Stanza) -> Bytes {
    let mut bytes = Vec::new();
    stanza.render(None, RootNamespace::Inherited, &mut bytes);
    bytes.into()
}

/// `None` for what nothing of ours has written.
pub fn read(bytes: &[u8]) -> Option<Stanza> {
    match parse(bytes, &CLIENT, &mut AddressMemo::default()) {
        Ok(Parsed::Stanza(stanza)) => Some(stanza),
        _ => None,
    }
}

/// When the server received the stanza (XEP-0203).
pub fn delay(domain: &Jid, stamp: Timestamp) -> Bytes {
    let mut bytes = Vec::with_capacity(96);
    Writer::new(&mut bytes)
        .start("delay", Some(ns::DELAY))
        .attribute("from", domain.as_str())
        .attribute("stamp", &stamp.to_string())
        .end("delay");
    bytes.into()
}

//! Writes a stanza to a stream, or as a child of another element.

use bytes::Bytes;

use super::Stanza;
use crate::jid::Jid;
use crate::xml::ContentNamespace;
use crate::xml::writer::{attribute, value};

/// Whether the stanza's element declares its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootNamespace {
    /// The stream header does (TCP).
    Inherited,
    /// Nothing around it does: WebSocket, BOSH, and a stanza within a payload.
    Declared(ContentNamespace),
}

impl Stanza {
    /// Appends the stanza as it is delivered: without hidden children, with the appended ones; to
    /// `to` where that is given in place of its own recipient.
    pub fn render(&self, to: Option<&Jid>, root: RootNamespace, out: &mut Vec<u8>) {
        out.reserve(self.rendered_size());
        let name = self.head.kind.name();
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        if let RootNamespace::Declared(content) = root {
            attribute(out, "xmlns", content.as_str());
        }
        self.write_head(to.or(self.head.to.as_ref()), out);
        let open = out.len();
        out.push(b'>');
        self.write_children(out);
        if out.len() == open + 1 {
            out.truncate(open);
            out.extend_from_slice(b"/>");
            return;
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(name.as_bytes());
        out.push(b'>');
    }

    /// Upper estimate in octets, escapes aside.
    fn rendered_size(&self) -> usize {
        let appended = self.appended.iter().flat_map(|list| list.iter());
        let address = |jid: &Option<Jid>| jid.as_ref().map_or(0, |jid| jid.as_str().len());
        192 + self.payload.bytes.len()
            + appended.map(Bytes::len).sum::<usize>()
            + address(&self.head.to)
            + address(&self.head.from)
    }

    fn write_head(&self, to: Option<&Jid>, out: &mut Vec<u8>) {
        let head = &self.head;
        if let Some(to) = to {
            address(out, b" to='", to);
        }
        if let Some(from) = &head.from {
            address(out, b" from='", from);
        }
        if let Some(id) = &head.id {
            attribute(out, "id", id);
        }
        if let Some(type_name) = head.kind.type_name() {
            out.extend_from_slice(b" type='");
            out.extend_from_slice(type_name.as_bytes());
            out.push(b'\'');
        }
        if let Some(lang) = &head.lang {
            attribute(out, "xml:lang", lang);
        }
    }

    fn write_children(&self, out: &mut Vec<u8>) {
        if self.hidden == 0 {
            out.extend_from_slice(&self.payload.bytes);
        } else {
            for child in self.visible() {
                out.extend_from_slice(child.as_bytes());
            }
        }
        for child in self.appended.iter().flat_map(|list| list.iter()) {
            out.extend_from_slice(child);
        }
    }

    /// The stanza as a child of an element of another namespace (carbons, archive, delay), which
    /// declares its own: `before`, the stanza, `after`.
    pub fn wrap(&self, before: &[u8], after: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(before.len() + self.rendered_size() + after.len());
        out.extend_from_slice(before);
        self.render(None, RootNamespace::Declared(ContentNamespace::Client), &mut out);
        out.extend_from_slice(after);
        out.into()
    }
}

/// Only a resourcepart can hold what needs escaping (RFC 7622 §3.3.1).
fn address(out: &mut Vec<u8>, before: &[u8], jid: &Jid) {
    out.extend_from_slice(before);
    let bare = jid.bare_str();
    out.extend_from_slice(bare.as_bytes());
    value(out, &jid.as_str()[bare.len()..]);
    out.push(b'\'');
}

//! The stream header, and what the elements of the stream inherit from it.

use std::borrow::Cow;

use compact_str::{CompactString, ToCompactString};

use super::XmlError;
use super::chars;
use super::reader::{Attributes, Scope};
use super::tag;
use crate::ns;

/// Namespace of the stanzas of a stream (RFC 6120 §4.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentNamespace {
    Client,
    Server,
    Component,
}

impl ContentNamespace {
    pub const fn as_str(self) -> &'static str {
        match self {
            ContentNamespace::Client => ns::CLIENT,
            ContentNamespace::Server => ns::SERVER,
            ContentNamespace::Component => ns::COMPONENT,
        }
    }

    pub fn parse(name: &str) -> Option<ContentNamespace> {
        match name {
            ns::CLIENT => Some(ContentNamespace::Client),
            ns::SERVER => Some(ContentNamespace::Server),
            ns::COMPONENT => Some(ContentNamespace::Component),
            _ => None,
        }
    }
}

/// What a first-level element inherits. Cheap to keep: usually no heap memory.
#[derive(Clone, Debug)]
pub struct StreamContext {
    pub content: ContentNamespace,
    /// The content namespace is the default one within the stream. Not so on WebSocket (RFC 7395
    /// §3.3.3), where each element declares its own.
    pub inherited: bool,
    /// Prefixes that the header binds, with their namespaces, except `stream`.
    pub prefixes: Vec<(CompactString, CompactString)>,
    /// Default `xml:lang` of the stanzas (RFC 6120 §8.1.5).
    pub lang: Option<CompactString>,
}

impl StreamContext {
    /// A stream whose header binds nothing beyond `content` and `stream`.
    pub const fn new(content: ContentNamespace) -> StreamContext {
        StreamContext { content, inherited: true, prefixes: Vec::new(), lang: None }
    }

    /// RFC 7395: no enclosing root element.
    pub const fn websocket() -> StreamContext {
        StreamContext {
            content: ContentNamespace::Client,
            inherited: false,
            prefixes: Vec::new(),
            lang: None,
        }
    }
}

/// The stream's root element (RFC 6120 §4.7). Addresses are not yet prepared.
#[derive(Clone, Debug)]
pub struct StreamHeader {
    pub content: ContentNamespace,
    pub to: Option<CompactString>,
    pub from: Option<CompactString>,
    pub id: Option<CompactString>,
    pub lang: Option<CompactString>,
    /// Major and minor number; `None` from a peer older than XMPP 1.0.
    pub version: Option<(u16, u16)>,
    pub prefixes: Vec<(CompactString, CompactString)>,
}

impl StreamHeader {
    /// Reads the start tag that [`Framer`](super::Framer) gave as `Frame::Header`.
    pub fn parse(tag: &[u8]) -> Result<StreamHeader, XmlError> {
        let inner = tag::inside(tag)?;
        chars::check_chars(inner)?;
        let base = StreamContext::websocket();
        let mut scope = Scope::new(&base);
        let mut attributes = Attributes::new();
        let name = scope.enter(inner, &mut attributes)?;
        if name.ns != ns::STREAM {
            return Err(XmlError::InvalidNamespace("not the namespace of XMPP streams"));
        }
        if name.local != "stream" {
            return Err(XmlError::BadFormat("the root element is not 'stream'"));
        }
        let default = scope.resolve("").unwrap_or_default();
        if default == ns::STREAM {
            return Err(XmlError::BadNamespacePrefix("the stream namespace needs a prefix"));
        }
        let content = ContentNamespace::parse(&default)
            .ok_or(XmlError::InvalidNamespace("not a content namespace that is served here"))?;
        let mut header = StreamHeader {
            content,
            to: None,
            from: None,
            id: None,
            lang: None,
            version: None,
            prefixes: scope.prefixes(),
        };
        for attribute in &attributes {
            let value = || Some(attribute.value.to_compact_string());
            match (&*attribute.ns, attribute.local) {
                ("", "to") => header.to = value(),
                ("", "from") => header.from = value(),
                ("", "id") => header.id = value(),
                ("", "version") => header.version = Some(version(&attribute.value)?),
                (ns::XML, "lang") => header.lang = value(),
                _ => {}
            }
        }
        Ok(header)
    }

    /// What the elements of this stream inherit.
    pub fn context(&self) -> StreamContext {
        StreamContext {
            content: self.content,
            inherited: true,
            prefixes: self.prefixes.clone(),
            lang: self.lang.clone(),
        }
    }
}

/// RFC 6120 §4.7.5: two numbers, compared as such.
fn version(text: &str) -> Result<(u16, u16), XmlError> {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| digits(part).then(|| part.parse().ok()).flatten();
    text.split_once('.')
        .and_then(|(major, minor)| Some((number(major)?, number(minor)?)))
        .ok_or(XmlError::BadFormat("not a version number"))
}

/// The namespace behind `prefix` in every XML document.
pub(super) fn well_known(prefix: &str) -> Option<Cow<'static, str>> {
    match prefix {
        "xml" => Some(Cow::Borrowed(ns::XML)),
        _ => None,
    }
}

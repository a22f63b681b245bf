//! A small owned tree, for negotiation and for whoever looks into a payload.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::CompactString;

use super::XmlError;
use super::chars::clean;
use super::header::{ContentNamespace, StreamContext};
use super::reader::{Name, Reader, Token};
use super::writer::Writer;
use crate::ns;

static CLIENT: StreamContext = StreamContext::new(ContentNamespace::Client);

/// An element with all that is in it. A content namespace reads as `jabber:client`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub name: CompactString,
    pub ns: Cow<'static, str>,
    attributes: Vec<Attribute>,
    nodes: Vec<Node>,
}

/// `name` keeps the prefix, which is empty exactly when `ns` is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    prefix: CompactString,
    name: CompactString,
    ns: Cow<'static, str>,
    value: CompactString,
}

/// What is between the tags.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub fn new(name: impl Into<CompactString>, ns: impl Into<Cow<'static, str>>) -> Element {
        Element { name: name.into(), ns: ns.into(), attributes: Vec::new(), nodes: Vec::new() }
    }

    /// Reads one canonical element, such as a child of a stanza.
    pub fn parse(canonical: &[u8]) -> Result<Element, XmlError> {
        let mut reader = Reader::new(canonical, &CLIENT)?;
        let Token::Start { name, .. } = reader.next_token()? else {
            return Err(XmlError::NotWellFormed("not an element"));
        };
        let element = Element::read(&mut reader, &name)?;
        reader.finish()?;
        Ok(element)
    }

    /// Reads on from the start token that `reader` has just given.
    pub fn read(reader: &mut Reader<'_>, name: &Name<'_>) -> Result<Element, XmlError> {
        let outside = reader.depth() - 1;
        let mut path = vec![Element::from_start(reader, name)];
        loop {
            match reader.next_token()? {
                Token::Start { name, .. } => path.push(Element::from_start(reader, &name)),
                Token::Text(text) => {
                    if let Some(element) = path.last_mut() {
                        element.push_text(&text);
                    }
                }
                Token::Plain(text) => {
                    if let Some(element) = path.last_mut() {
                        element.push_text(text);
                    }
                }
                Token::End(_) => {
                    let done = path.pop().expect("a start token pushed it");
                    match path.last_mut() {
                        Some(parent) => parent.nodes.push(Node::Element(done)),
                        None => {
                            debug_assert_eq!(reader.depth(), outside);
                            return Ok(done);
                        }
                    }
                }
            }
        }
    }

    fn from_start(reader: &Reader<'_>, name: &Name<'_>) -> Element {
        let mut element = Element::new(name.local, name.ns.clone().into_owned());
        element.attributes.reserve_exact(reader.attributes().len());
        for attribute in reader.attributes() {
            element.attributes.push(Attribute {
                prefix: attribute.prefix.into(),
                name: attribute.local.into(),
                ns: attribute.ns.clone().into_owned().into(),
                value: (&*attribute.value).into(),
            });
        }
        element
    }

    fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(last)) => last.push_str(text),
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// Value of an attribute that has no namespace.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attr_ns(name, "")
    }

    pub fn attr_ns(&self, name: &str, ns: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|a| a.name == name && a.ns == ns);
        found.map(|a| a.value.as_str())
    }

    /// `xml:lang` of this very element.
    pub fn lang(&self) -> Option<&str> {
        self.attr_ns("lang", ns::XML)
    }

    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child of that name.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, ns))
    }

    /// Text directly within this element.
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let rest: String = texts.collect();
                Cow::Owned(format!("{first}{second}{rest}"))
            }
        }
    }

    /// Adds an attribute without namespace. What XML cannot hold is replaced, as in texts.
    pub fn with_attr(mut self, name: &str, value: impl AsRef<str>) -> Element {
        self.attributes.push(Attribute {
            prefix: CompactString::default(),
            name: name.into(),
            ns: Cow::Borrowed(""),
            value: clean(value.as_ref()).into(),
        });
        self
    }

    pub fn with_lang(mut self, lang: &str) -> Element {
        self.attributes.push(Attribute {
            prefix: "xml".into(),
            name: "lang".into(),
            ns: Cow::Borrowed(ns::XML),
            value: lang.into(),
        });
        self
    }

    pub fn with_child(mut self, child: Element) -> Element {
        self.nodes.push(Node::Element(child));
        self
    }

    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    pub fn with_text(mut self, text: &str) -> Element {
        self.push_text(&clean(text));
        self
    }

    /// Appends the canonical form as it stands within an element of namespace `parent`.
    pub fn write(&self, parent: &str, out: &mut Vec<u8>) {
        self.write_to(&mut Writer::new(out), parent);
    }

    /// The canonical form as a child of a stanza or of a stream.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(64);
        self.write(ns::CLIENT, &mut out);
        out.into()
    }

    fn write_to(&self, writer: &mut Writer<'_>, parent: &str) {
        writer.start(&self.name, (self.ns != parent).then_some(&*self.ns));
        for (at, attribute) in self.attributes.iter().enumerate() {
            let (prefix, name) = (&attribute.prefix, &attribute.name);
            if prefix.is_empty() {
                writer.attribute(name, &attribute.value);
                continue;
            }
            let before = &self.attributes[..at];
            if prefix != "xml" && before.iter().all(|other| other.prefix != *prefix) {
                writer.attribute(&format!("xmlns:{prefix}"), &attribute.ns);
            }
            writer.attribute(&format!("{prefix}:{name}"), &attribute.value);
        }
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write_to(writer, &self.ns),
                Node::Text(text) => {
                    writer.text(text);
                }
            }
        }
        writer.end(&self.name);
    }
}

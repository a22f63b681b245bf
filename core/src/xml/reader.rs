//! Strict tokens of one frame. quick-xml finds them; here they are held to XML 1.0, Namespaces in
//! XML 1.0 and RFC 6120 §11, with the namespaces that the stream header lends.

use std::borrow::Cow;

use compact_str::CompactString;
use quick_xml::events::Event;
use smallvec::SmallVec;

use super::XmlError;
use super::chars::{attribute_value, check_chars, normalize_lines, qualified_name, reference};
use super::header::{ContentNamespace, StreamContext, well_known};
use super::tag::{RawAttribute, RawAttributes, split};
use crate::ns;

/// Attributes of one element; again as many namespace declarations may be in scope.
pub(super) const MAX_ATTRIBUTES: usize = 64;
/// Nesting within a frame.
const MAX_DEPTH: usize = 64;
/// Elements within a frame.
const MAX_ELEMENTS: u32 = 10_000;

/// An attribute with its value resolved. No namespace means that it has no prefix.
#[derive(Clone, Debug)]
pub struct Attribute<'a> {
    pub prefix: &'a str,
    pub local: &'a str,
    pub ns: Cow<'a, str>,
    pub value: Cow<'a, str>,
    /// The value can be written between single quotes as it is.
    pub plain: bool,
}

pub type Attributes<'a> = SmallVec<[Attribute<'a>; 4]>;

/// Expanded name of an element.
#[derive(Clone, Debug)]
pub struct Name<'a> {
    pub local: &'a str,
    pub ns: Cow<'a, str>,
}

/// One strict token.
#[derive(Clone, Debug)]
pub enum Token<'a> {
    /// `inherits`: the element is in its parent's namespace, so its canonical form declares none.
    /// Its attributes are in [`Reader::attributes`].
    Start {
        name: Name<'a>,
        inherits: bool,
    },
    /// Local name of the element that ends.
    End(&'a str),
    Text(Cow<'a, str>),
    /// Text that needs no escaping.
    Plain(&'a str),
}

struct Binding<'a> {
    prefix: &'a str,
    ns: Cow<'a, str>,
}

/// Namespace declarations in force.
pub struct Scope<'a> {
    context: &'a StreamContext,
    bindings: SmallVec<[Binding<'a>; 4]>,
}

impl<'a> Scope<'a> {
    pub fn new(context: &'a StreamContext) -> Scope<'a> {
        Scope { context, bindings: SmallVec::new() }
    }

    /// Takes over the declarations of a start tag (its text without the angle brackets), and gives
    /// its expanded name and, in `attributes`, the other attributes.
    pub fn enter(
        &mut self,
        content: &'a str,
        attributes: &mut Attributes<'a>,
    ) -> Result<Name<'a>, XmlError> {
        attributes.clear();
        let mut raw = RawAttributes::new();
        let name = split(content, &mut raw)?;
        let own = self.bindings.len();
        for attribute in &raw {
            self.read_attribute(*attribute, own, attributes)?;
        }
        for attribute in attributes.iter_mut().filter(|a| !a.prefix.is_empty()) {
            attribute.ns = self.resolve(attribute.prefix).ok_or(UNDECLARED)?;
        }
        check_duplicates(attributes)?;
        let (prefix, local) = qualified_name(name)?;
        // Namespaces in XML 1.0 §3: it may not be the default one, so the canonical form has no word
        // for such an element.
        if prefix == "xml" {
            return Err(XmlError::NotWellFormed("an element with the prefix 'xml'"));
        }
        let ns = self.resolve(prefix).ok_or(UNDECLARED)?;
        Ok(Name { local, ns })
    }

    fn read_attribute(
        &mut self,
        raw: RawAttribute<'a>,
        own: usize,
        attributes: &mut Attributes<'a>,
    ) -> Result<(), XmlError> {
        let value = match raw.plain {
            true => Cow::Borrowed(raw.value),
            false => Cow::Owned(attribute_value(raw.value)?),
        };
        if raw.name == "xmlns" {
            return self.bind("", value, own);
        }
        let (prefix, local) = qualified_name(raw.name)?;
        if prefix == "xmlns" {
            return self.bind(local, value, own);
        }
        if attributes.len() == MAX_ATTRIBUTES {
            return Err(XmlError::PolicyViolation("too many attributes"));
        }
        attributes.push(Attribute {
            prefix,
            local,
            ns: Cow::Borrowed(""),
            value,
            plain: raw.plain,
        });
        Ok(())
    }

    /// Namespaces in XML 1.0 §3; `own` is where the declarations of the same tag begin.
    fn bind(&mut self, prefix: &'a str, ns: Cow<'a, str>, own: usize) -> Result<(), XmlError> {
        if self.bindings[own..].iter().any(|b| b.prefix == prefix) {
            return Err(XmlError::NotWellFormed("the same attribute twice"));
        }
        let reserved = ns == ns::XMLNS || prefix == "xmlns" || (prefix == "xml") != (ns == ns::XML);
        if reserved {
            return Err(XmlError::NotWellFormed("a reserved prefix or namespace is redefined"));
        }
        if ns.is_empty() && !prefix.is_empty() {
            return Err(XmlError::NotWellFormed("a prefix without a namespace"));
        }
        // RFC 6120 §4.8.5.
        if prefix == "stream" && ns != ns::STREAM {
            return Err(XmlError::BadNamespacePrefix("the prefix 'stream' is redefined"));
        }
        if self.bindings.len() == MAX_ATTRIBUTES {
            return Err(XmlError::PolicyViolation("too many namespace declarations"));
        }
        self.bindings.push(Binding { prefix, ns });
        Ok(())
    }

    /// Namespace of a prefix; of no prefix, the default one, empty if there is none.
    pub fn resolve(&self, prefix: &str) -> Option<Cow<'a, str>> {
        if let Some(binding) = self.bindings.iter().rev().find(|b| b.prefix == prefix) {
            return Some(binding.ns.clone());
        }
        match prefix {
            "" if self.context.inherited => Some(Cow::Borrowed(self.context.content.as_str())),
            "" => Some(Cow::Borrowed("")),
            "stream" if self.context.inherited => Some(Cow::Borrowed(ns::STREAM)),
            _ => self.inherited(prefix).or_else(|| well_known(prefix)),
        }
    }

    fn inherited(&self, prefix: &str) -> Option<Cow<'a, str>> {
        let found = self.context.prefixes.iter().find(|(known, _)| known == prefix);
        found.map(|(_, ns)| Cow::Borrowed(ns.as_str()))
    }

    /// The prefixes bound here, for a [`StreamContext`].
    pub fn prefixes(&self) -> Vec<(CompactString, CompactString)> {
        let kept = self.bindings.iter().filter(|b| !matches!(b.prefix, "" | "stream"));
        kept.map(|b| (b.prefix.into(), (&*b.ns).into())).collect()
    }
}

const UNDECLARED: XmlError = XmlError::NotWellFormed("an undeclared namespace prefix");

/// Namespaces in XML 1.0 §6.3: unique by expanded name.
fn check_duplicates(attributes: &[Attribute<'_>]) -> Result<(), XmlError> {
    for (at, one) in attributes.iter().enumerate() {
        if attributes[..at].iter().any(|other| other.local == one.local && other.ns == one.ns) {
            return Err(XmlError::NotWellFormed("the same attribute twice"));
        }
    }
    Ok(())
}

struct Open<'a> {
    qualified: &'a str,
    ns: Cow<'a, str>,
    /// Bindings in force outside of it.
    outer: usize,
}

/// Tokens of exactly one element.
pub struct Reader<'a> {
    frame: &'a str,
    tokens: quick_xml::Reader<&'a [u8]>,
    scope: Scope<'a>,
    open: SmallVec<[Open<'a>; 6]>,
    attributes: Attributes<'a>,
    elements: u32,
    /// The last start tag was an empty element's: its end is due.
    empty: bool,
}

impl<'a> Reader<'a> {
    /// `frame` is what the framer gave as one element.
    pub fn new(frame: &'a [u8], context: &'a StreamContext) -> Result<Reader<'a>, XmlError> {
        let frame = std::str::from_utf8(frame).map_err(|_| XmlError::NotWellFormed("not UTF-8"))?;
        check_chars(frame)?;
        if !frame.starts_with('<') {
            return Err(XmlError::NotWellFormed("not an element"));
        }
        let mut tokens = quick_xml::Reader::from_str(frame);
        // Done here against our own stack.
        let config = tokens.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        Ok(Reader {
            frame,
            tokens,
            scope: Scope::new(context),
            open: SmallVec::new(),
            attributes: Attributes::new(),
            elements: 0,
            empty: false,
        })
    }

    /// Attributes of the element whose start was given last.
    pub fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    /// Open elements; 1 while within the frame's own.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next token. Not to be called after the end of the frame's own element, whose place
    /// [`finish`](Self::finish) takes.
    pub fn next_token(&mut self) -> Result<Token<'a>, XmlError> {
        loop {
            if std::mem::take(&mut self.empty) {
                return self.leave();
            }
            let from = self.tokens.buffer_position() as usize;
            let event = self.tokens.read_event().map_err(|_| MALFORMED)?;
            let written = &self.frame[from..self.tokens.buffer_position() as usize];
            let text = match event {
                Event::Start(_) => return self.enter(&written[1..written.len() - 1]),
                Event::Empty(_) => {
                    self.empty = true;
                    return self.enter(&written[1..written.len() - 2]);
                }
                Event::End(_) => {
                    let name = written[2..written.len() - 1].trim_ascii_end();
                    if self.open.last().is_none_or(|open| open.qualified != name) {
                        return Err(XmlError::NotWellFormed("an end tag does not match"));
                    }
                    return self.leave();
                }
                Event::Text(_) if is_plain(written) => return Ok(Token::Plain(written)),
                Event::Text(_) => text(written)?,
                Event::CData(_) => normalize_lines(&written[9..written.len() - 3]),
                Event::GeneralRef(_) => resolved(&written[1..written.len() - 1])?,
                Event::Eof => return Err(MALFORMED),
                _ => return Err(XmlError::RestrictedXml("comment, instruction or declaration")),
            };
            if !text.is_empty() {
                return Ok(Token::Text(text));
            }
        }
    }

    fn enter(&mut self, content: &'a str) -> Result<Token<'a>, XmlError> {
        self.elements += 1;
        if self.open.len() == MAX_DEPTH || self.elements > MAX_ELEMENTS {
            return Err(XmlError::PolicyViolation("too many elements, or nested too deeply"));
        }
        let outer = self.scope.bindings.len();
        let mut name = self.scope.enter(content, &mut self.attributes)?;
        let mut inherits = false;
        if let Some(parent) = self.open.last() {
            // Stream-level elements have no business inside another element.
            if name.ns == ns::STREAM && parent.ns != ns::STREAM {
                return Err(XmlError::BadFormat("a stream element within another element"));
            }
            inherits = parent.ns == name.ns;
            // The content namespaces name the same things on different streams.
            if !inherits && is_content(&name.ns) && parent.ns == self.scope.context.content.as_str()
            {
                inherits = true;
                name.ns = parent.ns.clone();
            }
        }
        let end = content.bytes().position(super::tag::is_space).unwrap_or(content.len());
        self.open.push(Open { qualified: &content[..end], ns: name.ns.clone(), outer });
        Ok(Token::Start { name, inherits })
    }

    fn leave(&mut self) -> Result<Token<'a>, XmlError> {
        let open = self.open.pop().ok_or(MALFORMED)?;
        self.scope.bindings.truncate(open.outer);
        let colon = open.qualified.bytes().position(|b| b == b':');
        Ok(Token::End(&open.qualified[colon.map_or(0, |at| at + 1)..]))
    }

    /// Checks that nothing follows the frame's own element.
    pub fn finish(&self) -> Result<(), XmlError> {
        let end = self.tokens.buffer_position() as usize;
        if self.open.is_empty() && !self.empty && end == self.frame.len() {
            return Ok(());
        }
        Err(XmlError::NotWellFormed("something follows the element"))
    }
}

const MALFORMED: XmlError = XmlError::NotWellFormed("malformed markup");

fn is_content(ns: &str) -> bool {
    ContentNamespace::parse(ns).is_some()
}

/// Whether raw text is the same in canonical form.
fn is_plain(raw: &str) -> bool {
    memchr::memchr2(b'>', b'\r', raw.as_bytes()).is_none()
}

/// Character data: XML 1.0 §2.4 forbids `]]>` in it.
fn text(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    let close = memchr::memchr_iter(b'>', raw.as_bytes());
    if close.into_iter().any(|at| raw[..at].ends_with("]]")) {
        return Err(XmlError::NotWellFormed("']]>' in text"));
    }
    Ok(normalize_lines(raw))
}

fn resolved(name: &str) -> Result<Cow<'static, str>, XmlError> {
    Ok(match reference(name)? {
        '&' => Cow::Borrowed("&"),
        '<' => Cow::Borrowed("<"),
        '>' => Cow::Borrowed(">"),
        '\'' => Cow::Borrowed("'"),
        '"' => Cow::Borrowed("\""),
        other => Cow::Owned(other.to_string()),
    })
}

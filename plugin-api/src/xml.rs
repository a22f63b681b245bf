//! A small tree for the children of stanzas.
//!
//! It reads what the server writes (well-formed, default namespaces only, no comments, entities as
//! listed in XML 1.0 §4.6 and numbers) and refuses everything else. An element without `xmlns` at the
//! top is in the content namespace of the stream, written as the empty text.

use std::fmt;

use crate::error::{Error, Result};

/// One element.
///
/// ```
/// use hearth_plugin_api::xml::Element;
/// let note = Element::new("note", "urn:x").with_attr("id", "1").with_text("a < b");
/// assert_eq!(note.to_string(), "<note xmlns='urn:x' id='1'>a &lt; b</note>");
/// let back = Element::parse_all(&note.to_string())?;
/// assert_eq!(back, [note]);
/// # Ok::<(), hearth_plugin_api::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Namespace; empty for the content namespace.
    pub namespace: String,
    /// Attributes without `xmlns`, as they stand.
    pub attributes: Vec<(String, String)>,
    /// Elements and text.
    pub nodes: Vec<Node>,
}

/// What stands in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Character data, unescaped.
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(name: &str, namespace: &str) -> Element {
        Element { name: name.to_owned(), namespace: namespace.to_owned(), ..Element::default() }
    }

    /// The same with an attribute.
    pub fn with_attr(mut self, name: &str, value: &str) -> Element {
        self.attributes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with text.
    pub fn with_text(mut self, text: &str) -> Element {
        self.nodes.push(Node::Text(text.to_owned()));
        self
    }

    /// The same with a child.
    pub fn with_child(mut self, child: Element) -> Element {
        self.nodes.push(Node::Element(child));
        self
    }

    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// Value of an attribute.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Child elements.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child with this name and namespace.
    pub fn child(&self, name: &str, namespace: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, namespace))
    }

    /// Its own character data, children's excepted.
    pub fn text(&self) -> String {
        let text = |node: &Node| match node {
            Node::Text(text) => Some(text.clone()),
            Node::Element(_) => None,
        };
        self.nodes.iter().filter_map(text).collect()
    }

    /// Replaces all that stands in it by text.
    pub fn set_text(&mut self, text: &str) {
        self.nodes = vec![Node::Text(text.to_owned())];
    }

    /// Elements one after another, as the children of a stanza are. `Invalid` for anything else.
    pub fn parse_all(xml: &str) -> Result<Vec<Element>> {
        let mut reader = Reader { rest: xml };
        let mut elements = Vec::new();
        while !reader.rest.is_empty() {
            elements.push(reader.element("", 0)?);
        }
        Ok(elements)
    }

    /// Appends it as XML.
    pub fn write(&self, out: &mut String) {
        self.write_within(out, "");
    }

    fn write_within(&self, out: &mut String, outer: &str) {
        out.push('<');
        out.push_str(&self.name);
        if self.namespace != outer {
            attribute(out, "xmlns", &self.namespace);
        }
        for (name, value) in &self.attributes {
            attribute(out, name, value);
        }
        if self.nodes.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.write_within(out, &self.namespace),
                Node::Text(text) => escape(out, text),
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

/// Appends text with everything escaped that XML or HTML would read as markup.
pub fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            _ => out.push(c),
        }
    }
}

/// Text with everything escaped that XML or HTML would read as markup.
///
/// ```
/// assert_eq!(hearth_plugin_api::xml::escaped("<b>"), "&lt;b&gt;");
/// ```
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(&mut out, text);
    out
}

/// A point in time (milliseconds since 1970) as XEP-0082 has it, in UTC.
///
/// ```
/// assert_eq!(hearth_plugin_api::xml::timestamp(1_767_225_600_000), "2026-01-01T00:00:00Z");
/// ```
pub fn timestamp(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Counted in eras of 400 years that begin on 1 March, so that a leap day is a year's last.
    let day = days + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let (month, day) = ((march + 2) % 12 + 1, day - (153 * march + 2) / 5 + 1);
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same for a page of the console, which shows it in the reader's zone.
pub fn time(ms: i64) -> String {
    let timestamp = timestamp(ms);
    format!("<time datetime='{timestamp}'>{timestamp}</time>")
}

pub(crate) fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    for c in value.chars() {
        match c {
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            c => escape(out, c.encode_utf8(&mut [0; 4])),
        }
    }
    out.push('\'');
}

/// Text of the first top element with this name and without `xmlns`.
pub(crate) fn child_text(xml: &str, name: &str) -> Option<String> {
    let mut reader = Reader { rest: xml };
    while !reader.rest.is_empty() {
        let element = reader.element("", 0).ok()?;
        if element.is(name, "") {
            return Some(element.text());
        }
    }
    None
}

/// The server bounds the depth of what it lets in at 64.
const DEPTH: usize = 128;

struct Reader<'x> {
    rest: &'x str,
}

impl<'x> Reader<'x> {
    fn element(&mut self, outer: &str, depth: usize) -> Result<Element> {
        if depth > DEPTH {
            return Err(refused("elements nested too deep"));
        }
        self.expect("<")?;
        let mut element = Element::new(self.name()?, outer);
        while self.rest.starts_with([' ', '\t', '\n', '\r']) {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with(['/', '>']) {
                let (name, value) = self.attribute()?;
                match name {
                    "xmlns" => element.namespace = value,
                    _ => element.attributes.push((name.to_owned(), value)),
                }
            }
        }
        if self.skip("/>") {
            return Ok(element);
        }
        self.expect(">")?;
        while !self.skip("</") {
            let node = self.node(&element.namespace, depth)?;
            element.nodes.push(node);
        }
        if self.name()? != element.name {
            return Err(refused("an end tag of another element"));
        }
        self.rest = self.rest.trim_start();
        self.expect(">")?;
        Ok(element)
    }

    fn node(&mut self, namespace: &str, depth: usize) -> Result<Node> {
        if self.rest.starts_with('<') {
            return self.element(namespace, depth + 1).map(Node::Element);
        }
        let end = self.rest.find('<').ok_or_else(|| refused("an element that does not end"))?;
        let text = unescape(self.take(end))?;
        Ok(Node::Text(text))
    }

    fn attribute(&mut self) -> Result<(&'x str, String)> {
        let name = self.name()?;
        self.expect("=")?;
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let quote = quote.ok_or_else(|| refused("an attribute without quotes"))?;
        self.take(1);
        let end = self.rest.find(quote).ok_or_else(|| refused("an attribute that does not end"))?;
        let value = unescape(self.take(end))?;
        self.take(1);
        Ok((name, value))
    }

    fn name(&mut self) -> Result<&'x str> {
        let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '/' | '=' | '\'' | '"');
        let end = self.rest.find(ends).ok_or_else(|| refused("a name that does not end"))?;
        let name = self.take(end);
        match name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            true => Ok(name),
            false => Err(refused("something that is no name")),
        }
    }

    fn take(&mut self, length: usize) -> &'x str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.rest.strip_prefix(text);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        match self.skip(text) {
            true => Ok(()),
            false => Err(refused(&format!("`{text}` is missing"))),
        }
    }
}

fn unescape(raw: &str) -> Result<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        let entity = &rest[at + 1..];
        let end = entity.find(';').ok_or_else(|| refused("a bare `&`"))?;
        let c = entity_char(&entity[..end]).ok_or_else(|| refused("an unknown entity"))?;
        text.push(c);
        rest = &entity[end + 1..];
    }
    text.push_str(rest);
    Ok(text)
}

fn entity_char(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

fn refused(what: &str) -> Error {
    Error::invalid(format!("XML: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_across_leap_years() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59Z"),
        ];
        for (ms, expected) in table {
            assert_eq!(timestamp(ms), expected, "{ms}");
        }
    }

    #[test]
    fn what_it_writes_it_reads() {
        let xml = "<body xml:lang='en'>a &amp; b&#xD;</body><x xmlns='urn:x'><y a='&#39;'/>\
                   <z xmlns='urn:z'><w/></z></x>";
        let elements = Element::parse_all(xml).unwrap();
        assert_eq!(elements.iter().map(Element::to_string).collect::<String>(), xml);
        assert_eq!(elements[0].text(), "a & b\r");
        assert_eq!(elements[1].child("z", "urn:z").unwrap().children().count(), 1);
        assert_eq!(elements[1].child("y", "urn:x").unwrap().attr("a"), Some("'"));
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        let bad = [
            "text",
            "<",
            "<a",
            "<a>",
            "<a></b>",
            "<a b></a>",
            "<a b=c/>",
            "<a b='c/>",
            "<a>&x;</a>",
            "<a>&</a>",
            "<a>&#xD800;</a>",
            "<!-- x -->",
            "<?x?>",
            "</a>",
            "<a/>x",
            "<1/>",
        ];
        for xml in bad {
            assert!(Element::parse_all(xml).is_err(), "{xml}");
        }
        assert!(Element::parse_all(&"<a>".repeat(100_000)).is_err());
    }
}

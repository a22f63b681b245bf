//! The inside of one tag: names, attributes, the XML declaration.

use smallvec::SmallVec;

use super::XmlError;

/// More attributes on one element are refused, namespace declarations included.
const MAX_ATTRIBUTES: usize = 128;

/// An attribute as written: qualified name and raw value.
#[derive(Clone, Copy, Debug)]
pub struct RawAttribute<'a> {
    pub name: &'a str,
    pub value: &'a str,
    /// The value means what is written and needs no escaping between single quotes.
    pub plain: bool,
}

pub type RawAttributes<'a> = SmallVec<[RawAttribute<'a>; 6]>;

const SPACE: u8 = 1;
/// Ends a run of octets that mean nothing to the framer in a start tag.
const MARKUP: u8 = 2;
/// Ends or changes an attribute value.
const VALUE: u8 = 4;
/// White space or `=`.
const NAME_END: u8 = 8;

static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            b' ' => SPACE | NAME_END,
            b'\t' | b'\n' | b'\r' => SPACE | NAME_END | VALUE,
            b'\'' | b'"' | b'<' => MARKUP | VALUE,
            b'>' | b'/' => MARKUP,
            b'&' | ..b' ' => VALUE,
            b'=' => NAME_END,
            _ => 0,
        };
        at += 1;
    }
    table
};

#[inline]
fn is(octet: u8, class: u8) -> bool {
    CLASS[octet as usize] & class != 0
}

#[inline]
pub fn is_space(octet: u8) -> bool {
    is(octet, SPACE)
}

/// Whether the framer must look at this octet of a start tag.
#[inline]
pub fn ends_run(octet: u8) -> bool {
    is(octet, MARKUP)
}

/// Splits what is between `<` and `>` (or `/>`) into the qualified name and the attributes, which
/// are appended. Names are not checked here.
pub fn split<'a>(
    content: &'a str,
    attributes: &mut RawAttributes<'a>,
) -> Result<&'a str, XmlError> {
    let bytes = content.as_bytes();
    let until = |from: usize, class: u8| {
        bytes[from..].iter().position(|b| is(*b, class)).map_or(bytes.len(), |at| from + at)
    };
    let past_space = |from: usize| {
        bytes[from..].iter().position(|b| !is_space(*b)).map_or(bytes.len(), |at| from + at)
    };
    let name = &content[..until(0, SPACE)];
    let mut at = name.len();
    loop {
        let start = past_space(at);
        if start == bytes.len() {
            return Ok(name);
        }
        if start == at {
            return Err(XmlError::NotWellFormed("no space between attributes"));
        }
        let name_end = until(start, NAME_END);
        let equals = past_space(name_end);
        if bytes.get(equals) != Some(&b'=') {
            return Err(XmlError::NotWellFormed("an attribute without a value"));
        }
        let open = past_space(equals + 1);
        let quote = match bytes.get(open) {
            Some(quote @ (b'\'' | b'"')) => *quote,
            _ => return Err(XmlError::NotWellFormed("an attribute value without quotes")),
        };
        let (length, plain) = value_length(&bytes[open + 1..], quote)?;
        if attributes.len() == MAX_ATTRIBUTES {
            return Err(XmlError::PolicyViolation("too many attributes"));
        }
        attributes.push(RawAttribute {
            name: &content[start..name_end],
            value: &content[open + 1..open + 1 + length],
            plain,
        });
        at = open + 1 + length + 1;
    }
}

/// Octets up to the closing quote, and whether they are plain. Values are short: one loop is
/// cheaper than several searches.
fn value_length(rest: &[u8], quote: u8) -> Result<(usize, bool), XmlError> {
    let mut plain = true;
    let mut at = 0;
    while let Some(run) = rest[at..].iter().position(|b| is(*b, VALUE)) {
        at += run;
        match rest[at] {
            octet if octet == quote => return Ok((at, plain)),
            b'<' => return Err(XmlError::NotWellFormed("'<' within a tag")),
            b'"' => {}
            _ => plain = false,
        }
        at += 1;
    }
    Err(XmlError::NotWellFormed("an attribute value without an end"))
}

/// Text between `<` and `>` of a start tag.
pub fn inside(tag: &[u8]) -> Result<&str, XmlError> {
    let inner = tag.strip_prefix(b"<").and_then(|t| t.strip_suffix(b">"));
    let inner = inner.ok_or(XmlError::NotWellFormed("not a start tag"))?;
    std::str::from_utf8(inner).map_err(|_| XmlError::NotWellFormed("not UTF-8"))
}

/// Qualified name in the start tag of the stream's root.
pub fn root_name(tag: &[u8]) -> Result<&str, XmlError> {
    split(inside(tag)?, &mut RawAttributes::new())
}

/// Whether `tag` is `</name>`, white space before `>` allowed.
pub fn is_end_of(tag: &[u8], name: &str) -> bool {
    let inner = tag.strip_prefix(b"</").and_then(|t| t.strip_suffix(b">")).unwrap_or(tag);
    inner.trim_ascii_end() == name.as_bytes()
}

/// RFC 6120 §11.5, §11.6: XML 1.0 in UTF-8, in the order that XML 1.0 §2.8 fixes.
pub fn check_declaration(octets: &[u8]) -> Result<(), XmlError> {
    let inner = octets.strip_prefix(b"<?xml").and_then(|o| o.strip_suffix(b"?>"));
    let inner = inner
        .filter(|inner| inner.first().is_some_and(|b| is_space(*b)))
        .ok_or(XmlError::RestrictedXml("processing instruction"))?;
    let inner = std::str::from_utf8(inner)
        .map_err(|_| XmlError::NotWellFormed("the XML declaration is not UTF-8"))?;
    let mut attributes = RawAttributes::new();
    split(inner, &mut attributes)?;
    let mut left = attributes.iter().peekable();
    let mut take = |name: &str| left.next_if(|a| a.name == name).map(|a| a.value);
    let (version, encoding, standalone) = (take("version"), take("encoding"), take("standalone"));
    let known = standalone.is_none_or(|s| s == "yes" || s == "no");
    if version.is_none() || left.next().is_some() || !known {
        return Err(XmlError::NotWellFormed("not an XML declaration"));
    }
    if version != Some("1.0") {
        return Err(XmlError::NotWellFormed("only XML 1.0 is spoken here"));
    }
    match encoding {
        Some(encoding) if !encoding.eq_ignore_ascii_case("utf-8") => {
            Err(XmlError::UnsupportedEncoding("only UTF-8 is spoken here"))
        }
        _ => Ok(()),
    }
}

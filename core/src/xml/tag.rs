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
}

pub type RawAttributes<'a> = SmallVec<[RawAttribute<'a>; 6]>;

pub fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

/// Splits what is between `<` and `>` (or `/>`) into the qualified name and the attributes, which
/// are appended. Names are not checked here.
pub fn split<'a>(
    content: &'a str,
    attributes: &mut RawAttributes<'a>,
) -> Result<&'a str, XmlError> {
    let bytes = content.as_bytes();
    let end = |from: usize, stop: fn(u8) -> bool| {
        bytes[from..].iter().position(|b| stop(*b)).map_or(bytes.len(), |at| from + at)
    };
    let name = &content[..end(0, is_space)];
    let mut at = name.len();
    loop {
        let start = end(at, |b| !is_space(b));
        if start == bytes.len() {
            return Ok(name);
        }
        if start == at {
            return Err(XmlError::NotWellFormed("no space between attributes"));
        }
        let name_end = end(start, |b| b == b'=' || is_space(b));
        let equals = end(name_end, |b| !is_space(b));
        if bytes.get(equals) != Some(&b'=') {
            return Err(XmlError::NotWellFormed("an attribute without a value"));
        }
        let open = end(equals + 1, |b| !is_space(b));
        let quote = match bytes.get(open) {
            Some(quote @ (b'\'' | b'"')) => *quote,
            _ => return Err(XmlError::NotWellFormed("an attribute value without quotes")),
        };
        let length = memchr::memchr(quote, &bytes[open + 1..])
            .ok_or(XmlError::NotWellFormed("an attribute value without an end"))?;
        if attributes.len() == MAX_ATTRIBUTES {
            return Err(XmlError::PolicyViolation("too many attributes"));
        }
        attributes.push(RawAttribute {
            name: &content[start..name_end],
            value: &content[open + 1..open + 1 + length],
        });
        at = open + 1 + length + 1;
    }
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

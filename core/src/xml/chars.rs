//! Character classes and references of XML 1.0 and Namespaces in XML 1.0.

use std::borrow::Cow;

use super::{XmlError, names};

/// Refuses what is not a `Char` of XML 1.0 §2.2. UTF-8 has already excluded surrogates.
pub fn check_chars(text: &str) -> Result<(), XmlError> {
    let bytes = text.as_bytes();
    // Without a branch per octet, so that the compiler makes vectors of it.
    let suspect = bytes.iter().fold(0, |found, b| {
        found | u8::from(*b < 0x20 && *b != b'\t' && *b != b'\n' && *b != b'\r')
    });
    let control = XmlError::NotWellFormed("a character that XML forbids");
    if suspect != 0 {
        return Err(control);
    }
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    let noncharacter = |at: usize| bytes[at + 1] == 0xBF && bytes[at + 2] >= 0xBE;
    if memchr::memchr_iter(0xEF, bytes).any(noncharacter) { Err(control) } else { Ok(()) }
}

/// Replaces what no XML document can hold, not even by a reference.
pub fn clean(text: &str) -> Cow<'_, str> {
    match check_chars(text) {
        Ok(()) => Cow::Borrowed(text),
        Err(_) => text.replace(|c| !is_char(c), "\u{FFFD}").into(),
    }
}

fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

const START: u8 = 1;
const REST: u8 = 2;

/// ASCII part of NCName: what may begin a name, and what may go on.
static NAME: [u8; 128] = {
    let mut table = [0; 128];
    let mut at = 0;
    while at < 128 {
        let c = at as u8;
        if c.is_ascii_alphabetic() || c == b'_' {
            table[at] = START | REST;
        } else if c.is_ascii_digit() || c == b'-' || c == b'.' {
            table[at] = REST;
        }
        at += 1;
    }
    table
};

fn is_wide_name(name: &str) -> bool {
    name.chars().enumerate().all(|(at, c)| match NAME.get(c as usize) {
        Some(class) => class & if at == 0 { START } else { REST } != 0,
        None if at == 0 => names::is_start(c),
        None => names::is_rest(c),
    })
}

fn is_ncname(name: &str) -> bool {
    let Some((first, rest)) = name.as_bytes().split_first() else { return false };
    let class = |b: u8| NAME.get(b as usize).copied().unwrap_or(0);
    (class(*first) & START != 0 && rest.iter().all(|b| class(*b) & REST != 0))
        || (!name.is_ascii() && is_wide_name(name))
}

/// Prefix (empty when there is none) and local part of a qualified name.
pub fn qualified_name(name: &str) -> Result<(&str, &str), XmlError> {
    if is_ncname(name) {
        return Ok(("", name));
    }
    match name.split_once(':') {
        Some((prefix, local)) if is_ncname(prefix) && is_ncname(local) => Ok((prefix, local)),
        _ => Err(XmlError::NotWellFormed("not a qualified name")),
    }
}

/// The character that a reference stands for; `name` is what is between `&` and `;`. Only the five
/// predefined entities exist (RFC 6120 §11.1).
pub fn reference(name: &str) -> Result<char, XmlError> {
    let digits = match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#').ok_or(XmlError::RestrictedXml("unknown entity"))?,
    };
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    // `from_str_radix` alone would take a sign.
    let number = digits.bytes().all(|b| b.is_ascii_hexdigit());
    number
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
        .and_then(char::from_u32)
        .filter(|c| is_char(*c))
        .ok_or(XmlError::NotWellFormed("not a character reference"))
}

/// Line ends as XML 1.0 §2.11 wants them.
pub fn normalize_lines(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Value of an attribute as XML 1.0 §3.3.3 wants it: references resolved, raw white space a space.
pub fn attribute_value(raw: &str) -> Result<String, XmlError> {
    let raw = normalize_lines(raw);
    let mut value = String::with_capacity(raw.len());
    let mut rest = &*raw;
    while let Some(at) = rest.find(['&', '\t', '\n']) {
        value.push_str(&rest[..at]);
        if rest.as_bytes()[at] != b'&' {
            value.push(' ');
            rest = &rest[at + 1..];
            continue;
        }
        let end = rest[at..].find(';').ok_or(XmlError::NotWellFormed("bare '&'"))?;
        value.push(reference(&rest[at + 1..at + end])?);
        rest = &rest[at + end + 1..];
    }
    value.push_str(rest);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clean_can_be_written() {
        for (text, expected) in [
            ("tab\t, line\n, \u{E000}, \u{1F600}", None),
            ("a\0b\u{1B}c\u{FFFE}\u{FFFF}", Some("a\u{FFFD}b\u{FFFD}c\u{FFFD}\u{FFFD}")),
        ] {
            assert_eq!(clean(text), expected.unwrap_or(text));
            assert_eq!(check_chars(&clean(text)), Ok(()));
        }
    }
}

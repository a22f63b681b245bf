//! Picks single facts out of a complete element without building a tree.

use memchr::{memchr, memmem};

/// The element's name with its prefix, such as `message` or `stream:error`.
pub fn name(element: &[u8]) -> &[u8] {
    let end = element.iter().position(|b| matches!(b, b' ' | b'>' | b'/' | b'\n' | b'\t' | b'\r'));
    element.get(1..end.unwrap_or(element.len())).unwrap_or_default()
}

/// The raw (still escaped) value of an attribute of the outermost start tag.
pub fn attribute<'a>(element: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut rest = &element[name(element).len() + 1..];
    loop {
        let end = rest.iter().position(|b| matches!(b, b'=' | b'>'))?;
        if rest[end] == b'>' {
            return None;
        }
        let key = rest[..end].trim_ascii();
        let value = rest[end + 1..].trim_ascii_start();
        let quote = *value.first()?;
        let length = memchr(quote, &value[1..])?;
        if key == wanted {
            return Some(&value[1..=length]);
        }
        rest = &value[length + 2..];
    }
}

/// The raw content of the first child `<name>` or `<name …>` at any depth.
pub fn content<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let open = format!("<{name}");
    let close = format!("</{name}>");
    for at in memmem::find_iter(element, open.as_bytes()) {
        let tail = &element[at + open.len()..];
        if !matches!(tail.first(), Some(b'>' | b' ')) {
            continue;
        }
        let begin = memchr(b'>', tail)? + 1;
        let end = memmem::find(tail, close.as_bytes())?;
        return tail.get(begin..end);
    }
    None
}

/// Whether these bytes occur anywhere in the element.
pub fn contains(element: &[u8], needle: &str) -> bool {
    memmem::find(element, needle.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IQ: &[u8] =
        b"<iq from=\"a@b/c\" type = 'result'  id='x>1'><bind xmlns='n'><jid>j@d/r</jid></bind></iq>";

    #[test]
    fn reads_name_and_attributes() {
        assert_eq!(name(IQ), b"iq");
        assert_eq!(name(b"<r/>"), b"r");
        assert_eq!(attribute(IQ, b"from"), Some(&b"a@b/c"[..]));
        assert_eq!(attribute(IQ, b"type"), Some(&b"result"[..]));
        assert_eq!(attribute(IQ, b"id"), Some(&b"x>1"[..]));
        assert_eq!(attribute(IQ, b"xmlns"), None);
        assert_eq!(attribute(b"<a h='3'/>", b"h"), Some(&b"3"[..]));
        assert_eq!(attribute(b"<a/>", b"h"), None);
        assert_eq!(attribute(b"<a", b"h"), None);
    }

    #[test]
    fn reads_content() {
        assert_eq!(content(IQ, "jid"), Some(&b"j@d/r"[..]));
        assert_eq!(content(IQ, "ji"), None);
        assert_eq!(content(b"<success xmlns='s'>eA==</success>", "success"), Some(&b"eA=="[..]));
        assert_eq!(content(b"<success xmlns='s'/>", "success"), None);
    }
}

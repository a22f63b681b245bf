//! Writes the canonical form: default namespaces only, attributes in single quotes, no more
//! escaping than needed to read back the same text.

/// Appends character data.
pub fn text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |b| match b {
        b'<' => Some(b"&lt;"),
        b'&' => Some(b"&amp;"),
        // Lest `]]>` arise.
        b'>' => Some(b"&gt;"),
        // A raw one would be read as a line feed (XML 1.0 §2.11).
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

/// Appends what stands between the single quotes of an attribute.
pub fn value(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |b| match b {
        b'<' => Some(b"&lt;"),
        b'&' => Some(b"&amp;"),
        b'\'' => Some(b"&apos;"),
        // Raw ones would be read as spaces (XML 1.0 §3.3.3).
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

/// Appends ` name='text'`.
pub fn attribute(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    value(out, text);
    out.push(b'\'');
}

#[inline]
fn escape(out: &mut Vec<u8>, text: &str, entity: impl Fn(u8) -> Option<&'static [u8]>) {
    let mut rest = text.as_bytes();
    // Each octet that any context escapes is at most '>'; few others are.
    while let Some(at) = rest.iter().position(|b| *b <= b'>' && entity(*b).is_some()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(entity(rest[at]).unwrap_or_default());
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends elements to a buffer. Names and namespaces are the caller's and not checked; texts are
/// escaped.
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// The last start tag still lacks its `>`.
    open: bool,
}

impl<'o> Writer<'o> {
    pub fn new(out: &'o mut Vec<u8>) -> Writer<'o> {
        Writer { out, open: false }
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.open) {
            self.out.push(b'>');
        }
    }

    /// Begins an element; without `ns` it is in its parent's.
    pub fn start(&mut self, name: &str, ns: Option<&str>) -> &mut Self {
        self.close_tag();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.open = true;
        if let Some(ns) = ns {
            attribute(self.out, "xmlns", ns);
        }
        self
    }

    /// Adds an attribute to the element begun last, before it has any content.
    pub fn attribute(&mut self, name: &str, value: &str) -> &mut Self {
        attribute(self.out, name, value);
        self
    }

    /// The same for a value that needs no escaping.
    pub fn plain_attribute(&mut self, name: &str, value: &str) -> &mut Self {
        for part in [" ", name, "='", value, "'"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self
    }

    /// No text at all leaves the element empty, which is written `<name/>`.
    pub fn text(&mut self, content: &str) -> &mut Self {
        if content.is_empty() {
            return self;
        }
        self.close_tag();
        text(self.out, content);
        self
    }

    /// Appends canonical octets as they are.
    pub fn raw(&mut self, canonical: &[u8]) -> &mut Self {
        self.close_tag();
        self.out.extend_from_slice(canonical);
        self
    }

    pub fn end(&mut self, name: &str) -> &mut Self {
        if std::mem::take(&mut self.open) {
            self.out.extend_from_slice(b"/>");
            return self;
        }
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
        self
    }

    /// Octets written to the buffer so far.
    pub fn position(&self) -> usize {
        self.out.len()
    }
}

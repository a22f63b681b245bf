//! One spelling per path. A server that authorises one spelling and serves another is open
//! (CVE-2008-6508 and CVE-2023-32315 were that), so every other spelling is refused.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 §2.3, so that a path has one spelling.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether the path can mean only what it says: no empty, `.` or `..` segments, no `;` or `\`, and
/// percent escapes only for bytes that must be escaped, never for a separator or a control byte.
/// One slash at the end is allowed.
pub fn is_canonical(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return path == "/";
    }
    rest.split('/').all(is_canonical_segment)
}

fn is_canonical_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && !segment.contains([';', '\\'])
        // A browser leaves tabs out: `/<tab>/host` would be another site.
        && !segment.contains(|c: char| c.is_ascii_control())
        && escapes_are_canonical(segment)
        && decode(segment).is_some()
}

fn escapes_are_canonical(segment: &str) -> bool {
    segment.split('%').skip(1).all(|after| {
        let escaped = after.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()).is_some_and(|byte| {
            // RFC 3986 §2.3: an unreserved character is never escaped in the canonical form.
            let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !unreserved && !byte.is_ascii_control() && !b"/\\%;".contains(&byte)
        })
    })
}

/// A name as a segment of a path.
pub fn encode(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

/// The text of a segment; `None` when it is not UTF-8.
pub fn decode(segment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(segment).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_passes() {
        for path in [
            "/",
            "/healthz",
            "/api/v1/users",
            "/api/v1/users/",
            "/api/v1/users/rom%C3%A9o",
            "/a-b_c.d~e",
            "/users/a%20b",
            "/x/%22",
            "/jid/a@b",
        ] {
            assert!(is_canonical(path), "{path}");
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for path in [
            "",
            "*",
            "api",
            "//",
            "//api",
            "/api//v1",
            "/api/./v1",
            "/api/../setup",
            "/..",
            "/setup/..",
            "/setup/%2e%2e/x",
            "/%2E",
            "/%252e",
            "/%u002e",
            "/a;jsession=1",
            "/a%3Bb",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/\t/a",
            "/a\nb",
            "/%00",
            "/%0a",
            "/%",
            "/%4",
            "/%zz",
            "/%41",
            "/%ff",
            "/%C3",
            "/api///",
        ] {
            assert!(!is_canonical(path), "{path}");
        }
    }

    #[test]
    fn segments_are_decoded_once() {
        assert_eq!(decode("rom%C3%A9o").as_deref(), Some("roméo"));
        assert_eq!(decode("%ff"), None);
    }
}

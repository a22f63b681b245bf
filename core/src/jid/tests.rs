//! RFC 7622 as a table: §3.5's examples, limits, mappings, IP literals, direction.

use super::*;

fn prepared(text: &str) -> Result<String, JidError> {
    Jid::parse(text).map(|jid| {
        let rebuilt = Jid::from_parts(jid.local(), jid.domain(), jid.resource());
        assert_eq!(rebuilt.as_ref(), Ok(&jid), "{text:?} from its parts");
        assert_eq!(Jid::parse(jid.as_str()).as_ref(), Ok(&jid), "{text:?} prepared twice");
        let parts = |jid: &Jid| {
            [jid.local(), Some(jid.domain()), jid.resource()].map(|it| it.map(str::to_owned))
        };
        let again = Jid::prepared(jid.as_str());
        assert_eq!(again.as_ref().map(parts), Ok(parts(&jid)), "{text:?} is prepared");
        jid.as_str().to_owned()
    })
}

/// Accepted, and the prepared form.
const GOOD: &[(&str, &str)] = &[
    // RFC 7622 §3.5, table 1.
    ("juliet@example.com", "juliet@example.com"),
    ("juliet@example.com/foo", "juliet@example.com/foo"),
    ("juliet@example.com/foo bar", "juliet@example.com/foo bar"),
    ("juliet@example.com/foo@bar", "juliet@example.com/foo@bar"),
    ("foo\\20bar@example.com", "foo\\20bar@example.com"),
    ("fussball@example.com", "fussball@example.com"),
    ("fu\u{DF}ball@example.com", "fu\u{DF}ball@example.com"),
    ("\u{3C0}@example.com", "\u{3C0}@example.com"),
    ("\u{3A3}@example.com/foo", "\u{3C3}@example.com/foo"),
    ("\u{3C3}@example.com/foo", "\u{3C3}@example.com/foo"),
    ("\u{3C2}@example.com/foo", "\u{3C2}@example.com/foo"),
    ("king@example.com/\u{265A}", "king@example.com/\u{265A}"),
    ("example.com", "example.com"),
    ("example.com/foobar", "example.com/foobar"),
    ("a.example.com/b@example.net", "a.example.com/b@example.net"),
    // Case (§3.3.1) and width (RFC 8265 §3.3).
    ("Juliet@Example.COM/Balcony", "juliet@example.com/Balcony"),
    ("\u{C9}MILE@example.com", "\u{E9}mile@example.com"),
    ("\u{10A0}@example.com", "\u{2D00}@example.com"),
    ("\u{FF21}\u{FF22}@example.com", "ab@example.com"),
    ("\u{FF76}\u{FF85}@example.com", "\u{30AB}\u{30CA}@example.com"),
    ("a@example.com/\u{FF21}", "a@example.com/\u{FF21}"),
    // Normalisation form C.
    ("e\u{301}@example.com", "\u{E9}@example.com"),
    ("a@example.com/e\u{301}", "a@example.com/\u{E9}"),
    ("A\u{30A}@example.com", "\u{E5}@example.com"),
    // A space of any kind is a space in a resourcepart (RFC 8265 §4.2).
    ("a@example.com/b\u{A0}c", "a@example.com/b c"),
    ("a@example.com/b\u{3000}c", "a@example.com/b c"),
    ("a@example.com/ b ", "a@example.com/ b "),
    ("a@example.com/\u{1F600}", "a@example.com/\u{1F600}"),
    ("a@example.com/<&'\">", "a@example.com/<&'\">"),
    ("a@example.com//", "a@example.com//"),
    ("a@example.com/\u{FB01}", "a@example.com/\u{FB01}"),
    // Right to left (RFC 5893).
    ("\u{5D0}\u{5D1}@example.com", "\u{5D0}\u{5D1}@example.com"),
    ("\u{5D0}1@example.com", "\u{5D0}1@example.com"),
    ("\u{627}\u{628}@example.com", "\u{627}\u{628}@example.com"),
    // Domainparts (§3.2).
    ("example.com.", "example.com"),
    ("a@EXAMPLE.com./r", "a@example.com/r"),
    ("localhost", "localhost"),
    ("xn--bcher-kva.example", "b\u{FC}cher.example"),
    ("B\u{DC}CHER.example", "b\u{FC}cher.example"),
    ("\u{FF45}xample.com", "example.com"),
    ("stra\u{DF}e.example", "stra\u{DF}e.example"),
    ("\u{4F8B}\u{3048}.jp", "\u{4F8B}\u{3048}.jp"),
    ("a\u{3002}example", "a.example"),
    ("192.0.2.1", "192.0.2.1"),
    ("a@192.0.2.1/r", "a@192.0.2.1/r"),
    ("[::1]", "[::1]"),
    ("a@[2001:DB8::1]/r", "a@[2001:db8::1]/r"),
    ("1.example", "1.example"),
    ("a-b.example", "a-b.example"),
    ("a--b.example", "a--b.example"),
];

/// Refused, and why.
const BAD: &[(&str, JidError)] = &[
    // RFC 7622 §3.5, table 2.
    ("\"juliet\"@example.com", JidError::Localpart),
    ("foo bar@example.com", JidError::Localpart),
    ("juliet@example.com/", JidError::Empty),
    ("@example.com/", JidError::Empty),
    ("henry\u{2163}@example.com", JidError::Localpart),
    ("\u{265A}@example.com", JidError::Localpart),
    ("juliet@", JidError::Empty),
    ("/foobar", JidError::Empty),
    // Structure.
    ("", JidError::Empty),
    ("@", JidError::Empty),
    ("/", JidError::Empty),
    (".", JidError::Empty),
    ("@example.com", JidError::Empty),
    ("a@b@example.com", JidError::Domainpart),
    // Localparts.
    (" @example.com", JidError::Localpart),
    ("\u{2F800}\u{0}@example.com", JidError::Localpart),
    ("a\u{AD}b@example.com", JidError::Localpart),
    ("a\u{200B}b@example.com", JidError::Localpart),
    ("a\u{200D}b@example.com", JidError::Localpart),
    ("a\u{FEFF}b@example.com", JidError::Localpart),
    ("\u{E000}@example.com", JidError::Localpart),
    ("\u{FB01}@example.com", JidError::Localpart),
    ("\u{1F600}@example.com", JidError::Localpart),
    ("\u{E0001}@example.com", JidError::Localpart),
    ("a\u{5D0}@example.com", JidError::Localpart),
    ("\u{5D0}a@example.com", JidError::Localpart),
    ("1\u{5D0}@example.com", JidError::Localpart),
    // Domainparts.
    ("a b.example", JidError::Domainpart),
    ("a..example", JidError::Domainpart),
    (".example", JidError::Domainpart),
    ("example..", JidError::Domainpart),
    ("-a.example", JidError::Domainpart),
    ("a-.example", JidError::Domainpart),
    ("a_b.example", JidError::Domainpart),
    ("xn--a.example", JidError::Domainpart),
    ("xn--.example", JidError::Domainpart),
    ("\u{5D0}a.example", JidError::Domainpart),
    ("[::1", JidError::Domainpart),
    ("[192.0.2.1]", JidError::Domainpart),
    ("[fe80::1%eth0]", JidError::Domainpart),
    ("[]", JidError::Domainpart),
    ("::1", JidError::Domainpart),
    ("a@exa mple/r", JidError::Domainpart),
    ("example.com:5222", JidError::Domainpart),
    ("\u{265A}.example", JidError::Domainpart),
    ("a\u{0}.example", JidError::Domainpart),
    ("<a>.example", JidError::Domainpart),
    // Resourceparts.
    ("a@example.com/b\u{0}", JidError::Resourcepart),
    ("a@example.com/b\n", JidError::Resourcepart),
    ("a@example.com/\u{7F}", JidError::Resourcepart),
    ("a@example.com/\u{AD}", JidError::Resourcepart),
    ("a@example.com/\u{200E}", JidError::Resourcepart),
    ("a@example.com/\u{E000}", JidError::Resourcepart),
];

#[test]
fn good_addresses() {
    for (text, expected) in GOOD {
        assert_eq!(prepared(text).as_deref(), Ok(*expected), "{text:?}");
    }
}

#[test]
fn bad_addresses() {
    let wrong: Vec<_> = BAD
        .iter()
        .map(|(text, error)| (text, prepared(text), Err(*error)))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "text, found, expected: {wrong:#?}");
}

/// RFC 7622 §3.3.1, and the class that RFC 8264 §9.11 gives to each printable ASCII character.
#[test]
fn every_ascii_character() {
    for octet in 0..=127u8 {
        let c = char::from(octet);
        let lower = c.to_ascii_lowercase();
        let expected = match c {
            '@' => Err(JidError::Domainpart),
            '/' => Ok("a/b@example.com".to_owned()),
            '!'..='~' if !"\"&':<>".contains(c) => Ok(format!("a{lower}b@example.com")),
            _ => Err(JidError::Localpart),
        };
        assert_eq!(prepared(&format!("a{c}b@example.com")), expected, "localpart {c:?}");

        let resource = format!("example.com/a{c}b");
        let expected = if (' '..='~').contains(&c) {
            Ok(resource.clone())
        } else {
            Err(JidError::Resourcepart)
        };
        assert_eq!(prepared(&resource), expected, "resourcepart {c:?}");

        let expected = match c {
            '@' => Ok("a@b.example".to_owned()),
            '/' => Ok("a/b.example".to_owned()),
            '-' | '.' => Ok(format!("a{c}b.example")),
            c if c.is_ascii_alphanumeric() => Ok(format!("a{lower}b.example")),
            _ => Err(JidError::Domainpart),
        };
        assert_eq!(prepared(&format!("a{c}b.example")), expected, "domainpart {c:?}");
    }
}

/// Code points without a meaning yet (RFC 8264 §9.10) are in no part.
#[test]
fn unassigned_code_points() {
    for c in ['\u{378}', '\u{530}', '\u{2FE0}', '\u{E0080}', '\u{1FFFE}', '\u{FDD0}', '\u{FFFF}'] {
        assert_eq!(localpart(&format!("a{c}")), Err(JidError::Localpart), "{c:?}");
        assert_eq!(domainpart(&format!("a{c}.example")), Err(JidError::Domainpart), "{c:?}");
        assert_eq!(resourcepart(&format!("a{c}")), Err(JidError::Resourcepart), "{c:?}");
    }
}

/// 1023 octets each, counted after preparation.
#[test]
fn the_length_of_the_parts() {
    let long = "x".repeat(1023);
    assert!(localpart(&long).is_ok() && resourcepart(&long).is_ok());
    assert_eq!(localpart(&format!("{long}x")), Err(JidError::TooLong));
    assert_eq!(resourcepart(&format!("{long}x")), Err(JidError::TooLong));
    // Two octets each; the decomposed form has three.
    assert!(resourcepart(&"e\u{301}".repeat(511)).is_ok());
    assert_eq!(resourcepart(&"e\u{301}".repeat(512)), Err(JidError::TooLong));
    let label = "a".repeat(63);
    assert!(domainpart(&format!("{label}.example")).is_ok());
    assert_eq!(domainpart(&format!("{label}a.example")), Err(JidError::Domainpart));
    let whole = Jid::from_parts(Some(&long), "example.com", Some(&long));
    assert_eq!(whole.map(|jid| jid.as_str().len()), Ok(1023 + 1 + 11 + 1 + 1023));
}

#[test]
fn what_is_said_to_be_prepared_has_parts_all_the_same() {
    for text in ["", "@example.com", "juliet@", "juliet@/balcony", "/balcony", "example.com/"] {
        assert_eq!(Jid::prepared(text), Err(JidError::Empty), "{text:?}");
    }
    let long = "a".repeat(1024);
    for text in [format!("{long}@example.com"), long.clone(), format!("example.com/{long}")] {
        assert_eq!(Jid::prepared(&text), Err(JidError::TooLong));
    }
}

#[test]
fn parts_and_bare_form() {
    let full = Jid::parse("Juliet@Example.com/Balcony").expect("a good address");
    assert_eq!(full.local(), Some("juliet"));
    assert_eq!(full.domain(), "example.com");
    assert_eq!(full.resource(), Some("Balcony"));
    assert!(full.is_full() && !full.is_bare());
    let bare = full.to_bare();
    assert_eq!((bare.as_str(), bare.resource()), ("juliet@example.com", None));
    assert_eq!(bare.with_resource("Balcony"), Ok(full));
    let domain = Jid::parse("example.com/r").expect("a good address");
    assert_eq!((domain.local(), domain.domain(), domain.is_full()), (None, "example.com", false));
}

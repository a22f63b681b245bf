//! What is fuzzed. Each function takes any octets.

use std::num::NonZeroU32;

use hearth::auth::credentials::ScramKeys;
use hearth::auth::mechanism::Hash;
use hearth::auth::plain::Plain;
use hearth::auth::scram::{ClientFirst, Offer};
use hearth::jid::Jid;
use hearth::net::proxy_protocol;
use hearth::ns;
use hearth::plugin_host::signature;
use hearth::router::cluster::codec;
use hearth::stanza::{AddressMemo, Parsed, RootNamespace, parse};
use hearth::xml::{
    ContentNamespace, Element, Frame, FrameLimits, Framer, StreamContext, StreamHeader,
};
use rxml::Parse;

pub const STREAMS: &[&[u8]] = &[
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='a.example' version='1.0' \
      xmlns:stream='http://etherx.jabber.org/streams'><message to='b@a.example' type='chat' id='1' \
      xml:lang='en'><body>h&amp;i <![CDATA[<x>]]></body><x:y xmlns:x='urn:x' x:z='1'/></message>\
      <presence><priority>1</priority></presence></stream:stream>",
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
      to='a.example'><iq type='get' id='2'><query xmlns='jabber:iq:roster' ver=''/></iq>\
      <r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
];

/// A client's stream: the same answer however it is split, and what we write we read again as it is.
pub fn stream(data: &[u8]) -> bool {
    let whole = answer(&mut std::iter::once(data));
    assert_eq!(answer(&mut data.chunks(1)), whole);
    assert_eq!(answer(&mut data.chunks(7)), whole);
    whole.is_ok_and(|answer| !answer.is_empty())
}

fn answer(chunks: &mut dyn Iterator<Item = &[u8]>) -> Result<Vec<u8>, &'static str> {
    let mut framer = Framer::new(FrameLimits::UNAUTHENTICATED);
    let mut context = StreamContext::new(ContentNamespace::Client);
    let mut memo = AddressMemo::default();
    let mut out = Vec::new();
    for mut chunk in chunks {
        while let Some(frame) = framer.next(&mut chunk).map_err(|e| e.condition())? {
            match frame {
                Frame::Header(tag) => {
                    context = StreamHeader::parse(tag).map_err(|e| e.condition())?.context();
                }
                Frame::Element(octets) => {
                    let parsed = parse(octets, &context, &mut memo).map_err(|e| e.condition())?;
                    render(parsed, &mut out);
                }
                Frame::End => return Ok(out),
            }
        }
    }
    Ok(out)
}

/// ATTACKS 32: what the recipient reads is what we have read.
fn render(parsed: Parsed, out: &mut Vec<u8>) {
    let start = out.len();
    match parsed {
        Parsed::Stanza(stanza) | Parsed::Invalid { stanza, .. } => {
            stanza.render(None, RootNamespace::Inherited, out);
            let mut again = Vec::new();
            let context = StreamContext::new(ContentNamespace::Client);
            match parse(&out[start..], &context, &mut AddressMemo::default()) {
                Ok(Parsed::Stanza(stanza) | Parsed::Invalid { stanza, .. }) => {
                    stanza.render(None, RootNamespace::Inherited, &mut again);
                }
                other => panic!("{other:?}: {}", String::from_utf8_lossy(&out[start..])),
            }
            assert_eq!(&again, &out[start..], "{}", String::from_utf8_lossy(&out[start..]));
        }
        Parsed::Element(element) => element.write(ns::CLIENT, out),
    }
}

pub const ELEMENTS: &[&[u8]] = &[
    b"<a xmlns='urn:a' b='1' xml:lang='en'>t<c xmlns='urn:c'><d/></c>&lt;&#x20AC;</a>",
    b"<x:a xmlns:x='urn:a' x:b='&quot;'><x:c xmlns:x='urn:d'/><c/></x:a>",
];

/// What the reader accepts another strict parser accepts too, and both see the same elements.
pub fn element(data: &[u8]) -> bool {
    let Ok(element) = Element::parse(data) else { return false };
    // The reader lends namespaces that a lone document lacks: what it has written is compared.
    let mut canonical = Vec::new();
    element.write("", &mut canonical);
    assert_eq!(Element::parse(&canonical).as_ref(), Ok(&element));
    let mut ours = String::new();
    flatten(&element, &mut ours);
    assert_eq!(oracle(&canonical), ours, "{}", String::from_utf8_lossy(&canonical));
    true
}

fn flatten(element: &Element, out: &mut String) {
    out.push_str(&format!("<{}|{}>", element.ns, element.name));
    for child in element.children() {
        flatten(child, out);
    }
    out.push_str("</>");
}

fn oracle(mut octets: &[u8]) -> String {
    let mut parser = rxml::Parser::new();
    let mut out = String::new();
    loop {
        match parser.parse(&mut octets, true).expect("canonical XML is well-formed") {
            Some(rxml::Event::StartElement(_, (namespace, name), _)) => {
                let namespace: &str = &namespace;
                assert_ne!(namespace, ns::XMLNS);
                out.push_str(&format!("<{namespace}|{name}>"));
            }
            Some(rxml::Event::EndElement(_)) => out.push_str("</>"),
            Some(_) => {}
            None => return out,
        }
    }
}

pub const ADDRESSES: &[&[u8]] = &[
    b"juliet@capulet.example/balcony",
    "fu\u{df}ball@xn--4gbrim.example/\u{265a}".as_bytes(),
    b"a@[::1]/x",
    b"192.0.2.1",
    "\u{3a3}@b\u{fc}cher.example".as_bytes(),
];

/// An address: preparing it twice changes nothing.
pub fn address(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(jid) = Jid::parse(text) else { return false };
    assert_eq!(Jid::parse(jid.as_str()).as_ref(), Ok(&jid));
    true
}

pub const MESSAGES: &[&[u8]] = &[
    b"n,,n=user,r=abc",
    b"y,a=x=2Cy,n=us=3Der,r=abc",
    b"p=tls-exporter,,n=user,r=abc",
    b"c=biws,r=abcdef,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    b"juliet@im.example\0juliet\0secret",
];

/// A message of a SASL mechanism: nobody gets in without a proof.
pub fn sasl(data: &[u8]) -> bool {
    let first = ClientFirst::parse(data, Offer { plus_chosen: false, plus_offered: false });
    let plus = ClientFirst::parse(data, Offer { plus_chosen: true, plus_offered: true });
    assert!(first.is_err() || plus.is_err(), "one message fits two mechanisms");
    let plain = Plain::parse(data).is_ok();
    let known =
        ClientFirst::parse(b"n,,n=user,r=abc", Offer { plus_chosen: false, plus_offered: false });
    let keys = ScramKeys::fake(Hash::Sha1, b"", "", NonZeroU32::MIN);
    let (challenged, _) = known.expect("it is well-formed").challenge(keys, b"", "def", None);
    assert!(challenged.finish(data).is_err());
    first.is_ok() || plus.is_ok() || plain
}

pub const PROXY_HEADERS: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 192.0.2.9 40000 5222\r\n",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 5222\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x09\x9c\x40\x14\x66",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
];

/// The first octets behind a load balancer: never more than asked for, and prefixes are incomplete.
pub fn proxy(data: &[u8]) -> bool {
    use proxy_protocol::Parsed::{Complete, Incomplete};
    match proxy_protocol::parse(data) {
        Ok(Complete { length, .. }) => {
            assert!(length <= data.len());
            let shorter = proxy_protocol::parse(&data[..length - 1]);
            assert!(matches!(shorter, Ok(Incomplete { missing: 1.. })), "{shorter:?}");
            true
        }
        Ok(Incomplete { missing }) => {
            assert!(missing >= 1);
            false
        }
        Err(_) => false,
    }
}

pub const ENVELOPES: &[&[u8]] = &[
    b"\x01\0\x01\x05a@b/c\x01\0\0\x07\0\0\0\0\x06a@b/c\x06d@e/f\x02i\x03en\x0f<body>hi</body>\0",
    b"\x01\x032222222222222222\x02\x03a@b\x03g@b\x05\x01\0\0\0\0\0\x02\0\x06d@e/f\0\0\0\x01\x0e<x xmlns='u'/>",
    b"\x01\0\x01\x05a@b/c\x01\0\0\x07\0\0\0\0\x06a@b/c\x06d@e/f\x02i\0\0\0\
      \x01\0\x01\x05a@b/c\x01\0\0\x07\0\0\0\0\x06a@b/c\x06d@e/f\x02i\0\0\0",
];

/// Stanzas of another node: what was read is written, and read again as the same.
pub fn envelope(mut data: &[u8]) -> bool {
    let write = |letter: &codec::Letter| {
        let mut rendered = Vec::new();
        letter.stanza.render(None, RootNamespace::Inherited, &mut rendered);
        let addresses = letter.recipients.iter();
        (codec::encode(addresses, letter.to, letter.id, &letter.stanza), rendered)
    };
    let (mut before, mut is_read) = (codec::Before::default(), false);
    while let Ok(letter) = codec::decode(&mut data, &mut before) {
        let (octets, rendered) = write(&letter);
        let mut own = &octets[..];
        let again = codec::decode(&mut own, &mut codec::Before::default());
        assert_eq!(
            (write(&again.expect("it is our own")), own),
            ((octets.clone(), rendered), &[][..])
        );
        is_read = true;
    }
    is_read
}

pub const FILES: &[&[u8]] = &[b"a file without a signature", b""];

/// The signature that a plugin file may end with: nobody's name without his key.
pub fn signature(data: &[u8]) -> bool {
    match signature::signer(data) {
        Ok(signer) => signer.is_none(),
        Err(_) => false,
    }
}

//! Parsing and rendering, both ways.

use super::*;
use crate::ns;
use crate::xml::{ContentNamespace, Element, StreamContext, XmlError};

fn read(frame: &str) -> Result<Parsed, XmlError> {
    let context = StreamContext::new(ContentNamespace::Client);
    parse(frame.as_bytes(), &context, &mut AddressMemo::default())
}

fn stanza(frame: &str) -> Stanza {
    match read(frame) {
        Ok(Parsed::Stanza(stanza)) => stanza,
        other => panic!("{frame}: {other:?}"),
    }
}

fn rendered(stanza: &Stanza) -> String {
    let mut out = Vec::new();
    stanza.render(None, RootNamespace::Inherited, &mut out);
    String::from_utf8(out).expect("rendered text is UTF-8")
}

#[track_caller]
fn canonical(frame: &str, expected: &str) {
    let first = rendered(&stanza(frame));
    assert_eq!(first, expected);
    assert_eq!(rendered(&stanza(&first)), expected, "the canonical form is a fixed point");
}

#[test]
fn a_chat_message() {
    canonical(
        "<message  type=\"chat\" to='a@b.example/c'\n id='1' ><body>hi</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/></message >",
        "<message to='a@b.example/c' id='1' type='chat'><body>hi</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    );
}

#[test]
fn prefixes_become_default_namespaces() {
    canonical(
        "<c:message xmlns:c='jabber:client' xmlns:x='urn:x'><c:body>a</c:body>\
         <x:y x:z='1' x:w='2' q='3'><x:k/><c:body/></x:y></c:message>",
        "<message><body>a</body>\
         <y xmlns='urn:x' xmlns:x='urn:x' x:z='1' x:w='2' q='3'><k/>\
         <body xmlns='jabber:client'/></y></message>",
    );
}

#[test]
fn text_is_escaped_anew() {
    canonical(
        "<message><body>&#x41;<![CDATA[<b>&amp;]]>&apos;&quot;&gt;\r\n&#13;</body>\
         <x a=\"'&#10;\t\"/></message>",
        "<message><body>A&lt;b&gt;&amp;amp;'\"&gt;\n&#xD;</body>\
         <x a='&apos;&#xA; '/></message>",
    );
}

#[test]
fn an_element_in_no_namespace_says_so() {
    canonical(
        "<message><x xmlns=''><y/></x> stray <z xmlns='urn:z'/></message>",
        "<message><x xmlns=''><y/></x><z xmlns='urn:z'/></message>",
    );
}

#[test]
fn children_are_found_by_name() {
    let message = stanza(
        "<message><body>a</body><x xmlns=''/><x xmlns='urn:a&amp;b'/><x xmlns='urn:x'>1</x></message>",
    );
    assert!(message.child("body", ns::CLIENT).is_some());
    assert!(message.child("x", "").is_some());
    assert!(message.child("x", "urn:y").is_none());
    let child = message.child("x", "urn:x").expect("it is there");
    assert_eq!(child.element().text(), "1");
    let again = Payload::from_canonical(message.payload.bytes.clone()).expect("canonical");
    assert_eq!(again.index, message.payload.index);
    assert!(message.marks.contains(Marks::BODY | Marks::OTHER));
    assert!(!message.marks.intersects(Marks::ERROR | Marks::CHAT_STATE));
}

#[test]
fn an_element_of_negotiation_is_a_tree() {
    let frame = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth>";
    let Ok(Parsed::Element(auth)) = read(frame) else { panic!("not an element") };
    assert!(auth.is("auth", ns::SASL));
    assert_eq!((auth.attr("mechanism"), &*auth.text()), (Some("PLAIN"), "AGE="));
    assert_eq!(auth.to_bytes(), frame.as_bytes());
    assert_eq!(Element::parse(frame.as_bytes()), Ok(auth));
}

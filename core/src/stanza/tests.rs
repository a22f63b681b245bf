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

/// The condition that answers a defect.
#[track_caller]
fn defective(frame: &str) -> Condition {
    match read(frame) {
        Ok(Parsed::Invalid { defect, .. }) => StanzaError::from(defect).condition,
        other => panic!("{frame}: {other:?}"),
    }
}

#[test]
fn defects_are_no_stream_errors() {
    assert_eq!(defective("<message to='@'/>"), Condition::JidMalformed);
    assert_eq!(defective("<message to=''/>"), Condition::JidMalformed);
    assert_eq!(defective("<message from='a@b@c'/>"), Condition::JidMalformed);
    assert_eq!(defective("<iq type='get'><a/></iq>"), Condition::BadRequest);
    assert_eq!(defective("<iq id='1'><a/></iq>"), Condition::BadRequest);
    assert_eq!(defective("<iq id='1' type='x'><a/></iq>"), Condition::BadRequest);
    assert_eq!(defective("<iq id='1' type='set'/>"), Condition::BadRequest);
    assert_eq!(defective("<iq id='1' type='get'><a/><b/></iq>"), Condition::BadRequest);
    assert_eq!(defective("<presence type='x'/>"), Condition::BadRequest);
}

#[test]
fn an_error_swaps_the_addresses_and_is_never_answered() {
    let asked =
        stanza("<iq to='a@b.example' from='c@d.example/e' id='7' type='get'><q xmlns='u:q'/></iq>");
    let error = StanzaError::new(Condition::ItemNotFound).with_text("a < b");
    let answer = asked.error(&error).expect("a request is answered");
    assert_eq!(
        rendered(&answer),
        "<iq to='c@d.example/e' from='a@b.example' id='7' type='error'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>a &lt; b</text></error></iq>"
    );
    assert!(answer.marks.contains(Marks::ERROR));
    assert!(answer.error(&error).is_none() && asked.result().error(&error).is_none());
}

#[test]
fn children_are_hidden_and_appended() {
    let mut message =
        stanza("<message><body>a</body><stanza-id xmlns='urn:xmpp:sid:0' by='x'/></message>");
    message.hide(|child| child.is("stanza-id", ns::STANZA_ID));
    message.append(Element::new("delay", ns::DELAY).to_bytes());
    let expected = "<body>a</body><delay xmlns='urn:xmpp:delay'/></message>";
    assert_eq!(rendered(&message), format!("<message>{expected}"));
    assert!(message.marks.contains(Marks::DELAY));
    let wrapped = message.wrap(b"<forwarded xmlns='urn:xmpp:forward:0'>", b"</forwarded>");
    let text = format!(
        "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>{expected}</forwarded>"
    );
    assert_eq!(wrapped, text.as_bytes());
    assert!(Element::parse(&wrapped).is_ok());
}

#[test]
fn a_child_beyond_the_bit_set_is_hidden_too() {
    let mut message = stanza(&format!("<message>{}<b/></message>", "<a/>".repeat(40)));
    message.hide(|child| child.is("b", ns::CLIENT));
    assert_eq!(rendered(&message), format!("<message>{}</message>", "<a/>".repeat(40)));
}

#[test]
fn the_same_recipient_shares_its_address() {
    let context = StreamContext::new(ContentNamespace::Client);
    let mut memo = AddressMemo::default();
    let mut to = || match parse(b"<message to='a@b.example/c'/>", &context, &mut memo) {
        Ok(Parsed::Stanza(stanza)) => stanza.head.to.expect("it has a recipient"),
        other => panic!("{other:?}"),
    };
    let (first, second) = (to(), to());
    assert!(std::ptr::eq(first.as_str(), second.as_str()));
}

#[test]
fn websocket_elements_declare_their_namespace() {
    let context = StreamContext::websocket();
    let mut memo = AddressMemo::default();
    let frame = b"<message xmlns='jabber:client'><body>a</body></message>";
    let Ok(Parsed::Stanza(stanza)) = parse(frame, &context, &mut memo) else {
        panic!("not a stanza")
    };
    let mut out = Vec::new();
    stanza.render(None, RootNamespace::Declared(ContentNamespace::Client), &mut out);
    assert_eq!(out, frame);
    assert!(matches!(parse(b"<message/>", &context, &mut memo), Ok(Parsed::Element(_))));
}

/// What is written must always be read again: handlers rely on it.
#[test]
fn a_stanza_whose_canonical_form_could_not_be_read_is_refused() {
    let deep = "<p:a p:x='' q:y=''><q:a p:x='' q:y=''>".repeat(30);
    let ends = "</q:a></p:a>".repeat(30);
    let frame = format!("<message><a xmlns:p='urn:p' xmlns:q='urn:q'>{deep}{ends}</a></message>");
    assert!(matches!(read(&frame), Err(XmlError::PolicyViolation(_))));
}

#[test]
fn prefixes_do_not_blow_a_stanza_up() {
    let (long, many) = ("x".repeat(20_000), "<p:a/>".repeat(9_000));
    let frame = format!("<message><a xmlns:p='urn:{long}'>{many}</a></message>");
    assert!(matches!(read(&frame), Err(XmlError::PolicyViolation(_))));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// What XML can say at all.
    fn any_text() -> impl Strategy<Value = String> {
        let chars = prop_oneof![
            proptest::char::range(' ', '~'),
            prop_oneof![Just('\t'), Just('\n'), Just('\r'), Just('<'), Just('&'), Just('\'')],
            proptest::char::range('\u{A0}', '\u{D7FF}'),
            proptest::char::range('\u{10000}', '\u{10FFFF}'),
        ];
        proptest::collection::vec(chars, 0..20).prop_map(|chars| chars.into_iter().collect())
    }

    fn element() -> impl Strategy<Value = Element> {
        let leaf =
            ("[a-z_][a-z0-9.-]{0,8}", "(urn:[a-z&']{1,5}|jabber:client|)", any_text(), any_text())
                .prop_map(|(name, ns, value, text)| {
                    Element::new(name, ns).with_attr("a", value).with_lang("en").with_text(&text)
                });
        leaf.prop_recursive(4, 16, 4, |inner| {
            (inner.clone(), proptest::collection::vec(inner, 0..4))
                .prop_map(|(parent, children)| parent.with_children(children))
        })
    }

    proptest! {
        #[test]
        fn reading_back_what_was_written(tree in element(), id in any_text()) {
            let mut written = Stanza::message(MessageType::Chat).with_child(&tree);
            written.head.id = Some(id.into());
            let text = rendered(&written);
            let read = stanza(&text);
            prop_assert_eq!(&read.head, &written.head);
            prop_assert_eq!(&read.payload.bytes, &written.payload.bytes);
            prop_assert_eq!(&read.payload.index, &written.payload.index);
            prop_assert_eq!(read.marks, written.marks);
            let back = read.payload.children().next().map(|child| child.element());
            prop_assert_eq!(back, Some(tree));
        }

        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let context = StreamContext::new(ContentNamespace::Client);
            let _ = parse(&octets, &context, &mut AddressMemo::default());
        }
    }
}

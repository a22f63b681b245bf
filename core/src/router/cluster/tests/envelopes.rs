//! The codec.

use proptest::prelude::*;

use super::*;
use crate::clock::StanzaId;

fn render(stanza: &Stanza) -> String {
    let mut bytes = Vec::new();
    stanza.render(None, RootNamespace::Inherited, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn there_and_back(stanza: &Stanza, to: ToOverride, id: Option<StanzaId>) -> Letter {
    let recipients = [jid("juliet@hearth.example/balcony"), jid("juliet@hearth.example/x")];
    let bytes = codec::encode(recipients.iter(), to, id, stanza);
    let letter = codec::decode(&mut &bytes[..], &mut codec::Before::default()).unwrap();
    assert_eq!(letter.recipients.as_slice(), recipients);
    letter
}

/// A message with whatever a letter has a place for.
fn everything() -> Stanza {
    let mut sent = stanza(
        "<message id='1' type='chat' xml:lang='de' from='romeo@hearth.example/x' \
         to='juliet@hearth.example'><body>&lt;3</body><stanza-id xmlns='urn:xmpp:sid:0' \
         by='juliet@hearth.example' id='forged'/><x xmlns='jabber:x:oob'><url>u</url></x></message>",
    );
    sent.hide(|child| child.name == "stanza-id");
    sent.append("<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@hearth.example' id='7'/>".into());
    (sent.hops, sent.origin) = (3, 12);
    sent
}

#[test]
fn a_stanza_is_the_same_after_its_way() {
    let sent = everything();
    let letter = there_and_back(&sent, ToOverride::Own, Some(StanzaId(9)));
    assert_eq!(render(&letter.stanza), render(&sent));
    assert!(!render(&letter.stanza).contains("forged"));
    let Stanza { hops, origin, marks, .. } = &*letter.stanza;
    assert_eq!((*hops, *origin, *marks), (3, 12, sent.marks));
    assert_eq!((letter.to, letter.id), (ToOverride::Own, Some(StanzaId(9))));
}

/// A server before or after this one may run on the other node. What is to be otherwise needs a new version, and
/// goes only to servers that read it.
#[test]
fn a_letter_is_written_as_servers_of_version_1_read_it() {
    let recipients = [jid("juliet@hearth.example/balcony"), jid("juliet@hearth.example/x")];
    let id = Some(StanzaId(9));
    let letter = codec::encode(recipients.iter(), ToOverride::Own, id, &everything());
    let octets = b"\x01\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\
        \x02\x1djuliet@hearth.example/balcony\x17juliet@hearth.example/x\
        \x01\x03\0\x0c\0\0\0\x02\x16juliet@hearth.example\x17romeo@hearth.example/x\x021\x03de\
        \x84\x01<body>&lt;3</body><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@hearth.example' id='forged'/>\
        <x xmlns='jabber:x:oob'><url>u</url></x>\
        \x01E<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@hearth.example' id='7'/>";
    assert_eq!(letter, &octets[..]);
}

#[test]
fn the_addresses_before_serve_only_those_that_are_the_same() {
    let (juliet, nurse) = (jid("juliet@hearth.example/x"), jid("nurse@hearth.example/x"));
    let mut before = codec::Before::default();
    for (from, to) in [(&nurse, &juliet), (&nurse, &juliet), (&juliet, &nurse), (&juliet, &juliet)]
    {
        let sent = stanza("<message><body>hi</body></message>");
        let sent = sent.with_from(from.clone()).with_to(juliet.clone());
        let octets = codec::encode([to].into_iter(), ToOverride::Keep, None, &sent);
        let letter = codec::decode(&mut &octets[..], &mut before).unwrap();
        assert_eq!(letter.recipients.as_slice(), std::slice::from_ref(to));
        let head = &letter.stanza.head;
        assert_eq!((head.from.as_ref(), head.to.as_ref()), (Some(from), Some(&juliet)));
    }
}

#[test]
fn every_damage_has_its_error() {
    let sent = stanza("<message><body>hi</body></message>");
    let to = jid("juliet@hearth.example/balcony");
    let good = codec::encode([&to].into_iter(), ToOverride::Keep, None, &sent);
    let refused =
        |mut bytes: &[u8]| codec::decode(&mut bytes, &mut codec::Before::default()).unwrap_err();
    let changed = |at: usize, octet: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = octet;
        codec::decode(&mut &bytes[..], &mut codec::Before::default()).unwrap_err()
    };
    assert_eq!(changed(0, 2), CodecError::Version(2));
    assert_eq!(changed(1, 0x80), CodecError::Invalid("flags"));
    assert_eq!(changed(4, b'@'), CodecError::Invalid("recipient"));
    assert_eq!(refused(&good[..good.len() - 1]), CodecError::Truncated);
    let whole = [&good[..], b"x"].concat();
    let mut rest = &whole[..];
    let mut next = || codec::decode(&mut rest, &mut codec::Before::default());
    assert!(next().is_ok(), "what follows is not its own");
    assert_eq!(next().unwrap_err(), CodecError::Version(b'x'));
    let cut = String::from_utf8_lossy(&good).find("</body>").unwrap();
    assert_eq!(changed(cut, b'x'), CodecError::Invalid("payload"));
    let domain = codec::encode([&jid("hearth.example")].into_iter(), ToOverride::Keep, None, &sent);
    assert_eq!(refused(&domain), CodecError::Invalid("recipient"));
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::char::range(' ', '\u{2fff}'), 0..40)
        .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn whatever_is_said_arrives(body in text(), id in text(), hops in any::<u8>(), ticket in any::<u128>()) {
        let element = crate::xml::Element::new("body", crate::ns::CLIENT).with_text(&body);
        let mut sent = Stanza::message(crate::stanza::MessageType::Chat)
            .with_id(id.as_str())
            .with_from(jid("romeo@hearth.example/x"));
        let mut payload = Vec::new();
        element.write(crate::ns::CLIENT, &mut payload);
        sent = sent.with_payload(crate::stanza::Payload::from_canonical(payload).unwrap());
        sent.hops = hops;
        let letter = there_and_back(&sent, ToOverride::Keep, Some(StanzaId(ticket)));
        prop_assert_eq!(render(&letter.stanza), render(&sent));
        prop_assert_eq!(&letter.stanza.head, &sent.head);
        prop_assert_eq!((letter.id, letter.stanza.hops), (Some(StanzaId(ticket)), hops));
    }

    #[test]
    fn garbage_is_refused_without_harm(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = codec::decode(&mut &octets[..], &mut codec::Before::default());
        let _ = codec::decode(&mut &[&[1, 0], &octets[..]].concat()[..], &mut codec::Before::default());
    }

    #[test]
    fn what_is_damaged_is_refused_or_read(at in 0..120_usize, octet in any::<u8>()) {
        let sent = stanza("<message from='romeo@hearth.example/x'><body>hi</body><a xmlns='b'/></message>");
        let to = jid("juliet@hearth.example/balcony");
        let mut bytes = codec::encode([&to].into_iter(), ToOverride::Keep, None, &sent).to_vec();
        let at = at % bytes.len();
        bytes[at] = octet;
        if let Ok(letter) = codec::decode(&mut &bytes[..], &mut codec::Before::default()) {
            let _ = render(&letter.stanza);
        }
    }
}

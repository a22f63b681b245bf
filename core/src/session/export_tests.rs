use std::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { mailbox: 1 << 20, queue: QueueLimits { items: 100, octets: 1 << 20 } };

fn origin() -> Origin {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5222));
    Origin { peer, tls: None, mechanism: "PLAIN", since: Timestamp(0) }
}

fn message(body: &str) -> Stanza {
    let mut text = Vec::new();
    crate::xml::writer::Writer::new(&mut text)
        .start("message", None)
        .attribute("to", "juliet@hearth.example")
        .attribute("from", "romeo@hearth.example/orchard")
        .attribute("type", "chat")
        .start("body", None)
        .text(body)
        .end("body")
        .end("message");
    stanza(std::str::from_utf8(&text).unwrap(), "message").unwrap()
}

fn exported() -> impl Strategy<Value = Exported> {
    let body = "[ -~äöü<>&'\"]{0,20}";
    let owed = (body, any::<Option<u128>>(), any::<bool>()).prop_map(|(body, id, is_spooled)| {
        let id = id.map(StanzaId);
        Owed { stanza: message(&body), id, is_spooled: is_spooled && id.is_some() }
    });
    let counts = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>());
    let presence = (any::<bool>(), any::<i8>(), any::<bool>());
    let of = (any::<i64>(), "[a-z0-9]{1,8}", 0..86_400_u64);
    (proptest::collection::vec(owed, 0..8), counts, presence, of, 0..3_usize).prop_map(
        |(owed, counts, presence, of, directed)| Exported {
            host: HostId::FIRST,
            account: AccountId(of.0),
            jid: Jid::parse(&format!("juliet@hearth.example/{}", of.1)).unwrap(),
            id: of.1.into(),
            window: Duration::from_secs(of.2),
            since: Timestamp(of.0),
            handled: Counter(counts.0),
            acknowledged: Counter(counts.1),
            owed,
            presence: presence.0.then(|| Stanza::presence(PresenceType::Available)),
            // Without presence there is none.
            priority: if presence.0 { presence.1 } else { 0 },
            interested: presence.2,
            roster: if presence.2 { 5 } else { 0 },
            directed: (0..directed)
                .map(|n| Jid::parse(&format!("room{n}@muc.example/juliet")).unwrap())
                .collect(),
            received: counts.2,
            sent: counts.3,
        },
    )
}

/// What tells one session from another.
fn facts(exported: &Exported) -> String {
    let bodies = exported.owed.iter().map(|owed| {
        let text = text(&owed.stanza, None);
        format!("{text} {:?} {}", owed.id, owed.is_spooled)
    });
    let bodies = bodies.collect::<Vec<_>>();
    let presence = exported.presence.as_ref().map(|presence| text(presence, None));
    let rest = Exported { owed: Vec::new(), presence: None, ..exported.clone() };
    format!("{rest:?} {bodies:?} {presence:?}")
}

proptest! {
    #[test]
    fn a_session_arrives_as_it_went(sent in exported()) {
        let (facts_sent, handled) = (facts(&sent), sent.handled);
        let session = sent.into_session(7, origin(), &LIMITS);
        let octets = encode(&session, handled).expect("it can be resumed");
        let arrived = decode(&octets).expect("it can be read");
        prop_assert_eq!(facts(&arrived), facts_sent);
        prop_assert_eq!(session.shared.watermark().unwrap().report(), handled.0);
    }

    #[test]
    fn whatever_comes_is_read_or_refused(sent in exported(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let handled = sent.handled;
        let session = sent.into_session(7, origin(), &LIMITS);
        let mut octets = encode(&session, handled).expect("it can be resumed");
        for cut in [0, 1, octets.len() / 2, octets.len() - 1] {
            prop_assert!(decode(&octets[..cut]).is_err());
        }
        let at = at.index(octets.len());
        octets[at] = octet;
        // It may still be a session, of which one text or number is another one.
        let _ = decode(&octets);
        octets.push(b'x');
        prop_assert!(decode(&octets).is_err());
    }
}

/// A session with one message that its client has not acknowledged.
fn balcony() -> Exported {
    Exported {
        host: HostId::FIRST,
        account: AccountId(1),
        jid: Jid::parse("juliet@hearth.example/balcony").unwrap(),
        id: "secret".into(),
        window: Duration::from_secs(300),
        since: Timestamp(0),
        handled: Counter(3),
        acknowledged: Counter(u32::MAX),
        owed: vec![Owed { stanza: message("hi"), id: Some(StanzaId(9)), is_spooled: true }],
        presence: Some(Stanza::presence(PresenceType::Available)),
        priority: 5,
        interested: true,
        roster: 5,
        directed: Vec::new(),
        received: 3,
        sent: 1,
    }
}

/// A server before or after this one may run on the other node: what is to be otherwise needs a new version.
#[test]
fn a_session_is_written_as_servers_of_version_1_read_it() {
    let session = balcony().into_session(1, origin(), &LIMITS);
    let octets = encode(&session, Counter(3)).unwrap();
    let expected = r#"{"host":1,"account":1,"jid":"juliet@hearth.example/balcony","id":"secret",
"window_seconds":300,"since_ms":0,"handled":3,"acknowledged":4294967295,
"owed":[{"stanza":"<message to='juliet@hearth.example' from='romeo@hearth.example/orchard' type='chat'>
<body>hi</body></message>","id":"00000000000000000000000000000009","spooled":true}],
"presence":"<presence/>","priority":5,"interested":true,"roster":5,"directed":[],"received":3,"sent":1}"#;
    assert_eq!(octets[0], 1);
    assert_eq!(std::str::from_utf8(&octets[1..]).unwrap(), expected.replace('\n', ""));
}

#[test]
fn each_part_that_is_wrong_has_its_name() {
    let session = balcony();
    assert!(session.covers(Counter(u32::MAX)) && session.covers(Counter(0)));
    assert!(!session.covers(Counter(1)) && !session.covers(Counter(u32::MAX - 1)));
    assert_eq!(session.spooled(), [StanzaId(9)]);
    let session = session.into_session(1, origin(), &LIMITS);
    let octets = encode(&session, Counter(3)).unwrap();
    let text = std::str::from_utf8(&octets[1..]).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        decode(format!("\u{1}{}", text.replace(from, to)).as_bytes()).err()
    };
    assert_eq!(with("balcony", "balcony"), None);
    let rows = [
        ("/balcony\"", "\"", "address"),
        ("<presence/>", "<presence type='unavailable'/>", "presence"),
        ("<presence/>", "<presence>", "presence"),
        ("</message>", "", "stanza"),
        (&*format!("{:032x}", 9), "9", "stanza id"),
    ];
    for (from, to, what) in rows {
        assert_eq!(with(from, to), Some(ExportError::Invalid(what)), "{to}");
    }
    assert!(matches!(with("\"host\"", "\"most\""), Some(ExportError::Malformed(_))));
    assert_eq!(decode(&[2]).err(), Some(ExportError::Version(2)));
    assert_eq!(decode(&[]).err(), Some(ExportError::Empty));
}

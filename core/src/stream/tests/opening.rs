//! Header, features, STARTTLS, and what ends a stream before anybody is authenticated.

use super::*;

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

fn header(attributes: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         {attributes}>"
    )
}

#[test]
fn a_header_is_answered_by_header_and_features() {
    let mut play = Play::new(profile(StartTls::Required), None);
    let written = play.send(&header("to='IM.example' from='juliet@im.example' version='1.0'"));
    assert_eq!(
        written.unwrap(),
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' id='token' from='im.example' \
         to='juliet@im.example' version='1.0' xml:lang='en'><stream:features>\
         <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
         </stream:features>"
    );
}

#[test]
fn headers_that_do_not_fit_end_the_stream() {
    let cases = [
        ("version='1.0'", StreamFault::NoDomain),
        ("to='other.example' version='1.0'", StreamFault::HostUnknown),
        ("to='im.example.' version='1.0' from='@'", StreamFault::InvalidFrom),
        ("to='im.example' version='1.0' from='juliet@other.example'", StreamFault::InvalidFrom),
        ("to='im.example'", StreamFault::UnsupportedVersion),
        ("to='im.example' version='0.9'", StreamFault::UnsupportedVersion),
    ];
    for (attributes, fault) in cases {
        let mut play = Play::new(profile(StartTls::Required), None);
        assert_eq!(play.send(&header(attributes)), Err(fault.clone()), "{attributes}");
        let text = play.text();
        // A header goes before the error, and the stream is closed.
        assert!(text.starts_with("<?xml version='1.0'?><stream:stream "), "{text}");
        let error = format!("<stream:error><{} ", fault.condition().name());
        assert!(text.contains(&error) && text.ends_with("</stream:stream>"), "{text}");
        assert!(play.is_closed());
    }
}

#[test]
fn a_server_stream_does_not_belong_here() {
    let mut play = Play::new(profile(StartTls::Required), None);
    let fault = play.send(&HEADER.replace("jabber:client", "jabber:server"));
    assert_eq!(fault, Err(StreamFault::WrongNamespace));
}

/// The features in order, by local name, mechanisms by theirs.
fn offered(features: &str) -> Vec<String> {
    let at = features.find("<stream:features>").expect("features are written");
    let features = features[at..].replace("stream:features", "features");
    let features = Element::parse(features.as_bytes()).unwrap();
    let mut names = Vec::new();
    for feature in features.children() {
        match feature.name.as_str() {
            "mechanisms" => names.extend(feature.children().map(|m| m.text().into_owned())),
            name => names.push(name.to_owned()),
        }
    }
    names
}

#[test]
fn features_follow_the_property_and_tls() {
    const SCRAM: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"];
    const PLUS: [&str; 3] = ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"];
    let bare = TlsFacts { exporter: None, ..tls() };
    let secured = [&PLUS[..], &SCRAM, &["PLAIN", "sasl-channel-binding", "register"]].concat();
    let cases: [(StartTls, Option<TlsFacts>, Vec<&str>); 6] = [
        (StartTls::Required, None, vec!["starttls"]),
        (StartTls::Optional, None, [&["starttls"][..], &SCRAM, &["register"]].concat()),
        (StartTls::Disabled, None, [&SCRAM[..], &["register"]].concat()),
        (StartTls::Required, Some(bare), [&SCRAM[..], &["PLAIN", "register"]].concat()),
        (StartTls::Required, Some(tls()), secured.clone()),
        (StartTls::Disabled, Some(tls()), secured),
    ];
    for (starttls, tls, expected) in cases {
        let label = format!("{starttls:?} {}", tls.is_some());
        let mut play = Play::new(profile(starttls), tls);
        assert_eq!(offered(&play.send(HEADER).unwrap()), expected, "{label}");
    }
}

#[test]
fn features_after_authentication_stand_in_order() {
    let mut play = Play::secured();
    play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
    play.answer(Answer::Password(Standing::Active(JULIET))).unwrap();
    let features = offered(&play.send(HEADER).unwrap());
    assert_eq!(features, ["bind", "session", "sm", "ver", "sub"]);
}

#[test]
fn limits_and_caps_are_told() {
    let limits =
        features::Limits { before_authentication: 8192, afterwards: 262_144, idle_seconds: 60 };
    let caps =
        features::Caps { node: "https://hearth.im".into(), ver: Arc::new(|| "q07I=".into()) };
    let mut host = profile(StartTls::Required);
    host.features = vec![Arc::new(limits), Arc::new(caps)];
    let mut play = Play::new(host, Some(tls()));
    let text = play.send(HEADER).unwrap();
    let before = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>8192</max-bytes></limits>";
    assert!(text.contains(before) && !text.contains("caps"), "{text}");
    play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
    play.answer(Answer::Password(Standing::Active(JULIET))).unwrap();
    let text = play.send(HEADER).unwrap();
    let after = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes>\
        <idle-seconds>60</idle-seconds></limits><c xmlns='http://jabber.org/protocol/caps' \
        hash='sha-1' node='https://hearth.im' ver='q07I='/></stream:features>";
    assert!(text.ends_with(after), "{text}");
}

#[test]
fn starttls_leads_to_a_fresh_stream() {
    let mut play = Play::new(profile(StartTls::Required), None);
    play.send(HEADER).unwrap();
    let written = play.send(STARTTLS).unwrap();
    assert_eq!(written, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert!(matches!(play.out.actions.as_slice(), [Output::StartTls]));
    assert_eq!(play.step(Input::TlsEstablished(tls())).unwrap(), "");
    let features = offered(&play.send(HEADER).unwrap());
    assert!(features.contains(&"PLAIN".to_owned()) && !features.contains(&"starttls".to_owned()));
}

#[test]
fn a_fault_behind_starttls_is_told_on_the_secured_stream() {
    let mut play = Play::new(profile(StartTls::Required), None);
    play.send(HEADER).unwrap();
    play.send(STARTTLS).unwrap();
    play.step(Input::TlsEstablished(tls())).unwrap();
    assert_eq!(play.step(Input::Deadline), Err(StreamFault::TimedOut));
    let text = play.text();
    assert!(text.starts_with("<?xml version='1.0'?><stream:stream "), "{text}");
    assert!(text.contains("<connection-timeout "), "{text}");
}

/// ATTACKS 6: plain text slipped in behind `<starttls/>` must not take effect.
#[test]
fn nothing_may_follow_starttls_in_plain_text() {
    for injected in [auth("PLAIN", b"\0juliet\0pencil"), HEADER.to_owned(), STARTTLS.to_owned()] {
        let mut play = Play::unsecured();
        play.send(STARTTLS).unwrap();
        assert_eq!(play.send(&injected), Err(StreamFault::PipelinedStartTls));
        // The peer expects TLS now: an error in plain text would mean nothing to it.
        assert_eq!(play.text(), "");
        assert!(play.is_closed());
    }
}

#[test]
fn starttls_that_was_not_offered_fails_and_closes() {
    let plays = [Play::secured(), {
        let mut play = Play::new(profile(StartTls::Disabled), None);
        play.send(HEADER).unwrap();
        play
    }];
    for mut play in plays {
        let written = play.send(STARTTLS).unwrap();
        let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
        assert_eq!(written, failure);
        assert!(play.is_closed());
    }
}

/// ATTACKS 7: with TLS required, nothing of SASL happens without it.
#[test]
fn sasl_before_required_tls_fails() {
    for mechanism in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS"] {
        let mut play = Play::new(profile(StartTls::Required), None);
        play.send(HEADER).unwrap();
        let written = play.send(&auth(mechanism, b"n,,n=juliet,r=abc")).unwrap();
        assert_eq!(written, failure("encryption-required"), "{mechanism}");
    }
}

/// ATTACKS 10: the domain of the first header stays, through TLS and through authentication.
#[test]
fn the_domain_is_frozen_after_the_first_header() {
    let elsewhere = HEADER.replace("im.example", "other.example");
    let mut play = Play::unsecured();
    play.send(STARTTLS).unwrap();
    play.step(Input::TlsEstablished(tls())).unwrap();
    assert_eq!(play.send(&elsewhere), Err(StreamFault::DomainChanged));

    let mut play = Play::secured();
    play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
    play.answer(Answer::Password(Standing::Active(JULIET))).unwrap();
    assert_eq!(play.send(&elsewhere), Err(StreamFault::DomainChanged));
}

#[test]
fn elements_without_meaning_end_the_stream() {
    let cases = [
        ("<message><body>hi</body></message>", StreamFault::NotAuthenticated),
        (
            "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            StreamFault::NotAuthenticated,
        ),
        ("<iq type='result' id='1'/>", StreamFault::NotAuthenticated),
        ("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", StreamFault::NotAuthenticated),
        ("<foo xmlns='urn:bar'/>", StreamFault::UnknownElement),
        // ATTACKS 5: no compression.
        ("<compress xmlns='http://jabber.org/protocol/compress'/>", StreamFault::UnknownElement),
        (HEADER, StreamFault::UnexpectedHeader),
    ];
    for (xml, fault) in cases {
        assert_eq!(Play::secured().send(xml), Err(fault), "{xml}");
    }
}

#[test]
fn the_deadline_ends_any_negotiation() {
    let mut fresh = Play::new(profile(StartTls::Required), None);
    assert_eq!(fresh.step(Input::Deadline), Err(StreamFault::TimedOut));
    let mut asking = Play::secured();
    asking.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
    assert_eq!(asking.step(Input::Deadline), Err(StreamFault::TimedOut));
    assert_eq!(Play::authenticated().step(Input::Deadline), Err(StreamFault::TimedOut));
}

#[test]
fn the_end_is_answered() {
    let mut play = Play::secured();
    assert_eq!(play.step(Input::End).unwrap(), "</stream:stream>");
    assert!(play.is_closed());
}

#[test]
fn a_registration_is_passed_on_before_authentication() {
    let register = "<iq type='get' id='r1'><query xmlns='jabber:iq:register'/></iq>";
    let mut play = Play::secured();
    assert_eq!(play.send(register).unwrap(), "");
    assert!(matches!(play.question(), Question::PreAuthIq(_)));
    let reply = "<iq type='result' id='r1'/>";
    assert_eq!(play.answer(Answer::Reply(reply.into())).unwrap(), reply);
    // Not without end, and not without TLS where TLS is required.
    for _ in 0..2 {
        play.send(register).unwrap();
        play.answer(Answer::Reply(reply.into())).unwrap();
    }
    assert_eq!(play.send(register), Err(StreamFault::TooManyAttempts));
    let mut play = Play::new(profile(StartTls::Required), None);
    play.send(HEADER).unwrap();
    assert_eq!(play.send(register), Err(StreamFault::NotAuthenticated));
}

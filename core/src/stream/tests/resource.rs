//! Resource binding and resumption.

use super::*;

fn bind(resource: &str) -> String {
    format!(
        "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"
    )
}

#[test]
fn the_client_names_its_resource() {
    let mut play = Play::authenticated();
    assert_eq!(play.send(&bind("<resource>bal cony</resource>")).unwrap(), "");
    let Question::Bind { account, jid, generated } = play.question() else { panic!() };
    assert_eq!((account, jid.as_str(), generated), (JULIET, "juliet@im.example/bal cony", false));
    let written = play.answer(Answer::Bound(jid)).unwrap();
    assert_eq!(
        written,
        "<iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <jid>juliet@im.example/bal cony</jid></bind></iq>"
    );
    let Some(StreamState::Bound(bound)) = play.state else { panic!("not bound") };
    assert_eq!((bound.jid.resource(), bound.tls), (Some("bal cony"), Some("TLSv1.3")));
    assert!(!bound.resumed);
}

#[test]
fn the_server_names_the_resource_otherwise() {
    for resource in ["", "<resource/>"] {
        let mut play = Play::authenticated();
        play.send(&bind(resource)).unwrap();
        let Question::Bind { jid, generated, .. } = play.question() else { panic!() };
        assert_eq!((jid.as_str(), generated), ("juliet@im.example/token", true));
    }
}

#[test]
fn a_resource_that_cannot_be_prepared_is_a_bad_request() {
    let long = format!("<resource>{}</resource>", "x".repeat(1024));
    for resource in ["<resource>a\u{7}b</resource>".replace('\u{7}', "\u{85}"), long] {
        let mut play = Play::authenticated();
        let written = play.send(&bind(&resource)).unwrap();
        assert_eq!(
            written,
            "<iq type='error' id='b1'><error type='modify'><bad-request \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        );
    }
}

#[test]
fn a_refused_resource_leaves_room_for_another_attempt() {
    let mut play = Play::authenticated();
    play.send(&bind("<resource>a</resource>")).unwrap();
    let written = play.answer(Answer::BindRefused(BindRefusal::Conflict)).unwrap();
    assert!(written.contains("<error type='cancel'><conflict "), "{written}");
    play.send(&bind("")).unwrap();
    assert!(matches!(play.question(), Question::Bind { .. }));
}

#[test]
fn nothing_but_bind_comes_before_bind() {
    let cases = [
        ("<message><body>x</body></message>", StreamFault::NotBound),
        ("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", StreamFault::NotBound),
        (
            "<iq type='get' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            StreamFault::NotBound,
        ),
        ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", StreamFault::UnknownElement),
        (
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
            StreamFault::UnknownElement,
        ),
    ];
    for (xml, fault) in cases {
        assert_eq!(Play::authenticated().send(xml), Err(fault), "{xml}");
    }
}

#[test]
fn the_header_after_authentication_cannot_claim_somebody_else() {
    for (from, fits) in [("juliet@im.example", true), ("romeo@im.example", false)] {
        let mut play = Play::secured();
        play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
        play.answer(Answer::Password(Standing::Active(JULIET))).unwrap();
        let header = HEADER.replace(" to=", &format!(" from='{from}' to="));
        assert_eq!(play.send(&header).is_ok(), fits, "{from}");
    }
}

const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' previd='some-id' h='5'/>";

#[test]
fn a_session_is_resumed_instead_of_bound() {
    let mut play = Play::authenticated();
    play.send(RESUME).unwrap();
    let Question::Resume { account, jid, previd, h } = play.question() else { panic!() };
    assert_eq!((account, jid.as_str()), (JULIET, "juliet@im.example"));
    assert_eq!((previd.as_str(), h), ("some-id", sm::Counter(5)));
    let jid = jid.with_resource("balcony").unwrap();
    let written = play.answer(Answer::Resumed { jid, h: sm::Counter(3) }).unwrap();
    assert_eq!(written, "<resumed xmlns='urn:xmpp:sm:3' previd='some-id' h='3'/>");
    let Some(StreamState::Bound(bound)) = play.state else { panic!("not bound") };
    assert!(bound.resumed);
}

#[test]
fn a_refused_resumption_leaves_room_to_bind() {
    let mut play = Play::authenticated();
    play.send(RESUME).unwrap();
    let refused = Answer::ResumeRefused { refusal: sm::Refusal::ItemNotFound, h: None };
    let written = play.answer(refused).unwrap();
    assert!(written.contains("<item-not-found "), "{written}");
    play.send(&bind("")).unwrap();
    assert!(matches!(play.question(), Question::Bind { .. }));
}

#[test]
fn stream_management_waits_for_the_resource() {
    let mut play = Play::authenticated();
    let written = play.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").unwrap();
    assert!(written.contains("<unexpected-request "), "{written}");
}

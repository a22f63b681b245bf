//! SASL.

use super::*;
use crate::auth::plain::prepare_password;

const ABORT: &str = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

/// The text of `<challenge/>` or `<success/>`, decoded.
fn decoded(xml: &str) -> String {
    use base64::Engine as _;
    let element = Element::parse(xml.as_bytes()).unwrap();
    let text = base64::engine::general_purpose::STANDARD.decode(&*element.text()).unwrap();
    String::from_utf8(text).unwrap()
}

/// A SCRAM login up to the client's final message; returns what is written to it.
fn scram(play: &mut Play, hash: Hash, header: &str, channel: &[u8], standing: Standing) -> String {
    let name = match header.starts_with('p') {
        true => Mechanism::ScramPlus(hash).name(),
        false => Mechanism::Scram(hash).name(),
    };
    let bare = "n=Juliet,r=clientnonce";
    play.send(&auth(name, format!("{header}{bare}").as_bytes())).unwrap();
    let challenge = play.answer(Answer::Credentials { keys: keys(hash), standing }).unwrap();
    let server_first = decoded(&challenge);
    assert!(server_first.starts_with("r=clientnoncetoken,s="), "{server_first}");
    let channel = encode(&[header.as_bytes(), channel].concat());
    let without_proof = format!("c={channel},r=clientnoncetoken");
    let auth_message = format!("{bare},{server_first},{without_proof}");
    let proof = proof(hash, &auth_message);
    play.send(&response(format!("{without_proof},p={proof}").as_bytes())).unwrap()
}

/// RFC 5802 §3, the client's side.
fn proof(hash: Hash, auth_message: &str) -> String {
    use ring::{digest, hmac, pbkdf2};
    let mut salted = vec![0; hash.digest().output_len()];
    pbkdf2::derive(hash.pbkdf2(), ROUNDS, b"0123456789abcdef", b"pencil", &mut salted);
    let key = |octets: &[u8]| hmac::Key::new(hash.hmac(), octets);
    let client_key = hmac::sign(&key(&salted), b"Client Key");
    let stored = digest::digest(hash.digest(), client_key.as_ref());
    let signature = hmac::sign(&key(stored.as_ref()), auth_message.as_bytes());
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    encode(&pairs.map(|(k, s)| k ^ s).collect::<Vec<u8>>())
}

#[test]
fn scram_logs_in_with_every_hash() {
    for hash in Hash::ALL {
        let mut play = Play::unsecured();
        let success = scram(&mut play, hash, "n,,", b"", Standing::Active(JULIET));
        assert!(decoded(&success).starts_with("v="), "{success}");
        let [Output::Authenticated(account), Output::Restart] = play.out.actions.as_slice() else {
            panic!("not authenticated");
        };
        assert_eq!((account.id, account.jid.as_str()), (JULIET, "juliet@im.example"));
        assert_eq!(account.mechanism, Mechanism::Scram(hash));
        assert!(play.send(HEADER).unwrap().contains("<bind "));
    }
}

#[test]
fn scram_plus_binds_to_the_channel() {
    let active = Standing::Active(JULIET);
    let mut play = Play::secured();
    let success = scram(&mut play, Hash::Sha256, "p=tls-exporter,,", &[7; 32], active);
    assert!(success.starts_with("<success "), "{success}");
    let mut play = Play::secured();
    let relayed = scram(&mut play, Hash::Sha256, "p=tls-exporter,,", &[8; 32], active);
    assert_eq!(relayed, failure("not-authorized"));
}

#[test]
fn a_binding_that_this_channel_lacks_fails() {
    let mut play = Play::secured();
    play.send(&auth("SCRAM-SHA-1-PLUS", b"p=tls-server-end-point,,n=juliet,r=abc")).unwrap();
    let answer = Answer::Credentials { keys: keys(Hash::Sha1), standing: Standing::Unknown };
    assert_eq!(play.answer(answer).unwrap(), failure("not-authorized"));
}

/// ATTACKS 12: a client that was shown no -PLUS says so.
#[test]
fn a_stripped_mechanism_list_is_noticed() {
    let mut play = Play::secured();
    let written = play.send(&auth("SCRAM-SHA-256", b"y,,n=juliet,r=abc")).unwrap();
    assert_eq!(written, failure("not-authorized"));
    // Without TLS no -PLUS is offered, and the flag is true.
    let mut play = Play::unsecured();
    assert_eq!(play.send(&auth("SCRAM-SHA-256", b"y,,n=juliet,r=abc")).unwrap(), "");
}

#[test]
fn plain_asks_for_the_prepared_name_and_password() {
    let mut play = Play::secured();
    let message = "juliet@im.example\0Juliet\0pass\u{3000}word";
    assert_eq!(play.send(&auth("PLAIN", message.as_bytes())).unwrap(), "");
    let Question::VerifyPassword { username, password, host } = play.question() else {
        panic!("another question");
    };
    assert_eq!((username.as_str(), password.as_str()), ("juliet", "pass word"));
    assert_eq!((host, password), (HostId::FIRST, prepare_password("pass word").unwrap()));
    let written = play.answer(Answer::Password(Standing::Active(JULIET))).unwrap();
    assert_eq!(written, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
}

/// ATTACKS 9: nobody acts for somebody else, whatever the mechanism.
#[test]
fn another_authzid_is_refused() {
    let cases: [(&str, &[u8]); 5] = [
        ("PLAIN", b"victim@im.example\0juliet\0pencil"),
        ("PLAIN", b"juliet@other.example\0juliet\0pencil"),
        ("PLAIN", b"juliet@im.example/x\0juliet\0pencil"),
        ("SCRAM-SHA-1", b"n,a=victim@im.example,n=juliet,r=abc"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,a=victim@im.example,n=juliet,r=abc"),
    ];
    for (mechanism, message) in cases {
        let written = Play::secured().send(&auth(mechanism, message)).unwrap();
        assert_eq!(written, failure("invalid-authzid"), "{mechanism}");
    }
}

/// ATTACKS 11: only what this stream offered.
#[test]
fn mechanisms_that_were_not_offered_are_refused() {
    let few = || Profile {
        mechanisms: vec![Mechanism::Scram(Hash::Sha256), Mechanism::Plain],
        ..profile(StartTls::Optional)
    };
    let cases = [
        ("ANONYMOUS", true, "invalid-mechanism"),
        ("EXTERNAL", true, "invalid-mechanism"),
        ("SCRAM-SHA-1", true, "invalid-mechanism"),
        ("SCRAM-SHA-256-PLUS", true, "invalid-mechanism"),
        ("scram-sha-256", true, "invalid-mechanism"),
        ("SCRAM-SHA-256-PLUS", false, "invalid-mechanism"),
        ("PLAIN", false, "encryption-required"),
    ];
    for (mechanism, is_secured, condition) in cases {
        let mut play = Play::new(few(), is_secured.then(tls));
        play.send(HEADER).unwrap();
        let written = play.send(&auth(mechanism, b"\0juliet\0pencil")).unwrap();
        assert_eq!(written, failure(condition), "{mechanism} {is_secured}");
    }
}

/// ATTACKS 13: a wrong proof and an unknown name look alike, and so does a disabled account until
/// the password is proven.
#[test]
fn an_unknown_name_looks_like_a_wrong_password() {
    let attempt = |standing, proof: &str| {
        let mut play = Play::unsecured();
        play.send(&auth("SCRAM-SHA-1", b"n,,n=juliet,r=abc")).unwrap();
        let answer = Answer::Credentials { keys: keys(Hash::Sha1), standing };
        let challenge = play.answer(answer).unwrap();
        let last = format!("c=biws,r=abctoken,p={proof}");
        let written = play.send(&response(last.as_bytes())).unwrap();
        let failed = matches!(
            play.out.actions.as_slice(),
            [Output::LoginFailed { username }] if username == "juliet"
        );
        (challenge, written, failed)
    };
    let wrong = encode(&[1; 20]);
    let known = attempt(Standing::Active(JULIET), &wrong);
    assert_eq!((known.1.as_str(), known.2), (failure("not-authorized").as_str(), true));
    assert_eq!(attempt(Standing::Unknown, &wrong), known);
    assert_eq!(attempt(Standing::Disabled, &wrong), known);
}

#[test]
fn a_right_password_does_not_open_what_is_not_there() {
    let mut play = Play::unsecured();
    let written = scram(&mut play, Hash::Sha1, "n,,", b"", Standing::Unknown);
    assert_eq!(written, failure("not-authorized"));
    let mut play = Play::unsecured();
    let written = scram(&mut play, Hash::Sha1, "n,,", b"", Standing::Disabled);
    assert_eq!(written, failure("account-disabled"));
}

/// ATTACKS 13: no megabyte of nonce.
#[test]
fn malformed_messages_fail() {
    let long = format!("n,,n=juliet,r={}", "x".repeat(1 << 20));
    let cases: [(&str, &[u8], &str); 6] = [
        ("SCRAM-SHA-1", long.as_bytes(), "malformed-request"),
        ("SCRAM-SHA-1", b"n,,n=juliet", "malformed-request"),
        ("SCRAM-SHA-1", b"n,,n=ju liet,r=abc", "not-authorized"),
        ("SCRAM-SHA-1", b"n,,n=juliet@im.example,r=abc", "not-authorized"),
        ("PLAIN", b"juliet", "malformed-request"),
        ("PLAIN", b"\0juliet\0\x01", "malformed-request"),
    ];
    for (mechanism, message, condition) in cases {
        let written = Play::secured().send(&auth(mechanism, message)).unwrap();
        assert_eq!(written, failure(condition), "{mechanism} {:.30?}", message);
    }
    let not_base64 = auth("PLAIN", b"").replace("></auth>", ">!!</auth>");
    assert_eq!(Play::secured().send(&not_base64).unwrap(), failure("incorrect-encoding"));
    let empty = auth("PLAIN", b"").replace("></auth>", ">=</auth>");
    assert_eq!(Play::secured().send(&empty).unwrap(), failure("malformed-request"));
}

#[test]
fn a_client_may_wait_for_the_challenge() {
    let mut play = Play::secured();
    let written = play.send(&auth("PLAIN", b"")).unwrap();
    assert_eq!(written, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    play.send(&response(b"\0juliet\0pencil")).unwrap();
    assert!(matches!(play.question(), Question::VerifyPassword { .. }));
}

#[test]
fn an_abort_lets_the_client_try_again() {
    let mut play = Play::secured();
    play.send(&auth("SCRAM-SHA-1", b"")).unwrap();
    assert_eq!(play.send(ABORT).unwrap(), failure("aborted"));
    let success = scram(&mut play, Hash::Sha1, "n,,", b"", Standing::Active(JULIET));
    assert!(success.starts_with("<success "), "{success}");
}

#[test]
fn too_many_attempts_close_the_stream() {
    let mut play = Play::secured();
    for _ in 0..3 {
        play.send(&auth("PLAIN", b"\0juliet\0wrong")).unwrap();
        let written = play.answer(Answer::Password(Standing::Unknown)).unwrap();
        assert_eq!(written, failure("not-authorized"));
    }
    play.send(&auth("PLAIN", b"\0juliet\0wrong")).unwrap();
    let fault = play.answer(Answer::Password(Standing::Unknown));
    assert_eq!(fault, Err(StreamFault::TooManyAttempts));
    assert!(play.text().starts_with(&failure("not-authorized")), "{}", play.text());
}

#[test]
fn a_busy_server_says_so() {
    let mut play = Play::secured();
    play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
    assert_eq!(play.answer(Answer::TryLater).unwrap(), failure("temporary-auth-failure"));
    play.send(&auth("SCRAM-SHA-1", b"n,,n=juliet,r=abc")).unwrap();
    assert_eq!(play.answer(Answer::TryLater).unwrap(), failure("temporary-auth-failure"));
}

#[test]
fn nothing_is_taken_while_a_question_is_open() {
    for early in ["<message><body>x</body></message>", ABORT, HEADER] {
        let mut play = Play::secured();
        play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
        assert!(play.state.as_ref().is_some_and(StreamState::is_asking));
        assert_eq!(play.send(early), Err(StreamFault::Impatient), "{early}");
    }
}

#[test]
fn an_answer_of_another_kind_is_a_bug() {
    let mut play = Play::secured();
    play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
    let fault = play.answer(Answer::Reply(Bytes::new())).unwrap_err();
    assert_eq!(fault.blame(), Blame::Bug);
}

#[test]
fn a_stanza_within_an_exchange_is_refused() {
    let mut play = Play::secured();
    play.send(&auth("PLAIN", b"")).unwrap();
    let fault = play.send("<message><body>x</body></message>");
    assert_eq!(fault, Err(StreamFault::NotAuthenticated));
}

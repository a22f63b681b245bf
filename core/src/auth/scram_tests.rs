use std::num::NonZeroU32;

use super::*;

const NO_PLUS: Offer = Offer { plus_chosen: false, plus_offered: false };
const PLUS_OFFERED: Offer = Offer { plus_chosen: false, plus_offered: true };
const PLUS: Offer = Offer { plus_chosen: true, plus_offered: true };

fn keys(hash: Hash, salt: &str) -> ScramKeys {
    let iterations = NonZeroU32::new(4096).unwrap();
    ScramKeys::derive(hash, "pencil", &BASE64.decode(salt).unwrap(), iterations)
}

struct Vector {
    hash: Hash,
    salt: &'static str,
    client_nonce: &'static str,
    server_nonce: &'static str,
    proof: &'static str,
    verifier: &'static str,
}

/// RFC 5802 §5, RFC 7677 §3, and one for SHA-512 computed with Python's hashlib.
const VECTORS: [Vector; 3] = [
    Vector {
        hash: Hash::Sha1,
        salt: "QSXCR+Q6sek8bf92",
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        proof: "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        verifier: "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    Vector {
        hash: Hash::Sha256,
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        verifier: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
    Vector {
        hash: Hash::Sha512,
        salt: "MDEyMzQ1Njc4OWFiY2RlZg==",
        client_nonce: "abc",
        server_nonce: "AAAAAAAAAAAAAAAAAAAAAAAA",
        proof: "QJaN7RURZJbc+WBl+NRtmjg1sKVqzrjBCTatLNpOWvbdYX1j0SSobp4UyhjhWmsfMcu8k/3LtdpdP1hSZApwoQ==",
        verifier: "9TeHtpEvi4EiCEmHIeB3G9DCfmeSwy4dGEv2pmsOfMtp9ZRJFcI4PFcVgPi6qB+sI/KZkUoVqWzP4Ut9OSzDcQ==",
    },
];

#[test]
fn the_rfc_vectors_pass() {
    for v in VECTORS {
        let first = format!("n,,n=user,r={}", v.client_nonce);
        let first = ClientFirst::parse(first.as_bytes(), NO_PLUS).unwrap();
        assert_eq!(first.username, "user");
        let (challenged, message) =
            first.challenge(keys(v.hash, v.salt), b"", v.server_nonce, None);
        let nonce = format!("{}{}", v.client_nonce, v.server_nonce);
        assert_eq!(message, format!("r={nonce},s={},i=4096", v.salt));
        let last = format!("c=biws,r={nonce},p={}", v.proof);
        assert_eq!(challenged.finish(last.as_bytes()).unwrap(), format!("v={}", v.verifier));
    }
}

/// The example of XEP-0474 §5.3.
#[test]
fn the_challenge_tells_what_was_offered() {
    let mut mechanisms = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"];
    let offered = offered(&mut mechanisms, &mut ["tls-server-end-point", "tls-exporter"]);
    let first = ClientFirst::parse(b"n,,n=user,r=abc", NO_PLUS).unwrap();
    let keys = keys(Hash::Sha1, "QSXCR+Q6sek8bf92");
    let (_, message) = first.challenge(keys, b"", "def", Some(&offered));
    assert_eq!(message, "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=");
}

/// A client that follows the RFC, with this GS2 header and this view of the channel.
fn login(header: &str, offer: Offer, theirs: &[u8], ours: &[u8]) -> Result<String, ScramError> {
    let keys = keys(Hash::Sha256, "W22ZaJ0SNY7soEsUEjb6gQ==");
    let bare = "n=user,r=clientnonce";
    let first = ClientFirst::parse(format!("{header}{bare}").as_bytes(), offer)?;
    let (challenged, server_first) = first.challenge(keys.clone(), ours, "servernonce", None);
    let channel = BASE64.encode([header.as_bytes(), theirs].concat());
    let without_proof = format!("c={channel},r=clientnonceservernonce");
    let auth_message = format!("{bare},{server_first},{without_proof}");
    let proof = proof("pencil", &keys, &auth_message);
    challenged.finish(format!("{without_proof},p={proof}").as_bytes())
}

fn proof(password: &str, keys: &ScramKeys, auth_message: &str) -> String {
    let mut salted = [0u8; 32];
    let password = password.as_bytes();
    ring::pbkdf2::derive(keys.hash.pbkdf2(), keys.iterations, &keys.salt, password, &mut salted);
    let salted = hmac::Key::new(keys.hash.hmac(), &salted);
    let client_key = hmac::sign(&salted, b"Client Key");
    let stored = digest::digest(keys.hash.digest(), client_key.as_ref());
    let stored = hmac::Key::new(keys.hash.hmac(), stored.as_ref());
    let signature = hmac::sign(&stored, auth_message.as_bytes());
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    BASE64.encode(pairs.map(|(k, s)| k ^ s).collect::<Vec<u8>>())
}

#[test]
fn channel_binding_follows_the_offer() {
    use ScramError::*;
    let cases = [
        ("n,,", NO_PLUS, None),
        ("y,,", NO_PLUS, None),
        ("n,,", PLUS_OFFERED, None),
        ("n,a=user@im.example,", NO_PLUS, None),
        // ATTACKS 12: the list of mechanisms was cut on its way to the client.
        ("y,,", PLUS_OFFERED, Some(Downgraded)),
        ("n,,", PLUS, Some(Binding)),
        ("y,,", PLUS, Some(Binding)),
        ("p=tls-exporter,,", PLUS_OFFERED, Some(Binding)),
        ("p=tls-unique,,", PLUS, Some(Binding)),
        ("p=tls-exporter,,", PLUS, None),
    ];
    for (header, offer, error) in cases {
        let data: &[u8] = if header.starts_with('p') { b"channel" } else { b"" };
        assert_eq!(login(header, offer, data, data).err(), error, "{header} {offer:?}");
    }
}

#[test]
fn another_channel_is_noticed() {
    let relayed = login("p=tls-exporter,,", PLUS, b"attacker's", b"server's");
    assert_eq!(relayed.err(), Some(ScramError::BindingMismatch));
}

#[test]
fn malformed_first_messages_are_refused() {
    use ScramError::*;
    let long = format!("n,,n=user,r={}", "x".repeat(MAX_NONCE + 1));
    let huge = format!("n,,n=user,r={}", "x".repeat(1 << 20));
    let cases: [(&str, ScramError); 14] = [
        ("", Malformed),
        ("n", Malformed),
        ("n,", Malformed),
        ("n,,", Malformed),
        ("n,,n=user", Malformed),
        ("n,,n=,r=abc", Malformed),
        ("n,,n=user,r=", Malformed),
        ("n,,n=us=2Xer,r=abc", Malformed),
        ("n,,n=user=,r=abc", Malformed),
        ("n,b=x,n=user,r=abc", Malformed),
        ("x,,n=user,r=abc", Malformed),
        ("n,,m=ext,n=user,r=abc", Extension),
        (&long, TooLong),
        (&huge, TooLong),
    ];
    for (message, error) in cases {
        let outcome = ClientFirst::parse(message.as_bytes(), NO_PLUS);
        assert_eq!(outcome.err(), Some(error), "{:.40}", message);
    }
    assert!(ClientFirst::parse(b"n,,n=us\xffer,r=abc", NO_PLUS).is_err());
}

#[test]
fn names_are_unescaped() {
    let first = ClientFirst::parse(b"n,a=x=2Cy,n=a=3Db=2C,r=abc", NO_PLUS).unwrap();
    assert_eq!((first.username.as_str(), first.authzid.as_deref()), ("a=b,", Some("x,y")));
}

#[test]
fn malformed_final_messages_are_refused() {
    use ScramError::*;
    let cases = [
        ("", Malformed),
        ("c=biws,r=abcdef", Malformed),
        ("c=biws,p=AAAA", Malformed),
        ("r=abcdef,c=biws,p=AAAA", Malformed),
        ("c=biws,r=abcdef,p=!", Malformed),
        ("c=biws,r=abcdef,p=AAAA", Malformed),
        ("c=biws,r=abcdeX,p=AAAA", Nonce),
        ("c=biws,r=abc,p=AAAA", Nonce),
        ("c=eSws,r=abcdef,p=AAAA", BindingMismatch),
        ("c=biws,r=abcdef,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", Proof),
    ];
    for (message, error) in cases {
        let first = ClientFirst::parse(b"n,,n=user,r=abc", NO_PLUS).unwrap();
        let keys = keys(Hash::Sha1, "QSXCR+Q6sek8bf92");
        let (challenged, _) = first.challenge(keys, b"", "def", None);
        assert_eq!(challenged.finish(message.as_bytes()).err(), Some(error), "{message}");
    }
}

#[test]
fn fake_keys_let_nobody_in() {
    let iterations = NonZeroU32::new(4096).unwrap();
    let fake = ScramKeys::fake(Hash::Sha256, b"secret", "user", iterations);
    let first = ClientFirst::parse(b"n,,n=user,r=abc", NO_PLUS).unwrap();
    let (challenged, server_first) = first.challenge(fake.clone(), b"", "def", None);
    let auth_message = format!("n=user,r=abc,{server_first},c=biws,r=abcdef");
    let proof = proof("pencil", &fake, &auth_message);
    let last = format!("c=biws,r=abcdef,p={proof}");
    assert_eq!(challenged.finish(last.as_bytes()).err(), Some(ScramError::Proof));
}

proptest::proptest! {
    #[test]
    fn whatever_comes_is_answered(first: Vec<u8>, tail in "[a-z=,\u{0}-\u{7f}]*", last: Vec<u8>) {
        let _ = ClientFirst::parse(&first, PLUS_OFFERED);
        let _ = ClientFirst::parse(format!("n,,n={tail}").as_bytes(), PLUS_OFFERED);
        let _ = crate::auth::plain::Plain::parse(&first);
        let finish = |message: &[u8]| {
            let first = ClientFirst::parse(b"n,,n=user,r=abc", NO_PLUS).unwrap();
            let keys = ScramKeys::fake(Hash::Sha1, b"", "", NonZeroU32::MIN);
            first.challenge(keys, b"", "def", None).0.finish(message).is_ok()
        };
        assert!(!finish(&last));
        assert!(!finish(format!("c=biws,r=abcdef,{tail}").as_bytes()));
    }
}

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime};

use super::standing::{EVALUATION_MEMBERS, Grant};
use super::*;

fn pair() -> (Ed25519KeyPair, TrustedKey) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("the key");
    let public = pair.public_key().as_ref().try_into().expect("32 octets");
    (pair, TrustedKey::new(public))
}

fn licence() -> Licence {
    Licence {
        v: 1,
        id: "2026-0017".to_owned(),
        holder: "Veröna & Söhne".to_owned(),
        kind: Kind::Subscription,
        issued: date!(2026 - 01 - 10),
        expires: date!(2027 - 01 - 09),
        members: 5,
    }
}

#[test]
fn what_was_issued_is_verified() {
    let (pair, key) = pair();
    let text = issue(&licence(), &pair).expect("issued");
    assert_eq!(verify(&text, &key), Ok(licence()));
    let by_mail = format!("Dear customer,\r\n\r\n{}\r\nregards", text.replace('\n', "\r\n  "));
    assert_eq!(verify(&by_mail, &key), Ok(licence()));
}

#[test]
fn every_way_of_being_no_licence_is_told_apart() {
    let (pair, key) = pair();
    let text = issue(&licence(), &pair).expect("issued");
    assert_eq!(verify("", &key), Err(LicenceError::NotALicence));
    assert_eq!(verify(&"x".repeat(1 << 20), &key), Err(LicenceError::NotALicence));
    assert_eq!(verify(&text[..text.len() / 2], &key), Err(LicenceError::NotALicence));
    let damaged = text.replacen("\n-----END", "?\n-----END", 1);
    assert!(matches!(verify(&damaged, &key), Err(LicenceError::Damaged(_))));
    let (other, _) = self::pair();
    let foreign = issue(&licence(), &other).expect("issued");
    assert!(matches!(verify(&foreign, &key), Err(LicenceError::Foreign(_))));
    let newer = issue(&Licence { v: 2, ..licence() }, &pair).expect("issued");
    assert_eq!(verify(&newer, &key), Err(LicenceError::Newer(2)));
}

#[test]
fn a_changed_licence_is_noticed() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let (pair, key) = pair();
    let text = issue(&licence(), &pair).expect("issued");
    let packed: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let envelope = String::from_utf8(STANDARD.decode(packed).expect("base64")).expect("text");
    let greedy = envelope.replace(r#"\"members\":5"#, r#"\"members\":9"#);
    assert_ne!(greedy, envelope);
    let packed = STANDARD.encode(greedy);
    let text = format!("-----BEGIN HEARTH LICENCE-----\n{packed}\n-----END HEARTH LICENCE-----");
    assert_eq!(verify(&text, &key), Err(LicenceError::Tampered));
}

fn at(now: OffsetDateTime) -> Situation {
    Situation { now, latest: now, licence: Some(licence()), evaluation: None }
}

fn grant(expires: Date) -> Grant {
    Grant { holder: Some(licence().holder), expires, members: 5 }
}

#[test]
fn a_licence_holds_through_its_last_day_and_its_grace() {
    let last = licence().expires;
    let table = [
        (datetime!(2026-01-09 23:59:59 UTC), Standing::NotYet { from: licence().issued }),
        (datetime!(2026-01-10 00:00 UTC), Standing::Holds(grant(last))),
        (datetime!(2027-01-09 23:59:59 UTC), Standing::Holds(grant(last))),
        (
            datetime!(2027-01-10 00:00 UTC),
            Standing::Grace { grant: grant(last), until: date!(2027 - 01 - 23) },
        ),
        (
            datetime!(2027-01-23 23:59 UTC),
            Standing::Grace { grant: grant(last), until: date!(2027 - 01 - 23) },
        ),
        (datetime!(2027-01-24 00:00 UTC), Standing::Lapsed(grant(last))),
    ];
    for (now, standing) in table {
        assert_eq!(at(now).standing(), standing, "{now}");
    }
}

#[test]
fn who_may_join() {
    let last = licence().expires;
    let until = date!(2027 - 01 - 23);
    let full = Refusal::Full { allowed: 5, running: 5 };
    let table = [
        (Standing::Unlicensed, true, 0, Err(Refusal::Unlicensed)),
        (Standing::NotYet { from: last }, true, 0, Err(Refusal::NotYet(last))),
        (Standing::Holds(grant(last)), false, 4, Ok(())),
        (Standing::Holds(grant(last)), false, 5, Err(full.clone())),
        (Standing::Holds(grant(last)), true, 5, Err(full.clone())),
        (Standing::Grace { grant: grant(last), until }, false, 4, Ok(())),
        (Standing::Grace { grant: grant(last), until }, true, 5, Err(full.clone())),
        (Standing::Lapsed(grant(last)), true, 4, Ok(())),
        (Standing::Lapsed(grant(last)), false, 4, Err(Refusal::Lapsed(last))),
        (Standing::Lapsed(grant(last)), true, 5, Err(full)),
    ];
    for (standing, is_known, running, answer) in table {
        assert_eq!(standing.admit(is_known, running), answer, "{standing} {is_known} {running}");
    }
}

#[test]
fn the_evaluation_lasts_thirty_days_for_three_members() {
    let started = datetime!(2026-11-22 12:00 UTC);
    let after = |days| Situation {
        licence: None,
        evaluation: Some(Evaluation { started }),
        ..at(started + Duration::days(days))
    };
    for (days, order) in [(0, "Holds"), (30, "Holds"), (31, "Grace"), (44, "Grace"), (45, "Lapsed")]
    {
        let standing = after(days).standing();
        assert!(format!("{standing:?}").starts_with(order), "{days}: {standing:?}");
        assert_eq!(standing.grant().map(|grant| grant.members), Some(EVALUATION_MEMBERS));
    }
}

#[test]
fn the_better_of_licence_and_evaluation_counts() {
    let now = datetime!(2027-02-20 00:00 UTC);
    let evaluation = Some(Evaluation { started: now - Duration::days(3) });
    let lapsed_licence = Situation { evaluation, ..at(now) };
    assert!(matches!(lapsed_licence.standing(), Standing::Holds(Grant { holder: None, .. })));
    let both = Situation { now: datetime!(2026-06-01 00:00 UTC), ..lapsed_licence };
    let both = Situation { latest: both.now, ..both };
    assert!(matches!(both.standing(), Standing::Holds(Grant { holder: Some(_), .. })));
}

#[test]
fn to_start_the_evaluation_takes_nothing_away() {
    let in_grace = datetime!(2027-01-12 00:00 UTC);
    let lapsed = datetime!(2027-02-20 00:00 UTC);
    let with_evaluation = |now| {
        let evaluation = Some(Evaluation { started: now - Duration::days(1) });
        Situation { evaluation, ..at(now) }
    };
    let grace = with_evaluation(in_grace);
    assert!(matches!(grace.standing(), Standing::Grace { .. }), "it has more members");
    assert_eq!(admit(&grace.standings(), false, 4), Ok(()));
    let lapsed = with_evaluation(lapsed).standings();
    assert_eq!(admit(&lapsed, false, 2), Ok(()), "by the evaluation");
    assert_eq!(admit(&lapsed, true, 4), Ok(()), "by the licence");
    assert_eq!(admit(&lapsed, false, 4), Err(Refusal::Full { allowed: 3, running: 4 }));
    assert_eq!(admit(&at(in_grace).standings(), true, 5).map_err(|_| ()), Err(()));
}

#[test]
fn an_evaluation_adds_nothing_to_a_licence_that_holds_and_nothing_for_good() {
    let now = datetime!(2026-06-01 00:00 UTC);
    let small = Licence { members: 2, ..licence() };
    let with = |days, now| Situation {
        licence: Some(small.clone()),
        evaluation: Some(Evaluation { started: now - Duration::days(days) }),
        ..at(now)
    };
    let full = Err(Refusal::Full { allowed: 2, running: 2 });
    for days in [1, 40, 100] {
        let holds = with(days, now);
        assert!(matches!(holds.standing(), Standing::Holds(Grant { holder: Some(_), .. })));
        assert_eq!(admit(&holds.standings(), true, 2), full, "{days} days");
    }
    for late in [datetime!(2027-01-12 00:00 UTC), datetime!(2027-02-20 00:00 UTC)] {
        assert_eq!(admit(&with(100, late).standings(), true, 2), full, "{late}");
    }
}

#[test]
fn setting_the_clock_back_gains_nothing() {
    let late = datetime!(2027-03-01 00:00 UTC);
    let back = Situation { now: datetime!(2026-06-01 00:00 UTC), latest: late, ..at(late) };
    assert!(back.is_set_back());
    assert_eq!(back.standing(), Standing::Lapsed(grant(licence().expires)));
    let corrected = Situation { now: late - Duration::hours(3), ..at(late) };
    assert!(!corrected.is_set_back());
}

#[test]
fn dates_are_written_in_one_form() {
    assert_eq!(day::parse("2027-11-22"), Some(date!(2027 - 11 - 22)));
    for wrong in ["22.11.2027", "2027-13-01", "2027-02-30", "", "tomorrow"] {
        assert_eq!(day::parse(wrong), None, "{wrong}");
    }
}

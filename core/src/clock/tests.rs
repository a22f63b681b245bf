use super::*;

const NOON: Timestamp = Timestamp(1_032_260_400_000);

#[test]
fn formats_as_xep_0082() {
    assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    assert_eq!(Timestamp(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
    assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999Z");
}

#[test]
fn parses_the_examples_of_xep_0082() {
    assert_eq!("1969-07-21T02:56:15Z".parse(), Ok(Timestamp(-14_159_025_000)));
    assert_eq!("1969-07-20T21:56:15-05:00".parse(), Ok(Timestamp(-14_159_025_000)));
    assert_eq!("2000-02-29T00:00:00.12Z".parse(), Ok(Timestamp(951_782_400_120)));
    assert_eq!("2000-02-29T00:00:00.123456+01:00".parse(), Ok(Timestamp(951_778_800_123)));
}

#[test]
fn refuses_what_is_no_date_time() {
    let bad = ["", "2001-02-29T00:00:00Z", "2000-13-01T00:00:00Z", "2000-01-01T24:00:00Z"];
    let worse = ["2000-01-01 00:00:00Z", "2000-01-01T00:00:00", "2000-01-01T00:00:00.Z"];
    let worst = ["2000-01-01T00:00:00+1:00", "2000-01-01T00:00:00Zjunk", "20é0-01-01T00:00:0Z"];
    for text in bad.iter().chain(&worse).chain(&worst) {
        assert_eq!(text.parse::<Timestamp>(), Err(DateTimeError), "{text}");
    }
}

#[test]
fn every_day_of_four_centuries_survives_the_round_trip() {
    for day in (-200 * 366)..(200 * 366) {
        let time = Timestamp(day * 86_400_000 + 45_296_789);
        assert_eq!(time.to_string().parse(), Ok(time));
    }
}

#[test]
fn ids_grow_while_the_wall_clock_steps_back() {
    let clock = Clock::fake(NOON);
    let first = clock.stanza_id();
    clock.set_wall(NOON - Duration::from_secs(3600));
    let second = clock.stanza_id();
    assert!(second > first);
    assert_eq!(second.time(), NOON);
    clock.set_wall(NOON + Duration::from_secs(1));
    assert_eq!(clock.stanza_id().time(), NOON + Duration::from_secs(1));
}

#[test]
fn ids_given_by_many_threads_differ_and_grow_in_each() {
    let clock = Clock::system(7);
    let give = |clock: Clock| move || (0..2000).map(|_| clock.stanza_id()).collect::<Vec<_>>();
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(give(clock.clone()))).collect();
    let mut all = Vec::new();
    for thread in threads {
        let ids = thread.join().unwrap();
        assert!(ids.is_sorted());
        all.extend(ids);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8000);
}

#[test]
fn an_id_seen_from_another_node_is_overtaken() {
    let (ahead, behind) = (Clock::fake(NOON + Duration::from_secs(5)), Clock::fake(NOON));
    let foreign = ahead.stanza_id();
    behind.observe(foreign);
    assert!(behind.stanza_id().logical_time() > foreign.logical_time());
}

#[test]
fn ids_sort_alike_as_number_text_and_octets() {
    let clock = Clock::fake(NOON);
    let (a, b) = (clock.stanza_id(), clock.stanza_id());
    assert!(a < b && a.to_string() < b.to_string() && a.to_bytes() < b.to_bytes());
    assert_eq!(a.to_string().parse(), Ok(a));
    assert_eq!(StanzaId::from_bytes(b.to_bytes()), b);
    assert!(StanzaId::first_at(NOON) <= a);
    assert_eq!("+0000000000000000000000000000000".parse::<StanzaId>(), Err(StanzaIdError));
}

#[test]
fn the_correction_moves_wall_time_and_leaves_boot_time() {
    let clock = Clock::fake(NOON);
    let boot = clock.boot();
    clock.correct(NOON + Duration::from_millis(1500));
    assert_eq!(clock.now(), NOON + Duration::from_millis(1500));
    clock.advance(Duration::from_secs(1));
    assert_eq!(clock.now(), NOON + Duration::from_millis(2500));
    assert_eq!(clock.boot() - boot, Duration::from_secs(1));
}

#[test]
fn tokens_are_long_and_differ() {
    let random = Random::system();
    assert_eq!((random.token().len(), random.hex().len()), (32, 32));
    assert_ne!(random.token(), random.token());
}

#[test]
fn the_machine_tells_how_long_a_thread_waited() {
    let clock = Clock::system(1);
    let before = clock.waited();
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get()) * 2;
    let spin = || {
        let begun = clock.boot();
        while clock.boot() - begun < Duration::from_millis(100) {}
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(spin);
        }
        spin();
    });
    assert!(clock.waited() > before);
}

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

const START: Duration = Duration::from_secs(100);
const LONG: Duration = Duration::from_secs(1);

fn parcel(number: u64, octets: usize) -> Bytes {
    let mut parcel = number.to_be_bytes().to_vec();
    parcel.resize(octets.max(8), 0);
    parcel.into()
}

fn number(parcel: &Bytes) -> u64 {
    u64::from_be_bytes(parcel[..8].try_into().expect("eight octets"))
}

fn pack(outbox: &mut Outbox, now: Duration) -> Option<Sample> {
    let (first, parcels) = outbox.pack(now);
    (!parcels.is_empty()).then(|| Sample { first, parcels, ..Sample::default() })
}

#[test]
fn samples_cross_as_they_are() {
    let sample = Sample {
        first: 7,
        received: u64::MAX,
        gap: true,
        parcels: smallvec![parcel(1, 20), Bytes::new()],
    };
    let mut whole = Vec::new();
    sample.encode(&mut whole);
    let whole = Bytes::from(whole);
    assert_eq!(whole.len(), sample.octets());
    assert_eq!(Sample::decode(whole.clone()), Ok(sample));
    for end in 0..whole.len() {
        assert!(Sample::decode(whole.slice(..end)).is_err(), "cut at {end}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(Sample::decode(longer.into()).is_err());
}

#[test]
fn what_is_queued_goes_in_one_sample() {
    let mut outbox = Outbox::new(WINDOW);
    for n in 0..100 {
        outbox.push(parcel(n, 200)).expect("room");
    }
    let sample = pack(&mut outbox, START).expect("a sample");
    assert_eq!((sample.first, sample.parcels.len()), (0, 100));
    assert_eq!(pack(&mut outbox, START), None);
}

#[test]
fn a_large_parcel_has_a_sample_of_its_own() {
    let mut outbox = Outbox::new(10 * WINDOW);
    for octets in [10, 2 * SAMPLE, 10] {
        outbox.push(parcel(0, octets)).expect("room");
    }
    let sizes: Vec<_> =
        std::iter::from_fn(|| pack(&mut outbox, START)).map(|s| s.parcels.len()).collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn no_more_than_the_window_is_under_way() {
    let mut outbox = Outbox::new(10 * WINDOW);
    let size = SAMPLE / 2;
    for n in 0..(3 * WINDOW / size) as u64 {
        outbox.push(parcel(n, size)).expect("room");
    }
    let sent: usize =
        std::iter::from_fn(|| pack(&mut outbox, START)).map(|s| s.parcels.len()).sum();
    assert_eq!(sent, WINDOW / size);
    outbox.acknowledge(2, false, START);
    assert_eq!(pack(&mut outbox, START).map(|sample| sample.parcels.len()), Some(2));
}

#[test]
fn a_full_lane_gives_the_parcel_back_and_tells_when_there_is_room() {
    let mut outbox = Outbox::new(300);
    for n in 0..3 {
        assert_eq!(outbox.push(parcel(n, 100)), Ok(n));
    }
    assert_eq!(outbox.push(parcel(3, 100)), Err(Full(parcel(3, 100))));
    pack(&mut outbox, START).expect("a sample");
    assert!(!outbox.acknowledge(1, false, START), "still more than half full");
    assert!(outbox.acknowledge(2, false, START));
    assert!(!outbox.acknowledge(3, false, START), "told once");
    assert_eq!(outbox.octets(), 0);
}

#[test]
fn acknowledgements_of_what_was_never_sent_are_ignored() {
    let mut outbox = Outbox::new(1000);
    outbox.push(parcel(0, 100)).expect("room");
    outbox.acknowledge(1, false, START);
    assert_eq!(pack(&mut outbox, START).map(|sample| sample.first), Some(0));
    outbox.acknowledge(1, false, START);
    outbox.acknowledge(0, true, START);
    assert_eq!(outbox.into_parcels().count(), 0);
}

#[test]
fn silence_makes_the_sender_go_back() {
    let mut outbox = Outbox::new(1000);
    outbox.push(parcel(0, 100)).expect("room");
    let lost = pack(&mut outbox, START).expect("a sample");
    assert!(!outbox.tick(START), "patience first");
    assert!(outbox.tick(START + LONG));
    assert_eq!(pack(&mut outbox, START + LONG), Some(lost));
}

#[test]
fn the_unacknowledged_are_there_when_the_node_is_gone() {
    let mut outbox = Outbox::new(1000);
    for n in 0..4 {
        outbox.push(parcel(n, 10)).expect("room");
    }
    pack(&mut outbox, START).expect("a sample");
    outbox.acknowledge(2, false, START);
    outbox.push(parcel(4, 10)).expect("room");
    let left: Vec<_> = outbox.into_parcels().map(|parcel| number(&parcel)).collect();
    assert_eq!(left, [2, 3, 4]);
}

/// What the network does to the next sample.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Fine,
    Lost,
    Twice,
    /// Overtaken by what is sent later.
    Late,
}

fn weather() -> impl Strategy<Value = Weather> {
    use Weather::*;
    prop_oneof![4 => Just(Fine), 1 => Just(Lost), 1 => Just(Twice), 1 => Just(Late)]
}

fn cast<T: Clone>(way: &mut VecDeque<T>, item: T, weather: Weather) {
    match weather {
        Weather::Fine => way.push_back(item),
        Weather::Lost => {}
        Weather::Twice => way.extend([item.clone(), item]),
        Weather::Late => way.push_front(item),
    }
}

proptest! {
    /// Whatever the network does for a while, every parcel arrives once and in order.
    #[test]
    fn everything_arrives_once_and_in_order(
        bad in prop::collection::vec((weather(), weather(), 0..4u64), 1..80),
    ) {
        let (mut outbox, mut inbox) = (Outbox::new(usize::MAX), Inbox::default());
        let (mut there, mut back) = (VecDeque::new(), VecDeque::new());
        let (mut pushed, mut arrived, mut now) = (0, Vec::new(), START);
        let fine = std::iter::repeat_n((Weather::Fine, Weather::Fine, 0), 20);
        for (to, fro, new) in bad.into_iter().chain(fine) {
            now += LONG;
            for _ in 0..new {
                outbox.push(parcel(pushed, 50)).expect("room");
                pushed += 1;
            }
            outbox.tick(now);
            if let Some(sample) = pack(&mut outbox, now) {
                cast(&mut there, sample, to);
            }
            while let Some(sample) = there.pop_back() {
                arrived.extend(inbox.accept(sample).parcels.iter().map(number));
                cast(&mut back, inbox.received(), fro);
            }
            while let Some((received, gap)) = back.pop_front() {
                outbox.acknowledge(received, gap, now);
            }
        }
        prop_assert_eq!(arrived, (0..pushed).collect::<Vec<_>>());
        prop_assert_eq!(outbox.octets(), 0);
    }
}

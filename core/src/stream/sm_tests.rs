use super::*;

const LIMITS: QueueLimits = QueueLimits { items: 4, octets: 100 };

fn queue(count: u32) -> AckQueue<u32> {
    let mut queue = AckQueue::new(LIMITS);
    for item in 1..=count {
        queue.push(item, 10);
    }
    queue
}

fn acknowledge(queue: &mut AckQueue<u32>, h: u32) -> Result<Vec<u32>, TooHigh> {
    queue.acknowledge(Counter(h)).map(Iterator::collect)
}

#[test]
fn an_acknowledgement_frees_the_oldest() {
    let mut queue = queue(3);
    assert_eq!(acknowledge(&mut queue, 2), Ok(vec![1, 2]));
    assert_eq!(queue.unacked().copied().collect::<Vec<_>>(), [3]);
    assert_eq!((queue.octets(), queue.sent(), queue.acknowledged()), (10, Counter(3), Counter(2)));
    assert_eq!(acknowledge(&mut queue, 2), Ok(vec![]));
    assert_eq!(acknowledge(&mut queue, 3), Ok(vec![3]));
    assert!(queue.is_empty());
}

#[test]
fn a_wrong_count_is_an_error_and_changes_nothing() {
    let mut queue = queue(3);
    assert_eq!(acknowledge(&mut queue, 4), Err(TooHigh { h: 4, sent: 3 }));
    assert_eq!(acknowledge(&mut queue, u32::MAX), Err(TooHigh { h: u32::MAX, sent: 3 }));
    acknowledge(&mut queue, 2).unwrap();
    // Behind the last one.
    assert_eq!(acknowledge(&mut queue, 1), Err(TooHigh { h: 1, sent: 3 }));
    assert_eq!(acknowledge(&mut queue, 3), Ok(vec![3]));
}

#[test]
fn the_count_wraps_around() {
    let mut queue = AckQueue { acknowledged: Counter(u32::MAX - 1), ..queue(0) };
    for item in 1..=4 {
        queue.push(item, 1);
    }
    assert_eq!(queue.sent(), Counter(2));
    assert_eq!(acknowledge(&mut queue, u32::MAX), Ok(vec![1]));
    assert_eq!(acknowledge(&mut queue, 3), Err(TooHigh { h: 3, sent: 2 }));
    assert_eq!(acknowledge(&mut queue, 1), Ok(vec![2, 3]));
    assert_eq!(Counter(u32::MAX).next(), Counter(0));
    assert_eq!(Counter(1).since(Counter(u32::MAX)), 2);
}

#[test]
fn the_queue_is_bounded_in_items_and_octets() {
    let mut queue = queue(4);
    assert!(queue.is_full(), "four items");
    acknowledge(&mut queue, 1).unwrap();
    assert!(!queue.is_full());
    queue.push(5, 70);
    assert!(queue.is_full(), "100 octets");
    acknowledge(&mut queue, 2).unwrap();
    assert!(!queue.is_full());
    assert_eq!(queue.into_unacked().collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn requests_are_read() {
    let enable = |resume, max| Ok(Request::Enable { resume, max });
    let cases = [
        ("<r xmlns='urn:xmpp:sm:3'/>", Ok(Request::Ack)),
        ("<a xmlns='urn:xmpp:sm:3' h='7'/>", Ok(Request::Answer { h: Counter(7) })),
        ("<enable xmlns='urn:xmpp:sm:3'/>", enable(false, None)),
        ("<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>", enable(true, Some(60))),
        ("<enable xmlns='urn:xmpp:sm:3' resume='1'/>", enable(true, None)),
        (
            "<resume xmlns='urn:xmpp:sm:3' previd='x' h='4294967295'/>",
            Ok(Request::Resume { previd: "x".into(), h: Counter(u32::MAX) }),
        ),
        ("<resume xmlns='urn:xmpp:sm:3' h='1'/>", Err(RequestError::Attribute)),
        ("<resume xmlns='urn:xmpp:sm:3' previd='x'/>", Err(RequestError::Attribute)),
        ("<a xmlns='urn:xmpp:sm:3'/>", Err(RequestError::Attribute)),
        ("<a xmlns='urn:xmpp:sm:3' h='-1'/>", Err(RequestError::Attribute)),
        ("<a xmlns='urn:xmpp:sm:3' h='4294967296'/>", Err(RequestError::Attribute)),
        ("<enabled xmlns='urn:xmpp:sm:3'/>", Err(RequestError::Unknown)),
    ];
    for (text, request) in cases {
        let element = Element::parse(text.as_bytes()).unwrap();
        assert_eq!(Request::parse(&element), request, "{text}");
    }
}

#[test]
fn answers_are_written() {
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        text(&|out| write_enabled(Some(("a'b", 600)), out)),
        "<enabled xmlns='urn:xmpp:sm:3' id='a&apos;b' resume='true' max='600'/>"
    );
    assert_eq!(text(&|out| write_enabled(None, out)), "<enabled xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(
        text(&|out| write_resumed("x", Counter(9), out)),
        "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='9'/>"
    );
    assert_eq!(
        text(&|out| write_failed(Refusal::ItemNotFound, Some(Counter(3)), out)),
        "<failed xmlns='urn:xmpp:sm:3' h='3'><item-not-found \
         xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
    );
    assert_eq!(text(&|out| write_answer(Counter(5), out)), "<a xmlns='urn:xmpp:sm:3' h='5'/>");
    let too_high = TooHigh { h: 10, sent: 8 };
    assert_eq!(
        text(&|out| too_high.write(&mut Writer::new(out))),
        "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='8'/>"
    );
}

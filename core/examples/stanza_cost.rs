//! What one chat message costs the CPU: framing, reading with canonicalisation, rendering.
//! `cargo run --release -p hearth --example stanza_cost`

use std::hint::black_box;
use std::time::Instant;

use hearth::stanza::{AddressMemo, Parsed, RootNamespace, Stanza, parse};
use hearth::xml::{ContentNamespace, Frame, FrameLimits, Framer, StreamContext};

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
const MESSAGE: &[u8] = b"<message to='juliet@capulet.example/balcony' type='chat' \
    id='a1b2c3d4'><body>Art thou not Romeo, and a Montague? Neither, fair saint, if either thee \
    dislike.</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
    <request xmlns='urn:xmpp:receipts'/></message>";
const ROUNDS: u32 = 1_000_000;

fn main() {
    println!("{} octets per message, nanoseconds each:", MESSAGE.len());
    let context = StreamContext::new(ContentNamespace::Client);
    let mut memo = AddressMemo::default();
    let mut framer = Framer::new(FrameLimits::AUTHENTICATED);
    assert!(matches!(framer.next(&mut &HEADER[..]), Ok(Some(Frame::Header(_)))));
    measure("frame", || {
        black_box(framer.next(&mut &MESSAGE[..]).is_ok());
    });
    measure("read", || {
        black_box(read(&context, &mut memo));
    });
    let stanza = read(&context, &mut memo);
    let mut out = Vec::with_capacity(64 * 1024);
    measure("render", || {
        out.clear();
        stanza.render(None, RootNamespace::Inherited, &mut out);
        black_box(&out);
    });
}

fn read(context: &StreamContext, memo: &mut AddressMemo) -> Stanza {
    match parse(black_box(MESSAGE), context, memo) {
        Ok(Parsed::Stanza(stanza)) => stanza,
        other => panic!("{other:?}"),
    }
}

fn measure(what: &str, mut round: impl FnMut()) {
    let best = (0..5).map(|_| {
        let begun = Instant::now();
        (0..ROUNDS / 5).for_each(|_| round());
        begun.elapsed().as_nanos() / u128::from(ROUNDS / 5)
    });
    println!("{what:>8} {:>6}", best.min().unwrap_or_default());
}

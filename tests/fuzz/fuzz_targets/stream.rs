//! Any octets as a client's stream: no panic, and the same answer however they are split.
#![no_main]

use hearth::stanza::{AddressMemo, Parsed, RootNamespace, parse};
use hearth::xml::{ContentNamespace, Frame, FrameLimits, Framer, StreamContext, StreamHeader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = run(&mut std::iter::once(data));
    assert_eq!(run(&mut data.chunks(1)), whole);
});

fn run<'a>(chunks: &mut dyn Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, &'static str> {
    let mut framer = Framer::new(FrameLimits::UNAUTHENTICATED);
    let mut context = StreamContext::new(ContentNamespace::Client);
    let mut memo = AddressMemo::default();
    let mut out = Vec::new();
    for mut chunk in chunks {
        while let Some(frame) = framer.next(&mut chunk).map_err(|e| e.condition())? {
            match frame {
                Frame::Header(tag) => {
                    context = StreamHeader::parse(tag).map_err(|e| e.condition())?.context();
                }
                Frame::Element(octets) => {
                    match parse(octets, &context, &mut memo).map_err(|e| e.condition())? {
                        Parsed::Stanza(stanza) | Parsed::Invalid { stanza, .. } => {
                            stanza.render(None, RootNamespace::Inherited, &mut out);
                        }
                        Parsed::Element(element) => element.write(hearth::ns::CLIENT, &mut out),
                    }
                }
                Frame::End => return Ok(out),
            }
        }
    }
    Ok(out)
}

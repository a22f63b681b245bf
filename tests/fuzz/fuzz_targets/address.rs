//! Any text as an address: no panic, and preparing it twice changes nothing.
#![no_main]

use hearth::jid::Jid;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(jid) = Jid::parse(text) {
        assert_eq!(Jid::parse(jid.as_str()), Ok(jid));
    }
});

//! Files that are no plugin are refused in one line, before anything of them runs.
#![cfg(feature = "loader")]
#![allow(clippy::unwrap_used)]

use hearth_plugin_api::loader::{LoadError, precheck};

#[test]
fn what_is_no_library_is_refused() {
    assert_eq!(precheck(b""), Err(LoadError::NotElf));
    assert_eq!(precheck(b"just text"), Err(LoadError::NotElf));
    assert_eq!(precheck(&[0x7f, b'E', b'L', b'F']), Err(LoadError::NotElf));
}

#[test]
fn a_program_is_no_plugin() {
    // A test is a position-independent program: a shared object without root module.
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(precheck(&own), Err(LoadError::NoRootModule));
    for percent in [1, 10, 50, 90] {
        let cut = &own[..own.len() * percent / 100];
        assert!(matches!(precheck(cut), Err(LoadError::Truncated(_))), "{percent} %");
    }
    let mut foreign = own.clone();
    foreign[18] = 0xf3;
    foreign[19] = 0;
    let refusal = precheck(&foreign).unwrap_err().to_string();
    assert!(refusal.starts_with("the library was built for riscv, "), "{refusal}");
}

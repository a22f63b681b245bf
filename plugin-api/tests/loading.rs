//! Files that are no plugin are refused in one line, before anything of them runs.
#![allow(clippy::unwrap_used)]

use hearth_plugin_api::loader::{LoadError, load, precheck};

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

/// Cargo builds examples before it runs tests, beside their folder.
fn fixture() -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/libfixture.so")
}

#[test]
fn a_library_loads_and_says_who_it_is() {
    let path = fixture();
    precheck(&std::fs::read(&path).unwrap()).unwrap();
    let library = load(&path).unwrap();
    let manifest = library.manifest().unwrap();
    assert_eq!(manifest.id, "fixture");
    assert_eq!(manifest.api_level, hearth_plugin_api::LEVEL);
    assert_eq!(manifest.capabilities, ["commands"]);
}

#[test]
fn a_truncated_library_is_refused_before_it_is_opened() {
    let whole = std::fs::read(fixture()).unwrap();
    for percent in [1, 10, 30, 50, 70, 90, 99] {
        let cut = &whole[..whole.len() * percent / 100];
        assert!(matches!(precheck(cut), Err(LoadError::Truncated(_))), "{percent} %");
    }
}

#[test]
fn what_the_system_refuses_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.so");
    std::fs::write(&path, "text").unwrap();
    let refusal = load(&path).unwrap_err().to_string();
    assert!(refusal.starts_with("the system cannot load the library: "), "{refusal}");
    assert!(!refusal.contains('\n') && refusal.len() < 400, "{refusal}");
}

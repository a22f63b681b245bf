//! Every rule over the whole repository.

use std::collections::BTreeSet;
use std::fs;

use hearth_tidy::source::Source;
use hearth_tidy::{Violation, banned, imports, layout, prose, sizes, sql, tree};

fn texts(wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let root = tree::root();
    let files = tree::files(&root).into_iter().filter(|file| wanted(file));
    // A file that is no UTF-8 is an asset, not a text.
    files
        .filter_map(|file| Some((file.clone(), fs::read_to_string(root.join(&file)).ok()?)))
        .collect()
}

fn rust(wanted: impl Fn(&str) -> bool) -> Vec<Source> {
    let files = texts(|file| file.ends_with(".rs") && wanted(file));
    assert!(!files.is_empty(), "no Rust file was looked at");
    files.iter().map(|(file, text)| Source::parse(file, text)).collect()
}

fn core() -> Vec<Source> {
    rust(|file| file.starts_with("core/src/"))
}

fn assert_none(violations: Vec<Violation>) {
    let list: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(list.is_empty(), "\n\n{}\n\n{} places break a rule\n", list.join("\n"), list.len());
}

#[test]
fn modules_know_only_whom_they_may_know() {
    let core = core();
    let inside_xep = core.iter().filter_map(|source| source.path.strip_prefix("core/src/xep/"));
    let xeps: BTreeSet<String> = inside_xep
        .filter_map(|file| file.split(['/', '.']).next())
        .filter(|name| *name != "mod")
        .map(str::to_owned)
        .collect();
    assert_none(core.iter().flat_map(|source| imports::check(source, &xeps)).collect());
}

#[test]
fn the_plugin_api_knows_no_runtime() {
    let api = rust(|file| file.starts_with("plugin-api/src/"));
    assert_none(api.iter().flat_map(imports::check_api).collect());
}

#[test]
fn sizes_stay_within_budget() {
    assert_none(rust(|_| true).iter().flat_map(sizes::check).collect());
}

#[test]
fn sql_stands_in_stores() {
    assert_none(rust(|_| true).iter().flat_map(sql::check).collect());
}

#[test]
fn clock_environment_and_tasks_have_one_home() {
    assert_none(core().iter().flat_map(banned::check).collect());
}

#[test]
fn documentation_names_what_exists() {
    let root = tree::root();
    let pages = texts(|file| file.ends_with(".md"));
    assert_none(
        pages.iter().flat_map(|(file, text)| prose::dead_paths(file, text, &root)).collect(),
    );
}

#[test]
fn no_file_names_somebodys_machine() {
    let texts = texts(|file| !file.ends_with(".lock"));
    assert_none(texts.iter().flat_map(|(file, text)| prose::machine_paths(file, text)).collect());
}

#[test]
fn the_top_level_is_as_designed() {
    assert_none(layout::folders(&tree::root()));
}

#[test]
fn manifests_keep_the_doors_shut() {
    let manifests = texts(|file| file.ends_with("Cargo.toml"));
    assert_none(
        manifests.iter().flat_map(|(file, text)| layout::dependencies(file, text)).collect(),
    );
}

#[test]
fn scenario_files_stay_short() {
    let long = |(file, text): &(String, String)| {
        let lines = text.lines().count();
        (lines > sizes::FILE_LINES).then(|| Violation {
            file: file.clone(),
            line: sizes::FILE_LINES,
            rule: format!("a file has at most {} lines; this one has {lines}", sizes::FILE_LINES),
            remedy: "cut it by the behaviour it tests",
        })
    };
    let scripts = texts(|file| file.ends_with(".py") || file.ends_with(".mjs"));
    assert_none(scripts.iter().filter_map(long).collect());
}

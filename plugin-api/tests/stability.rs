//! The interface as text, held against what was recorded: `abi/level-<n>.txt`.
//!
//! A level's file is written once, by the release that raises `LEVEL`:
//! `HEARTH_ABI_RECORD=1 cargo test -p hearth-plugin-api --test stability`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use abi_stable::StableAbi;
use abi_stable::std_types::utypeid::UTypeId;
use abi_stable::type_layout::{TLData, TLField, TypeLayout};
use hearth_plugin_api::abi::PluginModule_Ref;
use hearth_plugin_api::cluster::{
    ClusterCall, ClusterHostCall, ClusterSpec, LeaseState, Ownership,
};
use hearth_plugin_api::json::Value;
use hearth_plugin_api::wire::{Found, HostCall};
use hearth_plugin_api::*;

const REMEDY: &str = "Plugins that are out there would break. Undo it, and add instead: a method at the \
    end of a trait with a default body, or a JSON field with a default; see the rules in \
    plugin-api/src/lib.rs.";

/// Blocks of text by their heading. The heading says how the block may change.
type Snapshot = BTreeMap<String, Vec<String>>;

fn current() -> Snapshot {
    let mut snapshot = Snapshot::new();
    layout(<PluginModule_Ref as StableAbi>::LAYOUT, &mut snapshot, &mut Seen::new());
    for (name, schema) in schemas() {
        let mut lines = Vec::new();
        flatten("", &schema, &mut lines);
        lines.sort();
        lines.dedup();
        snapshot.insert(format!("json {name}"), lines);
    }
    snapshot
}

// ---- layouts ----

type Seen = Vec<UTypeId>;

fn layout(layout: &'static TypeLayout, out: &mut Snapshot, seen: &mut Seen) {
    if seen.contains(&layout.get_utypeid()) {
        return;
    }
    seen.push(layout.get_utypeid());
    // Types of others are pinned by the version of their crate, and named where they stand.
    if is_ours(layout) {
        let (kind, size) = match layout.data() {
            TLData::PrefixType(_) => ("grows", String::new()),
            _ => ("frozen", format!(" {}/{}", layout.size(), layout.alignment())),
        };
        let module = layout.mod_path().to_string();
        let module = module.rsplit("::").next().unwrap_or_default().to_owned();
        out.insert(format!("{kind} {module}::{}{size}", layout.name()), lines(layout));
    }
    within(layout).into_iter().for_each(|part| self::layout(part, out, seen));
}

fn is_ours(layout: &TypeLayout) -> bool {
    layout.package().as_str() == "hearth-plugin-api"
}

/// Fields, and for functions what they take and give.
fn lines(layout: &'static TypeLayout) -> Vec<String> {
    let fields = layout.get_fields().map(|fields| fields.to_vec()).unwrap_or_default();
    let line = |field: &TLField| {
        let mut functions = field.function_range().iter();
        let Some(function) = functions.next() else {
            return format!("{}: {}", field.name(), named(field.layout()));
        };
        let params = function.param_type_layouts.iter().map(|param| named(param()));
        let given = function.return_type_layout().map_or("()".to_owned(), |given| named(given()));
        format!("{}({}) -> {given}", field.name(), params.collect::<Vec<_>>().join(", "))
    };
    fields.iter().map(line).collect()
}

/// All types that a type is made of.
fn within(layout: &'static TypeLayout) -> Vec<&'static TypeLayout> {
    let fields = layout.get_fields().map(|fields| fields.to_vec()).unwrap_or_default();
    let mut parts = Vec::new();
    for field in fields.iter().chain(&layout.phantom_fields().to_vec()) {
        parts.push(field.layout());
        for function in field.function_range().iter() {
            let types = function.param_type_layouts.iter().chain(function.return_type_layout());
            parts.extend(types.map(|type_| type_()));
        }
    }
    parts
}

/// Name of a type; of a foreign generic one with our types that are in it, since abi_stable's names do
/// not have the arguments.
fn named(layout: &'static TypeLayout) -> String {
    let mut ours = Vec::new();
    if !is_ours(layout) {
        arguments(layout, &mut ours, &mut Seen::new());
    }
    let name = one_line(&layout.full_type().to_string());
    match ours.is_empty() {
        true => name,
        false => format!("{name} of {}", ours.join(", ")),
    }
}

fn arguments(layout: &'static TypeLayout, ours: &mut Vec<String>, seen: &mut Seen) {
    for part in within(layout) {
        if seen.contains(&part.get_utypeid()) {
            continue;
        }
        seen.push(part.get_utypeid());
        let plain =
            matches!(part.name(), "RString" | "RStr" | "u8" | "u32" | "u64" | "i64" | "bool");
        if is_ours(part) || plain {
            ours.push(part.name().to_owned());
        } else {
            arguments(part, ours, seen);
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

// ---- JSON ----

macro_rules! schemas {
    ($($type:ty),+ $(,)?) => {
        vec![$((stringify!($type), schemars::schema_for!($type).to_value())),+]
    };
}

fn schemas() -> Vec<(&'static str, Value)> {
    schemas![
        Manifest,
        ServerInfo,
        Offer,
        StepSpec,
        StanzasSpec,
        ClusterSpec,
        HostCall,
        Found,
        Event,
        AuthCall,
        Verified,
        DirectoryCall,
        User,
        Group,
        Contact,
        Session,
        Tick,
        CommandCall,
        HttpRequest,
        HttpResponse,
        PageRequest,
        PageResponse,
        ClusterCall,
        ClusterHostCall,
        Ownership,
        LeaseState,
    ]
}

/// Words of a schema that say nothing about what crosses.
const SILENT: [&str; 6] = ["$schema", "title", "description", "default", "format", "examples"];

fn flatten(path: &str, schema: &Value, out: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                // Below these, keys are names and not words of the schema.
                let names = path.ends_with("/properties") || path.ends_with("/$defs");
                if names || !SILENT.contains(&key.as_str()) {
                    flatten(&format!("{path}/{key}"), value, out);
                }
            }
        }
        Value::Array(list) => {
            for item in list {
                match item {
                    Value::Object(_) => flatten(&format!("{path}/{}", variant(item)), item, out),
                    item => out.push(format!("{path} {item}")),
                }
            }
        }
        leaf => out.push(format!("{path} {leaf}")),
    }
}

/// A name for one of several, so that an insertion does not rename the others: its tag or its type.
fn variant(schema: &Value) -> String {
    let tag = ["call", "offer", "stanzas", "type"]
        .into_iter()
        .find_map(|tag| schema["properties"][tag]["const"].as_str());
    let own = || schema["const"].as_str().or(schema["type"].as_str()).or(schema["$ref"].as_str());
    tag.or_else(own).unwrap_or("?").to_owned()
}

// ---- comparison ----

/// What of `old` does not hold in `new` any more.
fn broken(old: &Snapshot, new: &Snapshot) -> Vec<String> {
    let mut broken = Vec::new();
    for (heading, before) in old {
        let Some(after) = new.get(heading) else {
            broken.push(format!("{heading}: gone, or of another size"));
            continue;
        };
        match heading.split(' ').next() {
            Some("grows") if after.starts_with(before) => {}
            Some("json") => broken.extend(broken_json(heading, before, after)),
            _ if after == before => {}
            _ => broken.push(format!("{heading}: {:?}", difference(before, after))),
        }
    }
    broken
}

/// Nothing may go; a field may come, but must not be required of a peer that does not know it. The
/// fields of a new variant may.
fn broken_json(heading: &str, before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line));
    let gone = gone.map(|line| format!("{heading}: gone: {line}"));
    let known = |line: &str| {
        let object = line.split("/required ").next().unwrap_or_default();
        before.iter().any(|line| line.starts_with(&format!("{object}/properties/")))
    };
    let demanded = after
        .iter()
        .filter(|line| line.contains("/required ") && !before.contains(line) && known(line));
    gone.chain(demanded.map(|line| format!("{heading}: needs a default: {line}"))).collect()
}

fn difference<'l>(before: &'l [String], after: &'l [String]) -> (Vec<&'l String>, Vec<&'l String>) {
    let gone = before.iter().filter(|line| !after.contains(line)).collect();
    (gone, after.iter().filter(|line| !before.contains(line)).collect())
}

fn write(snapshot: &Snapshot) -> String {
    let mut text = format!("# hearth-plugin-api, level {LEVEL}\n");
    for (heading, lines) in snapshot {
        text.push_str(&format!("\n{heading}\n"));
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

fn read(text: &str) -> Snapshot {
    let mut snapshot = Snapshot::new();
    let mut heading = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(line) => snapshot.entry(heading.clone()).or_default().push(line.to_owned()),
            None => {
                heading = line.to_owned();
                snapshot.entry(heading.clone()).or_default();
            }
        }
    }
    snapshot
}

fn file(level: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("abi/level-{level}.txt"))
}

#[test]
fn no_recorded_level_is_broken() {
    let now = current();
    for level in 1..=LEVEL {
        let Ok(text) = std::fs::read_to_string(file(level)) else { continue };
        let broken = broken(&read(&text), &now);
        assert!(
            std::env::var_os("HEARTH_ABI_RECORD").is_some() || broken.is_empty(),
            "level {level}:\n{}\n\n{REMEDY}\n",
            broken.join("\n")
        );
    }
}

#[test]
fn this_level_is_recorded() {
    let now = write(&current());
    if std::env::var_os("HEARTH_ABI_RECORD").is_some() {
        std::fs::write(file(LEVEL), &now).unwrap();
    }
    let recorded = std::fs::read_to_string(file(LEVEL)).unwrap_or_default();
    assert!(
        recorded == now,
        "The interface has grown: raise `LEVEL` and the crate's minor version, then record it by\n  \
         HEARTH_ABI_RECORD=1 cargo test -p hearth-plugin-api --test stability\n"
    );
}

#[test]
fn a_snapshot_reads_back() {
    let now = current();
    assert_eq!(read(&write(&now)), now);
    assert!(now.keys().any(|heading| heading.starts_with("grows ")), "no trait was found");
}

#[test]
fn breaking_changes_are_found_and_additions_pass() {
    let block = |heading: &str, lines: &[&str]| {
        Snapshot::from([(heading.to_owned(), lines.iter().map(|l| l.to_string()).collect())])
    };
    let cases = [
        ("frozen A 8/8", vec!["a: u8"], vec!["a: u8"], true),
        ("frozen A 8/8", vec!["a: u8"], vec!["a: u16"], false),
        ("frozen A 8/8", vec!["a: u8"], vec!["a: u8", "b: u8"], false),
        ("grows A", vec!["a: u8"], vec!["a: u8", "b: u8"], true),
        ("grows A", vec!["a: u8"], vec!["b: u8", "a: u8"], false),
        ("json A", vec!["/properties/a/type 1"], vec!["/properties/a/type 2"], false),
        ("json A", vec!["/properties/a/type 1"], vec![], false),
        (
            "json A",
            vec!["/properties/a/type 1"],
            vec!["/properties/a/type 1", "/required \"a\""],
            false,
        ),
        (
            "json A",
            vec!["/properties/a/type 1"],
            vec!["/properties/a/type 1", "/oneOf/b/required \"c\""],
            true,
        ),
    ];
    for (heading, before, after, passes) in cases {
        let found = broken(&block(heading, &before), &block(heading, &after));
        assert_eq!(found.is_empty(), passes, "{heading} {before:?} {after:?}: {found:?}");
    }
}

//! What every page must have: texts in every language, a place, a help.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::{fs, io};

use hyper::Method;
use rustix::io::Errno;

use super::frame::TABS;
use super::text::{CAUSE, Catalogue, SAID};
use super::{help, interrupted, routes, settings};
use crate::admin::route;

/// Texts of the files below a folder, with their names.
fn files(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path());
    let read = |path: std::path::PathBuf| match path.is_dir() {
        true => files(&path, ending),
        false if path.to_string_lossy().ends_with(ending) => {
            vec![fs::read_to_string(&path).expect("a text")]
        }
        false => vec![],
    };
    entries.flat_map(read).collect()
}

/// What stands in quotes behind `before`.
fn quoted<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
}

/// Every key that the pages name, and the titles that the frame makes of names.
fn used() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = files(&root.join("../web/templates"), ".html");
    texts.extend(files(&root.join("src/admin"), ".rs"));
    let keys = texts.iter().flat_map(|text| quoted(text, ".t(\""));
    let mut used: BTreeSet<String> = keys.map(str::to_owned).collect();
    let framed = texts.iter().flat_map(|text| quoted(text, "frame(\""));
    used.extend(framed.map(|id| format!("{id}.title")));
    used.extend(TABS.iter().map(|tab| format!("nav.{}", tab.id)));
    used.extend(TABS.iter().flat_map(|tab| tab.items).map(|item| format!("{}.title", item.id)));
    used.insert("problem.title".to_owned());
    // The wizard's pages are no routes of the console: their names stand alone.
    let named = texts.iter().flat_map(|text| quoted(text, "\"setup_"));
    let named = named.filter(|name| !name.contains(['{', '/', ' ']) && !name.is_empty());
    used.extend(named.map(|name| match name.contains('.') {
        true => format!("setup_{name}"),
        false => format!("setup_{name}.title"),
    }));
    used.extend(crate::admin::setup::computed_texts());
    used.extend(settings::texts());
    used
}

#[test]
fn every_text_is_there_in_every_language_and_none_is_left_over() {
    let used = used();
    for catalogue in Catalogue::all() {
        let keys = catalogue.keys();
        let missing: Vec<_> = used.difference(&keys).collect();
        assert!(missing.is_empty(), "web/locales/{}.toml lacks {missing:?}", catalogue.code);
        let unused: Vec<_> = keys.difference(&used).collect();
        assert!(
            unused.is_empty(),
            "no page uses {unused:?} of web/locales/{}.toml",
            catalogue.code
        );
    }
}

#[test]
fn no_secret_is_sent_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let templates = files(&root.join("../web/templates"), ".html").join("\n");
    for field in templates.split("forms::field(\"").skip(1) {
        let (name, call) = (field.split('"').next(), field.split("}}").next());
        if call.is_some_and(|call| call.contains("kind=\"password\"")) {
            // The token is the wizard's, which has no sessions.
            let is_known = |name| interrupted::SECRETS.contains(&name) || name == "token";
            assert!(name.is_some_and(is_known), "{name:?} is a secret");
        }
    }
}

/// Words that German has, too.
const SHARED: &[&str] = &[
    "Administrator",
    "Clients",
    "Clients (STARTTLS)",
    "Clients (TLS)",
    "Commits",
    "Domain",
    "Enterprise",
    "Kernel",
    "MiB",
    "Name",
    "Offline",
    "Online",
    "Plugin",
    "Plugins",
    "Port",
    "Ports",
    "Schema",
    "Server",
    "System",
    "TLS",
    "Text",
    "Threads",
    "Version",
];

#[test]
fn every_text_is_translated() {
    let [first, others @ ..] = Catalogue::all() else { panic!("no language") };
    for (key, other) in first.keys().iter().flat_map(|key| others.iter().map(move |o| (key, o))) {
        let (english, own) = (first.t(key), other.t(key));
        assert!(own != english || SHARED.contains(&&*own), "{key} in {}: {own}", other.code);
    }
}

#[test]
fn a_text_has_the_same_values_in_every_language() {
    let values = |text: &str| -> BTreeSet<String> {
        let names = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
        names.map(str::to_owned).collect()
    };
    let [first, others @ ..] = Catalogue::all() else { panic!("no language") };
    for (key, other) in first.keys().iter().flat_map(|key| others.iter().map(move |o| (key, o))) {
        assert_eq!(values(&first.t(key)), values(&other.t(key)), "{key} in {}", other.code);
    }
}

#[test]
fn every_page_of_the_sidebar_is_served_and_explained() {
    for item in TABS.iter().flat_map(|tab| tab.items) {
        let found = route::find(routes(), &Method::GET, &route::segments(item.path));
        assert!(found.is_ok(), "no route for {}", item.path);
        assert!(help::has(item.id), "docs/operators/console has no {}.md", item.id);
    }
}

#[test]
fn only_these_routes_are_for_everybody() {
    let open = routes().filter(|route| route.access == route::Access::Anyone);
    let open: Vec<_> = open.map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(open, ["GET /assets/{name}", "GET /sign-in", "POST /sign-in", "POST /language"]);
}

/// The fixed words of what the sources of the API say, each text with one space for its breaks.
fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut texts = files(&root, ".rs");
    texts.extend(files(&root.join("../../plugin-api/src"), ".rs"));
    let words = texts.join("\n").replace("\\\n", " ").replace("\\\\", "\\").replace("\\\"", "\"");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_translated_is_still_said() {
    let sources = sources();
    for catalogue in Catalogue::all() {
        for (english, own) in catalogue.section(SAID) {
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(english), places(own), "{english} in {}", catalogue.code);
            // `not_found` and the ranges of properties put theirs together.
            let words = english.strip_prefix("there is no ").unwrap_or(english);
            for piece in words.split("{}").flat_map(|piece| piece.split('(')) {
                let piece = piece.trim_matches([' ', '`', ')']);
                // Short ones stand between values anywhere.
                assert!(piece.len() < 8 || sources.contains(piece), "nobody says {english}");
            }
        }
    }
}

/// What the system says for a number of an error, which `(os error …)` follows.
fn system_says(number: i32) -> String {
    let said = io::Error::from_raw_os_error(number).to_string();
    said.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// What is no number's text: the frame of those, and what becomes of looking a name up (RFC 3493 §6.1).
const NOT_NUMBERED: &[&str] = &[
    "{} (os error {})",
    "failed to lookup address information: {}",
    "Name or service not known",
    "No address associated with hostname",
    "Temporary failure in name resolution",
];

#[test]
fn causes_are_what_the_system_says() {
    let known: BTreeSet<String> = (1..134).map(system_says).collect();
    for catalogue in Catalogue::all() {
        for (english, _) in catalogue.section(CAUSE) {
            let is_known = known.contains(english) || NOT_NUMBERED.contains(&english);
            assert!(is_known, "no system says {english:?} of web/locales/{}.toml", catalogue.code);
        }
    }
    let unknown = ("no name", 1).to_socket_addrs().expect_err("this is no name").to_string();
    assert_eq!(unknown, "failed to lookup address information: Name or service not known");
}

#[test]
fn what_the_system_tells_an_administrator_is_translated() {
    let met = [
        // files
        Errno::NOENT,
        Errno::ACCESS,
        Errno::PERM,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::FBIG,
        Errno::ROFS,
        Errno::ISDIR,
        Errno::NOTDIR,
        Errno::EXIST,
        Errno::NAMETOOLONG,
        Errno::MFILE,
        Errno::NFILE,
        Errno::IO,
        // the network
        Errno::ADDRINUSE,
        Errno::ADDRNOTAVAIL,
        Errno::AFNOSUPPORT,
        Errno::CONNREFUSED,
        Errno::CONNRESET,
        Errno::TIMEDOUT,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::PIPE,
        // and both
        Errno::INVAL,
        Errno::NOMEM,
    ];
    let met = met.map(|errno| system_says(errno.raw_os_error()));
    for catalogue in Catalogue::all().iter().filter(|catalogue| catalogue.code != "en") {
        for text in &met {
            let is_said = catalogue.section(CAUSE).any(|(english, _)| english == text);
            assert!(is_said, "[cause] of web/locales/{}.toml lacks {text:?}", catalogue.code);
        }
    }
}

#[test]
fn every_property_is_explained_in_every_language() {
    for catalogue in Catalogue::all().iter().filter(|catalogue| catalogue.code != "en") {
        for property in crate::server::properties() {
            for text in [property.doc(), &property.range()] {
                let is_said = catalogue.said(text) != text;
                assert!(is_said, "[said] of web/locales/{}.toml lacks {text:?}", catalogue.code);
            }
        }
    }
}

#[test]
fn what_the_api_refuses_is_translated() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/api");
    let api = files(&root, ".rs").join("\n");
    let called = quoted(&api, "Problem::invalid(\"").chain(quoted(&api, "Problem::not_found(\""));
    let known: Vec<String> = called.map(str::to_owned).collect();
    assert!(known.len() > 20, "the sources were read");
    for catalogue in Catalogue::all().iter().filter(|catalogue| catalogue.code != "en") {
        for text in &known {
            // What no page can cause, programs read.
            let is_for_programs = [
                "the body",
                "data is",
                "only lists",
                "send the",
                "a part of",
                "a value is",
                "format is",
            ];
            if is_for_programs.iter().any(|begin| text.starts_with(begin)) {
                continue;
            }
            let text = text.replace("\\\\", "\\");
            let whole = format!("there is no {text} `x`");
            let is_said = [&text, &whole].into_iter().any(|text| catalogue.said(text) != *text);
            assert!(is_said, "[said] of web/locales/{}.toml lacks {text:?}", catalogue.code);
        }
    }
}

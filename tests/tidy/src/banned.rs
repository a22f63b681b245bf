//! Calls that belong to one place: the clock, the environment, the task tracker; and words that
//! core does not know.

use crate::Violation;
use crate::paths::{NamedPath, module_of, named_paths};
use crate::source::{Source, Word};

/// A path that may be named only in some modules of core.
struct Call {
    /// Spelling of the path's end.
    paths: &'static [&'static str],
    /// Modules that may, and all below them.
    home: &'static [&'static str],
    rule: &'static str,
    remedy: &'static str,
}

const CALLS: &[Call] = &[
    Call {
        paths: &["SystemTime::now", "Instant::now"],
        home: &["clock"],
        rule: "the time is read only in `clock.rs`",
        remedy: "take `now` or a clock as a parameter (timers: spell out `tokio::time::Instant::now`)",
    },
    Call {
        paths: &["std::env", "env::var", "env::var_os", "env::vars", "env::args"],
        home: &["config", "cli", ""],
        rule: "the environment is read only in `config/` and `cli/`",
        remedy: "make it a field of the configuration",
    },
    Call {
        paths: &["tokio::spawn", "tokio::task::spawn", "task::spawn", "task::spawn_local"],
        home: &["shutdown"],
        rule: "tasks are spawned only by the tracker in `shutdown.rs`",
        remedy: "spawn through the tracker, so that a stop waits for the task",
    },
];

/// Words that core does not know: the free build has nothing to switch off.
const WORDS: &[&str] = &["enterprise", "licensing", "licensed"];

/// Where the introduction page of the paid plugin may stand.
const WORDS_HOME: &str = "admin::pages::introduction";

pub fn check(source: &Source) -> Vec<Violation> {
    let module = module_of(&source.path).join("::");
    let mut found = calls(source, &module);
    found.extend(words(source, &module));
    found.extend(ignored_tests(source));
    found
}

fn calls(source: &Source, module: &str) -> Vec<Violation> {
    let paths = named_paths(source);
    let tokio_time = paths.iter().any(|path| path.starts_with("tokio::time::Instant"));
    let mut found = Vec::new();
    for path in &paths {
        let timer = tokio_time && path.ends_with("Instant::now");
        for call in CALLS.iter().filter(|call| !timer && call.forbids(module, path)) {
            found.push(Violation {
                file: source.path.clone(),
                line: path.line,
                rule: format!("{}, not `{}` in `{module}`", call.rule, path.text()),
                remedy: call.remedy,
            });
        }
    }
    found
}

impl Call {
    fn forbids(&self, module: &str, path: &NamedPath) -> bool {
        let root = module.split("::").next().unwrap_or_default();
        let named = |spelling: &&str| path.ends_with(spelling) || path.starts_with(spelling);
        !self.home.contains(&root) && self.paths.iter().any(named)
    }
}

fn words(source: &Source, module: &str) -> Vec<Violation> {
    if module == WORDS_HOME {
        return Vec::new();
    }
    let mut found = Vec::new();
    for token in source.product() {
        let (Word::Ident(text) | Word::Str(text)) = &token.word else { continue };
        let text = text.to_lowercase();
        for word in WORDS.iter().filter(|word| text.contains(**word)) {
            found.push(Violation {
                file: source.path.clone(),
                line: token.line,
                rule: format!("core does not know the word `{word}`"),
                remedy: "make it a capability of the plugin ABI that any plugin could use",
            });
        }
    }
    found
}

/// A test that never runs proves nothing.
fn ignored_tests(source: &Source) -> Vec<Violation> {
    let ignored = source
        .tokens
        .windows(3)
        .filter(|window| window[0].is("#") && window[1].is("[") && window[2].is("ignore"));
    let report = |window: &[crate::source::Token]| Violation {
        file: source.path.clone(),
        line: window[0].line,
        rule: "no test is ignored".to_owned(),
        remedy: "make it pass, or remove it",
    };
    ignored.map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &str, text: &str) -> usize {
        check(&Source::parse(file, text)).len()
    }

    #[test]
    fn each_call_is_found_outside_its_home() {
        let bad = [
            "fn f() { std::time::SystemTime::now() }",
            "fn f() { Instant::now() }",
            "use std::env;",
            "fn f() { env::var(NAME) }",
            "fn f() { tokio::spawn(g()) }",
            "use tokio::task::spawn_local;",
            "fn f() { task::spawn(g()) }",
            "const ID: &str = \"hearth-enterprise\";",
            "fn is_licensed() {}",
            "#[cfg(test)] mod tests { #[test] #[ignore] fn f() {} }",
        ];
        for text in bad {
            assert_eq!(count("core/src/router/local.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn homes_tests_and_timers_pass() {
        let good = [
            ("core/src/clock.rs", "fn f() { SystemTime::now(); Instant::now() }"),
            ("core/src/config/env.rs", "use std::env;"),
            ("core/src/main.rs", "fn main() { std::env::args() }"),
            ("core/src/shutdown.rs", "fn f() { tokio::spawn(x) }"),
            ("core/src/net/dns.rs", "#[test] fn f() { tokio::spawn(x) }"),
            ("core/src/net/dns.rs", "use tokio::time::Instant; fn f() { Instant::now() }"),
            ("core/src/net/dns.rs", "fn f() { tokio::task::spawn_blocking(x) }"),
            ("core/src/admin/pages/introduction.rs", "const TAB: &str = \"Enterprise\";"),
            (
                "core/src/net/dns.rs",
                "// as in Openfire Enterprise\nfn f() { env!(\"CARGO_PKG_NAME\") }",
            ),
        ];
        for (file, text) in good {
            assert_eq!(count(file, text), 0, "{file}: {text}");
        }
    }
}

//! SQL text stands only in `storage/` and in `store.rs` files.

use crate::Violation;
use crate::source::{Source, Word};

/// First word of a statement, and words of which one must follow to make it SQL.
const STATEMENTS: &[(&str, &[&str])] = &[
    ("SELECT", &[" FROM ", " 1"]),
    ("INSERT", &[" INTO "]),
    ("UPDATE", &[" SET "]),
    ("DELETE", &[" FROM "]),
    ("CREATE", &[" TABLE ", " INDEX ", " SCHEMA "]),
    ("ALTER", &[" TABLE "]),
    ("DROP", &[" TABLE ", " INDEX "]),
    ("PRAGMA", &[" "]),
    ("VACUUM", &[" INTO "]),
];

pub fn check(source: &Source) -> Vec<Violation> {
    if allowed(&source.path) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for token in source.product() {
        let Word::Str(text) = &token.word else { continue };
        if is_sql(text) {
            found.push(Violation {
                file: source.path.clone(),
                line: token.line,
                rule: "SQL stands only in `storage/` and `store.rs`".to_owned(),
                remedy: "move the query into the feature's `store.rs`, which takes `&mut Tx`",
            });
        }
    }
    found
}

fn allowed(path: &str) -> bool {
    let mut parts = path.split('/');
    path.starts_with("tests/tidy/")
        || parts.any(|part| ["storage", "store", "store.rs", "migrations"].contains(&part))
}

/// Statements are written in upper or in lower case; prose begins with one capital.
fn is_sql(text: &str) -> bool {
    let text = text.trim_start().replace(['\n', '\\'], " ");
    let first = text.split_whitespace().next().unwrap_or_default();
    let upper = format!("{} ", text.to_uppercase());
    let one_case = first.to_uppercase() == first || first.to_lowercase() == first;
    one_case
        && STATEMENTS.iter().any(|(statement, follow)| {
            first.to_uppercase() == *statement && follow.iter().any(|word| upper.contains(word))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &str, text: &str) -> usize {
        check(&Source::parse(file, text)).len()
    }

    #[test]
    fn queries_outside_a_store_are_found() {
        let bad = [
            r#"tx.query("SELECT a FROM b WHERE c = $1")"#,
            r#"x("insert  into roster values ($1)")"#,
            "x(\"\\\n   UPDATE account\n SET name = $1\")",
            r##"x(r#"CREATE TABLE a (b TEXT)"#)"##,
            r#"x("PRAGMA synchronous=FULL")"#,
        ];
        for text in bad {
            assert_eq!(count("core/src/im/roster.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn stores_and_prose_pass() {
        let query = r#"x("SELECT a FROM b")"#;
        for file in
            ["core/src/im/store.rs", "core/src/storage/lease.rs", "core/src/xep/muc/store/log.rs"]
        {
            assert_eq!(count(file, query), 0, "{file}");
        }
        assert_eq!(count("core/src/cli/user.rs", r#"x("Delete a user from the server")"#), 0);
        assert_eq!(count("core/src/cli/user.rs", r#"x("select")"#), 0);
    }
}

//! Documentation names only files that exist, and no file names a folder of somebody's machine.

use std::path::Path;

use crate::Violation;

/// Folders of the root: a name that starts with one of them is meant as a path.
const ROOTS: &[&str] = &[
    "core",
    "plugin-api",
    "plugins",
    "enterprise-plugin",
    "web",
    "examples",
    "tests",
    "docs",
    "packaging",
    ".ci",
];

/// What the tests make, and git ignores.
const MADE: &[&str] = &["tests/artefacts", "tests/.cache"];

/// Paths in code spans and links of a Markdown file that do not exist below `root`.
pub fn dead_paths(file: &str, text: &str, root: &Path) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        for (name, base) in candidates(line, file, fenced) {
            if !root.join(base).join(&name).exists() {
                found.push(Violation {
                    file: file.to_owned(),
                    line: number + 1,
                    rule: format!("`{name}` does not exist"),
                    remedy: "name the file that took its place, or drop the sentence",
                });
            }
        }
    }
    found
}

/// Names to look up, each with the folder from which it counts.
fn candidates<'f>(line: &str, file: &'f str, fenced: bool) -> Vec<(String, &'f str)> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let spans = if fenced { Vec::new() } else { line.split('`').skip(1).step_by(2).collect() };
    let in_spans = spans.into_iter().filter_map(root_path).map(|name| (name, ""));
    let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let in_links = links.filter_map(local_link).map(|name| (name, folder));
    in_spans.chain(in_links).collect()
}

/// A code span that names something below one of [`ROOTS`]: its first word, without a line number.
fn root_path(span: &str) -> Option<String> {
    let word = span.split_whitespace().next()?;
    let word = word.strip_prefix("./").unwrap_or(word);
    let word = word.split([':', '#']).next()?;
    let (first, _) = word.split_once('/')?;
    let is_made = MADE.iter().any(|made| word.starts_with(made));
    (ROOTS.contains(&first) && is_literal(word) && !is_made).then(|| word.to_owned())
}

fn local_link(target: &str) -> Option<String> {
    let target = target.split('#').next()?;
    (!target.is_empty() && !target.contains(':') && is_literal(target)).then(|| target.to_owned())
}

/// No placeholder, group or wildcard.
fn is_literal(name: &str) -> bool {
    !name.contains(['<', '>', '{', '}', '*', '…', '$'])
}

/// Places outside the repository that exist on one machine only.
pub fn machine_paths(file: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for folder in ["work", "farm", "root", "home", "Users"] {
            if names_folder(line, folder) {
                found.push(Violation {
                    file: file.to_owned(),
                    line: number + 1,
                    rule: format!("a path below `/{folder}` is one machine's"),
                    remedy: "use a path relative to the repository, or a temporary folder",
                });
            }
        }
    }
    found
}

/// `/folder/x` where nothing before it makes it part of a longer name; of people's folders
/// something inside, since `/home/x` alone is a fine example.
fn names_folder(line: &str, folder: &str) -> bool {
    let name = format!("/{folder}/");
    let personal = ["home", "Users"].contains(&folder);
    line.match_indices(&name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        let part = |c: char| c.is_alphanumeric() || "._-~/$}*<>".contains(c);
        let inside = line[at + name.len()..].split(|c: char| !part(c) || c == '/').next();
        let deeper = inside.is_some_and(|x| line[at + name.len() + x.len()..].starts_with('/'));
        !before.is_some_and(part)
            && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
            && (deeper || !personal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(text: &str) -> Vec<String> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        dead_paths("docs/x.md", text, &here).into_iter().map(|v| v.rule).collect()
    }

    #[test]
    fn a_dead_path_is_found() {
        assert_eq!(dead("see `tests/tidy/src/gone.rs`").len(), 1);
        assert_eq!(dead("see [there](../tests/gone)").len(), 1);
        assert_eq!(dead("run `./tests/gone --only x`").len(), 1);
    }

    #[test]
    fn a_living_path_a_placeholder_and_a_web_page_pass() {
        let text =
            "`tests/tidy/src/lib.rs:3` `xep/<name>/` `tests/*` [a](https://example.org/x) [b](#c)";
        assert_eq!(dead(text), Vec::<String>::new());
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let bad = ["cd X/project", "open(\"X/me/key\")", "see X/.config"];
        for (text, folder) in bad.into_iter().zip(["root", "home", "work"]) {
            let text = text.replace('X', &format!("/{folder}"));
            assert_eq!(machine_paths("docs/x.md", &text).len(), 1, "{text}");
        }
        for folder in ["root", "home", "work"] {
            let text = ["https://example.org", "$DIR", "core"].map(|it| format!("{it}/{folder}/x"));
            assert!(machine_paths("a", &text.join(" and ")).is_empty(), "{text:?}");
        }
    }
}

//! Every path that a file names, resolved against its own module.

use crate::source::{Source, Token};

/// A path such as `crate::net::tls` or `tokio::spawn`, with `use` groups spread out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

impl NamedPath {
    /// `spelling` with `::`; true when this path is it or goes on behind it.
    pub fn starts_with(&self, spelling: &str) -> bool {
        let mut segments = self.segments.iter();
        spelling.split("::").all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
    }

    pub fn ends_with(&self, spelling: &str) -> bool {
        let mut segments = self.segments.iter().rev();
        spelling.rsplit("::").all(|wanted| segments.next().is_some_and(|s| s == wanted))
    }

    pub fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// The module of a file below a crate's `src`: `core/src/net/tls.rs` is `["net", "tls"]`.
pub fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// Paths of the product's code, `super` and `self` replaced by `crate::…`.
pub fn named_paths(source: &Source) -> Vec<NamedPath> {
    let tokens: Vec<&Token> = source.product().collect();
    let module = module_of(&source.path);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let in_use = tokens[at].is("use");
        let start = at + usize::from(in_use);
        let starts_path = tokens.get(start).is_some_and(|token| token.ident().is_some())
            && (in_use || tokens.get(start + 1).is_some_and(|token| token.is("::")));
        if starts_path || (in_use && tokens.get(start).is_some_and(|t| t.is("{") || t.is("::"))) {
            let mut reader = PathReader { tokens: &tokens, at: start, found: &mut found };
            reader.tree(&mut Vec::new());
            at = reader.at.max(at + 1);
        } else {
            at += 1;
        }
    }
    for path in &mut found {
        resolve(path, &module);
    }
    found
}

struct PathReader<'a> {
    tokens: &'a [&'a Token],
    at: usize,
    found: &'a mut Vec<NamedPath>,
}

impl PathReader<'_> {
    fn sees(&self, text: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token.is(text))
    }

    /// Reads `a::b`, `a::{b, c::d}` or `a::*`; each leaf becomes one path.
    fn tree(&mut self, prefix: &mut Vec<String>) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let depth = prefix.len();
        while let Some(token) = self.tokens.get(self.at) {
            if self.sees("{") {
                self.group(prefix);
                prefix.truncate(depth);
                return;
            }
            if let Some(name) = token.ident() {
                prefix.push(name.to_owned());
                self.at += 1;
            } else if !self.sees("::") {
                break;
            }
            if !self.sees("::") {
                break;
            }
            self.at += 1;
        }
        self.found.push(NamedPath { segments: prefix.clone(), line });
        prefix.truncate(depth);
    }

    fn group(&mut self, prefix: &mut Vec<String>) {
        self.at += 1;
        while self.at < self.tokens.len() && !self.sees("}") {
            let before = self.at;
            self.tree(prefix);
            // `as name`, `*` and commas carry no path.
            while self.at < self.tokens.len() && !self.sees(",") && !self.sees("}") {
                self.at += 1;
            }
            self.at += usize::from(self.sees(","));
            debug_assert!(self.at > before);
        }
        self.at += 1;
    }
}

fn resolve(path: &mut NamedPath, module: &[String]) {
    let first = path.segments.first().map(String::as_str);
    let ups = path.segments.iter().take_while(|segment| *segment == "super").count();
    let skip = if first == Some("self") { 1 } else { ups };
    if skip == 0 {
        return;
    }
    let kept = module.len().saturating_sub(ups);
    let mut absolute = vec!["crate".to_owned()];
    absolute.extend_from_slice(&module[..kept]);
    absolute.extend(path.segments.drain(skip..));
    path.segments = absolute;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str, text: &str) -> Vec<String> {
        named_paths(&Source::parse(file, text)).iter().map(NamedPath::text).collect()
    }

    #[test]
    fn groups_are_spread_out() {
        let paths =
            texts("core/src/a.rs", "use crate::{net::tls, xml::{self, Reader as R}, jid::*};");
        assert_eq!(
            paths,
            ["crate::net::tls", "crate::xml::self", "crate::xml::Reader", "crate::jid"]
        );
    }

    #[test]
    fn relative_paths_become_absolute() {
        assert_eq!(
            texts("core/src/xep/ping/mod.rs", "use super::time::x;"),
            ["crate::xep::time::x"]
        );
        assert_eq!(texts("core/src/xep/ping/store.rs", "super::super::y()"), ["crate::xep::y"]);
        assert_eq!(texts("core/src/lib.rs", "use self::net::z;"), ["crate::net::z"]);
    }

    #[test]
    fn paths_in_expressions_count() {
        assert_eq!(texts("core/src/a.rs", "fn f() { tokio::spawn(x) }"), ["tokio::spawn"]);
    }
}

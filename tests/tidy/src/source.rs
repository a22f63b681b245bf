//! A Rust file cut into tokens: enough syntax for the rules, no more.

/// One token of code. Comments are dropped; a string keeps its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Identifier, keyword or number.
    Ident(String),
    /// Text between the quotes, escapes untouched.
    Str(String),
    /// `::`, `->`, `=>`, `==`, or a single character.
    Punct(&'static str),
    /// Any other single character.
    Char(char),
}

#[derive(Debug, Clone)]
pub struct Token {
    pub word: Word,
    pub line: usize,
    /// Inside an item marked `#[cfg(test)]` or `#[test]`.
    pub test: bool,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        match &self.word {
            Word::Ident(name) => name == text,
            Word::Punct(punct) => *punct == text,
            Word::Char(c) => text.chars().eq([*c]),
            Word::Str(_) => false,
        }
    }

    pub fn ident(&self) -> Option<&str> {
        match &self.word {
            Word::Ident(name) => Some(name),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub struct Source {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    pub tokens: Vec<Token>,
    pub lines: usize,
}

impl Source {
    pub fn parse(path: &str, text: &str) -> Self {
        let mut tokens = tokenise(text);
        mark_tests(&mut tokens);
        Self { path: path.to_owned(), tokens, lines: text.lines().count() }
    }

    /// Files that hold nothing but tests.
    pub fn is_test_file(&self) -> bool {
        is_test_path(&self.path)
    }

    /// Tokens of the product: those in tests are left out.
    pub fn product(&self) -> impl Iterator<Item = &Token> {
        let skip = self.is_test_file();
        self.tokens.iter().filter(move |token| !skip && !token.test)
    }

    /// Lines outside `#[cfg(test)]` items.
    pub fn product_lines(&self) -> usize {
        let mut test_lines = 0;
        let mut previous: Option<&Token> = None;
        for token in self.tokens.iter().filter(|token| token.test) {
            test_lines += match previous {
                // The gap is a comment or blank line within the same item.
                Some(before) if token.line > before.line => token.line - before.line,
                Some(_) => 0,
                None => 1,
            };
            previous = Some(token);
        }
        self.lines.saturating_sub(test_lines)
    }
}

/// `tests.rs`, `core/tests/…`, `…/benches/…`, `…/fuzz/…`.
pub fn is_test_path(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    // The folder `tests` of the root holds ordinary crates too.
    file == "tests.rs"
        || parts.iter().skip(1).any(|part| ["tests", "benches", "fuzz"].contains(part))
}

fn tokenise(text: &str) -> Vec<Token> {
    let mut cursor = Cursor { rest: text, line: 1 };
    let mut tokens = Vec::new();
    while !cursor.rest.is_empty() {
        let line = cursor.line;
        if let Some(word) = cursor.next_word() {
            tokens.push(Token { word, line, test: false });
        }
    }
    tokens
}

struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// The next token; `None` for white space, a comment, a character literal or a lifetime.
    fn next_word(&mut self) -> Option<Word> {
        let rest = self.rest;
        let first = rest.chars().next()?;
        if rest.starts_with("//") {
            self.take(rest.find('\n').unwrap_or(rest.len()));
            return None;
        }
        if rest.starts_with("/*") {
            self.take(comment_length(rest));
            return None;
        }
        if let Some((open, length, close)) = string_extent(rest) {
            let literal = self.take(length);
            return Some(Word::Str(literal[open..length - close].to_owned()));
        }
        if first == '\'' {
            self.take(quote_length(rest));
            return None;
        }
        if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            return Some(Word::Ident(self.take(end).to_owned()));
        }
        if let Some(punct) = ["::", "->", "=>", "=="].into_iter().find(|p| rest.starts_with(p)) {
            self.take(punct.len());
            return Some(Word::Punct(punct));
        }
        self.take(first.len_utf8());
        (!first.is_whitespace()).then_some(Word::Char(first))
    }
}

/// Block comments nest.
fn comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// For a string literal at the start: length of its opening, whole length, length of its closing.
fn string_extent(rest: &str) -> Option<(usize, usize, usize)> {
    let prefix =
        ["br", "cr", "b", "c", "r"].into_iter().find(|p| rest.starts_with(p)).unwrap_or("");
    let hashes = rest[prefix.len()..].bytes().take_while(|b| *b == b'#').count();
    let raw = prefix.ends_with('r');
    if !rest[prefix.len() + hashes..].starts_with('"') || (hashes > 0 && !raw) {
        return None;
    }
    let open = prefix.len() + hashes + 1;
    let body = &rest[open..];
    let length = if raw {
        body.find(&format!("\"{}", "#".repeat(hashes))).unwrap_or(body.len())
    } else {
        escaped_length(body, b'"')
    };
    let close = (1 + hashes).min(body.len() - length);
    Some((open, open + length + close, close))
}

fn escaped_length(body: &str, end: u8) -> usize {
    let mut escaped = false;
    let found = body.bytes().position(|byte| {
        let ends = byte == end && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    found.unwrap_or(body.len())
}

/// Length of a character literal, or of the quote of a lifetime.
fn quote_length(rest: &str) -> usize {
    let body = &rest[1..];
    if body.starts_with('\\') {
        return (2 + escaped_length(body, b'\'')).min(rest.len());
    }
    let first = body.chars().next().map_or(0, char::len_utf8);
    if body[first..].starts_with('\'') { first + 2 } else { 1 }
}

/// Marks the item behind each `#[cfg(test)]` and `#[test]`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        if !opens_test(&tokens[at..]) {
            at += 1;
            continue;
        }
        let end = item_end(tokens, at);
        tokens[at..end].iter_mut().for_each(|token| token.test = true);
        at = end;
    }
}

fn opens_test(tokens: &[Token]) -> bool {
    let starts = |words: &[&str]| {
        tokens.len() >= words.len() && words.iter().zip(tokens).all(|(word, token)| token.is(word))
    };
    starts(&["#", "[", "test", "]"])
        || starts(&["#", "[", "cfg", "(", "test", ")", "]"])
        || starts(&["#", "[", "tokio", "::", "test"])
        || starts(&["#", "[", "cfg", "(", "all", "(", "test"])
        || starts(&["#", "[", "cfg", "(", "any", "(", "test"])
}

/// Where the item that starts at `start` ends: behind its `;` or its closing brace.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match () {
            () if token.is("[") || token.is("(") => brackets += 1,
            () if token.is("]") || token.is(")") => brackets = brackets.saturating_sub(1),
            () if token.is("{") => braces += 1,
            () if token.is("}") && braces <= 1 => return at + 1,
            () if token.is("}") => braces -= 1,
            () if token.is(";") && braces == 0 && brackets == 0 => return at + 1,
            () => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(text: &str) -> Vec<String> {
        let source = Source::parse("core/src/a.rs", text);
        source.product().filter_map(|token| token.ident().map(str::to_owned)).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a /* b /* c */ d */ // e\n '\\'' 'f' \"g\\\"\" r#\"h\"i\"# j: &'k str";
        assert_eq!(product(text), ["a", "j", "k", "str"]);
    }

    #[test]
    fn a_string_keeps_its_text() {
        let source = Source::parse("core/src/a.rs", "x(r#\"SELECT \"1\"\"#)");
        assert!(source.tokens.iter().any(|token| token.word == Word::Str("SELECT \"1\"".into())));
    }

    #[test]
    fn test_items_are_marked() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n#[cfg(test)] use c;\nfn d() {}\n";
        assert_eq!(product(text), ["fn", "a", "fn", "d"]);
    }

    #[test]
    fn lines_of_test_modules_do_not_count() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n\n}\n";
        assert_eq!(Source::parse("core/src/a.rs", text).product_lines(), 1);
    }
}

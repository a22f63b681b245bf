//! Budgets: lines of a file and of a function, arguments, levels of nesting.

use crate::Violation;
use crate::source::{Source, Token};

pub const FILE_LINES: usize = 600;
pub const FUNCTION_LINES: usize = 80;
pub const ARGUMENTS: usize = 5;
pub const NESTING: usize = 3;

/// One function of a file.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
    /// `self` not counted.
    arguments: usize,
    /// Deepest `if`, `match`, `for`, `while`, `loop` within each other.
    nesting: usize,
}

pub fn check(source: &Source) -> Vec<Violation> {
    if source.is_test_file() {
        return Vec::new();
    }
    let violation =
        |line, rule, remedy| Violation { file: source.path.clone(), line, rule, remedy };
    let mut found = Vec::new();
    let lines = source.product_lines();
    if lines > FILE_LINES {
        let rule = format!("a file has at most {FILE_LINES} lines (aim 400); this one has {lines}");
        found.push(violation(
            FILE_LINES,
            rule,
            "cut it where the meaning changes; tests may move to `tests.rs`",
        ));
    }
    for function in functions(source) {
        let Function { name, line, lines, arguments, nesting } = function;
        let mut over = |what: &str, is: usize, limit: usize, remedy| {
            if is > limit {
                found.push(violation(
                    line,
                    format!("`{name}` has {is} {what}, {limit} are allowed"),
                    remedy,
                ));
            }
        };
        over(
            "lines",
            lines,
            FUNCTION_LINES,
            "keep the branching here, push plain work down (aim 60)",
        );
        over("arguments", arguments, ARGUMENTS, "group what belongs together in a struct");
        over("levels of nesting", nesting, NESTING, "return early, or give the inner part a name");
    }
    found
}

fn functions(source: &Source) -> Vec<Function> {
    let tokens: Vec<&Token> = source.product().collect();
    let named = |at: &usize| {
        tokens[*at].is("fn") && tokens.get(at + 1).is_some_and(|t| t.ident().is_some())
    };
    (0..tokens.len()).filter(named).filter_map(|at| function(&tokens[at..])).collect()
}

/// The function whose `fn` comes first; `None` for a declaration without a body.
fn function(tokens: &[&Token]) -> Option<Function> {
    let open = parameters_open(tokens)?;
    let (arguments, close) = count_arguments(tokens, open);
    let body = close + tokens[close..].iter().position(|t| t.is("{") || t.is(";"))?;
    if tokens[body].is(";") {
        return None;
    }
    let (nesting, end) = measure_body(tokens, body);
    Some(Function {
        name: tokens[1].ident()?.to_owned(),
        line: tokens[0].line,
        lines: tokens[end].line - tokens[0].line + 1,
        arguments,
        nesting,
    })
}

/// The parenthesis of the parameters, behind any generics.
fn parameters_open(tokens: &[&Token]) -> Option<usize> {
    let mut angles = 0usize;
    tokens.iter().position(|token| {
        angles += usize::from(token.is("<"));
        angles = angles.saturating_sub(usize::from(token.is(">")));
        token.is("(") && angles == 0
    })
}

/// Number of parameters besides `self`, and where their list closes.
fn count_arguments(tokens: &[&Token], open: usize) -> (usize, usize) {
    let (mut depth, mut count) = (0usize, 0);
    let (mut filled, mut receiver) = (false, false);
    for (at, token) in tokens.iter().enumerate().skip(open) {
        let opens = ["(", "<", "[", "{"].iter().any(|c| token.is(c));
        let closes = [")", ">", "]", "}"].iter().any(|c| token.is(c));
        depth = (depth + usize::from(opens)).saturating_sub(usize::from(closes));
        if depth == 0 {
            return (count + usize::from(filled && !receiver), at);
        }
        if depth == 1 && token.is(",") {
            count += usize::from(filled && !receiver);
            (filled, receiver) = (false, false);
        } else if at > open {
            filled = true;
            receiver |= depth == 1 && token.is("self");
        }
    }
    (count, tokens.len() - 1)
}

/// A control-flow keyword that waits for the brace of its body.
struct Pending {
    parentheses: usize,
    /// Inside a pattern, whose braces are no body: until `=` behind `let`, until `in` behind `for`.
    in_pattern: bool,
}

/// Deepest control flow of the body that opens at `open`, and where it closes.
fn measure_body(tokens: &[&Token], open: usize) -> (usize, usize) {
    let (mut blocks, mut parentheses, mut deepest) = (Vec::new(), 0usize, 0);
    let mut pending: Option<Pending> = None;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("{") {
            let control =
                pending.as_ref().is_some_and(|p| !p.in_pattern && p.parentheses == parentheses);
            if control {
                pending = None;
            }
            blocks.push(control);
            deepest = deepest.max(blocks.iter().filter(|control| **control).count());
        } else if token.is("}") {
            blocks.pop();
            if blocks.is_empty() {
                return (deepest, at);
            }
        } else {
            parentheses += usize::from(token.is("("));
            parentheses = parentheses.saturating_sub(usize::from(token.is(")")));
            pending = follow_header(token, pending, parentheses);
        }
    }
    (deepest, tokens.len() - 1)
}

fn follow_header(token: &Token, pending: Option<Pending>, parentheses: usize) -> Option<Pending> {
    let word = token.ident().unwrap_or_default();
    match word {
        "if" | "match" | "while" | "loop" | "else" => {
            Some(Pending { parentheses, in_pattern: false })
        }
        "for" => Some(Pending { parentheses, in_pattern: true }),
        "let" => pending.map(|p| Pending { in_pattern: true, ..p }),
        "in" => pending.map(|p| Pending { in_pattern: false, ..p }),
        _ if token.is("=") => pending.map(|p| Pending { in_pattern: false, ..p }),
        // The arrow ends a guard; the semicolon a statement.
        _ if token.is("=>") || token.is(";") => None,
        _ => pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Function {
        functions(&Source::parse("core/src/a.rs", text)).remove(0)
    }

    fn rules(text: &str) -> Vec<String> {
        check(&Source::parse("core/src/a.rs", text)).into_iter().map(|v| v.rule).collect()
    }

    #[test]
    fn a_long_file_is_refused() {
        assert_eq!(rules(&"const A: u8 = 1;\n".repeat(FILE_LINES + 1)).len(), 1);
        assert!(rules(&"const A: u8 = 1;\n".repeat(FILE_LINES)).is_empty());
    }

    #[test]
    fn a_long_function_is_refused() {
        let body = |lines| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines));
        assert_eq!(rules(&body(FUNCTION_LINES)).len(), 1);
        assert!(rules(&body(FUNCTION_LINES - 2)).is_empty());
    }

    #[test]
    fn arguments_are_counted_without_self() {
        let text = "fn f<F: Fn(u8, u8) -> u8>(&mut self, a: HashMap<K, V>, b: (u8, u8), c: F) {}";
        assert_eq!(measured(text).arguments, 3);
        assert_eq!(measured("fn f() {}").arguments, 0);
        assert_eq!(rules("fn f(a: A, b: A, c: A, d: A, e: A, f: A,) {}").len(), 1);
    }

    #[test]
    fn nesting_counts_control_flow_only() {
        let text = "fn f() { loop { match x { A { y } => { if let Some(B { z }) = y { g(S { z }) } } _ => {} } } }";
        assert_eq!(measured(text).nesting, 3);
        let chain = "fn f() { if a { } else if b { } else { run(async move { g(|x| { x }) }) } }";
        assert_eq!(measured(chain).nesting, 1);
        assert_eq!(rules("fn f() { for a in b { while c { if d { loop {} } } } }").len(), 1);
    }

    #[test]
    fn tests_are_free() {
        let text =
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(FILE_LINES));
        assert!(rules(&text).is_empty());
        let file = "const A: u8 = 1;\n".repeat(FILE_LINES + 1);
        assert!(check(&Source::parse("core/src/xep/muc/tests.rs", &file)).is_empty());
    }
}

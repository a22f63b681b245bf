//! Checks of the repository's structure: who may know whom, how long a thing may be, which words
//! belong where, whether documentation names things that exist.
//!
//! Each rule is a pure function from a source text to its [`Violation`]s, with a bad snippet as its
//! own test; `tests/repository.rs` applies all of them to the tree.

pub mod banned;
pub mod imports;
pub mod layout;
pub mod paths;
pub mod prose;
pub mod sizes;
pub mod source;
pub mod sql;
pub mod tree;

use std::fmt;

/// One place that breaks a rule. Its text is what a contributor sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path from the root of the repository.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What must hold.
    pub rule: String,
    /// What to do instead.
    pub remedy: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    remedy: {}", self.file, self.line, self.rule, self.remedy)
    }
}

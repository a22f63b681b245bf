//! What is known of a user besides his keys: name, e-mail address, properties; and how he is found.

pub mod store;
#[cfg(test)]
mod tests;

use super::store::AccountRow;
use crate::clock::Timestamp;
use crate::host::AccountId;

/// Words of a name by which it is found. A name has fewer.
const WORDS: usize = 8;

/// What a user is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub name: Option<String>,
    pub email: Option<String>,
}

/// A user as a list shows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub account: AccountRow,
    pub profile: Profile,
}

/// A page of users by name.
#[derive(Clone, Debug)]
pub struct Range {
    /// What the user names begin with; empty: all.
    pub prefix: String,
    /// The last name of the page before; empty: from the first.
    pub after: String,
    pub limit: usize,
}

/// The last hit of the page before: the word that it was found by, and its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub word: String,
    pub account: AccountId,
}

/// Nobody signs in between `from` and `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    pub from: Timestamp,
    /// `None`: until it is taken back.
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
}

impl Lockout {
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && !self.is_over(now)
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Profile {
    /// The words that `username` is found by, each once.
    fn words(&self, username: &str) -> Vec<String> {
        let mut words = vec![username.to_owned()];
        words.extend(self.email.as_deref().map(fold));
        let name = fold(self.name.as_deref().unwrap_or_default());
        let parts: Vec<&str> = name.split(' ').filter(|part| !part.is_empty()).collect();
        words.extend((0..parts.len().min(WORDS)).map(|from| parts[from..].join(" ")));
        words.sort();
        words.dedup();
        words
    }
}

/// What is typed and what is stored, made alike: lower case, single spaces.
pub fn fold(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The end of what begins with `prefix`, in the order of octets.
pub(crate) fn end_of(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

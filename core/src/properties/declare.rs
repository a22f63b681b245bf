//! The declaration of a property: a static beside the feature that reads it.

use super::live::Watched;
use super::{Kind, PropertyError, PropertyValue};

/// For whom a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Global,
    Host,
    Node,
}

type Range<T> = (&'static str, fn(&T) -> bool);

/// A setting of type `T`.
pub struct Property<T> {
    /// Words with dots, the feature first: `c2s.starttls`.
    pub name: &'static str,
    pub default: fn() -> T,
    /// One or two sentences for the administrator.
    pub doc: &'static str,
    pub scope: Scope,
    /// Whether a change takes effect at once; otherwise with the next start.
    pub live: bool,
    /// What is allowed beyond the type, in words and as a test.
    range: Option<Range<T>>,
}

impl<T: PropertyValue> Property<T> {
    /// A live property of the whole installation.
    pub const fn new(name: &'static str, default: fn() -> T, doc: &'static str) -> Property<T> {
        Property { name, default, doc, scope: Scope::Global, live: true, range: None }
    }

    /// Allows only what `check` accepts; `words` says so to a person: `1 to 100`.
    pub const fn within(mut self, words: &'static str, check: fn(&T) -> bool) -> Property<T> {
        self.range = Some((words, check));
        self
    }

    /// A value of its own for each host or node.
    pub const fn scope(mut self, scope: Scope) -> Property<T> {
        self.scope = scope;
        self
    }

    /// Read at the start only.
    pub const fn restart(mut self) -> Property<T> {
        self.live = false;
        self
    }

    /// The value that `text` stands for, if it is allowed.
    pub fn parse(&self, text: &str) -> Result<T, PropertyError> {
        let allowed = |value: &T| self.range.is_none_or(|(_, check)| check(value));
        T::parse(text).filter(allowed).ok_or_else(|| PropertyError::Invalid {
            name: self.name,
            value: text.to_owned(),
            range: self.instead_of(text),
        })
    }

    /// What it takes in place of `text`. To whoever has typed an integer, that it takes one says nothing.
    fn instead_of(&self, text: &str) -> String {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_integer = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let bounds = T::bounds().filter(|_| is_integer && T::parse(text).is_none());
        match (bounds, self.range) {
            (Some((smallest, largest)), None) => {
                format!("{} ({} to {})", T::takes(), smallest.show(), largest.show())
            }
            // The words tell no upper bound of their own.
            (Some((_, largest)), Some((_, check))) if check(&largest) && !text.starts_with('-') => {
                format!("{} (at most {})", T::takes(), largest.show())
            }
            _ => self.range(),
        }
    }
}

/// A property whatever its type.
pub trait Declared: Sync {
    fn name(&self) -> &'static str;
    fn default(&self) -> String;
    fn doc(&self) -> &'static str;
    fn scope(&self) -> Scope;
    fn live(&self) -> bool;
    /// What it takes, in words.
    fn range(&self) -> String;
    fn kind(&self) -> Kind;
    /// Whether `value` is allowed; the error says what is.
    fn check(&self, value: &str) -> Result<(), PropertyError>;
    /// Never shown.
    fn is_secret(&self) -> bool {
        false
    }

    /// A cell that holds the default.
    fn watched(&'static self) -> Box<dyn Watched>;
}

impl<T: PropertyValue> Declared for Property<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn default(&self) -> String {
        (self.default)().show()
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn scope(&self) -> Scope {
        self.scope
    }

    fn live(&self) -> bool {
        self.live
    }

    fn range(&self) -> String {
        match self.range {
            Some((words, _)) => format!("{} ({words})", T::takes()),
            None => T::takes(),
        }
    }

    fn kind(&self) -> Kind {
        T::kind()
    }

    fn check(&self, value: &str) -> Result<(), PropertyError> {
        self.parse(value).map(|_| ())
    }

    fn watched(&'static self) -> Box<dyn Watched> {
        Box::new(super::live::Cell::new(self))
    }
}

//! The texts of the pages: one catalogue per language in `web/locales`, a section per page.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::LazyLock;

/// Every language: its code (RFC 5646), and its file.
const FILES: &[(&str, &str)] = &[
    ("en", include_str!("../../../../web/locales/en.toml")),
    ("de", include_str!("../../../../web/locales/de.toml")),
];

/// The section of what the API says, by its English: see `said.rs`.
pub const SAID: &str = "said";
/// The section of what the operating system says, within that.
pub const CAUSE: &str = "cause";

static CATALOGUES: LazyLock<Vec<Catalogue>> = LazyLock::new(|| {
    let read = |(code, file): &(&'static str, &str)| Catalogue {
        code,
        texts: toml::from_str(file).expect("a test reads every catalogue"),
    };
    FILES.iter().map(read).collect()
});

/// The texts of one language, by section and name.
pub struct Catalogue {
    pub code: &'static str,
    texts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Catalogue {
    pub fn all() -> &'static [Catalogue] {
        &CATALOGUES
    }

    /// The language with this code.
    pub fn named(code: &str) -> Option<&'static Catalogue> {
        CATALOGUES.iter().find(|catalogue| catalogue.code == code)
    }

    /// The language that a browser likes best (RFC 9110 §12.5.4) among ours; English when it likes
    /// none of them.
    pub fn accepted(header: &str) -> &'static Catalogue {
        let wish = |range: &str| {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let code = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
            let weight: f32 = weight.map_or(Some(1.0), |q| q.parse().ok())?;
            Some((Catalogue::named(&code)?, weight)).filter(|(_, weight)| *weight > 0.0)
        };
        let mut best: Option<(&'static Catalogue, f32)> = None;
        for (catalogue, weight) in header.split(',').filter_map(wish) {
            // Of equals the first is meant.
            if best.is_none_or(|(_, before)| weight > before) {
                best = Some((catalogue, weight));
            }
        }
        best.map_or(&CATALOGUES[0], |(catalogue, _)| catalogue)
    }

    /// The text under `section.name`; the key itself when there is none, which a test rules out.
    pub fn t(&self, key: &str) -> Text {
        match key.split_once('.').and_then(|(section, name)| self.texts.get(section)?.get(name)) {
            Some(text) => Text(Cow::Owned(text.clone())),
            None => Text(Cow::Owned(key.to_owned())),
        }
    }

    /// What is said in English: the sentence, and this language's.
    pub fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.section(SAID).chain(self.section(CAUSE))
    }

    pub fn section(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.texts.get(name).into_iter().flatten();
        texts.map(|(name, text)| (name.as_str(), text.as_str()))
    }

    #[cfg(test)]
    pub fn keys(&self) -> std::collections::BTreeSet<String> {
        let keys = |(section, texts): (&String, &BTreeMap<String, String>)| {
            texts.keys().map(|name| format!("{section}.{name}")).collect::<Vec<_>>()
        };
        let named = self.texts.iter().filter(|(section, _)| ![SAID, CAUSE].contains(&&***section));
        named.flat_map(keys).collect()
    }
}

/// A text of a catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Cow<'static, str>);

impl Text {
    /// Puts a value in the place of `{name}`.
    pub fn with(self, name: &str, value: impl fmt::Display) -> Text {
        Text(Cow::Owned(self.0.replace(&format!("{{{name}}}"), &value.to_string())))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Cow::Owned(text))
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_language_is_taken() {
        for (header, code) in [
            ("de-CH, de;q=0.9, en;q=0.8", "de"),
            ("fr, de;q=0.5, en;q=0.8", "en"),
            ("DE", "de"),
            ("en;q=0.5, de;q=0.5", "en"),
            ("de;q=0, fr", "en"),
            ("", "en"),
            (";;q=x,,", "en"),
        ] {
            assert_eq!(Catalogue::accepted(header).code, code, "{header}");
        }
    }

    #[test]
    fn values_stand_where_their_names_were() {
        let text = Text(Cow::Borrowed("{count} of {all}"));
        assert_eq!(&*text.with("all", 3).with("count", "2"), "2 of 3");
    }
}

//! Texts in the administrator's language.

use hearth_plugin_api::PageRequest;

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

impl Language {
    /// By the language tag of the request; English for others.
    pub fn of(request: &PageRequest) -> Language {
        match request.language.split(['-', '_']).next() {
            Some("de") => Language::German,
            _ => Language::English,
        }
    }

    pub fn say(self, english: &'static str, german: &'static str) -> &'static str {
        match self {
            Language::English => english,
            Language::German => german,
        }
    }

    /// Why a pattern is refused. The commands say it in English; what is wrong within an expression is told
    /// by those who read it.
    pub fn reason(self, english: &str) -> String {
        if self == Language::English {
            return english.to_owned();
        }
        let known = [
            ("the pattern is empty", "das Muster ist leer"),
            ("more than ", "zu lang: höchstens "),
            (" characters", " Zeichen"),
            (" matches every message", " trifft auf jede Nachricht zu"),
            ("there are ", "es gibt schon "),
            (" patterns: delete one first", " Muster: löschen Sie erst eines"),
            (
                "the patterns are too large together: simplify one",
                "die Muster sind zusammen zu groß: vereinfachen Sie eines",
            ),
        ];
        known
            .iter()
            .fold(english.to_owned(), |said, (english, german)| said.replace(english, german))
    }
}

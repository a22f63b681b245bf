//! Texts in the administrator's language.

use hearth_plugin_api::Language;

/// Why a pattern is refused. The commands say it in English; what is wrong within an expression is told
/// by those who read it.
pub fn reason(language: Language, english: &str) -> String {
    if language == Language::English {
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
    known.iter().fold(english.to_owned(), |said, (english, german)| said.replace(english, german))
}

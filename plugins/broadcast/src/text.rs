//! Texts in the administrator's language.

use hearth_plugin_api::Language;

use crate::audience::Audience;

/// Why something is refused. The commands say it in English.
const REASONS: [(&str, &str); 5] = [
    ("the message is empty", "die Nachricht ist leer"),
    ("the message has more than {} characters", "die Nachricht hat mehr als {} Zeichen"),
    (
        "{} broadcasts are waiting: stop one, or try again later",
        "{} Rundnachrichten warten: halten Sie eine an, oder versuchen Sie es später noch einmal",
    ),
    ("there is no group `{}`", "es gibt keine Gruppe „{}“"),
    ("broadcast {} is not running", "die Rundnachricht {} läuft nicht"),
];

pub fn reason(language: Language, english: &str) -> String {
    let translated = REASONS.iter().find_map(|(pattern, german)| {
        let (before, after) = pattern.split_once("{}").unwrap_or((pattern, ""));
        let within = english.strip_prefix(before)?.strip_suffix(after)?;
        Some(german.replace("{}", within))
    });
    match (language, translated) {
        (Language::German, Some(german)) => german,
        _ => english.to_owned(),
    }
}

pub fn audience(language: Language, audience: &Audience) -> String {
    match (language, audience) {
        (Language::English, _) => audience.to_string(),
        (_, Audience::All) => "alle".to_owned(),
        (_, Audience::Online) => "online".to_owned(),
        (_, Audience::Group(name)) => format!("Gruppe {name}"),
    }
}

/// How far a broadcast has come.
pub fn state(language: Language, state: &str) -> &str {
    match (language, state) {
        (Language::German, "running") => "läuft",
        (Language::German, "done") => "fertig",
        (Language::German, "stopped") => "angehalten",
        (Language::German, "failed") => "gescheitert",
        _ => state,
    }
}

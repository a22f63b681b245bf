//! Texts in the administrator's language.

use hearth_plugin_api::PageRequest;

use crate::audience::Audience;

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

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

    pub fn reason(self, english: &str) -> String {
        let translated = REASONS.iter().find_map(|(pattern, german)| {
            let (before, after) = pattern.split_once("{}").unwrap_or((pattern, ""));
            let within = english.strip_prefix(before)?.strip_suffix(after)?;
            Some(german.replace("{}", within))
        });
        match (self, translated) {
            (Language::German, Some(german)) => german,
            _ => english.to_owned(),
        }
    }

    pub fn audience(self, audience: &Audience) -> String {
        match (self, audience) {
            (Language::English, _) => audience.to_string(),
            (_, Audience::All) => "alle".to_owned(),
            (_, Audience::Online) => "online".to_owned(),
            (_, Audience::Group(name)) => format!("Gruppe {name}"),
        }
    }

    /// How far a broadcast has come.
    pub fn state(self, state: &str) -> &str {
        match (self, state) {
            (Language::German, "running") => "läuft",
            (Language::German, "done") => "fertig",
            (Language::German, "stopped") => "angehalten",
            (Language::German, "failed") => "gescheitert",
            _ => state,
        }
    }
}

//! What an administrator forbids: one pattern, checked before it is kept.

use hearth_plugin_api::{Error, Language, Result, json};
use regex::{Regex, RegexBuilder};

/// Characters that a pattern or a reply may have.
const LONGEST: usize = 512;
/// Octets of one compiled pattern: ten or a hundred times what people write.
const COMPILED: usize = 256 << 10;

/// One pattern as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// 0 before it is kept.
    pub id: i64,
    /// Words, or a regular expression.
    pub text: String,
    pub is_regex: bool,
    pub action: Action,
    /// Whether the administrators are told of each match.
    pub notify: bool,
    /// What the sender of a refused message reads.
    pub reply: String,
    pub part: Part,
    pub direction: Direction,
    /// Addresses and domains, one per line, whose messages it does not see.
    pub excluded: String,
    pub enabled: bool,
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal, $english:literal, $german:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($variant),* }

        impl $name {
            /// With the words as they are kept.
            pub const ALL: &'static [($name, &'static str)] = &[$(($name::$variant, $word)),*];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// As people read it.
            pub fn label(self, language: Language) -> &'static str {
                match self { $($name::$variant => language.say($english, $german)),* }
            }

            /// `Invalid`, naming what there is, for any other word.
            pub fn from_word(word: &str) -> Result<$name> {
                let found = $name::ALL.iter().find(|(_, known)| *known == word);
                let known = || [$($word),*].join(", ");
                found.map(|(value, _)| *value).ok_or_else(|| {
                    Error::invalid(format!("`{word}` is none of {}", known()))
                })
            }
        }
    };
}

choice! {
    /// What becomes of a message that matches.
    Action {
        Reject = "reject", "Refuse the message", "Die Nachricht abweisen";
        Mask = "mask", "Mask what matches", "Unkenntlich machen, was zutrifft";
        Count = "count", "Let it pass and count", "Durchlassen und zählen";
    }
}

choice! {
    /// Where it is looked for.
    Part {
        Body = "body", "Body", "Text";
        Subject = "subject", "Subject", "Betreff";
        Both = "both", "Body and subject", "Text und Betreff";
    }
}

choice! {
    /// Whose messages.
    Direction {
        Sent = "sent", "Sent by users of this server", "Von Benutzern dieses Servers gesendet";
        Received = "received", "From other servers, and from rooms", "Von anderen Servern und aus Räumen";
        Both = "both", "All", "Alle";
    }
}

impl Pattern {
    /// A pattern that refuses messages of everybody.
    #[cfg(test)]
    pub fn new(text: &str, action: Action) -> Pattern {
        Pattern { text: text.to_owned(), action, ..Pattern::blank() }
    }

    /// What the form for a new pattern shows.
    pub fn blank() -> Pattern {
        Pattern {
            id: 0,
            text: String::new(),
            is_regex: false,
            action: Action::Reject,
            notify: false,
            reply: "This message is not allowed here.".to_owned(),
            part: Part::Both,
            direction: Direction::Both,
            excluded: String::new(),
            enabled: true,
        }
    }

    /// From a form's or a command's fields, in which what is missing is as in [`Pattern::blank`].
    pub fn from_fields(field: impl Fn(&str) -> Option<String>) -> Result<Pattern> {
        let pattern = Pattern::typed(field)?;
        pattern.regex()?;
        Ok(pattern)
    }

    /// The same, whether or not it is a pattern that can be kept.
    pub fn typed(field: impl Fn(&str) -> Option<String>) -> Result<Pattern> {
        let blank = Pattern::blank();
        let word = |name: &str, default: &str| field(name).unwrap_or_else(|| default.to_owned());
        let is = |name: &str| field(name).is_some_and(|value| value == "true" || value == "on");
        Ok(Pattern {
            id: word("id", "0").parse()?,
            text: word("text", "").trim().to_owned(),
            is_regex: is("regex"),
            action: Action::from_word(&word("action", blank.action.word()))?,
            notify: is("notify"),
            reply: word("reply", &blank.reply),
            part: Part::from_word(&word("part", blank.part.word()))?,
            direction: Direction::from_word(&word("direction", blank.direction.word()))?,
            excluded: word("excluded", ""),
            enabled: !is("disabled"),
        })
    }

    /// As a regular expression. `Invalid`, with the reason, when it is none, is too large, or
    /// matches nothing at all, which would be every message.
    pub fn regex(&self) -> Result<Regex> {
        if self.text.is_empty() {
            return Err(Error::invalid("the pattern is empty"));
        }
        if self.text.chars().count() > LONGEST || self.reply.chars().count() > LONGEST {
            return Err(Error::invalid(format!("more than {LONGEST} characters")));
        }
        let regex = RegexBuilder::new(&self.source())
            .case_insensitive(true)
            .size_limit(COMPILED)
            .build()
            .map_err(|error| Error::invalid(format!("`{}`: {error}", self.text)))?;
        match regex.is_match("") {
            true => Err(Error::invalid(format!("`{}` matches every message", self.text))),
            false => Ok(regex),
        }
    }

    /// Words match as whole words, with any white space between them.
    pub fn source(&self) -> String {
        if self.is_regex {
            return self.text.clone();
        }
        let words: Vec<String> = self.text.split_whitespace().map(regex::escape).collect();
        let edge = |c: Option<char>| c.filter(|c| c.is_alphanumeric()).map_or("", |_| r"\b");
        let (first, last) = (self.text.chars().next(), self.text.chars().next_back());
        format!("{}{}{}", edge(first), words.join(r"\s+"), edge(last))
    }

    /// Whether the messages of an address (bare, with or without local part) are left alone.
    pub fn excludes(&self, sender: &str) -> bool {
        let domain = sender.rsplit('@').next().unwrap_or_default();
        let mut lines = self.excluded.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.any(|line| line.eq_ignore_ascii_case(sender) || line.eq_ignore_ascii_case(domain))
    }

    /// For commands.
    pub fn to_json(&self) -> json::Value {
        json::json!({
            "id": self.id,
            "text": self.text,
            "regex": self.is_regex,
            "action": self.action.word(),
            "notify": self.notify,
            "reply": self.reply,
            "part": self.part.word(),
            "direction": self.direction.word(),
            "excluded": self.excluded,
            "enabled": self.enabled,
        })
    }
}

//! Step 5: the first administrator, with whom the installation is made.

use askama::Template;

use super::step::Steps;
use super::{Kind, Plan, SetupError};
use crate::admin::pages::{Fields, Form, Frame, Visitor};
use crate::auth::accounts::AccountError;
use crate::auth::password::SHORTEST;
use crate::auth::plain::prepare_password;
use crate::jid::localpart;

#[derive(Template)]
#[template(path = "setup/administrator.html")]
pub struct Page {
    pub page: Frame,
    pub form: Form,
    pub steps: Steps,
    pub domain: String,
}

/// What is proposed before anything was typed.
pub fn proposed() -> Fields {
    Fields::new(vec![("administrator".to_owned(), "admin".to_owned())])
}

/// The plan of the installation, or the form with what is wrong.
pub fn check(visitor: &Visitor, fields: &Fields, domain: String) -> Result<Plan, Form> {
    let mut form = Form::sent(fields);
    let (name, password) = (fields.get("administrator").trim(), fields.get("password"));
    if let Err(error) = localpart(name) {
        let why = visitor
            .t("setup_administrator.name_wrong")
            .with("why", visitor.language.said(&error.to_string()));
        form = form.refuse("administrator", why);
    }
    if password.chars().count() < SHORTEST {
        let why = visitor.t("setup_administrator.too_short").with("count", SHORTEST);
        form = form.refuse("password", why);
    } else if prepare_password(password).is_err() {
        form = form.refuse("password", visitor.t("setup_administrator.password_wrong"));
    }
    if password != fields.get("again") {
        form = form.refuse("again", visitor.t("setup_administrator.differs"));
    }
    if form.is_refused() {
        return Err(form);
    }
    let (administrator, password) = (name.to_owned(), password.to_owned());
    Ok(Plan { domain: Some(domain), administrator, password, kind: Kind::New })
}

/// Says beside the field what kept the installation from being made.
pub fn refuse(form: Form, visitor: &Visitor, error: &SetupError) -> Form {
    match error {
        SetupError::Account(AccountError::Name(_)) => {
            form.refuse("administrator", visitor.language.said(&error.to_string()))
        }
        SetupError::Account(AccountError::Password(_) | AccountError::Short(_)) => {
            form.refuse("password", visitor.language.said(&error.to_string()))
        }
        _ => form.refuse_all(
            visitor.t("setup.failed").with("why", visitor.language.said(&error.to_string())),
        ),
    }
}

/// How hard a password is to guess: a hint, not a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Weak,
    Fair,
    Good,
}

impl Strength {
    /// As the texts and the style sheet call it.
    pub fn name(self) -> &'static str {
        match self {
            Strength::Weak => "weak",
            Strength::Fair => "fair",
            Strength::Good => "good",
        }
    }
}

/// Words that are tried first.
const WORDS: [&str; 8] =
    ["password", "passwort", "hearth", "admin", "qwert", "12345", "letmein", "abc"];

/// Judges by length, variety and the words that everybody tries.
pub fn strength(password: &str) -> Strength {
    let lower = WORDS.iter().fold(password.to_lowercase(), |text, word| text.replace(word, "."));
    let mut seen: Vec<char> = lower.chars().collect();
    let length = seen.len();
    seen.sort_unstable();
    seen.dedup();
    let has = |kind: fn(&char) -> bool| password.chars().any(|c| kind(&c));
    let alphabet = [
        (has(char::is_ascii_lowercase), 26.0),
        (has(char::is_ascii_uppercase), 26.0),
        (has(char::is_ascii_digit), 10.0),
        (has(|c| !c.is_ascii_alphanumeric()), 33.0),
    ];
    let size: f64 = alphabet.iter().filter(|(has, _)| *has).map(|(_, size)| size).sum();
    let bits_per_character = size.max(1.0).log2();
    // Repeated characters add little.
    let worth = seen.len() as f64 + (length - seen.len()) as f64 / 3.0;
    match worth * bits_per_character {
        bits if bits < 45.0 => Strength::Weak,
        bits if bits < 70.0 => Strength::Fair,
        _ => Strength::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_follows_length_variety_and_known_words() {
        for (password, expected) in [
            ("", Strength::Weak),
            ("secret", Strength::Weak),
            ("password123", Strength::Weak),
            ("aaaaaaaaaaaaaaaa", Strength::Weak),
            ("Passwort12345!", Strength::Weak),
            ("grünes haus am see", Strength::Good),
            ("kT9#vLq2", Strength::Fair),
            ("correct horse battery staple", Strength::Good),
            ("kT9#vLq2!wZ7xR", Strength::Good),
        ] {
            assert_eq!(strength(password), expected, "{password}");
        }
    }
}

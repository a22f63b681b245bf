//! Step 4: where accounts come from.

use askama::Template;

use super::step::Steps;
use crate::admin::pages::{Fields, Form, Frame, Text, Visitor};

/// Directories that plugins bring will be further ones.
pub(super) const PROFILES: [&str; 1] = ["builtin"];

#[derive(Template)]
#[template(path = "setup/profile.html")]
pub struct Page {
    pub page: Frame,
    pub form: Form,
    pub steps: Steps,
}

impl Page {
    /// Each profile with its text and what it says below.
    fn profiles(&self) -> [(&'static str, Text, Text); 1] {
        PROFILES.map(|name| {
            let text = |kind: &str| self.page.t(&format!("setup_profile.{name}{kind}"));
            (name, text(""), text("_hint"))
        })
    }
}

/// What is proposed before anything was chosen.
pub fn proposed() -> Fields {
    Fields::new(vec![("profile".to_owned(), PROFILES[0].to_owned())])
}

/// The form when no profile was chosen.
pub fn check(visitor: &Visitor, fields: &Fields) -> Result<(), Form> {
    match PROFILES.contains(&fields.get("profile")) {
        true => Ok(()),
        false => Err(Form::sent(fields).refuse("profile", visitor.t("setup_profile.unknown"))),
    }
}

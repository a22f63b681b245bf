//! Step 1: the language of the wizard, which the console takes over in this browser.

use askama::Template;

use super::step::Steps;
use crate::admin::pages::{Catalogue, Fields, Form, Frame, Visitor};

#[derive(Template)]
#[template(path = "setup/language.html")]
pub struct Page {
    pub page: Frame,
    pub form: Form,
    pub steps: Steps,
}

/// What is proposed before anything was chosen: what the browser likes best.
pub fn proposed(visitor: &Visitor) -> Fields {
    Fields::new(vec![("language".to_owned(), visitor.language.code.to_owned())])
}

/// The language that was chosen, or the form.
pub fn check(visitor: &Visitor, fields: &Fields) -> Result<&'static Catalogue, Form> {
    let refused = || Form::sent(fields).refuse("language", visitor.t("setup_language.unknown"));
    Catalogue::named(fields.get("language")).ok_or_else(refused)
}

//! In place of profile and administrator, when the database holds an installation: its
//! administrator signs in, and this machine becomes a further node of it.

use askama::Template;

use super::step::Steps;
use super::{Kind, Plan, SetupError};
use crate::admin::pages::{Fields, Form, Frame, Visitor};

#[derive(Template)]
#[template(path = "setup/join.html")]
pub struct Page {
    pub page: Frame,
    pub form: Form,
    pub steps: Steps,
    /// The domain of the installation.
    pub domain: String,
    /// The domain that was typed, when it is another one: it will not count.
    pub typed: Option<String>,
}

/// The plan of joining.
pub fn plan(fields: &Fields) -> Plan {
    Plan {
        domain: None,
        administrator: fields.get("administrator").trim().to_owned(),
        password: fields.get("password").to_owned(),
        kind: Kind::Join,
    }
}

/// Says what kept the node from joining.
pub fn refuse(form: Form, visitor: &Visitor, error: &SetupError) -> Form {
    match error {
        SetupError::NoAdministrator => form.refuse("password", visitor.t("setup_join.wrong")),
        _ => form.refuse_all(
            visitor.t("setup.failed").with("why", visitor.language.said(&error.to_string())),
        ),
    }
}

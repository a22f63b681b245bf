//! The certificate: looked at, replaced, made anew.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::text::Catalogue;
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit, list};
use crate::http::Response;

const PATH: &str = "/server/certificates";

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(shown(visit))),
    Route::new(Method::GET, "/server/certificates/install", |visit| Box::pin(new(visit))),
    Route::new(Method::POST, "/server/certificates/install", |visit| Box::pin(install(visit))),
    Route::new(Method::POST, "/server/certificates/self-signed", |visit| {
        Box::pin(self_sign(visit))
    }),
];

#[derive(Deserialize)]
struct Certificate {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    days_left: i64,
    key: String,
    fingerprint: String,
    self_signed: bool,
}

impl Certificate {
    /// Less than none when it has expired.
    fn days(&self, language: &Catalogue) -> String {
        u64::try_from(self.days_left)
            .map_or_else(|_| self.days_left.to_string(), |days| language.count(days))
    }
}

#[derive(Deserialize)]
struct Chain {
    items: Vec<Certificate>,
    domain: String,
    warnings: Vec<Warning>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    Expired,
    ExpiresSoon,
    NotYetValid,
    SelfSigned,
    OtherDomain,
}

impl Warning {
    pub fn text(self, visit: &Visit) -> String {
        let text = match self {
            Warning::Expired => visit.t("certificates.expired"),
            Warning::ExpiresSoon => visit.t("certificates.expires_soon"),
            Warning::NotYetValid => visit.t("certificates.not_yet_valid"),
            Warning::SelfSigned => visit.t("certificates.self_signed"),
            Warning::OtherDomain => visit.t("certificates.other_domain"),
        };
        text.into()
    }
}

#[derive(Template)]
#[template(path = "certificates.html")]
struct Certificates {
    page: Frame,
    chain: Vec<Certificate>,
    domain: String,
    warnings: Vec<String>,
}

#[derive(Template)]
#[template(path = "certificate_install.html")]
struct Install {
    page: Frame,
    form: Form,
}

async fn shown(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["certificates"], &[]).await;
    }
    let Chain { items, domain, warnings } = visit.read(&["certificates"], &[]).await?;
    let warnings = warnings.into_iter().map(|warning| warning.text(&visit)).collect();
    show(Certificates { page: visit.frame("certificates"), chain: items, domain, warnings })
}

fn form(visit: &Visit, form: Form) -> Install {
    Install { page: visit.frame("certificate_install").below("certificates"), form }
}

async fn new(visit: Visit) -> Result<Response, Refusal> {
    visit.confirmed()?;
    show(form(&visit, visit.typed_or(Form::default())))
}

async fn install(visit: Visit) -> Result<Response, Refusal> {
    visit.confirmed()?;
    let body = json!({ "chain": visit.form.get("chain"), "key": visit.form.get("key") });
    match visit.change::<Chain>(Method::PUT, &["certificates"], body).await {
        Ok(_) => visit.done(PATH, visit.t("certificate_install.done")),
        Err(problem) => show_refused(form(&visit, Form::sent(&visit.form).refuse_by(&problem))),
    }
}

async fn self_sign(visit: Visit) -> Result<Response, Refusal> {
    visit.confirmed()?;
    let _: Chain = visit.change(Method::POST, &["certificates", "self-signed"], ()).await?;
    visit.done(PATH, visit.t("certificate_install.done"))
}

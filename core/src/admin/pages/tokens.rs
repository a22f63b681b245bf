//! Tokens of the API: listed, created, revoked.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::list::{self, List};
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::Response;

const PATH: &str = "/server/tokens";

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(list(visit))),
    Route::new(Method::GET, "/server/tokens/new", |visit| Box::pin(new(visit))),
    Route::new(Method::POST, "/server/tokens/new", |visit| Box::pin(create(visit))),
    Route::new(Method::POST, "/server/tokens/{id}/revoke", |visit| Box::pin(revoke(visit))),
];

#[derive(Deserialize)]
struct Token {
    id: String,
    name: String,
    created: String,
    created_by: String,
    expires: Option<String>,
    last_used: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    token: String,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    page: Frame,
    list: List<Token>,
}

#[derive(Template)]
#[template(path = "token_new.html")]
struct New {
    page: Frame,
    form: Form,
    /// Shown once.
    token: Option<String>,
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["tokens"], &[]).await;
    }
    let list = List::read(&visit, &["tokens"], &[]).await?;
    show(Tokens { page: visit.frame("tokens"), list })
}

fn new_page(visit: &Visit, form: Form, token: Option<String>) -> New {
    New { page: visit.frame("token_new").below("tokens"), form, token }
}

async fn new(visit: Visit) -> Result<Response, Refusal> {
    visit.confirmed()?;
    show(new_page(&visit, visit.typed_or(Form::default()), None))
}

async fn create(visit: Visit) -> Result<Response, Refusal> {
    visit.confirmed()?;
    let form = Form::sent(&visit.form);
    let days: Option<u32> = match visit.form.find("days").map(str::parse).transpose() {
        Ok(days) => days,
        Err(_) => {
            let form = form.refuse("days", visit.t("token_new.bad_days"));
            return show_refused(new_page(&visit, form, None));
        }
    };
    let body = json!({ "name": visit.form.get("name"), "days": days });
    match visit.change::<Created>(Method::POST, &["tokens"], body).await {
        Ok(Created { token }) => show(new_page(&visit, Form::default(), Some(token))),
        Err(problem) => show_refused(new_page(&visit, form.refuse_by(&problem), None)),
    }
}

async fn revoke(visit: Visit) -> Result<Response, Refusal> {
    match visit.change(Method::DELETE, &["tokens", visit.param(0)], ()).await {
        // Somebody else was faster: it is gone, as was asked for.
        Ok(()) | Err(Problem::NotFound(_)) => visit.done(PATH, visit.t("tokens.revoked")),
        Err(problem) => Err(problem.into()),
    }
}

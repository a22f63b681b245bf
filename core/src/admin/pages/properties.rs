//! All properties: searched, edited, given their defaults again, with who changed them when.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::editor::{Editor, Property, filled};
use super::form::Form;
use super::list::{self, List};
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use crate::http::Response;

const PATH: &str = "/server/properties";
const FILTERS: &[&str] = &["search", "group", "changed"];

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(list(visit))),
    Route::new(Method::GET, "/server/properties/{name}", |visit| Box::pin(edit(visit))),
    Route::new(Method::POST, "/server/properties/{name}", |visit| Box::pin(set(visit))),
    Route::new(Method::POST, "/server/properties/{name}/reset", |visit| Box::pin(reset(visit))),
];

#[derive(Template)]
#[template(path = "properties.html")]
struct Properties {
    page: Frame,
    list: List<Property>,
}

#[derive(Template)]
#[template(path = "property.html")]
struct Edit {
    page: Frame,
    form: Form,
    property: Property,
    editor: Editor,
    changes: List<Change>,
}

#[derive(Deserialize)]
struct Change {
    at: String,
    actor: String,
    from: Option<String>,
    to: Option<String>,
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["properties"], FILTERS).await;
    }
    let list = List::read(&visit, &["properties"], FILTERS).await?;
    show(Properties { page: visit.frame("properties"), list })
}

async fn edit(visit: Visit) -> Result<Response, Refusal> {
    let segments = ["properties", visit.param(0), "history"];
    if list::wants_csv(&visit) {
        return list::csv(&visit, &segments, &[]).await;
    }
    show(page(&visit, None).await?)
}

/// The page, with the form that was sent if it was refused.
async fn page(visit: &Visit, form: Option<Form>) -> Result<Edit, Refusal> {
    let name = visit.param(0);
    let property: Property = visit.read(&["properties", name], &[]).await?;
    let changes = List::read(visit, &["properties", name, "history"], &[]).await?;
    let label = visit.t("property.value").into();
    let takes = visit.visitor.language.said(&property.takes);
    let editor = Editor::new(visit, &property, "value", label, takes);
    let form = form.unwrap_or_else(|| visit.typed_or(filled([("value", &property)].into_iter())));
    let page = visit.frame("property").below("properties");
    Ok(Edit { page, form, property, editor, changes })
}

async fn set(visit: Visit) -> Result<Response, Refusal> {
    let name = visit.param(0);
    let property: Property = visit.read(&["properties", name], &[]).await?;
    let value = Editor::sent(property.kind, &visit.form, "value");
    let body = json!({ "value": value });
    match visit.change::<Property>(Method::PUT, &["properties", name], body).await {
        Ok(property) => visit.done(PATH, said(&visit, &property)),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse_by(&problem);
            show_refused(page(&visit, Some(form)).await?)
        }
    }
}

async fn reset(visit: Visit) -> Result<Response, Refusal> {
    let segments = ["properties", visit.param(0)];
    let property: Property = visit.change(Method::DELETE, &segments, ()).await?;
    visit.done(PATH, said(&visit, &property))
}

/// What is said after a change.
fn said(visit: &Visit, property: &Property) -> String {
    let text = match property.pending {
        true => visit.t("property.set_pending"),
        false => visit.t("property.set"),
    };
    text.with("name", &property.name).with("value", &property.value).into()
}

//! Settings by subject, as Openfire's administrators know them: forms over properties.

use askama::Template;
use hyper::Method;
use serde_json::json;

use super::editor::{Editor, Property, filled};
use super::form::Form;
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::Response;

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/server/settings/{subject}", |visit| Box::pin(edit(visit))),
    Route::new(Method::POST, "/server/settings/{subject}", |visit| Box::pin(save(visit))),
];

/// A page of settings. Each property has its texts under `setting` and `setting_means`, each of its
/// words one under `choice`.
pub struct Subject {
    pub id: &'static str,
    /// The last segment of its path.
    segment: &'static str,
    pub properties: &'static [&'static str],
}

/// Every page of settings.
pub const SUBJECTS: &[Subject] = &[
    Subject {
        id: "registration",
        segment: "registration",
        properties: &[
            "registration.inband",
            "registration.password-change",
            "accounts.shortest-password",
            "limits.registrations-per-hour",
            "limits.authentication-seconds",
            "limits.unauthenticated-per-address",
        ],
    },
    Subject {
        id: "offline",
        segment: "offline",
        properties: &["offline.policy", "offline.quota-kb"],
    },
    Subject {
        id: "resource_policy",
        segment: "resource-policy",
        properties: &["c2s.resource-conflict", "limits.sessions-per-account"],
    },
    Subject {
        id: "client_connections",
        segment: "client-connections",
        properties: &[
            "c2s.starttls",
            "c2s.idle-seconds",
            "c2s.resume-seconds",
            "limits.header-seconds",
            "limits.unacknowledged-stanzas",
        ],
    },
    Subject { id: "archive", segment: "archive", properties: &["archive.enabled"] },
];

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    page: Frame,
    form: Form,
    lead: String,
    editors: Vec<Editor>,
}

async fn edit(visit: Visit) -> Result<Response, Refusal> {
    let subject = subject(&visit)?;
    let properties = read(&visit, subject).await?;
    let values = subject.properties.iter().copied().zip(&properties);
    show(page(&visit, subject, &properties, visit.typed_or(filled(values))))
}

/// Sets what differs. Each property that is refused says so beside its field; the others are saved.
async fn save(visit: Visit) -> Result<Response, Refusal> {
    let subject = subject(&visit)?;
    let properties = read(&visit, subject).await?;
    let (mut form, mut saved) = (Form::sent(&visit.form), Vec::new());
    for (name, property) in subject.properties.iter().zip(&properties) {
        let value = Editor::sent(property.kind, &visit.form, name);
        if value == property.value {
            continue;
        }
        let body = json!({ "value": value });
        match visit.change::<Property>(Method::PUT, &["properties", name], body).await {
            Ok(_) => saved.push(String::from(visit.t(&format!("setting.{name}")))),
            Err(problem) => form = form.refuse(name, problem.to_string()),
        }
    }
    if form.is_refused() {
        if !saved.is_empty() {
            form = form.refuse_all(visit.t("settings.partly").with("names", saved.join(", ")));
        }
        return show_refused(page(&visit, subject, &properties, form));
    }
    let said = match saved.is_empty() {
        true => visit.t("settings.unchanged"),
        false => visit.t("settings.saved"),
    };
    visit.done(&visit.path, said)
}

fn subject(visit: &Visit) -> Result<&'static Subject, Problem> {
    let segment = visit.param(0);
    let found = SUBJECTS.iter().find(|subject| subject.segment == segment);
    found.ok_or_else(|| Problem::NotFound(visit.t("problem.no_page").into()))
}

async fn read(visit: &Visit, subject: &Subject) -> Result<Vec<Property>, Problem> {
    let mut properties = Vec::new();
    for name in subject.properties {
        properties.push(visit.read(&["properties", name], &[]).await?);
    }
    Ok(properties)
}

fn page(visit: &Visit, subject: &'static Subject, properties: &[Property], form: Form) -> Settings {
    let editor = |(name, property): (&&str, &Property)| {
        let label = visit.t(&format!("setting.{name}")).into();
        let hint = visit.t(&format!("setting_means.{name}")).into();
        Editor::new(visit, property, name, label, hint)
    };
    let editors = subject.properties.iter().zip(properties).map(editor).collect();
    let lead = visit.t(&format!("{}.lead", subject.id)).into();
    Settings { page: visit.frame(subject.id), form, lead, editors }
}

/// The texts that the pages make of names.
#[cfg(test)]
pub fn texts() -> Vec<String> {
    use crate::properties::Kind;
    let declared = crate::server::properties();
    let choices = declared.iter().flat_map(|property| match property.kind() {
        Kind::Choice(words) => {
            words.iter().map(|word| format!("{}.{word}", property.name())).collect()
        }
        _ => Vec::new(),
    });
    let named = |key: &String| {
        SUBJECTS.iter().flat_map(|s| s.properties).any(|name| key.starts_with(&format!("{name}.")))
    };
    let choices = choices.filter(named).map(|key| format!("choice.{key}"));
    let settings = SUBJECTS.iter().flat_map(|subject| {
        let own = [format!("{}.title", subject.id), format!("{}.lead", subject.id)];
        let names = subject.properties.iter();
        own.into_iter().chain(
            names.flat_map(|name| [format!("setting.{name}"), format!("setting_means.{name}")]),
        )
    });
    settings.chain(choices).collect()
}

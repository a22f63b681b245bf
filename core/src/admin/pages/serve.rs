//! The console over HTTP: finds the route, asks the session, performs.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, REFERRER_POLICY,
};
use warp::Filter;
use warp::path::FullPath;

use super::form::Fields;
use super::visit::{redirect, redirect_htmx};
use super::{Console, Refusal, Visit, Visitor, cookie, help, origin, routes, sign_in, upload_form};
use crate::admin::api::Problem;
use crate::admin::route::{self, Access, Missing};
use crate::admin::session::Session;
use crate::http::{Allowance, Peer, Response, Routes};

/// Bytes of a form's body.
const BODY: usize = 256 * 1024;

/// What a page may load and do: our own files, nothing inline, in no frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// Mounts the console below all else.
pub fn mount(mounts: &Routes, console: Arc<Console>) {
    let uploads = console.clone();
    let filter = warp::method()
        .and(warp::path::full())
        .and(warp::query::<Vec<(String, String)>>())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::body::bytes())
        .then(move |method, path: FullPath, query, headers: HeaderMap, peer, body: Bytes| {
            let console = console.clone();
            let visitor = Visitor::of(&headers, peer);
            let asked = Asked { method, path: path.as_str().to_owned(), query, headers, body };
            async move { answer(console, visitor, asked).await }
        });
    mounts.mount("", Allowance::body(BODY), filter.boxed());
    upload_form::mount(mounts, uploads);
}

struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn is_for_everybody(&self) -> bool {
        let found = route::find(routes(), &self.method, &route::segments(&self.path));
        found.is_ok_and(|(route, _)| route.access == Access::Anyone)
    }
}

async fn answer(console: Arc<Console>, visitor: Visitor, asked: Asked) -> Response {
    let path = asked.path.clone();
    let session = match console.session(&asked.headers, visitor.peer).await {
        Ok(session) => session,
        // Without the database nobody is known; style sheets and the sign-in page are for everybody.
        Err(_) if asked.is_for_everybody() => None,
        Err(problem) => return harden(help::problem_page(&visitor, None, &path, problem)),
    };
    let outcome = perform(console, visitor.clone(), session.clone(), asked).await;
    finish_for(&visitor, session.as_deref(), &path, outcome)
}

/// The answer of a page, or what is shown instead of it.
pub(super) fn finish(
    visitor: &Visitor,
    path: &str,
    outcome: Result<Response, Refusal>,
) -> Response {
    finish_for(visitor, None, path, outcome)
}

fn finish_for(
    visitor: &Visitor,
    session: Option<&Session>,
    path: &str,
    outcome: Result<Response, Refusal>,
) -> Response {
    let back = |to: &str| {
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("back", path).finish();
        format!("{to}?{query}")
    };
    let elsewhere = |to: String| if visitor.is_htmx { redirect_htmx(&to) } else { redirect(&to) };
    let outcome = match outcome {
        Err(Refusal::SignIn) => elsewhere(back(sign_in::SIGN_IN)),
        Err(Refusal::Confirm) => elsewhere(back(sign_in::CONFIRM)),
        other => other,
    };
    harden(outcome.unwrap_or_else(|refusal| {
        let problem = match refusal {
            Refusal::Problem(problem) => problem,
            Refusal::SignIn | Refusal::Confirm => Problem::Internal,
        };
        help::problem_page(visitor, session, path, problem)
    }))
}

async fn perform(
    console: Arc<Console>,
    visitor: Visitor,
    session: Option<Arc<Session>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let Asked { method, path, query, headers, body } = asked;
    // RFC 9110 §9.3.2: HEAD is GET without the content, which hyper leaves out.
    let method = if method == Method::HEAD { Method::GET } else { method };
    let found = route::find(routes(), &method, &route::segments(&path));
    let (route, params) = found.map_err(|missing| match missing {
        // Who has not signed in does not learn what there is.
        _ if session.is_none() => Refusal::SignIn,
        Missing::Path => Problem::NotFound(visitor.t("problem.no_page").into()).into(),
        Missing::Method(methods) => Refusal::Problem(Problem::Method(methods)),
    })?;
    if route.access == Access::Administrator && session.is_none() {
        return Err(Refusal::SignIn);
    }
    let form = Fields::parse(&body);
    if method != Method::GET {
        check_form(&headers, &form, session.as_deref(), &visitor)?;
    }
    let query = Fields::new(query);
    (route.handler)(Visit { console, visitor, session, path, params, query, form }).await
}

/// Nothing changes by a request that another site made the browser send.
fn check_form(
    headers: &HeaderMap,
    form: &Fields,
    session: Option<&Session>,
    visitor: &Visitor,
) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let header = headers.get("x-csrf-token").and_then(|token| token.to_str().ok());
    let token = header.unwrap_or_else(|| form.get("csrf"));
    let is_theirs = session.is_some_and(|session| !session.accepts(token));
    match is_form && origin::is_ours(headers) && !is_theirs {
        true => Ok(()),
        false => Err(Problem::Invalid(visitor.t("problem.foreign_form").into())),
    }
}

impl Console {
    /// The session of a browser, if its account is still what it was when it signed in.
    pub(super) async fn session(
        &self,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<Option<Arc<Session>>, Problem> {
        let Some(id) = cookie::get(headers, cookie::session_name(peer.secure)) else {
            return Ok(None);
        };
        let Some(session) = self.sessions.find(id) else { return Ok(None) };
        match self.is_administrator(&session.who).await? {
            true => Ok(Some(session)),
            false => {
                self.sessions.end(&session);
                Ok(None)
            }
        }
    }
}

/// Beside what every answer of the port carries. A page's own wins.
pub fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    // With `no-referrer` a browser sends `Origin: null` with our own forms.
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    response
}

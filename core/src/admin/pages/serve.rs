//! The console over HTTP: finds the route, asks the session, performs.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use hyper::Method;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY};
use warp::Filter;
use warp::path::FullPath;

use super::form::Fields;
use super::interrupted::{self, Typed};
use super::plugin_page::{self, Place};
use super::sent::Sent;
use super::visit::{redirect, redirect_htmx};
use super::{
    Console, Frame, Refusal, Route, Visit, Visitor, cookie, help, routes, sign_in, upload_form,
};
use crate::admin::api::Problem;
use crate::admin::route::{self, Access, Missing};
use crate::admin::session::{Session, Tone};
use crate::http::{Allowance, Peer, Response, Routes};

/// Bytes of a form's body.
const BODY: usize = 256 * 1024;
/// The same of a plugin's page, whatever the plugin wants; and time to upload it and to be answered.
const GUESTS: Allowance = Allowance { body: 64 << 20, time: Duration::from_secs(120) };

/// What a page may load and do: our own files, nothing inline, in no frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// Mounts the console below all else.
pub fn mount(mounts: &Routes, console: Arc<Console>) {
    let (guests, uploads) = (console.clone(), console.clone());
    let pages = asked().and(warp::body::bytes()).then(move |visitor, asked, body| {
        let console = console.clone();
        async move { answer(console, visitor, Asked { body, ..asked }).await }
    });
    mounts.mount("", Allowance::body(BODY), pages.boxed());
    // A plugin's form may be larger, which is known when the path and the sender are.
    let pages = asked().and(warp::body::stream()).then(move |visitor: Visitor, asked, body| {
        let console = guests.clone();
        async move {
            let limit = console.form_limit(&visitor, &asked).await;
            match collect(body, limit).await {
                Ok(body) => answer(console, visitor, Asked { body, ..asked }).await,
                Err(problem) => finish(&console, &visitor, &asked.path, Err(problem.into())),
            }
        }
    });
    mounts.mount("/plugins", GUESTS, pages.boxed());
    upload_form::mount(mounts, uploads);
}

/// What a request asks for, its body aside.
fn asked() -> impl Filter<Extract = (Visitor, Asked), Error = warp::Rejection> + Clone {
    warp::method()
        .and(warp::path::full())
        .and(warp::query::<Vec<(String, String)>>())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .map(|method, path: FullPath, query, headers: HeaderMap, peer| {
            let (visitor, path) = (Visitor::of(&headers, peer), path.as_str().to_owned());
            (visitor, Asked { method, path, query, headers, body: Bytes::new() })
        })
        .untuple_one()
}

async fn collect<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Bytes, Problem> {
    let mut collected = Vec::new();
    let mut body = std::pin::pin!(body);
    while let Some(piece) = body.next().await {
        let broken = |error| Problem::Invalid(format!("the form broke off: {error}"));
        let mut piece = piece.map_err(broken)?;
        if collected.len() + piece.remaining() > limit {
            return Err(Problem::TooLarge(format!(
                "a form of this page has at most {limit} bytes"
            )));
        }
        collected.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    Ok(collected.into())
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

    /// The plugin's page at this path, which is none of the console's own.
    fn guest(&self) -> Option<Place> {
        let segments = route::segments(&self.path);
        let is_ours = route::find(routes(), &self.method, &segments).err() != Some(Missing::Path);
        Place::of(&segments).filter(|_| !is_ours)
    }
}

async fn answer(console: Arc<Console>, visitor: Visitor, asked: Asked) -> Response {
    let path = asked.path.clone();
    // A page of a plugin that refreshes itself is looked on, not used.
    let is_use = !(visitor.is_htmx && asked.method == Method::GET && asked.guest().is_some());
    let session = match console.session_of(&asked.headers, visitor.peer, is_use).await {
        Ok(session) => session,
        // Without the database nobody is known; style sheets and the sign-in page are for everybody.
        Err(_) if asked.is_for_everybody() => None,
        Err(problem) => return finish(&console, &visitor, &path, Err(problem.into())),
    };
    let typed = match asked.method {
        // htmx does not show a question in place of its answer: it is sent there.
        Method::POST if !visitor.is_htmx => Typed::of(&console, &path, &asked.headers, &asked.body),
        _ => None,
    };
    let outcome = perform(console.clone(), visitor.clone(), session.clone(), asked).await;
    let outcome = match (outcome, typed) {
        (Err(refusal @ (Refusal::SignIn | Refusal::Confirm)), Some(typed)) => {
            let visit = Visit::bare(console.clone(), visitor.clone(), session.clone(), &path);
            interrupted::ask(visit, refusal, typed)
        }
        (other, _) => other,
    };
    finish_for(&console, (&visitor, session.as_deref()), &path, outcome)
}

/// The answer of a page, or what is shown instead of it.
pub(super) fn finish(
    console: &Console,
    visitor: &Visitor,
    path: &str,
    outcome: Result<Response, Refusal>,
) -> Response {
    finish_for(console, (visitor, None), path, outcome)
}

fn finish_for(
    console: &Console,
    (visitor, session): (&Visitor, Option<&Session>),
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
        help::problem_page(console.frame("problem", visitor, session, path), problem)
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
    let segments = route::segments(&path);
    let found = route::find(routes(), &method, &segments);
    let guest = Place::of(&segments).filter(|_| found.as_ref().err() == Some(&Missing::Path));
    if let (Some(place), true) = (guest, session.is_some()) {
        let query = Fields::new(query);
        let visit = Visit { query, ..Visit::bare(console, visitor, session, &path) };
        return plugin_page::answer(visit, place, method, (&headers, body)).await;
    }
    if let (Err(Missing::Method(_)), Some(session), true) =
        (&found, &session, method == Method::GET)
    {
        session.say_as(Tone::Warn, visitor.t("problem.not_done").into());
        return redirect(above(&path));
    }
    let (route, params) = found.map_err(|missing| match missing {
        // Who has not signed in does not learn what there is.
        _ if session.is_none() => Refusal::SignIn,
        Missing::Path => Problem::NotFound(visitor.t("problem.no_page").into()).into(),
        Missing::Method(methods) => Refusal::Problem(Problem::Method(methods)),
    })?;
    if route.access == Access::Administrator && session.is_none() {
        return Err(Refusal::SignIn);
    }
    let mut sent = Sent::default();
    if method != Method::GET {
        sent = Sent::read(&headers, body).await?;
        sent.check(&headers, session.as_deref(), &visitor)?;
    }
    let (query, form) = (Fields::new(query), sent.fields);
    perform_on(route, Visit { console, visitor, session, path, params, query, form }).await
}

/// Does what a form asks for that was checked before.
pub(super) async fn act(visit: Visit) -> Result<Response, Refusal> {
    let found = route::find(routes(), &Method::POST, &route::segments(&visit.path));
    let missing = |_| Problem::NotFound(visit.t("problem.no_page").into());
    let (route, params) = found.map_err(missing)?;
    perform_on(route, Visit { params, ..visit }).await
}

/// A form that is refused comes back with the reason. A button has no page of its own: the page where it
/// is says why.
async fn perform_on(route: &Route, visit: Visit) -> Result<Response, Refusal> {
    let is_button = route.method == Method::POST && !takes(&Method::GET, &visit.path);
    let (session, language, path) =
        (visit.session.clone(), visit.visitor.language, visit.path.clone());
    match ((route.handler)(visit).await, session) {
        (Err(Refusal::Problem(problem)), Some(session)) if is_button => {
            session.say_as(Tone::Bad, language.sentence(&problem.to_string()));
            redirect(above(&path))
        }
        (outcome, _) => outcome,
    }
}

/// Whether a route of the console answers this.
pub(super) fn takes(method: &Method, path: &str) -> bool {
    route::find(routes(), method, &route::segments(path)).is_ok()
}

/// The page that a path of a form belongs to. It is asked for after a sign-in in place of the act, and
/// when another language is chosen where an act was refused.
pub(super) fn above(path: &str) -> &str {
    let mut slashes = path.rmatch_indices('/').map(|(at, _)| &path[..at]);
    slashes.find(|path| !path.is_empty() && takes(&Method::GET, path)).unwrap_or("/")
}

impl Console {
    /// What surrounds a page.
    pub(super) fn frame(
        &self,
        id: &'static str,
        visitor: &Visitor,
        session: Option<&Session>,
        path: &str,
    ) -> Frame {
        Frame::new(id, visitor, session, path).among(&self.api.plugins)
    }

    /// Bytes that the body may have: what the plugin's page takes, if the sender may send it.
    async fn form_limit(&self, visitor: &Visitor, asked: &Asked) -> usize {
        let page = asked
            .guest()
            .and_then(|place| self.api.plugins.page_form_limit(&place.id, &place.slug));
        let Some(limit) = page else { return BODY };
        match self.session_of(&asked.headers, visitor.peer, false).await {
            Ok(Some(_)) => usize::try_from(limit).unwrap_or(usize::MAX),
            _ => BODY,
        }
    }

    /// The session of a browser, if its account is still what it was when it signed in.
    pub(super) async fn session(
        &self,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<Option<Arc<Session>>, Problem> {
        self.session_of(headers, peer, true).await
    }

    async fn session_of(
        &self,
        headers: &HeaderMap,
        peer: Peer,
        is_use: bool,
    ) -> Result<Option<Arc<Session>>, Problem> {
        let Some(id) = cookie::get(headers, cookie::session_name(peer.secure)) else {
            return Ok(None);
        };
        let found = if is_use { self.sessions.find(id) } else { self.sessions.look_on(id) };
        let Some(session) = found else { return Ok(None) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_form_belongs_to_a_page() {
        for (path, page) in [
            ("/users/ro%2Fmeo/appoint", "/users/ro%2Fmeo"),
            ("/server/certificates/self-signed", "/server/certificates"),
            ("/plugins/trial/do/enable", "/plugins/trial"),
            ("/server/database/backups/x/delete", "/server/database"),
            ("/sign-out", "/"),
        ] {
            assert_eq!(above(path), page);
        }
    }
}

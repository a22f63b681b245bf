//! A form that comes when the session has ended, or when the password must be given again, is kept across
//! the question. It stands in the page that asks, so that the server remembers nothing of browsers that it
//! does not know. Secrets and files are not kept, and the page says so.
//!
//! After a sign-in the form is only shown again: nobody has vouched that it came from the session that
//! ended. An act that waits for the password is carried on, as its token was checked when it came.

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;

use super::form::{Fields, Form};
use super::visit::{Visit, redirect};
use super::{Console, Refusal, origin, sent, serve, sign_in};
use crate::admin::session::{Session, Tone};
use crate::http::{Response, is_canonical};

/// Octets that the page with the question carries at most.
const LONGEST: usize = 32 * 1024;
/// Fields that are never sent back.
pub const SECRETS: [&str; 3] = ["password", "again", "key"];

/// What a form has sent.
pub struct Typed {
    /// Where it was sent to.
    path: String,
    /// As it was encoded, without the session's token and what is secret.
    pub fields: String,
    is_whole: bool,
}

impl Typed {
    /// `None` when another site has sent it.
    pub fn of(console: &Console, path: &str, headers: &HeaderMap, body: &Bytes) -> Option<Typed> {
        if !origin::is_ours(headers) {
            return None;
        }
        if !sent::is_plain(headers) || !is_form(path) || is_of_secret(console, path) {
            return Some(Typed::lost(path));
        }
        let fields = Fields::parse(body);
        if path != sign_in::CONFIRM {
            return Some(Typed::new(path, &fields));
        }
        // The question was interrupted itself: what matters is what it carries.
        let within = Fields::parse(fields.get("sent").as_bytes());
        let is_whole = !fields.has("partly");
        Some(Typed { is_whole, ..Typed::new(back(fields.get("back")), &within) })
    }

    /// A form with a file, or of a plugin, which the console cannot fill in.
    pub fn lost(path: &str) -> Typed {
        Typed { path: path.to_owned(), fields: String::new(), is_whole: false }
    }

    pub fn new(path: &str, fields: &Fields) -> Typed {
        let is_secret = |name: &str| SECRETS.contains(&name);
        let kept = fields.pairs().filter(|(name, _)| name != "csrf" && !is_secret(name));
        let kept = form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
        let is_whole = !SECRETS.iter().any(|name| fields.has(name));
        match kept.len() <= LONGEST {
            true => Typed { path: path.to_owned(), fields: kept, is_whole },
            false => Typed::lost(path),
        }
    }
}

fn is_of_secret(console: &Console, path: &str) -> bool {
    let name = path.strip_prefix("/server/properties/");
    name.is_some_and(|name| console.api.properties.is_secret(name))
}

fn is_form(path: &str) -> bool {
    serve::takes(&Method::POST, path)
}

/// A path of ours to go to. Anything else that somebody wrote into a link is the start.
pub fn back(path: &str) -> &str {
    if is_canonical(path) { path } else { "/" }
}

/// Asks for what the form waits for, in its answer.
pub fn ask(visit: Visit, refusal: Refusal, typed: Typed) -> Result<Response, Refusal> {
    let Typed { path, fields, is_whole } = typed;
    let is_page = serve::takes(&Method::GET, &path) || !is_form(&path);
    let page = if is_page { &path } else { serve::above(&path) };
    let mut kept = vec![("back".to_owned(), page.to_owned()), ("sent".to_owned(), fields)];
    if !is_whole {
        kept.push(("partly".to_owned(), "true".to_owned()));
    }
    let visit = Visit { path: page.to_owned(), ..visit };
    match refusal {
        Refusal::Confirm => {
            if is_whole {
                kept.push(("act".to_owned(), path));
            }
            sign_in::ask_to_confirm(&visit, Form::sent(&Fields::new(kept)))
        }
        // What has no field of its own is a button, which is pressed again.
        Refusal::SignIn if is_page => sign_in::ask(&visit, Form::sent(&Fields::new(kept))),
        other => Err(other),
    }
}

/// The page to go to, which shows again what was typed there.
pub fn refill<'v>(visit: &'v Visit, session: &Session) -> &'v str {
    let (page, sent) = (back(visit.form.get("back")), visit.form.get("sent"));
    if !sent.is_empty() {
        session.keep(page, Fields::parse(sent.as_bytes()).pairs().collect());
    }
    page
}

/// After a sign-in: to the page, with what was typed before.
pub fn come_back(visit: &Visit, session: &Session) -> Result<Response, Refusal> {
    let (page, sent) = (refill(visit, session), visit.form.get("sent"));
    let said = match (sent.is_empty(), visit.form.has("partly")) {
        (true, false) => None,
        (false, false) => Some(visit.t("interrupted.here_again").into()),
        (true, true) => Some(visit.t("interrupted.enter_again").into()),
        (false, true) => {
            let texts = [visit.t("interrupted.here_again"), visit.t("interrupted.not_kept")];
            Some(texts.map(String::from).join(" "))
        }
    };
    if let Some(said) = said {
        session.say_as(Tone::Warn, said);
    }
    redirect(page)
}

/// After the password was given: does what waited for it.
pub async fn go_on(visit: Visit, session: &Session) -> Result<Response, Refusal> {
    match visit.form.find("act") {
        Some(act) => {
            let (path, form) = (act.to_owned(), Fields::parse(visit.form.get("sent").as_bytes()));
            serve::act(Visit { path, form, ..visit }).await
        }
        None => come_back(&visit, session),
    }
}

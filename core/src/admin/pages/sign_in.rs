//! Signing in and out, giving the password again, choosing a language.

use askama::Template;
use hyper::Method;
use hyper::header::SET_COOKIE;

use super::form::Form;
use super::interrupted::{self, back};
use super::visit::{redirect, show, show_refused};
use super::{Catalogue, Console, Frame, Refusal, Route, Visit, cookie, serve};
use crate::admin::api::Problem;
use crate::admin::session::Who;
use crate::admin::{audit, store};
use crate::auth::Standing;
use crate::auth::plain::prepare_password;
use crate::host::HostId;
use crate::http::{Peer, Response};
use crate::jid::localpart;

pub const SIGN_IN: &str = "/sign-in";
pub const CONFIRM: &str = "/confirm";

pub const ROUTES: &[Route] = &[
    Route::open(Method::GET, SIGN_IN, |visit| Box::pin(form(visit))),
    Route::open(Method::POST, SIGN_IN, |visit| Box::pin(sign_in(visit))),
    Route::open(Method::POST, "/language", |visit| Box::pin(language(visit))),
    Route::new(Method::POST, "/sign-out", |visit| Box::pin(sign_out(visit))),
    Route::new(Method::GET, CONFIRM, |visit| Box::pin(confirm_form(visit))),
    Route::new(Method::POST, CONFIRM, |visit| Box::pin(confirm(visit))),
];

const HOST: HostId = HostId::FIRST;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    page: Frame,
    form: Form,
    domain: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    page: Frame,
    form: Form,
    administrator: String,
    /// Where the reader goes who changes his mind.
    cancel: String,
}

/// Why a password is not taken.
enum Denied {
    Wrong,
    /// Wait so long before the next try.
    Locked(std::time::Duration),
    Problem(Problem),
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Denied {
        Denied::Problem(problem)
    }
}

fn sign_in_page(visit: &Visit, form: Form) -> SignIn {
    let domain = visit.console.api.about.domain.clone();
    SignIn { page: visit.frame("sign_in"), form, domain }
}

async fn form(visit: Visit) -> Result<Response, Refusal> {
    let target = back(visit.query.get("back"));
    if visit.session.is_some() {
        return redirect(target);
    }
    show(sign_in_page(&visit, Form::filled([("back", target.to_owned())])))
}

/// In the answer to a form, which the page keeps.
pub(super) fn ask(visit: &Visit, form: Form) -> Result<Response, Refusal> {
    show_refused(sign_in_page(visit, form))
}

async fn sign_in(visit: Visit) -> Result<Response, Refusal> {
    let (name, password) = (visit.form.get("name"), visit.form.get("password"));
    match visit.console.authenticate(name, password, visit.visitor.peer).await {
        Ok(who) => {
            visit
                .console
                .note(visit.console.actor(&who.name), "console.sign-in", &who.name)
                .await?;
            let (id, session) = visit.console.sessions.begin(who);
            let mut response = interrupted::come_back(&visit, &session)?;
            if let Some(cookie) = cookie::session(&id, visit.visitor.peer.secure) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(denied) => {
            let form = Form::sent(&visit.form).refuse_all(visit.explain(denied)?);
            show_refused(sign_in_page(&visit, form))
        }
    }
}

async fn sign_out(visit: Visit) -> Result<Response, Refusal> {
    let session = visit.session.as_ref().ok_or(Refusal::SignIn)?;
    let name = &session.who.name;
    visit.console.note(visit.console.actor(name), "console.sign-out", name).await?;
    visit.console.sessions.end(session);
    let mut response = redirect(SIGN_IN)?;
    if let Some(cookie) = cookie::session("", visit.visitor.peer.secure) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn confirm_page(visit: &Visit, form: Form) -> Result<Confirm, Refusal> {
    let session = visit.session.as_ref().ok_or(Refusal::SignIn)?;
    let administrator = session.who.name.clone();
    let asked = [form.value("act"), form.value("back")].into_iter().find(|path| !path.is_empty());
    let cancel = serve::above(back(asked.unwrap_or_default())).to_owned();
    Ok(Confirm { page: visit.frame("confirm"), form, administrator, cancel })
}

/// In the answer to a form, which the page keeps.
pub(super) fn ask_to_confirm(visit: &Visit, form: Form) -> Result<Response, Refusal> {
    show_refused(confirm_page(visit, form)?)
}

async fn confirm_form(visit: Visit) -> Result<Response, Refusal> {
    let target = back(visit.query.get("back")).to_owned();
    show(confirm_page(&visit, Form::filled([("back", target)]))?)
}

async fn confirm(visit: Visit) -> Result<Response, Refusal> {
    let session = visit.session.clone().ok_or(Refusal::SignIn)?;
    let password = visit.form.get("password");
    match visit.console.authenticate(&session.who.name, password, visit.visitor.peer).await {
        Ok(_) => {
            visit.console.sessions.confirm(&session);
            interrupted::go_on(visit, &session).await
        }
        Err(denied) => {
            let why = visit.explain(denied)?;
            show_refused(confirm_page(&visit, Form::sent(&visit.form).refuse("password", why))?)
        }
    }
}

async fn language(visit: Visit) -> Result<Response, Refusal> {
    let page = match &visit.session {
        Some(session) => interrupted::refill(&visit, session),
        None => back(visit.form.get("back")),
    };
    let mut response = redirect(page)?;
    let chosen = Catalogue::named(visit.form.get("language"));
    if let Some(cookie) = chosen.and_then(|chosen| cookie::language(chosen.code)) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

impl Visit {
    fn explain(&self, denied: Denied) -> Result<String, Problem> {
        match denied {
            Denied::Wrong => Ok(self.t("sign_in.wrong").into()),
            Denied::Locked(wait) => {
                let minutes = wait.as_secs().div_ceil(60);
                Ok(self.t("sign_in.locked").with("minutes", minutes).into())
            }
            Denied::Problem(problem) => Err(problem),
        }
    }
}

impl Console {
    /// Checks a name (with or without the domain) and a password. The answer does not tell whether
    /// the account exists or is no administrator's.
    async fn authenticate(&self, name: &str, password: &str, peer: Peer) -> Result<Who, Denied> {
        let domain = format!("@{}", self.api.about.domain);
        let name = name.trim();
        let name = name.strip_suffix(domain.as_str()).unwrap_or(name);
        let name = localpart(name).map_err(|_| Denied::Wrong)?.into_owned();
        self.check_lockout(&name, peer)?;
        let password = prepare_password(password).map_err(|_| Denied::Wrong)?;
        let accounts = &self.api.accounts;
        let standing = accounts.verify_password(HOST, &name, password).await;
        if let Standing::Active(account) = standing.map_err(Problem::from)? {
            let login = accounts.find(HOST, &name).await.map_err(Problem::from)?;
            let credentials = login.map(|login| login.credentials.clone()).unwrap_or_default();
            let who = Who { account, name: name.clone(), credentials };
            if self.is_administrator(&who).await? {
                self.addresses.succeeded(peer.address.ip());
                self.accounts.succeeded(name);
                return Ok(who);
            }
        }
        let from = peer.address.ip().to_canonical().to_string();
        tracing::warn!(%from, %name, "a sign-in to the console was refused");
        self.note(from, "console.sign-in-refused", &name).await?;
        Err(Denied::Wrong)
    }

    /// Counts a try as a failure until it has succeeded, so that many at once gain nothing.
    fn check_lockout(&self, name: &str, peer: Peer) -> Result<(), Denied> {
        let (address, now) = (peer.address.ip(), self.api.clock.boot());
        // Nobody elsewhere can lock an administrator out of the machine itself.
        let account = if peer.is_local() { None } else { self.accounts.wait(name, now) };
        if let Some(wait) = self.addresses.wait(address, now).max(account) {
            return Err(Denied::Locked(wait));
        }
        self.addresses.failed(address, now);
        self.accounts.failed(name, now);
        Ok(())
    }

    /// Whether the account is still the one that signed in, may sign in, and administers.
    pub(super) async fn is_administrator(&self, who: &Who) -> Result<bool, Problem> {
        let Some(login) = self.api.accounts.find(HOST, &who.name).await? else { return Ok(false) };
        let row = &login.row;
        let may = !row.is_locked(self.api.clock.now());
        if !may || row.id != who.account || login.credentials != who.credentials {
            return Ok(false);
        }
        let administrators = self.api.db.read(|tx| Box::pin(store::administrators(tx))).await?;
        Ok(administrators.contains(&who.account))
    }

    /// How the audit log names an administrator.
    pub(super) fn actor(&self, name: &str) -> String {
        format!("{name}@{}", self.api.about.domain)
    }

    async fn note(&self, actor: String, action: &'static str, target: &str) -> Result<(), Problem> {
        let (clock, target) = (self.api.clock.clone(), target.to_owned());
        let write = self.api.db.write(move |tx| {
            Box::pin(async move { audit::note(tx, &clock, &actor, action, &target).await })
        });
        Ok(write.await?)
    }
}

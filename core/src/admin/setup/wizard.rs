//! The wizard over HTTP: its own few routes, mounted before the server is set up and taken away
//! when it is. Nothing of it exists beside the console.

use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, SET_COOKIE};
use hyper::{Method, StatusCode};
use tokio::sync::{Mutex, watch};
use warp::path::FullPath;
use warp::{Filter, Reply};

use super::answers::Answers;
use super::door::{Door, Refused};
use super::guest::{Asked, Guest, domain, show_page, state};
use super::step::{Step, Steps};
use super::{Plan, SetupError, administrator, database, done, join, language, profile, server};
use crate::admin::pages::{
    Fields, Form, Frame, Refusal, Visitor, asset, cookie, harden, is_ours, redirect, show_as,
};
use crate::admin::route::segments;
use crate::admin::token::TokenHash;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Home, OpenPorts, Port, Ports};
use crate::http::{Allowance, Health, Peer, Response, Routes, is_canonical};
use crate::storage::BoxFuture;

/// Bytes of a form's body.
pub(super) const BODY: usize = 64 * 1024;
/// Where the wizard is mounted: its own pages, the way to them, and what they load.
const MOUNTS: [&str; 4] = ["/setup", "/", "/language", "/assets"];

/// Makes what was decided; the server's wiring implements it.
pub trait Builder: Send + Sync {
    /// Goes on when nobody waits for it any more. After `Ok` the home is set up.
    fn build(&self, config: Config, plan: Plan) -> BoxFuture<'static, Result<(), SetupError>>;
}

/// What the wizard works on.
pub struct Wizard {
    pub home: Home,
    pub clock: Clock,
    /// What opens it.
    pub token: TokenHash,
    /// The ports to propose.
    pub ports: Ports,
    /// The ports that the wizard itself has open.
    pub own: OpenPorts,
    /// This machine's own name.
    pub host: String,
    pub builder: Box<dyn Builder>,
    pub health: Arc<Health>,
    /// The ports of the start that follows.
    pub opened: watch::Receiver<Option<OpenPorts>>,
}

impl Wizard {
    /// Mounts it, with what an earlier run has learnt.
    pub fn mount(self, routes: &Routes) -> Result<(), ConfigError> {
        let answers = Mutex::new(Some(Answers::load(&self.home)?));
        let door = Door::new(self.token, self.clock.clone());
        let desk = Arc::new(Desk { wizard: self, door, answers });
        let filter = warp::method()
            .and(warp::path::full())
            .and(warp::query::<Vec<(String, String)>>())
            .and(warp::header::headers_cloned())
            .and(warp::ext::get::<Peer>())
            .and(warp::body::bytes())
            .then(move |method, path: FullPath, query, headers: HeaderMap, peer, body: Bytes| {
                let desk = desk.clone();
                let visitor = Visitor::of(&headers, peer);
                let (query, form) = (Fields::new(query), Fields::parse(&body));
                let path = path.as_str().to_owned();
                let asked = Asked { method, path, query, headers, form, visitor };
                async move { harden(desk.answer(asked).await) }
            });
        let filter = filter.boxed();
        for prefix in MOUNTS {
            routes.mount(prefix, Allowance::body(BODY), filter.clone());
        }
        Ok(())
    }

    /// Takes it away.
    pub fn unmount(routes: &Routes) {
        MOUNTS.iter().for_each(|prefix| routes.unmount(prefix));
    }
}

/// The wizard at work.
pub struct Desk {
    pub wizard: Wizard,
    door: Door,
    /// `None` once the home is set up: the wizard runs only once. One request works at a time.
    answers: Mutex<Option<Answers>>,
}

#[derive(Template)]
#[template(path = "setup/token.html")]
struct TokenPage {
    page: Frame,
    form: Form,
    file: String,
}

impl Desk {
    async fn answer(&self, asked: Asked) -> Response {
        let outcome = self.route(&asked).await;
        outcome.unwrap_or_else(|refusal| match refusal {
            Refusal::Problem(problem) => problem.into_response(),
            Refusal::SignIn | Refusal::Confirm => StatusCode::FORBIDDEN.into_response(),
        })
    }

    async fn route(&self, asked: &Asked) -> Result<Response, Refusal> {
        if let Some(response) = asset(&asked.path) {
            return Ok(response);
        }
        let is_post = asked.method == Method::POST;
        if is_post && !is_form(&asked.headers) {
            return Ok(StatusCode::FORBIDDEN.into_response());
        }
        let segments = segments(&asked.path);
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (is_post, path.as_slice()) {
            (false, []) => redirect("/setup"),
            (true, ["language"]) => choose_language(asked),
            (_, ["setup"]) => self.enter(asked).await,
            (_, ["setup", rest @ ..]) => self.page(asked, rest).await,
            _ => gone(),
        }
    }

    /// Takes the token, from the address that was printed or from the form.
    async fn enter(&self, asked: &Asked) -> Result<Response, Refusal> {
        let peer = asked.visitor.peer;
        let Some(token) = asked.form.find("token").or(asked.query.find("token")) else {
            return match self.door.csrf(&asked.headers, peer.secure) {
                Some(_) => self.go_on().await,
                None => self.ask_for_token(asked, None),
            };
        };
        match self.door.enter(token.trim(), peer.address.ip(), peer.secure) {
            Ok(cookie) => {
                let mut response = self.go_on().await?;
                response.headers_mut().append(SET_COOKIE, cookie);
                Ok(response)
            }
            Err(refused) => self.ask_for_token(asked, Some(refused)),
        }
    }

    fn ask_for_token(&self, asked: &Asked, refused: Option<Refused>) -> Result<Response, Refusal> {
        let page = Frame::new("setup_token", &asked.visitor, None, "/setup");
        let t = |key| asked.visitor.t(key);
        let (status, form) = match refused {
            None => (StatusCode::OK, Form::default()),
            Some(Refused::Wrong) => {
                let form = Form::default().refuse("token", t("setup_token.wrong"));
                (StatusCode::FORBIDDEN, form)
            }
            Some(Refused::Wait(wait)) => {
                let why = t("setup_token.wait").with("seconds", wait.as_secs() + 1);
                (StatusCode::TOO_MANY_REQUESTS, Form::default().refuse("token", why))
            }
        };
        let file = self.wizard.home.setup_token().display().to_string();
        show_as(status, TokenPage { page, form, file })
    }

    /// To where the wizard stands.
    async fn go_on(&self) -> Result<Response, Refusal> {
        match &*self.answers.lock().await {
            Some(answers) => redirect(&answers.current().path()),
            None => gone(),
        }
    }

    /// Everything that takes a session.
    async fn page(&self, asked: &Asked, rest: &[&str]) -> Result<Response, Refusal> {
        let Some(csrf) = self.door.csrf(&asked.headers, asked.visitor.peer.secure) else {
            return redirect("/setup");
        };
        let is_post = asked.method == Method::POST;
        if is_post && !Door::accepts(&csrf, asked.form.get("csrf")) {
            return Ok(StatusCode::FORBIDDEN.into_response());
        }
        let mut answers = self.answers.lock().await;
        let guest = Guest { asked, csrf };
        match (is_post, rest) {
            (_, _) if answers.is_none() => gone(),
            (false, ["server", "port"]) => {
                let (good, text) = server::port_state(self, &asked.visitor, &asked.query);
                state(if good { "good" } else { "bad" }, &text)
            }
            (true, ["administrator", "strength"]) => {
                let strength = administrator::strength(asked.form.get("password")).name();
                state(strength, &asked.visitor.t(&format!("setup_administrator.{strength}")))
            }
            (_, [name]) => match (Step::named(name), answers.as_mut()) {
                (Some(step), Some(open)) if !open.may_open(step) => {
                    redirect(&open.current().path())
                }
                (Some(step), Some(open)) if !is_post => {
                    let typed = open.typed(step).unwrap_or_else(|| self.proposed(step, asked));
                    let form = Form::sent(&typed);
                    show_page(&guest, open, step, form, None)
                }
                (Some(step), Some(_)) => self.take(&guest, &mut answers, step).await,
                _ => gone(),
            },
            _ => gone(),
        }
    }

    fn proposed(&self, step: Step, asked: &Asked) -> Fields {
        match step {
            Step::Language => language::proposed(&asked.visitor),
            Step::Server => server::proposed(&self.wizard.ports, &self.wizard.host),
            Step::Database => database::proposed(),
            Step::Profile => profile::proposed(),
            Step::Administrator => administrator::proposed(),
            Step::Join => Fields::default(),
        }
    }

    /// Takes what a form sends: keeps it, and goes on when it is right.
    async fn take(
        &self,
        guest: &Guest<'_>,
        state: &mut Option<Answers>,
        step: Step,
    ) -> Result<Response, Refusal> {
        let Some(answers) = state.as_mut() else { return gone() };
        let asked = guest.asked;
        let fields = match step {
            Step::Database => database::with_password(&asked.form, answers.typed(step).as_ref()),
            _ => asked.form.clone(),
        };
        answers.keep(step, &fields);
        self.save(answers)?;
        if asked.form.get("go") == "back" {
            return redirect(&answers.before(step).path());
        }
        match step {
            Step::Administrator | Step::Join => return self.build(guest, state, step).await,
            Step::Database => {
                match database::check(&self.wizard.home, &asked.visitor, &fields).await {
                    Ok(found) => answers.found_in_database(found),
                    Err(form) => {
                        answers.undo(step);
                        self.save(answers)?;
                        return show_page(guest, answers, step, form, None);
                    }
                }
            }
            _ => {
                if let Err(form) = self.check(asked, step, &fields) {
                    answers.undo(step);
                    self.save(answers)?;
                    return show_page(guest, answers, step, form, None);
                }
                answers.finish(step);
            }
        }
        self.save(answers)?;
        match (asked.form.get("go"), step) {
            ("test", Step::Database) => {
                let tested = match answers.found() {
                    Some(domain) => asked.visitor.t("setup_database.found").with("domain", domain),
                    None => asked.visitor.t("setup_database.works"),
                };
                show_page(guest, answers, step, Form::sent(&fields), Some(tested))
            }
            (_, Step::Language) => choose(fields.get("language"), &answers.after(step).path()),
            _ => redirect(&answers.after(step).path()),
        }
    }

    fn check(&self, asked: &Asked, step: Step, fields: &Fields) -> Result<(), Form> {
        match step {
            Step::Language => language::check(&asked.visitor, fields).map(drop),
            Step::Server => server::check(self, &asked.visitor, fields),
            _ => profile::check(&asked.visitor, fields),
        }
    }

    fn save(&self, answers: &Answers) -> Result<(), Refusal> {
        answers.save(&self.wizard.home).map_err(|error| {
            tracing::error!(%error, "the answers cannot be written down");
            let told = format!("the answers cannot be kept: {error}");
            Refusal::Problem(crate::admin::api::Problem::invalid(told))
        })
    }

    /// Makes the installation, or joins one, and shows how the start goes on.
    async fn build(
        &self,
        guest: &Guest<'_>,
        state: &mut Option<Answers>,
        step: Step,
    ) -> Result<Response, Refusal> {
        let Some(answers) = state.as_mut() else { return gone() };
        let (asked, visitor) = (guest.asked, &guest.asked.visitor);
        let config = match self.config(answers, visitor) {
            Ok(config) => config,
            Err(wrong) => {
                // Only who edits the file gets here.
                answers.undo(wrong);
                self.save(answers)?;
                return redirect(&wrong.path());
            }
        };
        let domain = domain(answers);
        let plan = match step {
            Step::Join => Ok(join::plan(&asked.form)),
            _ => administrator::check(visitor, &asked.form, domain.clone()),
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(form) => return show_page(guest, answers, step, form, None),
        };
        let names = done::Names {
            domain: answers.found().map_or(domain, str::to_owned),
            administrator: plan.administrator.clone(),
            host_name: config.listen.host_name.clone(),
            c2s: match config.ports.c2s {
                Port::Number(port) if port > 0 => Some(port),
                _ => None,
            },
            has_joined: step == Step::Join,
        };
        match self.wizard.builder.build(config, plan).await {
            Ok(()) => {
                let page = guest.frame(None);
                let steps = Steps::at(answers, None, &page);
                *state = None;
                let host = asked.headers.get(HOST).and_then(|host| host.to_str().ok());
                done::answer(done::Page { page, steps, names }, &self.wizard, visitor, host)
            }
            Err(SetupError::Taken(theirs)) => {
                // Another node was faster, or this one before it was restarted.
                answers.found_in_database(Some(theirs));
                self.save(answers)?;
                redirect(&Step::Join.path())
            }
            Err(error) => {
                let form = Form::sent(&asked.form);
                let form = match step {
                    Step::Join => join::refuse(form, visitor, &error),
                    _ => administrator::refuse(form, visitor, &error),
                };
                show_page(guest, answers, step, form, None)
            }
        }
    }

    /// The configuration that the answers mean, or the step that is wrong.
    fn config(&self, answers: &Answers, visitor: &Visitor) -> Result<Config, Step> {
        let mut config = Config::new(self.wizard.clock.random());
        let typed = |step| answers.typed(step).ok_or(step);
        match server::read(visitor, &typed(Step::Server)?, &mut config).is_refused() {
            true => Err(Step::Server),
            false => {
                let database = typed(Step::Database)?;
                config.database.url =
                    database::url(visitor, &database).map_err(|_| Step::Database)?;
                Ok(config)
            }
        }
    }
}

fn choose_language(asked: &Asked) -> Result<Response, Refusal> {
    let back = asked.form.get("back");
    choose(asked.form.get("language"), if is_canonical(back) { back } else { "/setup" })
}

fn choose(code: &str, back: &str) -> Result<Response, Refusal> {
    let mut response = redirect(back)?;
    let known = crate::admin::pages::Catalogue::named(code);
    if let Some(chosen) = known.and_then(|catalogue| cookie::language(catalogue.code)) {
        response.headers_mut().append(SET_COOKIE, chosen);
    }
    Ok(response)
}

/// Whether a form of our own pages was sent.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded") && is_ours(headers)
}

fn gone() -> Result<Response, Refusal> {
    Ok(not_found())
}

fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

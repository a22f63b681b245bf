//! The last page. It is sent in pieces, while the start goes on that it tells of: the connection by
//! which the last form came outlives the wizard, whatever becomes of its ports and certificate.

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::stream::once;
use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::http::uri::Authority;
use ring::digest::{SHA256, digest};
use tokio::sync::watch;
use warp::Reply;

use super::step::Steps;
use super::wizard::Wizard;
use crate::admin::api::Problem;
use crate::admin::pages::{Frame, Refusal, Visitor, asset_text as text};
use crate::config::OpenPorts;
use crate::http::{Health, Readiness, Response};

/// Where what comes later stands in the page.
const LATER: &str = "<!--later-->";

/// Who and what was set up.
pub struct Names {
    pub domain: String,
    pub administrator: String,
    /// This machine's own name; may be empty.
    pub host_name: String,
    /// The port for clients, when it is known before the start.
    pub c2s: Option<u16>,
    pub has_joined: bool,
}

impl Names {
    /// The host to which clients must be led by DNS, when it is not the domain.
    fn elsewhere(&self) -> Option<&str> {
        Some(self.host_name.as_str()).filter(|host| !host.is_empty() && *host != self.domain)
    }
}

#[derive(Template)]
#[template(path = "setup/done.html")]
pub struct Page {
    pub page: Frame,
    pub steps: Steps,
    pub names: Names,
}

impl Page {
    fn style() -> &'static str {
        text("hearth.css")
    }

    /// What the page may load: nothing but the style in it.
    fn policy() -> HeaderValue {
        let hash = STANDARD.encode(digest(&SHA256, Page::style().as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::try_from(policy).expect("base64 is visible")
    }
}

/// What the page says when the start is over.
#[derive(Template)]
#[template(path = "setup/started.html")]
struct Started {
    page: Frame,
    names: Names,
    /// Where the console is; `None`: nowhere that could be linked.
    console: Option<String>,
    outcome: Outcome,
}

/// How a start ended.
enum Outcome {
    Serving,
    /// Why the node stands by.
    Standby(String),
    Failed,
}

impl Outcome {
    fn is_serving(&self) -> bool {
        matches!(self, Outcome::Serving)
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Outcome::Standby(reason) => Some(reason),
            Outcome::Serving | Outcome::Failed => None,
        }
    }
}

/// The page, of which the second part comes when the server serves, stands by or has failed.
/// `host` is the header by which the browser named this server.
pub fn answer(
    page: Page,
    wizard: &Wizard,
    visitor: &Visitor,
    host: Option<&str>,
) -> Result<Response, Refusal> {
    let html = render(&page)?;
    let (before, after) = html.split_once(LATER).unwrap_or((&html, ""));
    let (before, after) = (before.to_owned(), after.to_owned());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    let host = host.map(|authority| authority.host().to_owned());
    let secure = visitor.peer.secure;
    let (health, opened) = (wizard.health.clone(), wizard.opened.clone());
    let Page { page, names, .. } = page;
    let later = async move {
        let (outcome, ports) = wait(health, opened).await;
        let console = host.and_then(|host| console(&host, secure, &ports));
        let started = Started { page, names, console, outcome };
        render(&started).map(|html| html + &after).unwrap_or(after)
    };
    let pieces = once(async move { before }).chain(once(later)).map(Ok::<_, Infallible>);
    let mut response = warp::reply::stream(pieces).into_response();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, Page::policy());
    Ok(response)
}

/// Until the start is over, one way or the other.
async fn wait(
    health: Arc<Health>,
    mut opened: watch::Receiver<Option<OpenPorts>>,
) -> (Outcome, OpenPorts) {
    let Ok(ports) = opened.wait_for(Option::is_some).await.map(|ports| ports.clone()) else {
        return (Outcome::Failed, OpenPorts::default());
    };
    let ports = ports.unwrap_or_default();
    let mut changes = health.watch();
    loop {
        let readiness = changes.borrow_and_update().clone();
        match readiness {
            Readiness::Serving | Readiness::Draining => return (Outcome::Serving, ports),
            Readiness::Standby(reason) => return (Outcome::Standby(reason), ports),
            Readiness::Stopping => return (Outcome::Failed, ports),
            Readiness::Starting | Readiness::SettingUp(_) => {}
        }
        if changes.changed().await.is_err() {
            return (Outcome::Failed, ports);
        }
    }
}

/// The console's address for a browser that came by `host`.
fn console(host: &str, secure: bool, ports: &OpenPorts) -> Option<String> {
    let encrypted = ports.console_tls.map(|port| format!("https://{host}:{port}/"));
    let plain = ports.console.map(|port| format!("http://{host}:{port}/"));
    if secure { encrypted.or(plain) } else { plain.or(encrypted) }
}

fn render(page: &impl Template) -> Result<String, Refusal> {
    page.render().map_err(|error| {
        tracing::error!(%error, "the last page cannot be rendered");
        Refusal::Problem(Problem::Internal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_linked_as_the_browser_came() {
        let both = OpenPorts { console: Some(1), console_tls: Some(2), ..OpenPorts::default() };
        let one = OpenPorts { console_tls: Some(2), ..OpenPorts::default() };
        let link = |secure, ports| console("[::1]", secure, ports);
        assert_eq!(link(false, &both).as_deref(), Some("http://[::1]:1/"));
        assert_eq!(link(true, &both).as_deref(), Some("https://[::1]:2/"));
        assert_eq!(link(false, &one).as_deref(), Some("https://[::1]:2/"));
        assert_eq!(link(true, &OpenPorts::default()), None);
    }

    #[tokio::test]
    async fn the_page_waits_until_the_server_serves_or_stands_by() {
        for (readiness, is_serving) in
            [(Readiness::Serving, true), (Readiness::Standby("why".to_owned()), false)]
        {
            let (health, opened) = (Health::starting(), watch::Sender::new(None));
            let waiting = tokio::spawn(wait(health.clone(), opened.subscribe()));
            opened.send_replace(Some(OpenPorts { console: Some(9), ..OpenPorts::default() }));
            health.set(readiness);
            let (outcome, ports) = waiting.await.expect("no panic");
            assert_eq!((outcome.is_serving(), ports.console), (is_serving, Some(9)));
        }
    }

    #[tokio::test]
    async fn a_start_that_fails_is_told() {
        let (health, opened) = (Health::starting(), watch::Sender::new(None));
        let waiting = wait(health, opened.subscribe());
        drop(opened);
        assert!(matches!(waiting.await.0, Outcome::Failed));
    }
}

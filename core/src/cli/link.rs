//! The way from a command to the server's data: the API of the running server, or, when none runs on
//! this home, the same API within this process.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::client::Client;
use super::{CliError, Exit, Global};
use crate::admin;
use crate::admin::api::{Answer, Api, Asked, Problem};
use crate::clock::Random;
use crate::config::{Config, Environment, Home, OpenPorts};
use crate::http::Health;
pub use crate::http::encode_segment as segment;
use crate::server::{Foundation, Routing};
use crate::shutdown::Tracker;
use crate::telemetry::Counter;

/// Who performs the calls of a command.
pub enum Link {
    Running(Client),
    Direct(Arc<Api>),
}

impl Global {
    /// The way to the data of this home.
    pub(super) async fn link(&self) -> Result<Link, CliError> {
        let home = self.home();
        if let Some(client) = self.running(&home).await {
            return Ok(Link::Running(client));
        }
        if !home.config().exists() {
            let (what, remedy) =
                ("this home is not set up", "run `hearth setup`, or name another by --home");
            return Err(CliError::new(Exit::Configuration, what, home.path().display(), remedy));
        }
        // A server that holds the home has no console port, or not yet.
        drop(home.lock()?);
        let config = Config::load(&home, &Environment::read()?, &Random::system())?;
        let foundation = Foundation::open(home, config).await?;
        let domain = foundation.domain().await?;
        let routing = Routing::build(&foundation, &domain);
        let api = foundation.api(domain, Health::starting(), &routing);
        Ok(Link::Direct(Arc::new(api)))
    }

    /// The running server, if one accepts connections.
    async fn running(&self, home: &Home) -> Option<Client> {
        let port = OpenPorts::read(&home.ports()).ok()?.console?;
        let local = || std::fs::read_to_string(admin::local_token_file(home)).ok();
        // An unreadable file is another user's: the server will ask for a token.
        let token = self.token.clone().or_else(local).unwrap_or_default();
        let tracker = Tracker::new(Arc::new(Counter::new()));
        Client::connect(port, token.trim().to_owned(), tracker).await
    }
}

impl Link {
    /// Performs a call that must succeed. `path` is below `/api/v1`.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CliError> {
        let (status, value) = self.answer(&method, path, body).await?;
        match status.is_success() {
            true => Ok(value),
            false => Err(refused(status, &value, path)),
        }
    }

    /// Performs a call, and returns its answer whatever it is.
    pub async fn answer(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), CliError> {
        match self {
            Link::Running(client) => client.call(method, path, body).await,
            Link::Direct(api) => Ok(direct(api, method, path, body).await),
        }
    }

    /// Calls `each` for every item of a paged list.
    pub async fn every(
        &self,
        path: &str,
        mut each: impl FnMut(&Value) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut after = String::new();
        let more = if path.contains('?') { '&' } else { '?' };
        loop {
            let asked = format!("{path}{more}limit=1000{after}");
            let page = self.call(Method::GET, &asked, None).await?;
            for item in page["items"].as_array().into_iter().flatten() {
                each(item)?;
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", segment(next)),
                None => return Ok(()),
            }
        }
    }
}

async fn direct(
    api: &Arc<Api>,
    method: &Method,
    path: &str,
    body: Option<&Value>,
) -> (StatusCode, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let asked = Asked {
        method: method.clone(),
        segments: path.split('/').filter(|part| !part.is_empty()).map(decode).collect(),
        query: pairs.map(|(name, value)| (decode(name), decode(value))).collect(),
        body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
    };
    match api.perform("command line".to_owned(), asked).await {
        Ok(Answer { status, body }) => (status, body.unwrap_or_default()),
        Err(problem) => (problem.status(), problem.to_json()),
    }
}

/// A refusal as one line.
fn refused(status: StatusCode, problem: &Value, path: &str) -> CliError {
    let what = problem["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    let (exit, remedy) = match status {
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => {
            (Exit::Api, "give a token by --token or HEARTH_TOKEN")
        }
        StatusCode::NOT_FOUND => (Exit::Failure, "check the name"),
        StatusCode::CONFLICT => (Exit::Failure, "choose another name"),
        StatusCode::BAD_REQUEST => (Exit::Failure, "correct it and try again"),
        StatusCode::SERVICE_UNAVAILABLE => (Exit::Failure, "try again later"),
        _ => (Exit::Failure, "see the log of the server"),
    };
    CliError::new(exit, what, percent_decode_str(path).decode_utf8_lossy(), remedy)
}

/// A call that the server asks to repeat later.
pub fn is_busy(status: StatusCode) -> bool {
    status == Problem::Unavailable(String::new()).status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling_in_a_path() {
        for name in ["romeo", "rom éo", "a/b;c%d", "o'neil", "x&y", "..x"] {
            let path = format!("/users/{}", segment(name));
            assert!(!segment(name).contains('/'), "{path}");
            let canonical = crate::http::is_canonical(&path);
            assert_eq!(canonical, !name.contains(['/', ';', '%']), "{path}");
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_detail() {
        let problem = serde_json::json!({ "detail": "there is no user `romeo`" });
        let error = refused(StatusCode::NOT_FOUND, &problem, "/users/rom%C3%A9o");
        assert_eq!(
            error.to_string(),
            "hearth: there is no user `romeo` (/users/roméo): check the name"
        );
        assert_eq!(refused(StatusCode::UNAUTHORIZED, &problem, "/users").exit, Exit::Api);
    }
}

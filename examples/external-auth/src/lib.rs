//! A source of credentials: a web service is asked whether a password is right.
//!
//! The service gets `{"user": …, "password": …}` by POST and answers 200 (it is), 401 or 403 (it is not)
//! or 404 (it does not know the user).

use std::sync::Arc;

use hearth_plugin_api::{
    Auth, Capability, Error, Host, HttpRequest, Manifest, Plugin, Property, Registrar, Result,
    Source, Verified, export_plugin, json, manifest,
};

struct ExternalAuth {
    host: Host,
}

impl Plugin for ExternalAuth {
    fn manifest() -> Manifest {
        let asks = [Capability::Auth, Capability::HttpClient];
        manifest!().name("External authentication").asks_for(&asks)
    }

    fn create(host: Host) -> Result<ExternalAuth> {
        Ok(ExternalAuth { host })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.property(Property::text(
            "url",
            "",
            "Address of the service; empty: nobody is asked.",
        ))?;
        registrar.property(Property::secret("token", "Sent to the service as a bearer token."))?;
        // Behind the server's own accounts: the administrator can sign in whatever the service does.
        registrar.auth(Source::new("external"), self)
    }
}

impl Auth for ExternalAuth {
    async fn verify(&self, user: &str, password: &str) -> Result<Verified> {
        let url = self.host.property("url")?;
        if url.is_empty() {
            return Ok(Verified::Unknown);
        }
        let question = json::json!({ "user": user, "password": password });
        let mut request = HttpRequest::post_json(&url, &question);
        let token = self.host.property("token")?;
        if !token.is_empty() {
            request = request.header("authorization", &format!("Bearer {token}"));
        }
        request.timeout_ms = 5_000;
        let status = self.host.fetch(request).await?.status;
        match status {
            200 => Ok(Verified::Accepted),
            401 | 403 => Ok(Verified::Refused),
            404 => Ok(Verified::Unknown),
            // Neither right nor wrong: the sign-in is to be tried again.
            _ => Err(Error::unavailable(format!("the service at {url} answered {status}"))),
        }
    }
}

export_plugin!(ExternalAuth);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hearth_plugin_api::testing::{FakeHost, Fixture};
    use hearth_plugin_api::{ErrorKind, HttpResponse};

    use super::*;

    fn service(request: HttpRequest) -> Result<HttpResponse> {
        let json: json::Value = json::from_slice(&request.body)?;
        let status = match (json["user"].as_str(), json["password"].as_str()) {
            (Some("juliet"), Some("right")) => 200,
            (Some("juliet"), _) => 401,
            (Some("broken"), _) => 500,
            _ => 404,
        };
        assert!(request.headers.contains(&("authorization".into(), "Bearer t".into())));
        Ok(HttpResponse::new(status, "text/plain", ""))
    }

    #[test]
    fn the_service_decides() {
        let fixture = Fixture::default().property("url", "http://auth/").property("token", "t");
        let server = FakeHost::start_with::<ExternalAuth>(fixture.fetch(service)).unwrap();
        assert_eq!(server.verify("juliet", "right"), Ok(Verified::Accepted));
        assert_eq!(server.verify("juliet", "wrong"), Ok(Verified::Refused));
        assert_eq!(server.verify("nobody", "x"), Ok(Verified::Unknown));
        assert_eq!(server.verify("broken", "x").unwrap_err().kind, ErrorKind::Unavailable);
    }

    #[test]
    fn without_a_service_nobody_is_asked() {
        let server = FakeHost::start::<ExternalAuth>().unwrap();
        assert_eq!(server.verify("juliet", "right"), Ok(Verified::Unknown));
    }
}

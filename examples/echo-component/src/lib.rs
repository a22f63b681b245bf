//! A sub-domain, `echo.<domain>`: messages come back, and a request tells how many somebody has sent.

mod store;

use std::sync::Arc;

use hearth_plugin_api::xml::Element;
use hearth_plugin_api::{
    Capability, ComponentSpec, Host, Kind, Manifest, Plugin, Registrar, Result, Stanza,
    export_plugin, manifest,
};

const COUNT: &str = "urn:example:echo:count";

struct Echo {
    host: Host,
}

impl Plugin for Echo {
    fn manifest() -> Manifest {
        let asks = [Capability::Components, Capability::Tables];
        manifest!().name("Echo component").asks_for(&asks)
    }

    fn create(host: Host) -> Result<Echo> {
        Ok(Echo { host })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.migrations(store::migrations())?;
        registrar.component(ComponentSpec::new("echo", "Echo"), self, Echo::stanza)
    }
}

impl Echo {
    async fn stanza(self: Arc<Self>, stanza: Stanza) -> Result<Vec<Stanza>> {
        Ok(match stanza.kind {
            Kind::Message => self.message(&stanza).await?.into_iter().collect(),
            Kind::Iq if stanza.is_request() => vec![self.request(&stanza).await?],
            // Answers to nothing that was asked, and presence.
            _ => Vec::new(),
        })
    }

    async fn message(&self, message: &Stanza) -> Result<Option<Stanza>> {
        // An error is never answered (RFC 6120 §8.3.1).
        let is_error = message.type_.as_deref() == Some("error");
        let (Some(body), Some(sender), false) = (message.text("body"), bare(message), is_error)
        else {
            return Ok(None);
        };
        store::count(&self.host, sender).await?;
        let (to, from) = (message.from.clone(), message.to.clone());
        let back = Stanza { to, from, ..Stanza::default() };
        let back = Stanza { type_: message.type_.clone(), id: message.id.clone(), ..back };
        Ok(Some(back.body(&body)))
    }

    async fn request(&self, iq: &Stanza) -> Result<Stanza> {
        if iq.child("count", COUNT).is_none() {
            return Ok(iq.error("service-unavailable", ""));
        }
        let messages = store::messages(&self.host, bare(iq).unwrap_or_default()).await?;
        let count = Element::new("count", COUNT).with_text(&messages.to_string());
        Ok(iq.result().with(&count))
    }
}

fn bare(stanza: &Stanza) -> Option<&str> {
    stanza.from.as_deref()?.split('/').next()
}

export_plugin!(Echo);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hearth_plugin_api::testing::FakeHost;

    use super::*;

    #[test]
    fn messages_come_back_and_are_counted() {
        let server = FakeHost::start::<Echo>().unwrap();
        let hello = Stanza::message("echo.example.org").from("a@b/c").body("hello");
        for _ in 0..2 {
            let back = server.component(&hello).unwrap();
            assert_eq!(back, [Stanza::message("a@b/c").from("echo.example.org").body("hello")]);
        }
        let ask = Stanza::iq("get", "echo.example.org").from("a@b/d");
        let answer = server.component(&ask.clone().with(&Element::new("count", COUNT))).unwrap();
        assert_eq!(answer[0].child("count", COUNT).unwrap().text(), "2");
        let other = server.component(&ask.with(&Element::new("other", "urn:x"))).unwrap();
        assert_eq!(other[0].type_.as_deref(), Some("error"));
        let returned = Stanza::message("a@b/c").from("echo.example.org").error("gone", "");
        assert_eq!(server.component(&returned.body("hello")), Ok(Vec::new()));
    }
}

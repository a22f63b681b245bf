//! A stanza step: words that an administrator does not want are masked, or the message is refused.

use std::sync::{Arc, PoisonError, RwLock};

use hearth_plugin_api::{
    Capability, Event, Host, Kind, Manifest, PassageView, Phase, Plugin, Property, Registrar,
    Result, StanzaView, StepSpec, Verdict, export_plugin, manifest,
};

struct Filter {
    host: Host,
    words: RwLock<Vec<String>>,
}

impl Plugin for Filter {
    fn manifest() -> Manifest {
        manifest!().name("Stanza filter").asks_for(&[Capability::Steps, Capability::Events])
    }

    fn create(host: Host) -> Result<Filter> {
        Ok(Filter { host, words: RwLock::default() })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.property(Property::lines("words", "", "One unwanted word per line."))?;
        let actions = ["mask", "refuse"];
        registrar.property(Property::choice("action", &actions, "mask", "What is done."))?;
        registrar.events(&["property.changed"], self, Filter::changed)?;
        // The content namespace: messages without a child there, such as a body, are of no interest.
        let bodies = StepSpec::new("words", Phase::Sent).kinds(&[Kind::Message]).namespaces(&[""]);
        registrar.step(bodies.fail_closed(), self, Filter::check)
    }

    async fn start(self: Arc<Self>) -> Result<()> {
        self.read_words()
    }
}

impl Filter {
    fn read_words(&self) -> Result<()> {
        let words = self.host.property("words")?;
        let words = words.lines().map(|word| word.trim().to_lowercase());
        let words = words.filter(|word| !word.is_empty()).collect();
        *self.words.write().unwrap_or_else(PoisonError::into_inner) = words;
        Ok(())
    }

    async fn changed(self: Arc<Self>, _: Event) -> Result<()> {
        self.read_words()
    }

    fn check(&self, _: PassageView<'_>, stanza: StanzaView<'_>) -> Result<Verdict> {
        let words = self.words.read().unwrap_or_else(PoisonError::into_inner);
        let Some(body) = stanza.text("body").filter(|_| !words.is_empty()) else {
            return Ok(Verdict::Pass);
        };
        let masked = mask(&body, &words);
        if masked == body {
            return Ok(Verdict::Pass);
        }
        self.host.count("filtered", &[], 1);
        if self.host.property("action")? == "refuse" {
            return Ok(Verdict::bounce("policy-violation", "An unwanted word."));
        }
        let mut stanza = stanza.to_owned();
        stanza.set_text("body", &masked)?;
        Ok(Verdict::replace(stanza))
    }
}

/// Stars in place of each unwanted word; other text stays as it is.
fn mask(text: &str, words: &[String]) -> String {
    let is_letter = |c: char| c.is_alphanumeric();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = match is_letter(c) {
            true => rest.find(|c| !is_letter(c)).unwrap_or(rest.len()),
            false => c.len_utf8(),
        };
        let (piece, after) = rest.split_at(end);
        match words.contains(&piece.to_lowercase()) {
            true => out.extend(piece.chars().map(|_| '*')),
            false => out.push_str(piece),
        }
        rest = after;
    }
    out
}

export_plugin!(Filter);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hearth_plugin_api::Stanza;
    use hearth_plugin_api::testing::FakeHost;

    use super::*;

    fn sent(server: &FakeHost, body: &str) -> Verdict {
        server.step(Phase::Sent, "a@example.org", &Stanza::message("b@c").body(body)).unwrap()
    }

    #[test]
    fn words_are_masked_or_refused() {
        let server = FakeHost::start::<Filter>().unwrap();
        assert_eq!(sent(&server, "oh bother"), Verdict::Pass);
        server.set_property("words", "Bother\n\nheck").unwrap();
        let masked = Stanza::message("b@c").body("oh ******, botherer!");
        assert_eq!(sent(&server, "oh BOTHER, botherer!"), Verdict::replace(masked));
        server.set_property("action", "refuse").unwrap();
        assert!(matches!(sent(&server, "heck"), Verdict::Bounce { .. }));
        assert_eq!(server.metric("filtered"), 2.0);
    }
}

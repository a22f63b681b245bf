//! Refuses, masks or counts messages by words and regular expressions. README.md says what it does.

mod commands;
mod notices;
mod page;
mod pattern;
mod rules;
mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod text;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hearth_plugin_api::xml::{Element, Node};
use hearth_plugin_api::{
    Capability, Host, Kind, Manifest, Page, PassageView, Phase, Plugin, Property, Registrar,
    Result, StanzaView, StepSpec, Timer, Verdict, export_plugin, manifest,
};

use notices::Notices;
use pattern::{Direction, Part};
use rules::{Judgement, Rules, Sample, Text};

/// XEP-0071: a body once more, with markup.
const XHTML_IM: &str = "http://jabber.org/protocol/xhtml-im";

/// How often figures are kept, and changes of other nodes are looked for.
const PERIOD: Duration = Duration::from_secs(10);

struct Filter {
    host: Host,
    rules: RwLock<Arc<Rules>>,
    notices: Notices,
}

impl Plugin for Filter {
    fn manifest() -> Manifest {
        let asks = [
            Capability::Steps,
            Capability::Tables,
            Capability::Route,
            Capability::Console,
            Capability::Commands,
        ];
        manifest!().name("Content filter").readme(include_str!("../README.md")).asks_for(&asks)
    }

    fn create(host: Host) -> Result<Filter> {
        Ok(Filter { host, rules: RwLock::default(), notices: Notices::default() })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.migrations(store::migrations())?;
        registrar.property(Property::lines(
            notices::ADMINISTRATORS,
            "",
            "Addresses, one per line, that get a message when a pattern says so.",
        ))?;
        // Only messages with a child in the content namespace, such as a body. Closed: what is
        // forbidden does not pass because the filter has failed.
        let messages = |name, phase| {
            StepSpec::new(name, phase).kinds(&[Kind::Message]).namespaces(&[""]).fail_closed()
        };
        registrar.step(messages("sent", Phase::Sent), self, Filter::sent)?;
        registrar.step(messages("received", Phase::ToAccount), self, Filter::received)?;
        registrar.timer(Timer::every("refresh", PERIOD), self, Filter::refresh)?;
        let page = Page::new("patterns", "Content filter").translated("de", "Inhaltsfilter");
        registrar.page(page, self, Filter::page)?;
        commands::register(registrar, self)
    }

    async fn start(self: Arc<Self>) -> Result<()> {
        self.compile().await
    }

    async fn stop(self: Arc<Self>, _: Duration) -> Result<()> {
        self.keep_counts().await
    }
}

impl Filter {
    fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(self: Arc<Self>) -> Result<()> {
        self.compile().await
    }

    /// Takes over what is in the table, if it has changed. Figures of the old rules are kept first.
    async fn compile(&self) -> Result<()> {
        self.keep_counts().await?;
        let kept = store::all(&self.host).await?;
        let patterns: Vec<_> = kept.into_iter().map(|kept| kept.pattern).collect();
        if !self.rules().are(&patterns) {
            let rules = Arc::new(Rules::compile(patterns)?);
            *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        }
        Ok(())
    }

    async fn keep_counts(&self) -> Result<()> {
        let counts = self.rules().take_counts();
        if counts.is_empty() {
            return Ok(());
        }
        store::count(&self.host, &counts, self.host.now_ms()).await
    }

    fn sent(&self, passage: PassageView<'_>, stanza: StanzaView<'_>) -> Result<Verdict> {
        self.check(Sample { sender: passage.account(), direction: Direction::Sent }, stanza)
    }

    /// What users of this server send each other has been seen when it was sent.
    fn received(&self, _: PassageView<'_>, stanza: StanzaView<'_>) -> Result<Verdict> {
        let sender = stanza.from().and_then(|from| from.split('/').next()).unwrap_or_default();
        let domain = sender.rsplit('@').next().unwrap_or_default();
        if domain == self.host.info().domain {
            return Ok(Verdict::Pass);
        }
        let verdict = self.check(Sample { sender, direction: Direction::Received }, stanza)?;
        // An error from an occupant would make the room expel him (XEP-0045 §7.14).
        Ok(match verdict {
            Verdict::Bounce { .. } if stanza.type_() == Some("groupchat") => Verdict::Drop,
            verdict => verdict,
        })
    }

    fn check(&self, sample: Sample<'_>, stanza: StanzaView<'_>) -> Result<Verdict> {
        let rules = self.rules();
        if rules.is_empty() || stanza.type_() == Some("error") {
            return Ok(Verdict::Pass);
        }
        let children = Element::parse_all(stanza.children())?;
        let texts: Vec<Text> = children.iter().filter_map(text_of).collect();
        let judgement = rules.judge(sample, &texts);
        if judgement.matched.is_empty() {
            return Ok(Verdict::Pass);
        }
        rules.count(&judgement);
        self.host.count("matches", &[], judgement.matched.len() as u64);
        self.notices.tell(&self.host, sample.sender, stanza.to(), &judgement)?;
        Ok(verdict(&judgement, stanza, children))
    }
}

/// Messages can have a body per language: all of them are looked at, and the one with markup too.
fn text_of(child: &Element) -> Option<Text> {
    let part = match (child.name.as_str(), child.namespace.as_str()) {
        ("body", "") | ("html", XHTML_IM) => Part::Body,
        ("subject", "") => Part::Subject,
        _ => return None,
    };
    let mut text = String::new();
    gather(child, &mut text);
    Some(Text { part, text })
}

fn gather(element: &Element, out: &mut String) {
    for node in &element.nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Element(child) => gather(child, out),
        }
    }
}

fn verdict(
    judgement: &Judgement<'_>,
    stanza: StanzaView<'_>,
    mut children: Vec<Element>,
) -> Verdict {
    if let Some(pattern) = judgement.refused_by {
        return Verdict::bounce("policy-violation", &pattern.reply);
    }
    let Some(masked) = &judgement.masked else { return Verdict::Pass };
    let parts = children.iter_mut().filter(|child| text_of(child).is_some());
    for (child, text) in parts.zip(masked) {
        child.set_text(&text.text);
    }
    // Its markup cannot be masked; clients show the body instead.
    children.retain(|child| !child.is("html", XHTML_IM));
    let mut stanza = stanza.to_owned();
    stanza.children = children.iter().map(Element::to_string).collect();
    Verdict::replace(stanza)
}

export_plugin!(Filter);

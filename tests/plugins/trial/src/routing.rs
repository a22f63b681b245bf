//! Stanzas: phases beyond the first, a component, service discovery, requests of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hearth_plugin_api::xml::Element;
use hearth_plugin_api::{
    CommandCall, ComponentSpec, Identity, Kind, Offer, PassageView, Phase, Registrar, Result,
    Stanza, StanzaView, StepSpec, Timer, Verdict, json,
};

use crate::{Trial, wish};

pub fn register(trial: &Arc<Trial>, registrar: &Registrar<'_>) -> Result<()> {
    for (name, phase) in [("account", Phase::ToAccount), ("session", Phase::ToSession)] {
        let namespace = format!("urn:{}:{name}", wish(2));
        let kinds = [Kind::Presence, Kind::Iq];
        let spec = StepSpec::new(name, phase).kinds(&kinds).namespaces(&[&namespace]);
        registrar.step(spec, trial, judge)?;
    }
    let pushes = StepSpec::new("pushes", Phase::ToSession).kinds(&[Kind::Iq]);
    registrar.step(pushes.namespaces(&["jabber:iq:roster"]), trial, judge)?;
    let id = wish(2);
    registrar.component(ComponentSpec::new(&id, "Trial"), trial, echo)?;
    registrar.feature(&format!("urn:{id}:feature"))?;
    let (var, of) = (format!("urn:{id}:inside"), Some(id.clone()));
    registrar.offer(&Offer::Feature { var, of })?;
    let [category, type_, name] = ["gateway", "trial", "Gate"].map(str::to_owned);
    registrar.identity(Identity { category, type_, name, of: None })?;
    let once = Timer::every("once", Duration::from_millis(100)).once_in_cluster();
    registrar.timer(once, trial, |trial: Arc<Trial>| async move {
        trial.turns.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
}

/// Does what the stanza asks for.
fn judge(_: &Trial, _: PassageView<'_>, stanza: StanzaView<'_>) -> Result<Verdict> {
    let wants = |word: &str| stanza.children().contains(word);
    Ok(match () {
        () if wants("drop-me") => Verdict::Drop,
        () if wants("bounce-me") => Verdict::bounce("not-acceptable", "as you wish"),
        () => Verdict::Pass,
    })
}

/// Sends messages back.
async fn echo(_: Arc<Trial>, stanza: Stanza) -> Result<Vec<Stanza>> {
    let Some(body) = stanza.text("body").filter(|_| stanza.kind == Kind::Message) else {
        return Ok(Vec::new());
    };
    let back = Stanza::message(stanza.from.as_deref().unwrap_or_default());
    let from = stanza.to.as_deref().unwrap_or_default();
    Ok(vec![back.of_type("chat").from(from).body(&body)])
}

/// Asks `to` for its software version and tells the type of the answer.
pub async fn ask(trial: Arc<Trial>, call: CommandCall) -> Result<json::Value> {
    let query = Element::new("query", "jabber:iq:version");
    let mut question = Stanza::iq("get", call.text("to")?).with(&query);
    if let Ok(from) = call.text("from") {
        question = question.from(from);
    }
    let patience = Duration::from_millis(call.arguments["patience_ms"].as_u64().unwrap_or(10_000));
    let answer = trial.host.iq(question, patience).await?;
    Ok(json::json!({ "type": answer.type_, "from": answer.from }))
}

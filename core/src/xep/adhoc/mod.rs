//! XEP-0050: Ad-Hoc Commands, for those who administer the server. Each has one stage: a form that asks
//! for the arguments, and the answer.

mod arguments;
mod dialogue;
mod fault;

use std::sync::Arc;

use serde_json::Value;

pub use dialogue::Dialogues;
use dialogue::{Action, Dialogue, Step};
use fault::Fault;

use super::kit::forms::{self, Field, Type, Values};
use super::{Iq, Question, Reply, Services, Xep, answer_later};
use crate::ns;
use crate::router::{Out, Target};
use crate::services::commands::{Call, Command, CommandError, Commands};
use crate::session::Shared;
use crate::stanza::{Stanza, StanzaError};
use crate::xml::Element;

pub static XEP: Xep = Xep {
    number: 50,
    name: "Ad-Hoc Commands",
    version: "1.3.0",
    features: &[ns::COMMANDS],
    iqs: &[Iq { namespace: ns::COMMANDS, targets: &[Target::Server], handle: command }],
};

/// A request about a command.
struct Asked {
    node: String,
    action: Action,
    session_id: Option<String>,
    /// `None`: what came with it is no form that was filled in.
    values: Option<Values>,
}

impl Asked {
    fn read(question: &Question<'_>) -> Result<Asked, Fault> {
        let command = question.payload;
        let node = command.attr("node").filter(|_| !question.is_get() && command.name == "command");
        let node = node.ok_or(Fault::NotACommand)?.to_owned();
        let action = Action::parse(command.attr("action"))?;
        let session_id = command.attr("sessionid").map(str::to_owned);
        let form = command.child("x", ns::DATA_FORMS);
        // A form without fields may be left away.
        let values = form.map_or(Some(Values::new()), forms::submitted);
        Ok(Asked { node, action, session_id, values })
    }
}

fn command(services: &Arc<Services>, question: &Question<'_>, out: &mut Out) -> Reply {
    // Nobody from another domain administers this one.
    let Some(session) = question.request.session.clone() else { return Fault::Forbidden.into() };
    let asked = match Asked::read(question) {
        Ok(asked) => asked,
        Err(fault) => return fault.into(),
    };
    let (services, request) = (services.clone(), question.request.stanza.clone());
    answer_later(&question.request.stanza, out, async move {
        step(&services, &session, asked, request).await.unwrap_or_else(Reply::from)
    })
}

async fn step(
    services: &Arc<Services>,
    session: &Arc<Shared>,
    asked: Asked,
    request: Stanza,
) -> Result<Reply, Fault> {
    if !services.is_administrator(Some(session)).await? {
        return Err(Fault::Forbidden);
    }
    let commands = services.commands.upgrade().ok_or(Fault::Unknown)?;
    let found = commands.list().into_iter().find(|command| command.node == asked.node);
    let command = found.ok_or(Fault::Unknown)?;
    let (now, session_id) = (services.clock.boot(), asked.session_id.as_deref());
    let id = || services.clock.random().token();
    let wanted = (&*asked.node, asked.action, session_id);
    match services.dialogues.step(session, wanted, now, id)? {
        Step::Show(id) => Ok(Reply::Result(form(&command, &id))),
        Step::End => {
            let id = session_id.unwrap_or_default();
            Ok(Reply::Result(status(&command, id, "canceled")))
        }
        Step::Run(dialogue) => {
            let actor = session.jid.bare_str().to_owned();
            match arguments(&command, asked.values) {
                Ok(arguments) => {
                    let call = Call { node: asked.node, arguments, actor };
                    run(services, commands, (command, call, dialogue), request);
                    Ok(Reply::Later)
                }
                Err(why) => {
                    services.dialogues.put_back(dialogue);
                    Err(Fault::BadPayload(why))
                }
            }
        }
    }
}

fn arguments(command: &Command, values: Option<Values>) -> Result<Value, String> {
    let values = values.ok_or("fill in the form, and submit it")?;
    arguments::read(&command.arguments, &values)
}

/// The answer comes when it comes: the client's other stanzas do not wait for it.
fn run(
    services: &Arc<Services>,
    commands: Arc<dyn Commands>,
    (command, call, dialogue): (Command, Call, Dialogue),
    request: Stanza,
) {
    let services = services.clone();
    let told = move |outcome| {
        let answer = match outcome {
            Ok(value) => Ok(completed(&command, &dialogue.id, &value)),
            Err(CommandError::Failed(why)) => Ok(failed(&command, &dialogue.id, &why)),
            Err(CommandError::Unknown) => Err(Fault::Unknown),
            Err(CommandError::Arguments(why)) => {
                services.dialogues.put_back(dialogue);
                Err(Fault::BadPayload(why))
            }
        };
        match answer {
            Ok(command) => request.result().with_child(&command),
            Err(fault) => request.error(&fault.into()).unwrap_or_else(|| request.result()),
        }
    };
    commands.run(call, Box::new(told));
}

/// §3.4: the one thing to do next is to complete it.
fn form(command: &Command, id: &str) -> Element {
    let actions = Element::new("actions", ns::COMMANDS).with_attr("execute", "complete");
    let fields = arguments::fields(&command.arguments);
    status(command, id, "executing")
        .with_child(actions.with_child(Element::new("complete", ns::COMMANDS)))
        .with_child(forms::form(&command.title, &command.description, &fields))
}

fn completed(command: &Command, id: &str, value: &Value) -> Element {
    let (values, are_all) = arguments::shown(arguments::lines(value));
    let note = match (are_all, values.is_empty()) {
        (false, _) => {
            Some(note("warn", "There is more: `hearth plugin run` and the API tell all."))
        }
        (true, true) => Some(note("info", "Done.")),
        (true, false) => None,
    };
    let answer = (!values.is_empty()).then(|| {
        let answer = Field { values, ..Field::new("answer", Type::TextMulti) };
        forms::result(&command.title, &[answer])
    });
    status(command, id, "completed").with_children(answer).with_children(note)
}

fn failed(command: &Command, id: &str, why: &str) -> Element {
    status(command, id, "completed").with_child(note("error", why))
}

fn status(command: &Command, id: &str, status: &str) -> Element {
    Element::new("command", ns::COMMANDS)
        .with_attr("node", &command.node)
        .with_attr("sessionid", id)
        .with_attr("status", status)
}

fn note(type_: &str, text: &str) -> Element {
    Element::new("note", ns::COMMANDS).with_attr("type", type_).with_text(text)
}

impl From<Fault> for Reply {
    fn from(fault: Fault) -> Reply {
        Reply::Error(StanzaError::from(fault))
    }
}

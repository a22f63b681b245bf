//! XEP-0030: Service Discovery, of the server and of its accounts.

mod commands;

use std::sync::Arc;

use super::{Iq, Question, Reply, Services, Xep, answer_later};
use crate::jid::Jid;
use crate::ns;
use crate::router::{Out, Target};
use crate::services::commands::Command;
use crate::stanza::Condition;
use crate::xml::Element;

pub static XEP: Xep = Xep {
    number: 30,
    name: "Service Discovery",
    version: "2.5.0",
    features: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    iqs: &[
        Iq { namespace: ns::DISCO_INFO, targets: &[Target::Server, Target::Own], handle: info },
        Iq { namespace: ns::DISCO_ITEMS, targets: &[Target::Server, Target::Own], handle: items },
    ],
};

fn info(services: &Arc<Services>, question: &Question<'_>, out: &mut Out) -> Reply {
    if let Some(other) = other_node(services, question, out, commands::info) {
        return other;
    }
    let announced = services.disco.announced();
    let said = match question.request.target {
        Target::Server => &announced.server,
        Target::Own | Target::Account => &announced.account,
    };
    Reply::Result(with_node(said.element(), question))
}

/// An account shows none of its resources.
fn items(services: &Arc<Services>, question: &Question<'_>, out: &mut Out) -> Reply {
    if let Some(other) = other_node(services, question, out, commands::items) {
        return other;
    }
    let announced = services.disco.announced();
    let shown = match question.request.target {
        Target::Server => &announced.items[..],
        Target::Own | Target::Account => &[],
    };
    let item = |(jid, name): &(String, String)| {
        Element::new("item", ns::DISCO_ITEMS).with_attr("jid", jid).with_attr("name", name)
    };
    let query = Element::new("query", ns::DISCO_ITEMS).with_children(shown.iter().map(item));
    Reply::Result(with_node(query, question))
}

/// What is answered when it is not about the entity itself (§7). Caps announce a node for the same
/// (XEP-0115 §6.2); the others are the server's commands, of which administrators learn.
fn other_node(
    services: &Arc<Services>,
    question: &Question<'_>,
    out: &mut Out,
    say: fn(&str, &[Command], &Jid) -> Option<Element>,
) -> Option<Reply> {
    if !question.is_get() {
        return Some(Condition::BadRequest.into());
    }
    let node = question.payload.attr("node")?.to_owned();
    if services.disco.is_node(&node) {
        return None;
    }
    if question.request.target != Target::Server {
        return Some(Condition::ItemNotFound.into());
    }
    let (services, session) = (services.clone(), question.request.session.clone());
    let domain = services.hosts.domain(question.host()).clone();
    Some(answer_later(&question.request.stanza, out, async move {
        let commands = match services.is_administrator(session.as_deref()).await {
            Ok(true) => services.commands.upgrade().map_or_else(Vec::new, |all| all.list()),
            Ok(false) => Vec::new(),
            Err(error) => {
                tracing::error!(%error, "it is not known who administers the server");
                return Condition::InternalServerError.into();
            }
        };
        match say(&node, &commands, &domain) {
            Some(query) => Reply::Result(query.with_attr("node", node)),
            None => Condition::ItemNotFound.into(),
        }
    }))
}

fn with_node(query: Element, question: &Question<'_>) -> Element {
    match question.payload.attr("node") {
        Some(node) => query.with_attr("node", node),
        None => query,
    }
}

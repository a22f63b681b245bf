//! XEP-0030: Service Discovery, of the server and of its accounts.

use std::sync::Arc;

use super::{Iq, Question, Reply, Services, Xep};
use crate::ns;
use crate::router::{Out, Target};
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

fn info(services: &Arc<Services>, question: &Question<'_>, _: &mut Out) -> Reply {
    if let Some(refusal) = refusal(services, question) {
        return refusal;
    }
    let announced = services.disco.announced();
    let said = match question.request.target {
        Target::Server => &announced.server,
        Target::Own | Target::Account => &announced.account,
    };
    Reply::Result(with_node(said.element(), question))
}

/// An account shows none of its resources.
fn items(services: &Arc<Services>, question: &Question<'_>, _: &mut Out) -> Reply {
    if let Some(refusal) = refusal(services, question) {
        return refusal;
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

/// XEP-0030 §7. The only node is the one that caps announce (XEP-0115 §6.2).
fn refusal(services: &Services, question: &Question<'_>) -> Option<Reply> {
    if !question.is_get() {
        return Some(Condition::BadRequest.into());
    }
    let node = question.payload.attr("node")?;
    (!services.disco.is_node(node)).then(|| Condition::ItemNotFound.into())
}

fn with_node(query: Element, question: &Question<'_>) -> Element {
    match question.payload.attr("node") {
        Some(node) => query.with_attr("node", node),
        None => query,
    }
}

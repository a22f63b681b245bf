//! What discovery tells of commands (XEP-0050 §2).

use crate::jid::Jid;
use crate::ns;
use crate::services::commands::Command;
use crate::services::disco::{Identity, Said};
use crate::xml::Element;

/// The list of all, or one of them.
pub(super) fn info(node: &str, commands: &[Command], _: &Jid) -> Option<Element> {
    if node == ns::COMMANDS {
        let identity = Identity::new("automation", "command-list", "Commands");
        return Some(Said::new(vec![identity], vec![ns::DISCO_ITEMS.to_owned()]).element());
    }
    let command = commands.iter().find(|command| command.node == node)?;
    let identity = Identity::new("automation", "command-node", &command.title);
    let features = [ns::COMMANDS, ns::DATA_FORMS].map(str::to_owned).to_vec();
    Some(Said::new(vec![identity], features).element())
}

/// A command has none.
pub(super) fn items(node: &str, commands: &[Command], domain: &Jid) -> Option<Element> {
    let query = Element::new("query", ns::DISCO_ITEMS);
    let item = |command: &Command| {
        Element::new("item", ns::DISCO_ITEMS)
            .with_attr("jid", domain.as_str())
            .with_attr("node", &command.node)
            .with_attr("name", format!("{}: {}", command.title, command.description))
    };
    match node == ns::COMMANDS {
        true => Some(query.with_children(commands.iter().map(item))),
        false => commands.iter().any(|command| command.node == node).then_some(query),
    }
}

//! What a roster set may say (RFC 6121 §2.3, §2.5).

use compact_str::CompactString;

use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;

/// Octets of a handle or of a group's name; the RFC leaves the number to the server.
pub const MAX_NAME: usize = 1023;

/// Groups of one contact.
pub const MAX_GROUPS: usize = 64;

/// A valid roster set.
#[derive(Debug, PartialEq, Eq)]
pub enum RosterSet {
    /// Adds the contact, or gives it another name and other groups.
    Put {
        contact: Jid,
        name: Option<CompactString>,
        groups: Vec<CompactString>,
    },
    Remove {
        contact: Jid,
    },
}

/// Why a roster set is refused. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterFault {
    #[error("a roster set holds exactly one item")]
    ItemCount,
    #[error("the item's jid is missing or not an address")]
    Address,
    #[error("a contact has no resource")]
    Resource,
    #[error("an account cannot be its own contact")]
    OwnAddress,
    #[error("a group is named twice")]
    DuplicateGroup,
    #[error("a group has no name")]
    EmptyGroup,
    #[error("a name exceeds 1023 octets")]
    NameTooLong,
    #[error("a contact may be in 64 groups at most")]
    TooManyGroups,
    #[error("the contact is not in the roster")]
    NoSuchItem,
    #[error("the roster is full")]
    Full,
}

impl From<RosterFault> for StanzaError {
    /// RFC 6121 §2.3.3 and §2.5.3.
    fn from(fault: RosterFault) -> StanzaError {
        use RosterFault::*;
        let condition = match fault {
            ItemCount | Address | Resource | DuplicateGroup => Condition::BadRequest,
            OwnAddress => Condition::NotAllowed,
            EmptyGroup | NameTooLong | TooManyGroups => Condition::NotAcceptable,
            NoSuchItem => Condition::ItemNotFound,
            Full => Condition::ResourceConstraint,
        };
        StanzaError::new(condition).with_text(fault.to_string())
    }
}

impl RosterSet {
    /// Reads the `<query/>` of a roster set that `owner`, a bare address, sent. What only the
    /// server decides (subscription, ask, approved) is ignored (§2.3.2).
    pub fn parse(query: &Element, owner: &str) -> Result<RosterSet, RosterFault> {
        let mut items = query.children().filter(|child| child.is("item", ns::ROSTER));
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(RosterFault::ItemCount);
        };
        let contact = item.attr("jid").and_then(|jid| Jid::parse(jid).ok());
        let contact = contact.ok_or(RosterFault::Address)?;
        if item.attr("subscription") == Some("remove") {
            return RosterSet::remove(contact, owner);
        }
        let groups = item.children().filter(|child| child.is("group", ns::ROSTER));
        let groups = groups.map(|group| CompactString::from(&*group.text()));
        RosterSet::put(contact, owner, item.attr("name"), groups)
    }

    /// Checks what is to be put into the roster of `owner`, a bare address.
    pub fn put(
        contact: Jid,
        owner: &str,
        name: Option<&str>,
        groups: impl Iterator<Item = CompactString>,
    ) -> Result<RosterSet, RosterFault> {
        check_address(&contact, owner)?;
        let name = name.filter(|name| !name.is_empty()).map(CompactString::from);
        if name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(RosterFault::NameTooLong);
        }
        Ok(RosterSet::Put { contact, name, groups: check_groups(groups)? })
    }

    fn remove(contact: Jid, owner: &str) -> Result<RosterSet, RosterFault> {
        check_address(&contact, owner)?;
        Ok(RosterSet::Remove { contact })
    }
}

fn check_address(contact: &Jid, owner: &str) -> Result<(), RosterFault> {
    if !contact.is_bare() {
        return Err(RosterFault::Resource);
    }
    match contact.as_str() == owner {
        true => Err(RosterFault::OwnAddress),
        false => Ok(()),
    }
}

fn check_groups(
    names: impl Iterator<Item = CompactString>,
) -> Result<Vec<CompactString>, RosterFault> {
    let mut groups: Vec<CompactString> = Vec::new();
    for name in names {
        if name.is_empty() {
            return Err(RosterFault::EmptyGroup);
        }
        if name.len() > MAX_NAME {
            return Err(RosterFault::NameTooLong);
        }
        if groups.contains(&name) {
            return Err(RosterFault::DuplicateGroup);
        }
        if groups.len() == MAX_GROUPS {
            return Err(RosterFault::TooManyGroups);
        }
        groups.push(name);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(items: &str) -> Result<RosterSet, RosterFault> {
        let query = format!("<query xmlns='jabber:iq:roster'>{items}</query>");
        RosterSet::parse(&Element::parse(query.as_bytes()).unwrap(), "juliet@hearth.example")
    }

    fn refused(items: &str) -> (RosterFault, Condition) {
        let fault = parse(items).unwrap_err();
        (fault, StanzaError::from(fault).condition)
    }

    #[test]
    fn an_item_with_name_and_groups_is_read() {
        let set = parse(
            "<item jid='nurse@hearth.example' name='Nurse' subscription='both' ask='subscribe'>\
             <group>Servants</group><group>Friends</group></item>",
        );
        let contact = Jid::parse("nurse@hearth.example").unwrap();
        let groups = vec!["Servants".into(), "Friends".into()];
        assert_eq!(set, Ok(RosterSet::Put { contact, name: Some("Nurse".into()), groups }));
    }

    #[test]
    fn an_item_is_removed() {
        let contact = Jid::parse("nurse@hearth.example").unwrap();
        let set = parse("<item jid='nurse@hearth.example' subscription='remove'/>");
        assert_eq!(set, Ok(RosterSet::Remove { contact }));
    }

    #[test]
    fn every_bad_set_has_its_condition() {
        use Condition::*;
        let long = "x".repeat(MAX_NAME + 1);
        let many: String = (0..65).map(|n| format!("<group>{n}</group>")).collect();
        let item = |inside: &str| format!("<item jid='a@b'>{inside}</item>");
        let rows = [
            (String::new(), RosterFault::ItemCount, BadRequest),
            ("<item jid='a@b'/><item jid='c@b'/>".into(), RosterFault::ItemCount, BadRequest),
            ("<item name='a'/>".into(), RosterFault::Address, BadRequest),
            ("<item jid='@b'/>".into(), RosterFault::Address, BadRequest),
            ("<item jid='a@b/c'/>".into(), RosterFault::Resource, BadRequest),
            ("<item jid='juliet@hearth.example'/>".into(), RosterFault::OwnAddress, NotAllowed),
            (item("<group>x</group><group>x</group>"), RosterFault::DuplicateGroup, BadRequest),
            (item("<group/>"), RosterFault::EmptyGroup, NotAcceptable),
            (item(&format!("<group>{long}</group>")), RosterFault::NameTooLong, NotAcceptable),
            (format!("<item jid='a@b' name='{long}'/>"), RosterFault::NameTooLong, NotAcceptable),
            (item(&many), RosterFault::TooManyGroups, NotAcceptable),
        ];
        for (items, fault, condition) in rows {
            assert_eq!(refused(&items), (fault, condition), "{items}");
        }
    }
}

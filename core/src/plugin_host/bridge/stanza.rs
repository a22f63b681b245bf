//! Stanzas in both directions.

use std::borrow::Cow;

use abi_stable::std_types::{RSlice, RStr, RString};
use hearth_plugin_api::abi::{StanzaBuf, StanzaRef};
use hearth_plugin_api::{Error, Stanza as Foreign};

use crate::stanza::{AddressMemo, Kind, Parsed, Stanza, parse};
use crate::xml::{ContentNamespace, StreamContext};

/// Octets of the children of a stanza that a plugin makes.
const LARGEST: usize = 256 * 1024;

/// The number of a stanza's name in the ABI.
fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Message(_) => 0,
        Kind::Presence(_) => 1,
        Kind::Iq(_) => 2,
    }
}

/// The children that are delivered, in canonical form.
fn children(stanza: &Stanza) -> Cow<'_, [u8]> {
    if stanza.hidden == 0 && stanza.appended.is_none() {
        return Cow::Borrowed(&stanza.payload.bytes);
    }
    let visible = stanza.visible().map(|child| child.as_bytes());
    let appended = stanza.appended.iter().flat_map(|children| children.iter().map(|c| &c[..]));
    Cow::Owned(visible.chain(appended).flatten().copied().collect())
}

/// Lends a stanza for one call.
pub(super) fn lend<T>(stanza: &Stanza, call: impl FnOnce(&StanzaRef<'_>) -> T) -> T {
    fn text<'s>(text: Option<&'s str>) -> RStr<'s> {
        text.unwrap_or_default().into()
    }
    let (head, children) = (&stanza.head, children(stanza));
    call(&StanzaRef {
        kind: code(head.kind),
        type_: text(head.kind.type_name()),
        from: text(head.from.as_ref().map(|jid| jid.as_str())),
        to: text(head.to.as_ref().map(|jid| jid.as_str())),
        id: text(head.id.as_deref()),
        lang: text(head.lang.as_deref()),
        children: RSlice::from_slice(&children),
    })
}

/// Hands a stanza over.
pub(super) fn give(stanza: &Stanza) -> StanzaBuf {
    lend(stanza, |stanza| StanzaBuf {
        kind: stanza.kind,
        type_: stanza.type_.into(),
        from: stanza.from.into(),
        to: stanza.to.into(),
        id: stanza.id.into(),
        lang: stanza.lang.into(),
        children: stanza.children.to_rvec(),
    })
}

/// A copy of a lent stanza.
pub(super) fn copy(stanza: &StanzaRef<'_>) -> StanzaBuf {
    let own = |text: RStr<'_>| RString::from(text.as_str());
    StanzaBuf {
        kind: stanza.kind,
        type_: own(stanza.type_),
        from: own(stanza.from),
        to: own(stanza.to),
        id: own(stanza.id),
        lang: own(stanza.lang),
        children: stanza.children.to_rvec(),
    }
}

/// Reads a stanza that a plugin made by the rules that hold for everybody: nothing of it is passed
/// on as it came.
pub(super) fn take(stanza: StanzaBuf) -> Result<Stanza, Error> {
    if stanza.children.len() > LARGEST {
        return Err(Error::invalid("a stanza has at most 256 KiB of children"));
    }
    let text = Foreign::from_abi(stanza)?.to_string();
    let mut memo = AddressMemo::default();
    match parse(text.as_bytes(), &StreamContext::new(ContentNamespace::Client), &mut memo) {
        Ok(Parsed::Stanza(stanza)) => Ok(stanza),
        Ok(Parsed::Invalid { defect, .. }) => Err(Error::invalid(format!("a stanza: {defect:?}"))),
        Ok(Parsed::Element(_)) => Err(Error::invalid("a stanza is a message, presence or iq")),
        Err(error) => Err(Error::invalid(format!("a stanza: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;
    use crate::stanza::MessageType;
    use crate::xml::Element;

    fn message() -> Stanza {
        let jid = |text| Jid::parse(text).expect("an address");
        Stanza::message(MessageType::Chat)
            .with_from(jid("romeo@example.org/x"))
            .with_to(jid("juliet@example.org"))
            .with_id("a'b<")
            .with_child(&Element::new("body", crate::ns::CLIENT).with_text("1 < 2"))
    }

    #[test]
    fn a_stanza_survives_the_way_there_and_back() {
        let back = take(give(&message())).expect("a stanza");
        assert_eq!(back.head, message().head);
        assert_eq!(back.payload.bytes, message().payload.bytes);
    }

    #[test]
    fn hidden_children_are_not_shown_and_appended_ones_are() {
        let mut stanza = message();
        stanza.hide(|child| child.name == "body");
        stanza.append(Element::new("x", "urn:x").to_bytes());
        assert_eq!(&give(&stanza).children[..], b"<x xmlns='urn:x'/>");
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        for children in ["<body>", "</message><message>", "<a:b/>", "&#0;"] {
            let mut foreign = give(&message());
            foreign.children = children.as_bytes().to_vec().into();
            assert!(take(foreign).is_err(), "{children}");
        }
    }
}

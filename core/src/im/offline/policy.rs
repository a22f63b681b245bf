//! What becomes of a message that nobody takes: the policy of the administrator, and the kind of
//! message (RFC 6121 §8.5.2.2.1, XEP-0160 §3).

use crate::property_words;
use crate::session::duty::is_durable;
use crate::stanza::{Kind, Marks, MessageType, Stanza};

property_words! {
    /// `offline.policy`, the five of Openfire. Only the last two heed the quota.
    pub enum OfflinePolicy {
        Bounce = "bounce",
        Drop = "drop",
        Store = "store",
        StoreAndBounce = "store_and_bounce",
        StoreAndDrop = "store_and_drop",
    }
}

/// What is done with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Store,
    /// Back to the sender with an error.
    Bounce,
    Drop,
}

impl OfflinePolicy {
    pub fn has_quota(self) -> bool {
        matches!(self, OfflinePolicy::StoreAndBounce | OfflinePolicy::StoreAndDrop)
    }

    /// What becomes of a message that is worth keeping; `fits`: the quota has room for it.
    pub fn fate(self, fits: bool) -> Fate {
        match (self, fits) {
            (OfflinePolicy::Store, _) => Fate::Store,
            (OfflinePolicy::StoreAndBounce | OfflinePolicy::StoreAndDrop, true) => Fate::Store,
            (OfflinePolicy::Bounce, _) | (OfflinePolicy::StoreAndBounce, false) => Fate::Bounce,
            (OfflinePolicy::Drop, _) | (OfflinePolicy::StoreAndDrop, false) => Fate::Drop,
        }
    }
}

/// What the message itself asks for, whatever the policy.
pub fn worth(stanza: &Stanza) -> Fate {
    if is_durable(stanza) {
        return Fate::Store;
    }
    match stanza.head.kind {
        // RFC 6121 §8.5.2.2.1: what may not be stored (XEP-0334 §4.2) goes back.
        Kind::Message(MessageType::Chat | MessageType::Normal)
            if stanza.marks.intersects(Marks::BODY | Marks::ENCRYPTED) =>
        {
            Fate::Bounce
        }
        Kind::Message(MessageType::Groupchat) => Fate::Bounce,
        // Chat states, receipts and markers mean nothing later (XEP-0160 §3); headlines and errors
        // are for the moment.
        _ => Fate::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::im::testing::stanza;
    use crate::properties::PropertyValue;

    #[test]
    fn the_five_policies_are_those_of_openfire() {
        use Fate::*;
        let rows = [
            ("bounce", Bounce, Bounce),
            ("drop", Drop, Drop),
            ("store", Store, Store),
            ("store_and_bounce", Store, Bounce),
            ("store_and_drop", Store, Drop),
        ];
        for (name, fits, full) in rows {
            let policy = OfflinePolicy::parse(name).unwrap();
            assert_eq!((policy.fate(true), policy.fate(false)), (fits, full), "{name}");
        }
    }

    #[test]
    fn each_kind_of_message_has_its_fate() {
        let rows = [
            ("<message type='chat'><body>hi</body></message>", Fate::Store),
            ("<message><body>hi</body></message>", Fate::Store),
            ("<message type='headline'><body>hi</body></message>", Fate::Drop),
            ("<message type='groupchat'><body>hi</body></message>", Fate::Bounce),
            ("<message type='error'><body>hi</body></message>", Fate::Drop),
            (
                "<message type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
                Fate::Drop,
            ),
            (
                "<message><received xmlns='urn:xmpp:receipts' id='1'/>\
                 <store xmlns='urn:xmpp:hints'/></message>",
                Fate::Store,
            ),
            ("<message><body>hi</body><no-store xmlns='urn:xmpp:hints'/></message>", Fate::Bounce),
            (
                "<message><x xmlns='jabber:x:conference' jid='room@muc.example'/></message>",
                Fate::Store,
            ),
        ];
        for (text, fate) in rows {
            assert_eq!(worth(&stanza(text)), fate, "{text}");
        }
    }
}

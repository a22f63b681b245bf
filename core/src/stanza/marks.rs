//! What a stanza's children are about, as bits: a step looks here before it looks at the children.

use std::ops::BitOr;

use crate::ns;

/// A set of kinds of children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u32);

impl Marks {
    pub const NONE: Marks = Marks(0);
    /// RFC 6121 §5.2.3 to §5.2.5.
    pub const BODY: Marks = Marks(1);
    pub const SUBJECT: Marks = Marks(1 << 1);
    pub const THREAD: Marks = Marks(1 << 2);
    /// RFC 6120 §8.3.
    pub const ERROR: Marks = Marks(1 << 3);
    /// RFC 6121 §4.7.2: show, status, priority.
    pub const AVAILABILITY: Marks = Marks(1 << 4);
    /// XEP-0085.
    pub const CHAT_STATE: Marks = Marks(1 << 5);
    /// XEP-0184.
    pub const RECEIPT: Marks = Marks(1 << 6);
    /// XEP-0333.
    pub const MARKER: Marks = Marks(1 << 7);
    /// XEP-0334: store.
    pub const HINT_STORE: Marks = Marks(1 << 8);
    /// XEP-0334: no-store and no-permanent-store.
    pub const HINT_NO_STORE: Marks = Marks(1 << 9);
    /// XEP-0334: no-copy.
    pub const HINT_NO_COPY: Marks = Marks(1 << 10);
    /// XEP-0280: private, sent and received.
    pub const CARBONS: Marks = Marks(1 << 11);
    /// XEP-0359: stanza-id and origin-id.
    pub const STANZA_ID: Marks = Marks(1 << 12);
    /// XEP-0203.
    pub const DELAY: Marks = Marks(1 << 13);
    /// XEP-0115.
    pub const CAPS: Marks = Marks(1 << 14);
    /// XEP-0045: a join.
    pub const MUC: Marks = Marks(1 << 15);
    /// XEP-0045: invitations, status, items.
    pub const MUC_USER: Marks = Marks(1 << 16);
    /// XEP-0249.
    pub const CONFERENCE: Marks = Marks(1 << 17);
    /// XEP-0421.
    pub const OCCUPANT_ID: Marks = Marks(1 << 18);
    /// XEP-0384, XEP-0373, XEP-0027 and what XEP-0380 announces.
    pub const ENCRYPTED: Marks = Marks(1 << 19);
    /// XEP-0060 events.
    pub const PUBSUB_EVENT: Marks = Marks(1 << 20);
    /// Anything else.
    pub const OTHER: Marks = Marks(1 << 31);

    /// The mark of one child; `ns` is `None` for the content namespace.
    pub fn of(name: &str, ns: Option<&str>) -> Marks {
        let Some(ns) = ns else { return Marks::of_content(name) };
        match (ns, name) {
            (ns::CHAT_STATES, _) => Marks::CHAT_STATE,
            (ns::RECEIPTS, _) => Marks::RECEIPT,
            (ns::MARKERS, _) => Marks::MARKER,
            (ns::HINTS, "store") => Marks::HINT_STORE,
            (ns::HINTS, "no-store" | "no-permanent-store") => Marks::HINT_NO_STORE,
            (ns::HINTS, "no-copy") => Marks::HINT_NO_COPY,
            (ns::CARBONS, _) => Marks::CARBONS,
            (ns::STANZA_ID, _) => Marks::STANZA_ID,
            (ns::DELAY, _) => Marks::DELAY,
            (ns::CAPS, _) => Marks::CAPS,
            (ns::MUC, _) => Marks::MUC,
            (ns::MUC_USER, _) => Marks::MUC_USER,
            (ns::CONFERENCE, _) => Marks::CONFERENCE,
            (ns::OCCUPANT_ID, _) => Marks::OCCUPANT_ID,
            (ns::OMEMO | ns::OMEMO_AXOLOTL | ns::OPENPGP | ns::ENCRYPTED | ns::EME, _) => {
                Marks::ENCRYPTED
            }
            (ns::PUBSUB_EVENT, _) => Marks::PUBSUB_EVENT,
            _ => Marks::OTHER,
        }
    }

    fn of_content(name: &str) -> Marks {
        match name {
            "body" => Marks::BODY,
            "subject" => Marks::SUBJECT,
            "thread" => Marks::THREAD,
            "error" => Marks::ERROR,
            "show" | "status" | "priority" => Marks::AVAILABILITY,
            _ => Marks::OTHER,
        }
    }

    /// Both sets together.
    pub const fn union(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

    /// Whether all of `marks` are set.
    pub fn contains(self, marks: Marks) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// Whether any of `marks` is set.
    pub fn intersects(self, marks: Marks) -> bool {
        self.0 & marks.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Marks {
    type Output = Marks;

    fn bitor(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }
}

//! Roster items, and the immutable roster that everybody shares until it changes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use compact_str::CompactString;

use crate::im::subscription::State;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::Payload;
use crate::xml::writer::Writer;

/// One contact of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// A bare address.
    pub contact: Jid,
    pub name: Option<CompactString>,
    pub groups: Vec<CompactString>,
    pub state: State,
    /// RFC 6121 §3.4: the contact may subscribe without asking.
    pub approved: bool,
    /// In the roster that clients see. Who has only asked for a subscription is not
    /// (RFC 6121 §3.1.3).
    pub listed: bool,
    /// Canonical children of the request that waits for an answer.
    pub request: Option<Bytes>,
}

impl Item {
    pub fn new(contact: Jid) -> Item {
        Item {
            contact,
            name: None,
            groups: Vec::new(),
            state: State::None,
            approved: false,
            listed: false,
            request: None,
        }
    }

    /// Says nothing that an absent item would not say.
    pub fn is_void(&self) -> bool {
        !self.listed && self.state == State::None && !self.approved
    }

    /// Whether clients see the same in both.
    pub fn looks_like(&self, other: &Item) -> bool {
        let face = |item: &Item| {
            (item.listed, item.approved, item.state.subscription(), item.state.pending_out())
        };
        face(self) == face(other) && self.name == other.name && self.groups == other.groups
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.start("item", None).attribute("jid", self.contact.as_str());
        if let Some(name) = &self.name {
            out.attribute("name", name);
        }
        if self.approved {
            out.attribute("approved", "true");
        }
        if self.state.pending_out() {
            out.attribute("ask", "subscribe");
        }
        out.attribute("subscription", self.state.subscription());
        for group in &self.groups {
            out.start("group", None).text(group).end("group");
        }
        out.end("item");
    }

    fn size(&self) -> usize {
        let texts = self.name.iter().chain(&self.groups).map(|text| text.len() + 24);
        let request = self.request.as_ref().map_or(0, Bytes::len);
        size_of::<Item>() + 32 + self.contact.as_str().len() + texts.sum::<usize>() + request
    }
}

/// An account's contacts at one version.
#[derive(Debug, Default)]
pub struct Roster {
    /// Grows with every change; 0 is an account that never had a contact.
    pub version: i64,
    /// Sorted by address.
    items: Vec<Arc<Item>>,
    rendered: OnceLock<Payload>,
}

impl Roster {
    pub fn new(version: i64, mut items: Vec<Arc<Item>>) -> Roster {
        items.sort_unstable_by(|a, b| a.contact.as_str().cmp(b.contact.as_str()));
        Roster { version, items, rendered: OnceLock::new() }
    }

    pub fn item(&self, contact: &str) -> Option<&Arc<Item>> {
        let found = self.items.binary_search_by(|item| item.contact.as_str().cmp(contact));
        found.ok().map(|at| &self.items[at])
    }

    /// All contacts, those included who are not listed.
    pub fn items(&self) -> &[Arc<Item>] {
        &self.items
    }

    /// The contacts that get the account's presence.
    pub fn subscribers(&self) -> impl Iterator<Item = &Jid> {
        self.items.iter().filter(|item| item.state.from()).map(|item| &item.contact)
    }

    /// The contacts whose presence the account gets.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Jid> {
        self.items.iter().filter(|item| item.state.to()).map(|item| &item.contact)
    }

    /// This roster with `item` in place of what it had for the contact, or without it.
    pub fn with(&self, version: i64, contact: &Jid, item: Option<Item>) -> Roster {
        let others = self.items.iter().filter(|item| item.contact != *contact).cloned();
        Roster::new(version, others.chain(item.map(Arc::new)).collect())
    }

    /// The `<query/>` with all listed items (RFC 6121 §2.1.4), rendered once.
    pub fn query(&self) -> &Payload {
        let listed = || self.items.iter().filter(|item| item.listed).map(|item| &**item);
        self.rendered.get_or_init(|| query(self.version, listed()))
    }

    /// Octets in memory, roughly, the rendered query included.
    pub fn size(&self) -> usize {
        let items: usize = self.items.iter().map(|item| item.size()).sum();
        size_of::<Roster>() + 2 * items
    }
}

/// The `<query/>` of a roster push (RFC 6121 §2.1.6): the item as it is now; `None`: removed.
pub fn push(version: i64, contact: &Jid, item: Option<&Item>) -> Payload {
    if item.is_some() {
        return query(version, item.into_iter());
    }
    write(version, |out| {
        out.start("item", None)
            .attribute("jid", contact.as_str())
            .attribute("subscription", "remove")
            .end("item");
    })
}

fn query<'a>(version: i64, items: impl Iterator<Item = &'a Item>) -> Payload {
    write(version, |out| items.for_each(|item| item.write(out)))
}

fn write(version: i64, items: impl FnOnce(&mut Writer<'_>)) -> Payload {
    let mut bytes = Vec::with_capacity(256);
    let mut out = opened(&mut bytes, version);
    items(&mut out);
    out.end("query");
    Payload::from_canonical(bytes).expect("the writer writes canonical elements")
}

fn opened(bytes: &mut Vec<u8>, version: i64) -> Writer<'_> {
    let mut out = Writer::new(bytes);
    out.start("query", Some(ns::ROSTER)).attribute("ver", &version.to_string());
    out
}

/// How a `<query/>` of this version begins.
pub fn opening(version: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    opened(&mut bytes, version);
    bytes
}

//! The shared children of a stanza and where each of them stands.

use bytes::Bytes;
use smallvec::SmallVec;

use super::Marks;
use crate::ns;
use crate::xml::{Element, XmlError, framer};

/// Where a child stands in [`Payload::bytes`]. The canonical form begins `<name` or
/// `<name xmlns='ns'`, so that two lengths say the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Octet range of the whole element.
    pub start: u32,
    pub end: u32,
    /// Octets of the local name.
    name: u16,
    /// Octets of the namespace as escaped, or [`CONTENT`].
    ns: u16,
}

/// In place of a length: the child is in the content namespace.
const CONTENT: u16 = u16::MAX;

/// Longest name and namespace of a stanza's child, in octets.
const MAX_NAME: usize = 1024;

impl Child {
    pub(super) fn new(
        range: std::ops::Range<usize>,
        name: usize,
        ns: Option<usize>,
    ) -> Result<Child, XmlError> {
        if name.max(ns.unwrap_or(0)) > MAX_NAME {
            return Err(XmlError::PolicyViolation("a name or namespace exceeds 1024 octets"));
        }
        // The frame limits keep every range far below 4 GiB.
        let (start, end) = (range.start as u32, range.end as u32);
        Ok(Child { start, end, name: name as u16, ns: ns.map_or(CONTENT, |ns| ns as u16) })
    }
}

/// Canonical children with their index. Cloning shares the bytes.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    pub bytes: Bytes,
    pub index: SmallVec<[Child; 4]>,
}

/// One child of a payload.
#[derive(Clone, Copy, Debug)]
pub struct ChildRef<'a> {
    payload: &'a Payload,
    /// Position in the index, and in the stanza's `hidden` bits.
    pub position: usize,
    pub name: &'a str,
    /// `None` for the content namespace; empty for no namespace.
    pub ns: Option<&'a str>,
}

impl<'a> ChildRef<'a> {
    /// Whether it is `name` in `ns`, where `jabber:client` stands for any content namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns.unwrap_or(ns::CLIENT) == ns
    }

    /// The canonical element.
    pub fn as_bytes(&self) -> &'a [u8] {
        let child = self.payload.index[self.position];
        &self.payload.bytes[child.start as usize..child.end as usize]
    }

    /// The canonical element, sharing the payload's memory.
    pub fn to_bytes(&self) -> Bytes {
        self.payload.bytes.slice_ref(self.as_bytes())
    }

    /// The element as a tree.
    pub fn element(&self) -> Element {
        Element::parse(self.as_bytes()).expect("the payload is canonical")
    }
}

impl Payload {
    /// Indexes canonical children that this server wrote, one after the other.
    pub fn from_canonical(bytes: impl Into<Bytes>) -> Result<Payload, XmlError> {
        let bytes = bytes.into();
        let mut index = SmallVec::new();
        for range in framer::elements(&bytes)? {
            let tag = &bytes[range.start + 1..range.end];
            let name = tag.iter().take_while(|b| !b" />".contains(b)).count();
            let declared = tag[name..].strip_prefix(b" xmlns='");
            let ns = declared.and_then(|rest| memchr::memchr(b'\'', rest));
            index.push(Child::new(range, name, ns)?);
        }
        Ok(Payload { bytes, index })
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn children(&self) -> impl Iterator<Item = ChildRef<'_>> {
        (0..self.index.len()).map(|position| self.child_at(position))
    }

    fn child_at(&self, position: usize) -> ChildRef<'_> {
        let child = self.index[position];
        let name = child.start as usize + 1;
        let name_end = name + usize::from(child.name);
        let text = |from: usize, to: usize| {
            std::str::from_utf8(&self.bytes[from..to]).expect("the payload is canonical")
        };
        let ns_start = name_end + " xmlns='".len();
        let ns = (child.ns != CONTENT).then(|| text(ns_start, ns_start + usize::from(child.ns)));
        ChildRef { payload: self, position, name: text(name, name_end), ns }
    }

    /// The first child of that name; `jabber:client` stands for any content namespace.
    pub fn find(&self, name: &str, ns: &str) -> Option<ChildRef<'_>> {
        self.children().find(|child| child.is(name, ns))
    }

    /// What the children are about.
    pub fn marks(&self) -> Marks {
        self.children().fold(Marks::NONE, |marks, child| marks | Marks::of(child.name, child.ns))
    }
}

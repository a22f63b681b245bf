//! Stanzas as a plugin sees them.

use std::fmt;

use abi_stable::std_types::{RStr, RString};
use serde::{Deserialize, Serialize};

use crate::abi;
use crate::error::{Error, Result};
use crate::xml::{self, Element};

/// The name of a stanza.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// RFC 6121 §5.
    #[default]
    Message,
    /// RFC 6121 §4.
    Presence,
    /// RFC 6120 §8.2.3.
    Iq,
}

impl Kind {
    /// Name of the element.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        }
    }

    /// The number by which it crosses.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a number.
    pub fn from_code(code: u8) -> Option<Kind> {
        [Kind::Message, Kind::Presence, Kind::Iq].get(usize::from(code)).copied()
    }
}

/// A stanza that is lent for one call. Nothing of it is copied until somebody asks.
#[derive(Debug, Clone, Copy)]
pub struct StanzaView<'a>(&'a abi::StanzaRef<'a>);

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl<'a> StanzaView<'a> {
    /// Around what crossed.
    pub fn new(stanza: &'a abi::StanzaRef<'a>) -> StanzaView<'a> {
        StanzaView(stanza)
    }

    /// Its name.
    pub fn kind(&self) -> Kind {
        Kind::from_code(self.0.kind).unwrap_or_default()
    }

    /// The attribute `type`; `None` for the default of the kind.
    pub fn type_(&self) -> Option<&'a str> {
        given(self.0.type_.as_str())
    }

    /// The attribute `from`.
    pub fn from(&self) -> Option<&'a str> {
        given(self.0.from.as_str())
    }

    /// The attribute `to`.
    pub fn to(&self) -> Option<&'a str> {
        given(self.0.to.as_str())
    }

    /// The attribute `id`.
    pub fn id(&self) -> Option<&'a str> {
        given(self.0.id.as_str())
    }

    /// The attribute `xml:lang`.
    pub fn lang(&self) -> Option<&'a str> {
        given(self.0.lang.as_str())
    }

    /// The children as the server writes them: default namespaces only; a child in the content
    /// namespace (`jabber:client`) declares none.
    pub fn children(&self) -> &'a str {
        std::str::from_utf8(self.0.children.as_slice()).unwrap_or_default()
    }

    /// Text of the first child with this name in the content namespace, such as `body`.
    pub fn text(&self, name: &str) -> Option<String> {
        xml::child_text(self.children(), name)
    }

    /// A copy to keep or to change.
    pub fn to_owned(&self) -> Stanza {
        Stanza {
            kind: self.kind(),
            type_: self.type_().map(str::to_owned),
            from: self.from().map(str::to_owned),
            to: self.to().map(str::to_owned),
            id: self.id().map(str::to_owned),
            lang: self.lang().map(str::to_owned),
            children: self.children().to_owned(),
        }
    }
}

/// A stanza of one's own.
///
/// ```
/// use hearth_plugin_api::{Kind, Stanza};
/// let hello = Stanza::message("juliet@example.org").body("Good night & adieu");
/// assert_eq!(hello.children, "<body>Good night &amp; adieu</body>");
/// assert_eq!(hello.text("body").as_deref(), Some("Good night & adieu"));
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stanza {
    /// Its name.
    pub kind: Kind,
    /// The attribute `type`; `None` for the default of the kind.
    #[serde(rename = "type", default)]
    pub type_: Option<String>,
    /// The attribute `from`. The server checks it: see [`crate::Host::route`].
    #[serde(default)]
    pub from: Option<String>,
    /// The attribute `to`.
    #[serde(default)]
    pub to: Option<String>,
    /// The attribute `id`.
    #[serde(default)]
    pub id: Option<String>,
    /// The attribute `xml:lang`.
    #[serde(default)]
    pub lang: Option<String>,
    /// The children as XML. An element without `xmlns` is in the content namespace.
    #[serde(default)]
    pub children: String,
}

impl Stanza {
    /// A message of type `normal`.
    pub fn message(to: &str) -> Stanza {
        Stanza { to: Some(to.to_owned()), ..Stanza::default() }
    }

    /// A presence.
    pub fn presence(to: &str) -> Stanza {
        Stanza { kind: Kind::Presence, ..Stanza::message(to) }
    }

    /// An IQ; `type_` is `get` or `set`. The server gives it an id.
    pub fn iq(type_: &str, to: &str) -> Stanza {
        Stanza { kind: Kind::Iq, type_: Some(type_.to_owned()), ..Stanza::message(to) }
    }

    /// The same of this type.
    pub fn of_type(mut self, type_: &str) -> Stanza {
        self.type_ = Some(type_.to_owned());
        self
    }

    /// The same from this address.
    pub fn from(mut self, from: &str) -> Stanza {
        self.from = Some(from.to_owned());
        self
    }

    /// The same with one more child.
    pub fn with(mut self, child: &Element) -> Stanza {
        child.write(&mut self.children);
        self
    }

    /// The same with a `<body/>` of this text.
    pub fn body(self, text: &str) -> Stanza {
        self.with(&Element::new("body", "").with_text(text))
    }

    /// Text of the first child with this name in the content namespace, such as `body`.
    pub fn text(&self, name: &str) -> Option<String> {
        xml::child_text(&self.children, name)
    }

    /// Replaces the text of each child with this name in the content namespace.
    pub fn set_text(&mut self, name: &str, text: &str) -> Result<()> {
        let mut children = self.elements()?;
        for child in children.iter_mut().filter(|child| child.is(name, "")) {
            child.set_text(text);
        }
        self.children = children.iter().map(Element::to_string).collect();
        Ok(())
    }

    /// The children as trees. `Invalid` when they are no XML.
    pub fn elements(&self) -> Result<Vec<Element>> {
        Element::parse_all(&self.children)
    }

    /// The first child with this name and namespace.
    pub fn child(&self, name: &str, namespace: &str) -> Option<Element> {
        self.elements().ok()?.into_iter().find(|child| child.is(name, namespace))
    }

    /// Whether an answer is expected: an IQ of type `get` or `set`.
    pub fn is_request(&self) -> bool {
        self.kind == Kind::Iq && matches!(self.type_.as_deref(), Some("get" | "set"))
    }

    /// The result of this IQ, without children.
    pub fn result(&self) -> Stanza {
        Stanza {
            kind: Kind::Iq,
            type_: Some("result".to_owned()),
            from: self.to.clone(),
            to: self.from.clone(),
            id: self.id.clone(),
            ..Stanza::default()
        }
    }

    /// The stanza error for this stanza (RFC 6120 §8.3): `condition` of §8.3.3, `text` for a person
    /// or empty.
    pub fn error(&self, condition: &str, text: &str) -> Stanza {
        let stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas";
        let mut error = Element::new("error", "")
            .with_attr("type", error_type(condition))
            .with_child(Element::new(condition, stanzas));
        if !text.is_empty() {
            error = error.with_child(Element::new("text", stanzas).with_text(text));
        }
        let kind = self.kind;
        let answer = Stanza { kind, type_: Some("error".to_owned()), ..self.result() };
        answer.with(&error)
    }

    /// As it crosses.
    pub fn to_abi(&self) -> abi::StanzaBuf {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        abi::StanzaBuf {
            kind: self.kind.code(),
            type_: text(&self.type_),
            from: text(&self.from),
            to: text(&self.to),
            id: text(&self.id),
            lang: text(&self.lang),
            children: self.children.as_bytes().to_vec().into(),
        }
    }

    /// Lends it as it crosses.
    pub fn with_ref<T>(&self, call: impl FnOnce(&abi::StanzaRef<'_>) -> T) -> T {
        call(&abi::StanzaRef {
            kind: self.kind.code(),
            type_: lent(&self.type_),
            from: lent(&self.from),
            to: lent(&self.to),
            id: lent(&self.id),
            lang: lent(&self.lang),
            children: self.children.as_bytes().into(),
        })
    }

    /// From what crossed. `Invalid` for a kind that is none, or children that are not UTF-8.
    pub fn from_abi(stanza: abi::StanzaBuf) -> Result<Stanza> {
        let text = |text: RString| (!text.is_empty()).then(|| text.into_string());
        let children = String::from_utf8(stanza.children.into_vec());
        Ok(Stanza {
            kind: Kind::from_code(stanza.kind).ok_or_else(|| Error::invalid("no such stanza"))?,
            type_: text(stanza.type_),
            from: text(stanza.from),
            to: text(stanza.to),
            id: text(stanza.id),
            lang: text(stanza.lang),
            children: children.map_err(|_| Error::invalid("a stanza that is not UTF-8"))?,
        })
    }
}

fn lent(text: &Option<String>) -> RStr<'_> {
    text.as_deref().unwrap_or_default().into()
}

/// As on a client's stream; for logs and tests.
impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = format!("<{}", self.kind.name());
        let attributes = [
            ("type", &self.type_),
            ("from", &self.from),
            ("to", &self.to),
            ("id", &self.id),
            ("xml:lang", &self.lang),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                xml::attribute(&mut out, name, value);
            }
        }
        write!(f, "{out}>{}</{}>", self.children, self.kind.name())
    }
}

/// RFC 6120 §8.3.3: the error type that goes with a condition.
fn error_type(condition: &str) -> &'static str {
    match condition {
        "bad-request" | "jid-malformed" | "not-acceptable" | "policy-violation" | "redirect" => {
            "modify"
        }
        "forbidden" | "not-authorized" | "registration-required" | "subscription-required" => {
            "auth"
        }
        "recipient-unavailable" | "remote-server-timeout" | "resource-constraint" => "wait",
        _ => "cancel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_goes_back_with_the_id() {
        let iq = Stanza { id: Some("7".into()), ..Stanza::iq("get", "a@b").from("c@d/e") };
        assert_eq!(
            iq.error("item-not-found", "no such note").to_string(),
            "<iq type='error' from='a@b' to='c@d/e' id='7'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no such note</text></error></iq>"
        );
    }

    #[test]
    fn a_stanza_crosses_and_comes_back() {
        let message = Stanza::message("a@b").from("c@d").of_type("chat").body("hi");
        assert_eq!(Stanza::from_abi(message.to_abi()), Ok(message.clone()));
        message.with_ref(|lent| assert_eq!(StanzaView::new(lent).to_owned(), message));
    }

    #[test]
    fn the_text_of_a_body_is_replaced_and_the_rest_stays() {
        let active = Element::new("active", "http://jabber.org/protocol/chatstates");
        let mut message = Stanza::message("a@b").body("one").with(&active);
        message.set_text("body", "<two>").unwrap();
        let rest = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
        assert_eq!(message.children, format!("<body>&lt;two&gt;</body>{rest}"));
    }
}

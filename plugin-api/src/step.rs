//! Steps: seeing, changing and rejecting stanzas of others.

use abi_stable::std_types::{RBox, RNone, RSome};
use serde::{Deserialize, Serialize};

use crate::abi;
use crate::stanza::{Kind, Stanza};

/// When a step sees a stanza.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Once per stanza of an account of this server, before it is routed.
    Sent,
    /// Once per stanza and recipient account of this server, before resources are chosen.
    ToAccount,
    /// Once per resource that gets it, on that resource's node.
    ToSession,
}

impl Phase {
    /// The bit by which it crosses.
    pub fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The phase of a bit.
    pub fn from_bit(bit: u32) -> Option<Phase> {
        [Phase::Sent, Phase::ToAccount, Phase::ToSession].into_iter().find(|p| p.bit() == bit)
    }
}

/// What the failure of a step means for the stanza: an error, a panic, or no answer in time.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The stanza goes no further and its sender gets an error.
    FailClosed,
    /// The stanza goes on without the step.
    #[default]
    FailOpen,
}

/// Which stanzas a step sees. The server looks at it before it calls: nobody pays for what he does
/// not watch.
///
/// ```
/// use hearth_plugin_api::{Kind, Phase, StepSpec};
/// let spec = StepSpec::new("words", Phase::Sent).kinds(&[Kind::Message]).priority(-10);
/// assert!(spec.matches(Kind::Message, ["urn:x"].into_iter()));
/// assert!(!spec.matches(Kind::Iq, ["urn:x"].into_iter()));
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSpec {
    /// Names the step in logs and metrics; see [`crate::manifest::is_id`].
    pub name: String,
    /// When.
    pub phase: Phase,
    /// Empty for all.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Namespaces of direct children, one of which must be there; empty for all stanzas. The content
    /// namespace is the empty text.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Lower ones run first; equal ones in the order of plugin ids.
    #[serde(default)]
    pub priority: i32,
    /// When the step fails.
    #[serde(default)]
    pub failure: Failure,
    /// Registered by [`crate::Registrar::step_later`].
    #[serde(default)]
    pub asynchronous: bool,
}

impl StepSpec {
    /// A step that sees all stanzas of a phase, with priority 0 and failing open.
    pub fn new(name: &str, phase: Phase) -> StepSpec {
        StepSpec {
            name: name.to_owned(),
            phase,
            kinds: Vec::new(),
            namespaces: Vec::new(),
            priority: 0,
            failure: Failure::FailOpen,
            asynchronous: false,
        }
    }

    /// Only these kinds.
    pub fn kinds(mut self, kinds: &[Kind]) -> StepSpec {
        self.kinds = kinds.to_vec();
        self
    }

    /// Only stanzas with a child in one of these namespaces.
    pub fn namespaces(mut self, namespaces: &[&str]) -> StepSpec {
        self.namespaces = namespaces.iter().map(|&namespace| namespace.to_owned()).collect();
        self
    }

    /// Lower ones run first.
    pub fn priority(mut self, priority: i32) -> StepSpec {
        self.priority = priority;
        self
    }

    /// The stanza goes no further when the step fails.
    pub fn fail_closed(mut self) -> StepSpec {
        self.failure = Failure::FailClosed;
        self
    }

    /// Whether the step sees a stanza of this kind with children in these namespaces.
    pub fn matches<'n>(&self, kind: Kind, mut namespaces: impl Iterator<Item = &'n str>) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.namespaces.is_empty()
                || namespaces.any(|namespace| self.namespaces.iter().any(|n| n == namespace)))
    }
}

/// Where a stanza is when a step sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// When.
    pub phase: Phase,
    /// The bare address whose phase this is: the sender's in `Sent`, else the recipient's.
    pub account: String,
    /// The full address of the recipient's session in `ToSession`.
    pub session: Option<String>,
    /// XEP-0359: the id under which the server archives the stanza, the same on every node.
    pub stanza_id: Option<String>,
    /// How often plugins or nodes have sent the stanza on.
    pub hops: u32,
    /// The server answers for its delivery: a chat or normal message with content.
    pub durable: bool,
}

/// The same, lent for one call.
#[derive(Debug, Clone, Copy)]
pub struct PassageView<'a>(&'a abi::Passage<'a>);

impl<'a> PassageView<'a> {
    /// Around what crossed.
    pub fn new(passage: &'a abi::Passage<'a>) -> PassageView<'a> {
        PassageView(passage)
    }

    /// When.
    pub fn phase(&self) -> Phase {
        Phase::from_bit(self.0.phase).unwrap_or(Phase::Sent)
    }

    /// The bare address whose phase this is: the sender's in `Sent`, else the recipient's.
    pub fn account(&self) -> &'a str {
        self.0.account.as_str()
    }

    /// The full address of the recipient's session in `ToSession`.
    pub fn session(&self) -> Option<&'a str> {
        Some(self.0.session.as_str()).filter(|session| !session.is_empty())
    }

    /// XEP-0359: the id under which the server archives the stanza.
    pub fn stanza_id(&self) -> Option<&'a str> {
        Some(self.0.stanza_id.as_str()).filter(|id| !id.is_empty())
    }

    /// How often plugins or nodes have sent the stanza on.
    pub fn hops(&self) -> u32 {
        self.0.hops
    }

    /// The server answers for its delivery: a chat or normal message with content.
    pub fn durable(&self) -> bool {
        self.0.flags & 1 != 0
    }
}

impl Passage {
    pub(crate) fn from_abi(passage: abi::PassageBuf) -> Passage {
        let text =
            |text: abi_stable::std_types::RString| (!text.is_empty()).then(|| text.into_string());
        Passage {
            phase: Phase::from_bit(passage.phase).unwrap_or(Phase::Sent),
            account: passage.account.into_string(),
            session: text(passage.session),
            stanza_id: text(passage.stanza_id),
            hops: passage.hops,
            durable: passage.flags & 1 != 0,
        }
    }
}

/// What becomes of a stanza.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It goes on.
    #[default]
    Pass,
    /// It ends here and nobody is told. Not for IQs: a request must be answered.
    Drop,
    /// This one goes on in its place. The server keeps `from`, `to`, kind and id of the old one:
    /// type, language and children are taken.
    Replace(Box<Stanza>),
    /// It ends here and its sender gets this error.
    Bounce {
        /// RFC 6120 §8.3.3, such as `policy-violation`.
        condition: String,
        /// For a person; may be empty.
        text: String,
    },
}

impl Verdict {
    /// A replacement.
    pub fn replace(stanza: Stanza) -> Verdict {
        Verdict::Replace(Box::new(stanza))
    }

    /// An error for the sender.
    pub fn bounce(condition: &str, text: &str) -> Verdict {
        Verdict::Bounce { condition: condition.to_owned(), text: text.to_owned() }
    }

    /// As it crosses.
    pub fn into_abi(self) -> abi::Verdict {
        let with = |body| RSome(RBox::new(body));
        match self {
            Verdict::Pass => abi::Verdict { kind: 0, with: RNone },
            Verdict::Drop => abi::Verdict { kind: 1, with: RNone },
            Verdict::Replace(stanza) => {
                let stanza = stanza.to_abi();
                abi::Verdict {
                    kind: 2,
                    with: with(abi::VerdictBody { stanza, ..Default::default() }),
                }
            }
            Verdict::Bounce { condition, text } => {
                let (condition, text) = (condition.into(), text.into());
                let body = abi::VerdictBody { condition, text, ..Default::default() };
                abi::Verdict { kind: 3, with: with(body) }
            }
        }
    }

    /// From what crossed. `Unsupported` for a verdict of a newer level.
    pub fn from_abi(verdict: abi::Verdict) -> crate::Result<Verdict> {
        let body = verdict.with.into_option().map(RBox::into_inner).unwrap_or_default();
        Ok(match verdict.kind {
            0 => Verdict::Pass,
            1 => Verdict::Drop,
            2 => Verdict::replace(Stanza::from_abi(body.stanza)?),
            3 => Verdict::bounce(&body.condition, &body.text),
            kind => return Err(crate::Error::unsupported(format!("no such verdict: {kind}"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_cross_and_come_back() {
        let verdicts = [
            Verdict::Pass,
            Verdict::Drop,
            Verdict::replace(Stanza::message("a@b").body("x")),
            Verdict::bounce("policy-violation", "no"),
        ];
        for verdict in verdicts {
            assert_eq!(Verdict::from_abi(verdict.clone().into_abi()), Ok(verdict));
        }
        let newer = abi::Verdict { kind: 9, with: RNone };
        assert!(Verdict::from_abi(newer).is_err());
    }
}

//! The phases of a stanza: which steps run, and in which order. This file is the only place where
//! order is decided.
//!
//! `SENT` runs once, for the sender's account. `TO_ACCOUNT` runs once per message and recipient
//! account, before resources are chosen. `TO_SESSION` runs once per resource. What belongs to the
//! moment of writing (XEP-0198) is the driver's.

use std::sync::Arc;

use bytes::Bytes;

use super::Router;
use crate::clock::StanzaId;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::ns;
use crate::session::Duty;
use crate::session::duty::CONTENT;
use crate::stanza::{ChildRef, Kind, Marks, Stanza};
use crate::xml::Element;

/// What the failure of a step means for the stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The stanza goes no further and its sender gets an error.
    Closed,
    /// The stanza goes on without the step.
    Open,
}

/// A stanza within a phase.
pub struct Passage<'a> {
    pub host: HostId,
    /// The account whose phase this is.
    pub account: AccountId,
    pub owner: &'a Jid,
    pub stanza: &'a mut Stanza,
    /// Given to durable messages; the same on every node and in every table.
    pub id: Option<StanzaId>,
    pub duty: Option<&'a Arc<Duty>>,
}

/// One step of a phase.
pub struct Step {
    pub name: &'static str,
    /// Skipped unless the stanza bears one of these marks; empty: never skipped.
    pub marks: Marks,
    pub failure: Failure,
    pub run: fn(&Router, &mut Passage<'_>) -> Result<(), StepError>,
}

/// Why a step failed: always ours, never the peer's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StepError(pub String);

pub const SENT: &[Step] = &[ARCHIVE_SENT];
pub const TO_ACCOUNT: &[Step] = &[STRIP_STANZA_IDS, ARCHIVE_RECEIVED];

/// Runs a phase; an error means that the stanza goes no further.
pub fn run(steps: &[Step], router: &Router, passage: &mut Passage<'_>) -> Result<(), StepError> {
    for step in steps {
        if !step.marks.is_empty() && !passage.stanza.marks.intersects(step.marks) {
            continue;
        }
        let Err(error) = (step.run)(router, passage) else { continue };
        tracing::error!(step = step.name, %error, "a routing step failed");
        if step.failure == Failure::Closed {
            return Err(error);
        }
    }
    Ok(())
}

/// XEP-0359 §5: nobody but the account's own server may write its `by`.
const STRIP_STANZA_IDS: Step = Step {
    name: "strip-stanza-ids",
    marks: Marks::STANZA_ID,
    failure: Failure::Closed,
    run: |_, passage| {
        let owner = passage.owner.bare_str().to_owned();
        passage.stanza.hide(|child| is_stanza_id_by(child, &owner));
        Ok(())
    },
};

/// The recipient's copy, under the id that the stanza then bears (XEP-0359, XEP-0313 §5.1.3).
const ARCHIVE_RECEIVED: Step = Step {
    name: "archive-received",
    marks: CONTENT,
    failure: Failure::Closed,
    run: |router, passage| {
        if let Some(id) = archive(router, passage, false) {
            passage.stanza.append(stanza_id(passage.owner.bare_str(), id));
        }
        Ok(())
    },
};

/// The sender's copy.
const ARCHIVE_SENT: Step = Step {
    name: "archive-sent",
    marks: CONTENT,
    failure: Failure::Open,
    run: |router, passage| {
        archive(router, passage, true);
        Ok(())
    },
};

/// XEP-0359: `<stanza-id/>` that claims to be by this account, however its address is written.
fn is_stanza_id_by(child: &ChildRef<'_>, owner: &str) -> bool {
    let is_owner = |by: &str| Jid::parse(by).is_ok_and(|by| by.bare_str() == owner);
    child.is("stanza-id", ns::STANZA_ID) && child.element().attr("by").is_some_and(is_owner)
}

fn stanza_id(by: &str, id: StanzaId) -> Bytes {
    let element = Element::new("stanza-id", ns::STANZA_ID)
        .with_attr("by", by)
        .with_attr("id", id.to_string());
    element.to_bytes()
}

fn archive(router: &Router, passage: &Passage<'_>, outgoing: bool) -> Option<StanzaId> {
    let id = passage.id?;
    if !router.archive.is_enabled() || !matches!(passage.stanza.head.kind, Kind::Message(_)) {
        return None;
    }
    let account = (passage.host, passage.account);
    router.archive.keep(account, id, outgoing, passage.stanza, passage.duty);
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Order is behaviour: a change here is a change of protocol.
    #[test]
    fn the_order_of_the_steps_is_pinned() {
        let names = |steps: &[Step]| steps.iter().map(|s| s.name).collect::<Vec<_>>();
        assert_eq!(names(SENT), ["archive-sent"]);
        assert_eq!(names(TO_ACCOUNT), ["strip-stanza-ids", "archive-received"]);
    }
}

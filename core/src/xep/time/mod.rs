//! XEP-0202: Entity Time.

use super::{Iq, Reply, Xep};
use crate::ns;
use crate::router::Target;
use crate::stanza::Condition;
use crate::xml::Element;

pub static XEP: Xep = Xep {
    number: 202,
    name: "Entity Time",
    version: "2.0",
    features: &[ns::TIME],
    iqs: &[Iq {
        namespace: ns::TIME,
        targets: &[Target::Server],
        handle: |services, question, _| match question.is_get() {
            // The server has no place of its own: its time is UTC.
            true => Reply::Result(
                Element::new("time", ns::TIME)
                    .with_child(Element::new("tzo", ns::TIME).with_text("+00:00"))
                    .with_child(
                        Element::new("utc", ns::TIME).with_text(&services.clock.now().to_string()),
                    ),
            ),
            false => Condition::BadRequest.into(),
        },
    }],
};

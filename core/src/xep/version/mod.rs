//! XEP-0092: Software Version.

use super::{Iq, Reply, Xep};
use crate::ns;
use crate::router::Target;
use crate::stanza::Condition;
use crate::xml::Element;

pub static XEP: Xep = Xep {
    number: 92,
    name: "Software Version",
    version: "1.1",
    features: &[ns::VERSION],
    iqs: &[Iq {
        namespace: ns::VERSION,
        targets: &[Target::Server],
        handle: |_, question, _| match question.is_get() {
            // §4: the operating system may be left out, and is of use to attackers only.
            true => Reply::Result(
                Element::new("query", ns::VERSION)
                    .with_child(Element::new("name", ns::VERSION).with_text("Hearth"))
                    .with_child(
                        Element::new("version", ns::VERSION).with_text(env!("CARGO_PKG_VERSION")),
                    ),
            ),
            false => Condition::BadRequest.into(),
        },
    }],
};

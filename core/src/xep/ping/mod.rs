//! XEP-0199: XMPP Ping.

use super::{Iq, Reply, Xep};
use crate::ns;
use crate::router::Target;
use crate::stanza::Condition;

pub static XEP: Xep = Xep {
    number: 199,
    name: "XMPP Ping",
    version: "2.0.1",
    features: &[ns::PING],
    iqs: &[Iq {
        namespace: ns::PING,
        targets: &[Target::Server, Target::Own],
        handle: |_, question, _| match question.is_get() {
            true => Reply::Done,
            false => Condition::BadRequest.into(),
        },
    }],
};

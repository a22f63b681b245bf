//! `<stream:features/>` (RFC 6120 §4.3.2).

use std::sync::Arc;

use super::header::Link;
use super::{Outputs, StartTls};
use crate::auth::mechanism::{BindingType, Mechanism};
use crate::auth::scram;
use crate::ns;
use crate::xml::writer::Writer;

/// When a feature is advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Authentication is possible and did not happen yet.
    Authentication,
    /// Authenticated, without a resource.
    Binding,
}

/// A feature that is only told, not negotiated by the machine. A host's profile lists them.
pub trait StreamFeature: Send + Sync {
    /// Appends the element when it is due in `stage`.
    fn write(&self, stage: Stage, writer: &mut Writer<'_>);
}

/// A feature of constant, canonical text.
#[derive(Clone, Copy, Debug)]
pub struct Advert {
    pub stage: Stage,
    pub xml: &'static str,
}

impl StreamFeature for Advert {
    fn write(&self, stage: Stage, writer: &mut Writer<'_>) {
        if stage == self.stage {
            writer.raw(self.xml.as_bytes());
        }
    }
}

/// XEP-0198.
pub const STREAM_MANAGEMENT: Advert =
    Advert { stage: Stage::Binding, xml: "<sm xmlns='urn:xmpp:sm:3'/>" };
/// RFC 6121 §2.6.
pub const ROSTER_VERSIONING: Advert =
    Advert { stage: Stage::Binding, xml: "<ver xmlns='urn:xmpp:features:rosterver'/>" };
/// RFC 6121 §3.4.
pub const PRE_APPROVAL: Advert =
    Advert { stage: Stage::Binding, xml: "<sub xmlns='urn:xmpp:features:pre-approval'/>" };
/// XEP-0077 §3.
pub const REGISTER: Advert = Advert {
    stage: Stage::Authentication,
    xml: "<register xmlns='http://jabber.org/features/iq-register'/>",
};

/// XEP-0478: what this end accepts, in octets and seconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub before_authentication: u32,
    pub afterwards: u32,
    /// Silence after which the connection is closed; 0 when it is not.
    pub idle_seconds: u32,
}

impl StreamFeature for Limits {
    fn write(&self, stage: Stage, writer: &mut Writer<'_>) {
        let octets = match stage {
            Stage::Authentication => self.before_authentication,
            Stage::Binding => self.afterwards,
        };
        writer.start("limits", Some(ns::LIMITS));
        writer.start("max-bytes", None).text(&octets.to_string()).end("max-bytes");
        if stage == Stage::Binding && self.idle_seconds > 0 {
            let seconds = self.idle_seconds.to_string();
            writer.start("idle-seconds", None).text(&seconds).end("idle-seconds");
        }
        writer.end("limits");
    }
}

/// XEP-0115 §6.3: the server's own capabilities. `ver` follows the features that are loaded.
pub struct Caps {
    pub node: String,
    /// Base64 of the SHA-1 of the verification string.
    pub ver: Arc<dyn Fn() -> String + Send + Sync>,
}

impl StreamFeature for Caps {
    fn write(&self, stage: Stage, writer: &mut Writer<'_>) {
        if stage == Stage::Binding {
            writer.start("c", Some(ns::CAPS)).attribute("hash", "sha-1");
            writer.attribute("node", &self.node).attribute("ver", &(self.ver)()).end("c");
        }
    }
}

/// Writes all features of the stage that begins.
pub(super) fn write(link: &Link, is_authenticated: bool, out: &mut Outputs) {
    let mut writer = out.writer();
    writer.start("stream:features", None);
    let stage = if is_authenticated {
        // RFC 3921 made clients ask for a session; `<optional/>` tells them not to bother.
        writer.raw(b"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>");
        writer.raw(b"<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>");
        Some(Stage::Binding)
    } else {
        starttls(link, &mut writer);
        let is_due = link.profile.permits_sasl(link.tls.is_some());
        is_due.then(|| mechanisms(link, &mut writer)).map(|()| Stage::Authentication)
    };
    // Before TLS nothing is told that an eavesdropper could want or change.
    if let Some(stage) = stage {
        for feature in &link.profile.features {
            feature.write(stage, &mut writer);
        }
    }
    writer.end("stream:features");
}

fn starttls(link: &Link, writer: &mut Writer<'_>) {
    if link.tls.is_some() || link.profile.starttls == StartTls::Disabled {
        return;
    }
    writer.start("starttls", Some(ns::TLS));
    if link.profile.starttls == StartTls::Required {
        writer.start("required", None).end("required");
    }
    writer.end("starttls");
}

fn mechanisms(link: &Link, writer: &mut Writer<'_>) {
    let offered: Vec<Mechanism> = offered(link).collect();
    writer.start("mechanisms", Some(ns::SASL));
    for mechanism in &offered {
        writer.start("mechanism", None).text(mechanism.name()).end("mechanism");
    }
    writer.end("mechanisms");
    // XEP-0440: without this list a client guesses, and a wrong guess looks like an attack.
    let mut bindings = bindings(link).peekable();
    if bindings.peek().is_none() {
        return;
    }
    writer.start("sasl-channel-binding", Some(ns::SASL_CHANNEL_BINDING));
    for kind in bindings {
        writer.start("channel-binding", None).attribute("type", kind.name());
        writer.end("channel-binding");
    }
    writer.end("sasl-channel-binding");
}

/// The kinds of channel binding that this very stream tells of.
fn bindings(link: &Link) -> impl Iterator<Item = BindingType> + '_ {
    let is_of_use = offered(link).any(|mechanism| mechanism.binds_channel());
    BindingType::ALL.into_iter().filter(move |kind| is_of_use && can_bind(link, *kind))
}

/// Both lists, for the client to see that nobody shortened them (XEP-0474).
pub(super) fn in_one(link: &Link) -> String {
    let mut mechanisms: Vec<_> = offered(link).map(Mechanism::name).collect();
    let mut bindings: Vec<_> = bindings(link).map(BindingType::name).collect();
    scram::offered(&mut mechanisms, &mut bindings)
}

/// The mechanisms of this very stream, strongest first. Nothing else is accepted.
pub(super) fn offered(link: &Link) -> impl Iterator<Item = Mechanism> + '_ {
    let permitted = link.profile.permits_sasl(link.tls.is_some());
    let can_bind_any = BindingType::ALL.into_iter().any(|kind| can_bind(link, kind));
    Mechanism::ALL.into_iter().filter(move |mechanism| {
        permitted
            && link.profile.mechanisms.contains(mechanism)
            && (link.tls.is_some() || !mechanism.needs_tls())
            && (can_bind_any || !mechanism.binds_channel())
    })
}

fn can_bind(link: &Link, kind: BindingType) -> bool {
    link.tls.as_ref().is_some_and(|facts| facts.binding(kind).is_some())
}

//! What a host offers to the streams of its clients.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::features::StreamFeature;
use crate::auth::mechanism::Mechanism;
use crate::host::HostId;
use crate::properties::{Property, Scope};
use crate::property_words;
use crate::stanza::Stanza;

property_words! {
    /// Whether clients on the port without TLS must, may or cannot switch to it.
    pub enum StartTls {
        /// Nothing but STARTTLS is offered before TLS.
        Required = "required",
        Optional = "optional",
        /// Not offered. Mechanisms that need TLS are not offered either, unless TLS came first.
        Disabled = "disabled",
    }
}

pub static STARTTLS: Property<StartTls> = Property::new(
    "c2s.starttls",
    || StartTls::Required,
    "Whether clients must use TLS on port 5222. Anything but \"required\" lets passwords be \
     attacked by who reads the network; PLAIN is never offered without TLS.",
)
.scope(Scope::Host);

/// Source of unguessable tokens of 128 bits or more, in characters that need no escaping and
/// without a comma: stream ids, nonces, resources.
pub type Tokens = Arc<dyn Fn() -> String + Send + Sync>;

/// A snapshot of a host's settings, taken when the connection is accepted.
pub struct Profile {
    pub host: HostId,
    /// The prepared domainpart.
    pub domain: String,
    pub starttls: StartTls,
    /// Enabled mechanisms in any order; streams offer them strongest first.
    pub mechanisms: Vec<Mechanism>,
    /// What is advertised after the mechanisms or `<bind/>`, in this order.
    pub features: Vec<Arc<dyn StreamFeature>>,
    /// Namespaces of IQ payloads that are answered before authentication.
    pub pre_auth: Vec<&'static str>,
    /// Failed attempts to authenticate, to register or to bind before the stream is closed; RFC
    /// 6120 §6.4.5 recommends 2 to 5.
    pub max_failures: u8,
    pub tokens: Tokens,
}

impl Profile {
    /// May a client of this stream authenticate now?
    pub(super) fn permits_sasl(&self, is_secured: bool) -> bool {
        is_secured || self.starttls != StartTls::Required
    }
}

/// The hosts of this server.
#[derive(Clone)]
pub struct Profiles(Arc<[Arc<Profile>]>);

impl Profiles {
    pub fn new(profiles: impl IntoIterator<Item = Arc<Profile>>) -> Profiles {
        Profiles(profiles.into_iter().collect())
    }

    /// The host that speaks where no host is known.
    pub(super) fn first(&self) -> Option<&Profile> {
        self.0.first().map(Arc::as_ref)
    }

    pub(super) fn find(&self, domain: &str) -> Option<Arc<Profile>> {
        self.0.iter().find(|profile| profile.domain == domain).cloned()
    }
}

/// Answers IQs of clients that are not authenticated (XEP-0077).
pub trait PreAuth: Send + Sync {
    fn answer<'a>(&'a self, peer: IpAddr, request: &'a Stanza) -> BoxFuture<'a, Stanza>;
}

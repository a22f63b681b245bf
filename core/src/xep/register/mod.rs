//! XEP-0077: In-Band Registration, as far as `registration.inband` allows it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{Iq, Question, Reply, Services, Xep, answer, answer_later};
use crate::auth::accounts::AccountError;
use crate::auth::throttle::{LoginThrottle, Rate, ThrottleLimits};
use crate::clock::Clock;
use crate::host::HostId;
use crate::ns;
use crate::properties::{Declared, Live, Properties, Property};
use crate::router::{Out, Target};
use crate::stanza::{Condition, IqType, Kind, Stanza, StanzaError};
use crate::stream::PreAuth;
use crate::xml::Element;

pub static XEP: Xep = Xep {
    number: 77,
    name: "In-Band Registration",
    version: "2.4",
    features: &[ns::REGISTER],
    iqs: &[Iq {
        namespace: ns::REGISTER,
        targets: &[Target::Server, Target::Own],
        handle: registered,
    }],
};

pub static INBAND: Property<bool> = Property::new(
    "registration.inband",
    || false,
    "Whether anybody may make an account by client (XEP-0077).",
);
pub static PASSWORD_CHANGE: Property<bool> = Property::new(
    "registration.password-change",
    || true,
    "Whether clients may change the password of their account (XEP-0077).",
);
pub static PER_HOUR: Property<u32> = Property::new(
    "limits.registrations-per-hour",
    || 10,
    "Accounts that one address may register in an hour; 0 for any number.",
);

/// The properties of this module.
pub static PROPERTIES: [&dyn Declared; 3] = [&INBAND, &PASSWORD_CHANGE, &PER_HOUR];

const HOUR: Duration = Duration::from_secs(3600);

/// Who may register, and how fast.
pub struct Registration {
    open: Live<bool>,
    password_change: Live<bool>,
    per_hour: Live<u32>,
    clock: Clock,
    /// The buckets for the rate at which they were made.
    attempts: Mutex<(u32, LoginThrottle)>,
}

impl Registration {
    pub fn new(properties: &Properties, clock: &Clock) -> Registration {
        let per_hour = properties.live(&PER_HOUR);
        let attempts = Mutex::new((per_hour.get(), buckets(per_hour.get())));
        let (open, password_change) = (properties.live(&INBAND), properties.live(&PASSWORD_CHANGE));
        Registration { open, password_change, per_hour, clock: clock.clone(), attempts }
    }

    pub fn is_open(&self) -> bool {
        self.open.get()
    }

    /// Counts a registration from this address; false when it is one too many.
    fn admit(&self, peer: IpAddr) -> bool {
        let per_hour = self.per_hour.get();
        if per_hour == 0 {
            return true;
        }
        let now = self.clock.now();
        let mut attempts = self.attempts.lock();
        if attempts.0 != per_hour {
            *attempts = (per_hour, buckets(per_hour));
        }
        let allowed = attempts.1.check(peer, HostId::FIRST, "", now).is_ok();
        if allowed {
            attempts.1.failed(peer, HostId::FIRST, "", now);
        }
        allowed
    }
}

fn buckets(per_hour: u32) -> LoginThrottle {
    let address = Rate { burst: per_hour.max(1), refill: HOUR / per_hour.max(1) };
    let everybody = Rate { burst: u32::MAX / 2, refill: Duration::from_millis(1) };
    LoginThrottle::new(ThrottleLimits { address, account: everybody, remembered: 10_000 })
}

/// Before authentication: §3.1.
impl PreAuth for Services {
    fn answer<'a>(&'a self, peer: IpAddr, request: &'a Stanza) -> BoxFuture<'a, Stanza> {
        Box::pin(async move {
            let payload = request.payload.find("query", ns::REGISTER).map(|c| c.element());
            let reply = match payload {
                Some(payload) => self.register(peer, request, &payload).await,
                None => Condition::BadRequest.into(),
            };
            let mut answer = match reply {
                Reply::Result(payload) => request.result().with_child(&payload),
                Reply::Error(error) => request.error(&error).unwrap_or_else(|| request.result()),
                Reply::Done | Reply::Later => request.result(),
            };
            answer.head.from = Some(self.hosts.domain(HostId::FIRST).clone());
            answer
        })
    }
}

impl Services {
    async fn register(&self, peer: IpAddr, request: &Stanza, payload: &Element) -> Reply {
        if !self.registration.is_open() {
            return Condition::NotAllowed.into();
        }
        if request.head.kind == Kind::Iq(IqType::Get) {
            return Reply::Result(self.form());
        }
        let (Some(username), Some(password)) = fields(payload) else {
            return Condition::NotAcceptable.into();
        };
        if !self.registration.admit(peer) {
            let text = "too many registrations from your address; try again later";
            return Reply::Error(StanzaError::new(Condition::ResourceConstraint).with_text(text));
        }
        match self.accounts.create(HostId::FIRST, &username, &password).await {
            Ok(_) => {
                tracing::info!(%peer, username, "registered an account");
                Reply::Done
            }
            Err(error) => refusal(error),
        }
    }

    fn form(&self) -> Element {
        let instructions = format!(
            "Choose a user name, and a password of at least {} characters.",
            self.accounts.shortest_password()
        );
        Element::new("query", ns::REGISTER)
            .with_child(text("instructions", &instructions))
            .with_child(Element::new("username", ns::REGISTER))
            .with_child(Element::new("password", ns::REGISTER))
    }

    async fn change_password(&self, host: HostId, username: &str, password: &str) -> Reply {
        match self.accounts.set_own_password(host, username, password).await {
            Ok(_) => Reply::Done,
            Err(error) => refusal(error),
        }
    }
}

/// After authentication: §3.2 cancels the account, §3.3 changes its password.
fn registered(services: &Arc<Services>, question: &Question<'_>, out: &mut Out) -> Reply {
    let Some(session) = &question.request.session else { return Condition::Forbidden.into() };
    let own = session.jid.local().unwrap_or_default().to_owned();
    if question.is_get() {
        let form = services.form().with_child(Element::new("registered", ns::REGISTER));
        return Reply::Result(form.with_child(text("username", &own)));
    }
    let (services, host) = (services.clone(), question.host());
    if question.payload.child("remove", ns::REGISTER).is_some() {
        out.wait(cancel(services, host, own, question.request.stanza.clone()));
        return Reply::Later;
    }
    match fields(question.payload) {
        _ if !services.registration.password_change.get() => Condition::NotAllowed.into(),
        (Some(username), Some(password)) if username == own => {
            answer_later(&question.request.stanza, out, async move {
                services.change_password(host, &own, &password).await
            })
        }
        // Only one's own password, and only with both fields.
        (Some(_), Some(_)) => Condition::NotAllowed.into(),
        _ => Condition::BadRequest.into(),
    }
}

/// §3.2: the answer goes first, the sessions end after it.
async fn cancel(services: Arc<Services>, host: HostId, own: String, stanza: Stanza) -> Out {
    let mut out = Out::default();
    if let Err(error) = services.removal.release(host, &own).await {
        answer(&stanza, refusal(error), &mut out);
        return out;
    }
    answer(&stanza, Reply::Done, &mut out);
    out.wait(async move {
        let removed = services.removal.remove(host, &own).await;
        removed.unwrap_or_else(|error| {
            tracing::error!(%error, username = own, "an account was not removed");
            Out::default()
        })
    });
    out
}

fn text(name: &str, text: &str) -> Element {
    Element::new(name, ns::REGISTER).with_text(text)
}

fn fields(payload: &Element) -> (Option<String>, Option<String>) {
    let field = |name| {
        let text = payload.child(name, ns::REGISTER)?.text().into_owned();
        (!text.is_empty()).then_some(text)
    };
    (field("username"), field("password"))
}

fn refusal(error: AccountError) -> Reply {
    let condition = match &error {
        AccountError::NameTaken => Condition::Conflict,
        // XEP-0077 §3.2, table 1.
        AccountError::LastAdministrator => Condition::Forbidden,
        AccountError::NoSuchAccount => Condition::ItemNotFound,
        AccountError::Name(_) | AccountError::Password(_) | AccountError::Short(_) => {
            Condition::NotAcceptable
        }
        AccountError::Elsewhere => Condition::NotAllowed,
        AccountError::Overloaded(_) | AccountError::Away(_) => Condition::ResourceConstraint,
        AccountError::Storage(storage) => {
            tracing::error!(error = %storage, "an account cannot be changed");
            return Condition::InternalServerError.into();
        }
    };
    Reply::Error(StanzaError::new(condition).with_text(error.to_string()))
}

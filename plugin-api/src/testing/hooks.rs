//! What the plugin registered.

use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RArc, ROption, RStr};

use super::services::Fake;
use crate::abi;
use crate::error::{Error, ErrorKind, Result, from_abi};
use crate::guard::guard;
use crate::manifest::Capability;
use crate::offer::{Migration, Offer, StanzasSpec};
use crate::registrar::OPAQUE;
use crate::stanza::Stanza;
use crate::step::{Passage, Phase, StepSpec};

#[derive(Default)]
pub struct Hooks {
    offers: Vec<(Offer, Option<Arc<abi::HandlerRef>>)>,
    steps: Vec<(StepSpec, Arc<abi::StepRef>)>,
    stanzas: Vec<(StanzasSpec, Arc<abi::StanzasRef>)>,
    /// Name, period and when it is due, in milliseconds.
    timers: Vec<(String, i64, i64)>,
}

impl Hooks {
    /// The handler of the first offer that fits.
    pub fn handler(&self, of: impl Fn(&Offer) -> bool) -> Option<Arc<abi::HandlerRef>> {
        self.offers.iter().find(|(offer, _)| of(offer)).and_then(|(_, handler)| handler.clone())
    }

    pub fn stanzas(&self, of: impl Fn(&StanzasSpec) -> bool) -> Option<Arc<abi::StanzasRef>> {
        self.stanzas.iter().find(|(spec, _)| of(spec)).map(|(_, handler)| handler.clone())
    }

    /// Steps of a phase in their order.
    pub fn steps(&self, phase: Phase) -> Vec<(StepSpec, Arc<abi::StepRef>)> {
        let mut steps: Vec<_> =
            self.steps.iter().filter(|(spec, _)| spec.phase == phase).cloned().collect();
        steps.sort_by_key(|(spec, _)| spec.priority);
        steps
    }

    pub fn offers(&self) -> Vec<Offer> {
        self.offers.iter().map(|(offer, _)| offer.clone()).collect()
    }

    pub fn migrations(&self) -> Vec<Migration> {
        let steps = self.offers.iter().filter_map(|(offer, _)| match offer {
            Offer::Migrations { migrations } => Some(migrations.clone()),
            _ => None,
        });
        steps.flatten().collect()
    }

    /// The timer that is due first, not after `end`.
    pub fn next_timer(&self, end: i64) -> Option<(i64, String)> {
        let due = self.timers.iter().filter(|(_, _, due)| *due <= end);
        due.min_by_key(|(_, _, due)| *due).map(|(name, _, due)| (*due, name.clone()))
    }

    pub fn timer_ran(&mut self, name: &str, at: i64) {
        for (_, period, due) in self.timers.iter_mut().filter(|(n, _, _)| n == name) {
            *due = at + *period;
        }
    }
}

struct FakeRegistrar {
    fake: Arc<Fake>,
    hooks: Arc<Mutex<Hooks>>,
}

pub fn registrar(fake: &Arc<Fake>, hooks: &Arc<Mutex<Hooks>>) -> abi::RegistrarRef {
    let registrar = FakeRegistrar { fake: fake.clone(), hooks: hooks.clone() };
    abi::Registrar_TO::from_ptr(RArc::new(registrar), OPAQUE)
}

impl FakeRegistrar {
    fn add(&self, capability: Option<Capability>, add: impl FnOnce(&mut Hooks)) -> Result<()> {
        if let Some(capability) = capability {
            self.fake.manifest.require(capability)?;
        }
        add(&mut self.hooks.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

impl abi::Registrar for FakeRegistrar {
    fn offer(&self, offer: RStr<'_>, handler: ROption<abi::HandlerRef>) -> abi::Res<()> {
        guard(|| {
            let offer: Offer = serde_json::from_str(offer.as_str())?;
            let start = self.fake.state().now_ms;
            if let Offer::Property(property) = &offer {
                self.fake.declare(property.clone())?;
            }
            self.add(offer.capability(), |hooks| {
                if let Offer::Timer(timer) = &offer {
                    let period = timer.every_ms as i64;
                    hooks.timers.push((timer.name.clone(), period, start + period));
                }
                hooks.offers.push((offer.clone(), handler.into_option().map(Arc::new)));
            })
        })
    }

    fn step(&self, spec: RStr<'_>, step: abi::StepRef) -> abi::Res<()> {
        guard(|| {
            let spec: StepSpec = serde_json::from_str(spec.as_str())?;
            self.add(Some(Capability::Steps), |hooks| hooks.steps.push((spec, Arc::new(step))))
        })
    }

    fn stanzas(&self, spec: RStr<'_>, handler: abi::StanzasRef) -> abi::Res<()> {
        guard(|| {
            let spec: StanzasSpec = serde_json::from_str(spec.as_str())?;
            let capability = Some(spec.capability());
            self.add(capability, |hooks| hooks.stanzas.push((spec, Arc::new(handler))))
        })
    }

    fn cluster(&self, _: RStr<'_>, _: abi::ClusterRef) -> abi::Res<abi::ClusterHostRef> {
        guard(|| {
            let message = "the server of make-believe has no cluster: test against a real one";
            Err(Error::new(ErrorKind::Unsupported, message))
        })
    }
}

pub fn check(step: &abi::StepRef, passage: &Passage, stanza: &Stanza) -> Result<abi::Verdict> {
    let passage = abi::Passage {
        phase: passage.phase.bit(),
        hops: passage.hops,
        flags: passage.durable.into(),
        account: passage.account.as_str().into(),
        session: passage.session.as_deref().unwrap_or_default().into(),
        stanza_id: passage.stanza_id.as_deref().unwrap_or_default().into(),
    };
    from_abi(stanza.with_ref(|stanza| step.check(&passage, stanza)))
}

pub fn check_later(
    step: &abi::StepRef,
    passage: &Passage,
    stanza: &Stanza,
) -> abi::Fut<abi::Verdict> {
    let passage = abi::PassageBuf {
        phase: passage.phase.bit(),
        hops: passage.hops,
        flags: passage.durable.into(),
        account: passage.account.as_str().into(),
        session: passage.session.as_deref().unwrap_or_default().into(),
        stanza_id: passage.stanza_id.as_deref().unwrap_or_default().into(),
    };
    step.check_later(passage, stanza.to_abi())
}

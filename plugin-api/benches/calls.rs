//! What a step of a plugin costs its server, per stanza: `cargo bench -p hearth-plugin-api`.
//!
//! Aims: nothing without a step, less than 50 ns for a step that watches another namespace, less than
//! 500 ns for one that looks and passes. Not a test: speed depends on the machine.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abi_stable::std_types::{RArc, ROption, RStr};
use hearth_plugin_api::abi::{self, Registrar_TO};
use hearth_plugin_api::{
    Kind, PassageView, Phase, Registrar, Result, Stanza, StanzaView, StepSpec, Verdict, from_abi,
};

/// Keeps the steps that are registered, as a server does.
#[derive(Default)]
struct Steps(Mutex<Vec<(StepSpec, abi::StepRef)>>);

struct Collector(Arc<Steps>);

fn unsupported<T>() -> abi::Res<T> {
    hearth_plugin_api::to_abi(Err("not here".into()))
}

impl abi::Registrar for Collector {
    fn offer(&self, _: RStr<'_>, _: ROption<abi::HandlerRef>) -> abi::Res<()> {
        unsupported()
    }
    fn step(&self, spec: RStr<'_>, step: abi::StepRef) -> abi::Res<()> {
        let spec = hearth_plugin_api::json::from_str(spec.as_str()).unwrap();
        self.0.0.lock().unwrap().push((spec, step));
        hearth_plugin_api::to_abi(Ok(()))
    }
    fn stanzas(&self, _: RStr<'_>, _: abi::StanzasRef) -> abi::Res<()> {
        unsupported()
    }
    fn cluster(&self, _: RStr<'_>, _: abi::ClusterRef) -> abi::Res<abi::ClusterHostRef> {
        unsupported()
    }
}

fn pass(_: &(), _: PassageView<'_>, _: StanzaView<'_>) -> Result<Verdict> {
    Ok(Verdict::Pass)
}

fn read(_: &(), _: PassageView<'_>, stanza: StanzaView<'_>) -> Result<Verdict> {
    match stanza.text("body") {
        Some(body) if body.contains("forbidden") => Ok(Verdict::Drop),
        _ => Ok(Verdict::Pass),
    }
}

fn steps(
    spec: StepSpec,
    check: fn(&(), PassageView<'_>, StanzaView<'_>) -> Result<Verdict>,
) -> Arc<Steps> {
    let steps = Arc::new(Steps::default());
    let opaque = abi_stable::sabi_trait::TD_Opaque;
    let registrar = Registrar_TO::from_ptr(RArc::new(Collector(steps.clone())), opaque);
    Registrar::new(&registrar).step(spec, &Arc::new(()), check).unwrap();
    steps
}

/// What a server does with one stanza: look at each step's filter, call those that want it.
fn run(steps: &[(StepSpec, abi::StepRef)], stanza: &Stanza, namespaces: &[&str]) {
    for (spec, step) in steps {
        if !spec.matches(stanza.kind, namespaces.iter().copied()) {
            continue;
        }
        let passage = abi::Passage {
            phase: Phase::Sent.bit(),
            hops: 0,
            flags: 1,
            account: "juliet@example.org".into(),
            session: "".into(),
            stanza_id: "".into(),
        };
        let verdict = stanza.with_ref(|stanza| step.check(&passage, stanza));
        black_box(Verdict::from_abi(from_abi(verdict).unwrap()).unwrap());
    }
}

fn measure(name: &str, mut call: impl FnMut()) {
    let rounds = 200_000;
    let round = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..rounds).for_each(|_| call());
        start.elapsed()
    };
    round(&mut call);
    let best = (0..5).map(|_| round(&mut call)).min().unwrap_or(Duration::ZERO);
    println!("{name:44} {:8.1} ns", best.as_nanos() as f64 / f64::from(rounds));
}

fn main() {
    let stanza = Stanza::message("romeo@example.org").from("juliet@example.org/balcony");
    let stanza = stanza.of_type("chat").body("Wherefore art thou, and so on for a while?");
    let namespaces = ["", "http://jabber.org/protocol/chatstates", "urn:xmpp:receipts"];
    let none = Steps::default();
    let other = StepSpec::new("other", Phase::Sent).namespaces(&["urn:example:other"]);
    let messages = StepSpec::new("all", Phase::Sent).kinds(&[Kind::Message]);
    let cases = [
        ("no step", Arc::new(none)),
        ("a step that watches another namespace", steps(other, pass)),
        ("a step that passes", steps(messages.clone(), pass)),
        ("a step that reads the body", steps(messages, read)),
    ];
    for (name, steps) in cases {
        let steps = steps.0.lock().unwrap();
        measure(name, || run(&steps, black_box(&stanza), black_box(&namespaces)));
    }
}

//! Core of make-believe that uses at once what it is told of.

use std::sync::Mutex;

use hearth_plugin_api::abi::abi_stable_crate::sabi_trait::TD_Opaque;
use hearth_plugin_api::abi::abi_stable_crate::std_types::{RArc, RSlice, RStr, RString, RVec};
use hearth_plugin_api::abi::{self, ClusterHost_TO, Fut, Res};
use hearth_plugin_api::cluster::{Cluster, Envelope, Node, Queued};
use hearth_plugin_api::testing::{FakeHost, block_on};
use hearth_plugin_api::to_abi;

use super::*;

#[derive(Clone)]
struct Eager {
    carrier: Carrier<ClusterHost>,
    sent: Arc<Mutex<Vec<Queued>>>,
}

fn node(id: u32) -> Node {
    Node { id, incarnation: 7 }
}

impl abi::ClusterHost for Eager {
    fn me(&self) -> Node {
        node(1)
    }

    fn receive(&self, _: Node, _: RSlice<'_, abi::Envelope<'_>>) -> Res<()> {
        to_abi(Ok(()))
    }

    fn acknowledged(&self, _: Node, _: RSlice<'_, abi::Ack>) -> Res<()> {
        to_abi(Ok(()))
    }

    fn ready(&self, _: Node) {}

    fn apply(&self, _: Node, seq: u64, _: RSlice<'_, abi::Delta<'_>>) -> Res<u64> {
        to_abi(Ok(seq))
    }

    fn replace(&self, _: Node, seq: u64, _: RSlice<'_, abi::Delta<'_>>) -> Res<u64> {
        to_abi(Ok(seq))
    }

    fn directory(&self) -> abi::Directory {
        abi::Directory { seq: 0, sessions: RVec::new() }
    }

    fn invalidated(&self, _: RStr<'_>, _: RStr<'_>) {}

    fn call(&self, _: RString, _: RVec<u8>) -> Fut<abi::Message> {
        let envelope = Envelope { lane: 1, ticket: 0, bytes: b"for all accounts" };
        let queued = self.carrier.deliver(node(2), envelope);
        self.sent.lock().expect("no panic").push(queued);
        Fut::new(async { to_abi(Ok(abi::Message::default())) })
    }
}

#[test]
fn what_core_sends_to_a_new_member_is_not_lost() {
    let server = FakeHost::start::<Enterprise>().expect("it starts");
    let ways = ways(&Arc::default(), &Arc::default());
    let carrier = Carrier::new(server.host(), Tasks::default(), ways);
    let core = Eager { carrier: carrier.clone(), sent: Arc::default() };
    let seam = ClusterHost::new(ClusterHost_TO::from_ptr(RArc::new(core.clone()), TD_Opaque));
    carrier.join(seam.clone());
    let parts = Parts { seam, carrier, tasks: Tasks::default(), host: server.host() };
    for members in 1..=2 {
        let members = (1..=members).map(|id| node(id).into()).collect();
        let action = Action::View(View { epoch: 1, members });
        block_on(parts.perform(&action, &Snapshot::default())).expect("done");
    }
    assert_eq!(*core.sent.lock().expect("no panic"), [Queued::Gone, Queued::Queued]);
}

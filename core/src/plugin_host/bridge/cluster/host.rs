//! Core as the plugin that makes a cluster calls it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use abi_stable::std_types::{RSlice, RStr, RString, RVec};
use hearth_plugin_api::abi::{
    Ack, ClusterHost, Delta, Directory, Envelope, Fut, Message, Node, ReaderRef, Res,
};
use hearth_plugin_api::cluster::{ClusterHostCall, Known, LeaseState, View};
use hearth_plugin_api::{Error, to_abi};
use serde::Serialize;
use smallvec::SmallVec;

use super::super::Guest;
use super::carrier::Carrier;
use super::{convert, watch};
use crate::plugin_host::guard::stopped;
use crate::router::cluster::{Nodes, Ownership};
use crate::session;
use crate::storage::lease::{Claim, Holder, Reason, Seat};

/// Core's half of the seam, for one plugin.
#[derive(Clone)]
pub struct ClusterApi {
    pub guest: Arc<Guest>,
    /// The plugin has us: it would never go if we had it.
    pub carrier: Weak<Carrier>,
}

impl ClusterApi {
    fn nodes(&self) -> &Arc<Nodes> {
        &self.guest.seams.router.nodes
    }

    fn seat(&self) -> &Seat {
        &self.guest.seams.cluster.seat
    }

    fn run(&self) -> session::Node {
        let Holder { node, incarnation } = self.seat().holder();
        session::Node { id: node, incarnation: incarnation as u64 }
    }

    fn open(&self) -> Result<(), Error> {
        match self.guest.guard.is_closed() {
            true => Err(stopped()),
            false => Ok(()),
        }
    }

    /// Something from another node, for a node that may act. Runs within our runtime, because what
    /// it causes may have to wait.
    fn take<T>(&self, take: impl FnOnce(&Arc<Nodes>) -> T) -> Res<T> {
        let taken = self.open().and_then(|()| match self.seat().is_held() {
            true => {
                let _here = self.guest.runtime.enter();
                Ok(take(self.nodes()))
            }
            false => Err(Error::unavailable("this node does not serve")),
        });
        to_abi(taken)
    }

    /// What others tell of their sessions is heard before this node's first term, too.
    fn hear<T>(&self, hear: impl FnOnce(&Arc<Nodes>) -> T) -> Res<T> {
        let heard = self.open().and_then(|()| match self.nodes().is_clustered() {
            true => {
                let _here = self.guest.runtime.enter();
                Ok(hear(self.nodes()))
            }
            false => Err(Error::unavailable("this node has not entered the cluster")),
        });
        to_abi(heard)
    }

    async fn enter(&self, carrier: Arc<Carrier>, view: View) -> Result<(), Error> {
        let (seat, db) = (self.seat(), &self.guest.seams.db);
        let view = convert::view(view);
        seat.enter(db, view.epoch).await.map_err(|error| convert::lease(&error))?;
        let me = self.run();
        // The same run enters again after an answer that came too late: it goes on counting.
        match self.nodes().me() == me {
            true => self.nodes().view(view),
            false => self.nodes().entered(me, view, carrier),
        }
        // Fenced at this very moment.
        if !matches!(seat.claim(), Claim::Cluster { .. }) {
            self.nodes().left();
        }
        Ok(())
    }

    fn view(&self, view: View) -> Result<(), Error> {
        self.seat().view(view.epoch).map_err(|error| convert::lease(&error))?;
        self.nodes().view(convert::view(view));
        Ok(())
    }

    fn lease(&self) -> LeaseState {
        let told = self.seat().told().borrow().clone();
        LeaseState {
            serving: told.serving,
            mode: told.mode.to_owned(),
            holder: told.holder,
            epoch: told.epoch,
            reason: told.reason,
        }
    }

    /// What leads the node: only between the plugin's start and its end.
    async fn lead(&self, call: ClusterHostCall) -> Result<(), Error> {
        let carrier = self.carrier.upgrade().filter(|carrier| carrier.is_leading());
        let Some(carrier) = carrier else {
            return Err(Error::unavailable("the plugin does not lead this node yet, or any more"));
        };
        let seam = &self.guest.seams.cluster;
        let refused = |error| convert::lease(&error);
        match call {
            ClusterHostCall::Enter { view } => self.enter(carrier, view).await,
            ClusterHostCall::View { view } => self.view(view),
            ClusterHostCall::Hold { epoch, until_boot_ms } => {
                let until = Duration::from_millis(until_boot_ms.max(0) as u64);
                seam.seat.hold(epoch, until).map_err(refused)
            }
            ClusterHostCall::Fence { reason } => {
                seam.seat.fence(Reason::Fenced(reason)).await;
                Ok(())
            }
            ClusterHostCall::Leave => seam.seat.leave(&self.guest.seams.db).await.map_err(refused),
            ClusterHostCall::DropNode { node, announce } => {
                let nodes = self.nodes().clone();
                let dropped = async move { nodes.drop_node(convert::node(node), announce).await };
                self.guest.to_its_end(dropped).await
            }
            ClusterHostCall::Drain { per_second } => {
                seam.drain.set(per_second);
                seam.drain.done().await;
                Ok(())
            }
            ClusterHostCall::Own { topic, key, deputy, epoch } => {
                let deputy = convert::node(deputy);
                let ownership = Ownership { owner: self.run(), deputy, epoch };
                let owned = self.nodes().own(&topic, &key, ownership).await;
                owned.map_err(|error| convert::told(&error))
            }
            ClusterHostCall::Disown { topic, key, owner } => {
                self.nodes().disown(&topic, &key, convert::node(owner));
                Ok(())
            }
            _ => Err(Error::unsupported("this server does not answer that call yet")),
        }
    }

    async fn answer(&self, call: ClusterHostCall, body: Vec<u8>) -> Result<Message, Error> {
        let c2s = &self.guest.seams.cluster.c2s;
        let told = |error| convert::told(&error);
        match call {
            ClusterHostCall::Lease => json(&self.lease()),
            ClusterHostCall::Known { node } => {
                let (next, sessions) = self.nodes().known(convert::node(node));
                let sessions = sessions.into_iter().map(convert::api_delta).collect();
                json(&Known { next, sessions })
            }
            ClusterHostCall::Serve { from, method } => {
                let answer = self.nodes().serve(convert::node(from), &method, body).await;
                answer.map(beside).map_err(told)
            }
            ClusterHostCall::Freeze { session, claimant } => {
                // A session that nobody holds would be a ghost.
                let c2s = c2s.clone();
                let frozen = async move { c2s.freeze(&session, convert::node(claimant)).await };
                self.guest.to_its_end(frozen).await?.map(beside).map_err(told)
            }
            ClusterHostCall::Release { session, claimant } => {
                json(&c2s.release(&session, convert::node(claimant)).await.map_err(told)?)
            }
            ClusterHostCall::Thaw { session } => json(&c2s.thaw(&session).map_err(told)?),
            other => json(&self.lead(other).await?),
        }
    }
}

impl ClusterHost for ClusterApi {
    fn me(&self) -> Node {
        convert::abi_node(self.run())
    }

    fn receive(&self, from: Node, envelopes: RSlice<'_, Envelope<'_>>) -> Res<()> {
        let parcels: SmallVec<[_; 16]> = envelopes.iter().map(convert::parcel).collect();
        self.take(|nodes| nodes.receive(convert::node(from), &parcels))
    }

    fn acknowledged(&self, from: Node, acks: RSlice<'_, Ack>) -> Res<()> {
        let acks: SmallVec<[_; 16]> = acks.iter().map(convert::ack).collect();
        // What became of a message is so, whether this node may act or not, and is told only once.
        to_abi(self.open().map(|()| {
            let _here = self.guest.runtime.enter();
            self.nodes().acknowledged(convert::node(from), &acks);
        }))
    }

    fn ready(&self, node: Node) {
        // Without effect on a node that does not serve, which sends nothing.
        let _ = self.take(|nodes| nodes.ready(convert::node(node)));
    }

    fn apply(&self, node: Node, seq: u64, deltas: RSlice<'_, Delta<'_>>) -> Res<u64> {
        let deltas: Vec<_> = deltas.iter().map(convert::delta).collect();
        self.hear(|nodes| nodes.apply(convert::node(node), seq, &deltas))
    }

    fn replace(&self, node: Node, seq: u64, sessions: RSlice<'_, Delta<'_>>) -> Res<u64> {
        let sessions: Vec<_> = sessions.iter().map(convert::delta).collect();
        self.hear(|nodes| nodes.replace(convert::node(node), seq, &sessions))
    }

    fn directory(&self) -> Directory {
        let (seq, sessions) = self.nodes().directory();
        Directory { seq, sessions: sessions.into_iter().map(convert::delta_buf).collect() }
    }

    fn invalidated(&self, topic: RStr<'_>, key: RStr<'_>) {
        // A node on standby forgets what it keeps when it begins to serve.
        let _ = self.hear(|nodes| nodes.invalidated(&topic, &key));
    }

    fn call(&self, head: RString, body: RVec<u8>) -> Fut<Message> {
        let api = self.clone();
        self.guest.work(async move {
            let call: ClusterHostCall = serde_json::from_str(&head).map_err(|error| {
                Error::unsupported(format!("this server does not know the call: {error}"))
            })?;
            api.answer(call, body.into_vec()).await
        })
    }

    fn watch(&self, socket: i32, reader: ReaderRef) -> Res<()> {
        to_abi(self.open().and_then(|()| watch::watch(&self.guest, socket, reader)))
    }
}

fn json(value: &impl Serialize) -> Result<Message, Error> {
    Ok(Message { head: serde_json::to_string(value)?.into(), body: RVec::new() })
}

fn beside(body: Vec<u8>) -> Message {
    Message { head: RString::new(), body: body.into() }
}

//! The plugin as core calls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearth_plugin_api::abi::{self, ClusterRef};
use hearth_plugin_api::cluster::{ClusterCall, ClusterSpec};
use serde::de::DeserializeOwned;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::super::Guest;
use super::convert;
use super::flushing::{Flushing, Haste};
use crate::plugin_host::guard::Guard;
use crate::router::cluster::{Ack, Answer, Cluster, ClusterError, Ownership, Parcel, Queued};
use crate::session::{Delta, Node};

/// For calls that another node or the database may have to answer. The plugin's own deadlines are
/// shorter.
const DEADLINE: Duration = Duration::from_secs(30);

/// Hands core's traffic to the plugin.
pub struct Carrier {
    guard: Arc<Guard>,
    plugin: ClusterRef,
    /// Octets of the largest parcel.
    largest: usize,
    is_leading: AtomicBool,
    flushing: Flushing,
}

impl Carrier {
    pub fn new(guest: &Guest, spec: &ClusterSpec, plugin: ClusterRef) -> Carrier {
        let largest = match spec.max_envelope {
            0 => usize::MAX,
            octets => octets.try_into().unwrap_or(usize::MAX),
        };
        let guard = guest.guard.clone();
        let (is_leading, flushing) = (AtomicBool::new(false), Flushing::default());
        Carrier { guard, plugin, largest, is_leading, flushing }
    }

    pub fn begin(&self) {
        self.is_leading.store(true, Ordering::Release);
    }

    pub fn end(&self) {
        self.is_leading.store(false, Ordering::Release);
    }

    /// Between the plugin's start and its end.
    pub fn is_leading(&self) -> bool {
        self.is_leading.load(Ordering::Acquire)
    }

    /// Has the plugin send whatever was queued, until it is stopped.
    pub async fn serve(&self) {
        tokio::select! {
            biased;
            () = self.flush_queued() => {}
            () = self.guard.closed() => {}
        }
    }

    async fn flush_queued(&self) {
        let mut last = Instant::now();
        loop {
            self.flushing.due(last).await;
            self.flush();
            last = Instant::now();
        }
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        call: ClusterCall,
        body: Vec<u8>,
    ) -> Result<(A, Vec<u8>), ClusterError> {
        let unreadable = |error: serde_json::Error| ClusterError::Failed(error.to_string());
        let head = serde_json::to_string(&call).map_err(unreadable)?;
        let asked = || self.plugin.call(head.into(), body.into());
        let answer = self.guard.later("cluster", DEADLINE, asked).await.map_err(convert::failed)?;
        let head = if answer.head.is_empty() { "null" } else { &*answer.head };
        Ok((serde_json::from_str(head).map_err(unreadable)?, answer.body.into_vec()))
    }
}

impl Cluster for Carrier {
    fn largest(&self) -> usize {
        self.largest
    }

    fn deliver(&self, to: Node, parcel: Parcel<'_>) -> Queued {
        let Parcel { lane, ticket, bytes } = parcel;
        let envelope = abi::Envelope { lane, ticket, bytes: bytes.into() };
        let to = convert::abi_node(to);
        match self.guard.brief(|| self.plugin.deliver(to, &envelope)) {
            Some(0) => {
                let haste = if ticket == 0 { Haste::Now } else { Haste::Soon };
                self.flushing.queued(bytes.len(), haste);
                Queued::Queued
            }
            Some(1) => Queued::Full,
            _ => Queued::Gone,
        }
    }

    fn acknowledge(&self, origin: Node, acks: &[Ack]) {
        let acks: SmallVec<[abi::Ack; 16]> = acks.iter().map(convert::abi_ack).collect();
        let origin = convert::abi_node(origin);
        self.guard.brief(|| self.plugin.acknowledge(origin, acks.as_slice().into()));
        self.flushing.queued(size_of_val(acks.as_slice()), Haste::None);
    }

    fn flush(&self) {
        self.guard.brief(|| self.plugin.flush());
    }

    fn sessions_changed(&self, seq: u64, deltas: &[Delta]) {
        let deltas: SmallVec<[abi::Delta<'_>; 8]> = deltas.iter().map(convert::abi_delta).collect();
        self.guard.brief(|| self.plugin.sessions_changed(seq, deltas.as_slice().into()));
    }

    fn invalidate(&self, topic: &str, key: &str) {
        self.guard.brief(|| self.plugin.invalidate(topic.into(), key.into()));
    }

    fn owner(&self, topic: &str, key: &str) -> Ownership {
        let owner = self.guard.brief(|| self.plugin.owner(topic.into(), key.into()));
        let abi::Owner { owner, deputy, epoch } = owner.unwrap_or_default();
        Ownership { owner: convert::node(owner), deputy: convert::node(deputy), epoch }
    }

    fn acquire<'a>(&'a self, topic: &'a str, key: &'a str) -> Answer<'a, Ownership> {
        let call = ClusterCall::Acquire { topic: topic.into(), key: key.into() };
        Box::pin(async { Ok(convert::ownership(self.ask(call, Vec::new()).await?.0)) })
    }

    fn give_up<'a>(&'a self, topic: &'a str, key: &'a str) -> Answer<'a, ()> {
        let call = ClusterCall::GiveUp { topic: topic.into(), key: key.into() };
        Box::pin(async { self.ask::<()>(call, Vec::new()).await.map(drop) })
    }

    fn request<'a>(&'a self, to: Node, method: &'a str, body: Vec<u8>) -> Answer<'a, Vec<u8>> {
        let call = ClusterCall::Request { to: convert::abi_node(to), method: method.into() };
        Box::pin(async { Ok(self.ask::<()>(call, body).await?.1) })
    }

    fn claim<'a>(&'a self, owner: Node, session: &'a str) -> Answer<'a, Vec<u8>> {
        let owner = convert::abi_node(owner);
        let call = ClusterCall::Claim { owner, session: session.into() };
        Box::pin(async { Ok(self.ask::<()>(call, Vec::new()).await?.1) })
    }

    fn claimed<'a>(&'a self, owner: Node, session: &'a str, imported: bool) -> Answer<'a, ()> {
        let owner = convert::abi_node(owner);
        let call = ClusterCall::Claimed { owner, session: session.into(), imported };
        Box::pin(async { self.ask::<()>(call, Vec::new()).await.map(drop) })
    }
}

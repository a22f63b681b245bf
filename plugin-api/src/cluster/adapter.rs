//! A [`Cluster`] as it crosses, and the conversions of both directions.

use std::sync::Arc;

use abi_stable::std_types::{RSlice, RStr, RString, RVec};
use serde::Serialize;

use super::{
    Ack, Cluster, ClusterCall, Delta, Envelope, Outcome, Ownership, Queued, Reader, Reading,
    outcome,
};
use crate::abi;
use crate::error::Result;
use crate::guard::{answer, guard};
use crate::host::read;

pub(crate) struct ClusterAdapter<C>(pub Arc<C>);

impl<C: Cluster> abi::Cluster for ClusterAdapter<C> {
    fn deliver(&self, to: abi::Node, envelope: &abi::Envelope<'_>) -> u32 {
        let queued = guard(|| Ok(self.0.deliver(to, Envelope::from_abi(envelope))));
        // A panic lost the envelope: as if the node were gone, so that core resolves it again.
        match queued.unwrap_or(Queued::Gone) {
            Queued::Queued => 0,
            Queued::Full => 1,
            Queued::Gone => 2,
        }
    }

    fn acknowledge(&self, origin: abi::Node, acks: RSlice<'_, abi::Ack>) {
        let _ = guard(|| {
            let acks = acks.iter().map(Ack::from_abi).collect::<Result<Vec<_>>>()?;
            self.0.acknowledge(origin, &acks);
            Ok(())
        });
    }

    fn sessions_changed(&self, seq: u64, deltas: RSlice<'_, abi::Delta<'_>>) {
        let _ = guard(|| {
            let deltas: Vec<_> = deltas.iter().map(Delta::from_abi).collect();
            self.0.sessions_changed(seq, &deltas);
            Ok(())
        });
    }

    fn invalidate(&self, topic: RStr<'_>, key: RStr<'_>) {
        let _ = guard(|| {
            self.0.invalidate(topic.as_str(), key.as_str());
            Ok(())
        });
    }

    fn owner(&self, topic: RStr<'_>, key: RStr<'_>) -> abi::Owner {
        let owner = guard(|| Ok(self.0.owner(topic.as_str(), key.as_str())));
        let Ok(Ownership { owner, deputy, epoch }) = owner.into_result() else {
            return abi::Owner::default();
        };
        abi::Owner { owner, deputy, epoch }
    }

    fn call(&self, head: RString, body: RVec<u8>) -> abi::Fut<abi::Message> {
        let cluster = self.0.clone();
        answer(move || async move { cold(&*cluster, read(&head)?, body.into_vec()).await })
    }

    fn flush(&self) {
        let _ = guard(|| {
            self.0.flush();
            Ok(())
        });
    }
}

pub(super) struct ReaderAdapter<R>(pub Arc<R>);

impl<R: Reader> abi::Reader for ReaderAdapter<R> {
    fn read(&self) -> u32 {
        match guard(|| Ok(self.0.read())).into_result() {
            Ok(Reading::Drained) => 0,
            Ok(Reading::More) => 1,
            Ok(Reading::Ended) => 2,
            Err(_) => 3,
        }
    }
}

async fn cold<C: Cluster>(cluster: &C, call: ClusterCall, body: Vec<u8>) -> Result<abi::Message> {
    match call {
        ClusterCall::Acquire { topic, key } => json(&cluster.acquire(&topic, &key).await?),
        ClusterCall::GiveUp { topic, key } => json(&cluster.give_up(&topic, &key).await?),
        ClusterCall::Request { to, method } => {
            Ok(beside(cluster.request(to, &method, body).await?))
        }
        ClusterCall::Claim { owner, session } => Ok(beside(cluster.claim(owner, &session).await?)),
        ClusterCall::Claimed { owner, session, imported } => {
            json(&cluster.claimed(owner, &session, imported).await?)
        }
    }
}

fn json(answer: &impl Serialize) -> Result<abi::Message> {
    Ok(abi::Message { head: serde_json::to_string(answer)?.into(), body: RVec::new() })
}

fn beside(body: Vec<u8>) -> abi::Message {
    abi::Message { head: RString::new(), body: body.into() }
}

impl<'a> Envelope<'a> {
    /// From what crossed.
    pub fn from_abi(envelope: &abi::Envelope<'a>) -> Envelope<'a> {
        let abi::Envelope { lane, ticket, bytes } = *envelope;
        Envelope { lane, ticket, bytes: bytes.as_slice() }
    }

    /// As it crosses.
    pub fn to_abi(&self) -> abi::Envelope<'a> {
        abi::Envelope { lane: self.lane, ticket: self.ticket, bytes: self.bytes.into() }
    }
}

impl Ack {
    /// From what crossed. `Unsupported` for an outcome of a newer level.
    pub fn from_abi(ack: &abi::Ack) -> Result<Ack> {
        Ok(Ack { ticket: ack.ticket, outcome: outcome(ack.outcome)? })
    }

    /// As it crosses.
    pub fn to_abi(self) -> abi::Ack {
        let outcome = match self.outcome {
            Outcome::Delivered => 0,
            Outcome::Committed => 1,
            Outcome::Refused => 2,
        };
        abi::Ack { ticket: self.ticket, outcome }
    }
}

impl Delta {
    /// From what crossed.
    pub fn from_abi(delta: &abi::Delta<'_>) -> Delta {
        Delta {
            gone: delta.op == 1,
            host: delta.host,
            account: delta.account.into(),
            resource: delta.resource.into(),
            session: delta.session,
            epoch: delta.epoch,
            bound_ms: delta.bound_ms,
            priority: delta.priority,
            flags: delta.flags,
        }
    }

    /// Lends it as it crosses.
    pub fn to_abi(&self) -> abi::Delta<'_> {
        abi::Delta {
            op: self.gone.into(),
            priority: self.priority,
            flags: self.flags,
            host: self.host,
            session: self.session,
            epoch: self.epoch,
            bound_ms: self.bound_ms,
            account: self.account.as_str().into(),
            resource: self.resource.as_str().into(),
        }
    }

    /// From what was handed over.
    pub fn from_buf(delta: abi::DeltaBuf) -> Delta {
        Delta {
            gone: delta.op == 1,
            host: delta.host,
            account: delta.account.into_string(),
            resource: delta.resource.into_string(),
            session: delta.session,
            epoch: delta.epoch,
            bound_ms: delta.bound_ms,
            priority: delta.priority,
            flags: delta.flags,
        }
    }
}

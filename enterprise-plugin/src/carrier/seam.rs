//! Core's side of the seam, as far as traffic needs it: what the tests replace.

use std::future::Future;

use hearth_plugin_api::Result;
use hearth_plugin_api::cluster::{Ack, ClusterHost, Delta, Envelope, Known, Node};

/// See [`ClusterHost`], whose functions these are.
pub trait Seam: Clone + Send + Sync + 'static {
    fn receive(&self, from: Node, envelopes: &[Envelope<'_>]) -> Result<()>;
    fn acknowledged(&self, from: Node, acks: &[Ack]) -> Result<()>;
    fn ready(&self, node: Node);
    fn apply(&self, node: Node, seq: u64, deltas: &[Delta]) -> Result<u64>;
    fn replace(&self, node: Node, seq: u64, sessions: &[Delta]) -> Result<u64>;
    fn directory(&self) -> (u64, Vec<Delta>);
    fn invalidated(&self, topic: &str, key: &str);
    fn known(&self, node: Node) -> impl Future<Output = Result<Known>> + Send;
    fn freeze(&self, session: &str, by: Node) -> impl Future<Output = Result<Vec<u8>>> + Send;
    fn release(&self, session: &str, by: Node) -> impl Future<Output = Result<()>> + Send;
    fn thaw(&self, session: &str) -> impl Future<Output = Result<()>> + Send;
    fn serve(
        &self,
        from: Node,
        method: &str,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>>> + Send;
    fn own(
        &self,
        name: (&str, &str),
        deputy: Node,
        epoch: i64,
    ) -> impl Future<Output = Result<()>> + Send;
    fn disown(&self, name: (&str, &str), owner: Node) -> impl Future<Output = Result<()>> + Send;
}

impl Seam for ClusterHost {
    fn receive(&self, from: Node, envelopes: &[Envelope<'_>]) -> Result<()> {
        ClusterHost::receive(self, from, envelopes)
    }

    fn acknowledged(&self, from: Node, acks: &[Ack]) -> Result<()> {
        ClusterHost::acknowledged(self, from, acks)
    }

    fn ready(&self, node: Node) {
        ClusterHost::ready(self, node);
    }

    fn apply(&self, node: Node, seq: u64, deltas: &[Delta]) -> Result<u64> {
        ClusterHost::apply(self, node, seq, deltas)
    }

    fn replace(&self, node: Node, seq: u64, sessions: &[Delta]) -> Result<u64> {
        ClusterHost::replace(self, node, seq, sessions)
    }

    fn directory(&self) -> (u64, Vec<Delta>) {
        ClusterHost::directory(self)
    }

    fn invalidated(&self, topic: &str, key: &str) {
        ClusterHost::invalidated(self, topic, key);
    }

    async fn known(&self, node: Node) -> Result<Known> {
        ClusterHost::known(self, node).await
    }

    async fn freeze(&self, session: &str, by: Node) -> Result<Vec<u8>> {
        ClusterHost::freeze(self, session, by).await
    }

    async fn release(&self, session: &str, by: Node) -> Result<()> {
        ClusterHost::release(self, session, by).await
    }

    async fn thaw(&self, session: &str) -> Result<()> {
        ClusterHost::thaw(self, session).await
    }

    async fn serve(&self, from: Node, method: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        ClusterHost::serve(self, from, method, body).await
    }

    async fn own(&self, (topic, key): (&str, &str), deputy: Node, epoch: i64) -> Result<()> {
        ClusterHost::own(self, topic, key, deputy, epoch).await
    }

    async fn disown(&self, (topic, key): (&str, &str), owner: Node) -> Result<()> {
        ClusterHost::disown(self, topic, key, owner).await
    }
}

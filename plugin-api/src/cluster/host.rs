//! Core, as the plugin that carries its traffic sees it.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::RArc;

use super::adapter::ReaderAdapter;
use super::{Ack, ClusterHostCall, Delta, Envelope, Known, LeaseState, Node, Reader, View};
use crate::abi::{self, Reader_TO};
use crate::error::{Result, from_abi};
use crate::host::read;

/// Handle on core's side of the seam. Clones share it.
#[derive(Clone)]
pub struct ClusterHost(abi::ClusterHostRef);

impl std::fmt::Debug for ClusterHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClusterHost").field(&self.me()).finish()
    }
}

impl ClusterHost {
    /// Around what crossed.
    pub fn new(abi: abi::ClusterHostRef) -> ClusterHost {
        ClusterHost(abi)
    }

    /// This run of this node. After a fence it is another incarnation.
    pub fn me(&self) -> Node {
        self.0.me()
    }

    /// Hands envelopes over that came from another node, in the order of their lanes.
    pub fn receive(&self, from: Node, envelopes: &[Envelope<'_>]) -> Result<()> {
        let envelopes: Vec<_> = envelopes.iter().map(Envelope::to_abi).collect();
        from_abi(self.0.receive(from, envelopes.as_slice().into()))
    }

    /// Hands over what became of envelopes that this node sent to `from`.
    pub fn acknowledged(&self, from: Node, acks: &[Ack]) -> Result<()> {
        let acks: Vec<_> = acks.iter().map(|ack| ack.to_abi()).collect();
        from_abi(self.0.acknowledged(from, acks.as_slice().into()))
    }

    /// The outbox towards `node` takes envelopes again.
    pub fn ready(&self, node: Node) {
        self.0.ready(node);
    }

    /// Takes the changes `seq`, `seq + 1`, … of a node's sessions. Answers the number that it wants
    /// next: a smaller one than follows the last means a gap, and [`ClusterHost::replace`] mends it.
    /// Changes that it has already are passed over.
    pub fn apply(&self, node: Node, seq: u64, deltas: &[Delta]) -> Result<u64> {
        let deltas: Vec<_> = deltas.iter().map(Delta::to_abi).collect();
        from_abi(self.0.apply(node, seq, deltas.as_slice().into()))
    }

    /// Takes all sessions of a node, as of its change `seq`. Answers the number that it wants next.
    pub fn replace(&self, node: Node, seq: u64, sessions: &[Delta]) -> Result<u64> {
        let sessions: Vec<_> = sessions.iter().map(Delta::to_abi).collect();
        from_abi(self.0.replace(node, seq, sessions.as_slice().into()))
    }

    /// All sessions of this node, and the number of the last change that is in it.
    pub fn directory(&self) -> (u64, Vec<Delta>) {
        let abi::Directory { seq, sessions } = self.0.directory();
        (seq, sessions.into_iter().map(Delta::from_buf).collect())
    }

    /// Another node changed something. An empty key means all of the topic, an empty topic everything:
    /// after a gap.
    pub fn invalidated(&self, topic: &str, key: &str) {
        self.0.invalidated(topic.into(), key.into());
    }

    /// Claims to serve in this view, and begins to send through the plugin. Returns once core holds the
    /// claim. `Conflict` when the database says that another node serves alone.
    pub async fn enter(&self, view: View) -> Result<()> {
        self.call(&ClusterHostCall::Enter { view }).await
    }

    /// Another view.
    pub async fn view(&self, view: View) -> Result<()> {
        self.call(&ClusterHostCall::View { view }).await
    }

    /// The node may serve until then, by the boot-time clock ([`crate::Host::boot_ms`]).
    pub async fn hold(&self, epoch: i64, until_boot_ms: i64) -> Result<()> {
        self.call(&ClusterHostCall::Hold { epoch, until_boot_ms }).await
    }

    /// Closes all sessions and stands by, now. Returns once that is so.
    pub async fn fence(&self, reason: &str) -> Result<()> {
        self.call(&ClusterHostCall::Fence { reason: reason.into() }).await
    }

    /// Clustering is switched off: core claims to serve alone again.
    pub async fn leave(&self) -> Result<()> {
        self.call(&ClusterHostCall::Leave).await
    }

    /// Forgets a node's sessions and resolves what it has not acknowledged again. The node for which
    /// `announce` holds tells its users' contacts that they are gone; that may be done twice.
    pub async fn drop_node(&self, node: Node, announce: bool) -> Result<()> {
        self.call(&ClusterHostCall::DropNode { node, announce }).await
    }

    /// Freezes and exports a session for another node. `NotFound` when it is not here, `Conflict` when
    /// somebody else claims it.
    pub async fn freeze(&self, session: &str, claimant: Node) -> Result<Vec<u8>> {
        let call = ClusterHostCall::Freeze { session: session.into(), claimant };
        self.exchange(&call, Vec::new()).await
    }

    /// The session lives on at the claimant: forwards what came, then forgets it.
    pub async fn release(&self, session: &str, claimant: Node) -> Result<()> {
        self.call(&ClusterHostCall::Release { session: session.into(), claimant }).await
    }

    /// The session stays here.
    pub async fn thaw(&self, session: &str) -> Result<()> {
        self.call(&ClusterHostCall::Thaw { session: session.into() }).await
    }

    /// Answers a request of another core ([`super::Cluster::request`]).
    pub async fn serve(&self, from: Node, method: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        self.exchange(&ClusterHostCall::Serve { from, method: method.into() }, body).await
    }

    /// This node owns a key from now on. Returns once core goes on with it.
    pub async fn own(&self, topic: &str, key: &str, deputy: Node, epoch: i64) -> Result<()> {
        let (topic, key) = (topic.into(), key.into());
        self.call(&ClusterHostCall::Own { topic, key, deputy, epoch }).await
    }

    /// This node owns a key no longer. Returns once core has let go.
    pub async fn disown(&self, topic: &str, key: &str, owner: Node) -> Result<()> {
        let (topic, key) = (topic.into(), key.into());
        self.call(&ClusterHostCall::Disown { topic, key, owner }).await
    }

    /// Asks clients to connect elsewhere and takes no new ones. Returns once nobody is left; 0 per
    /// second stops it.
    pub async fn drain(&self, per_second: u32) -> Result<()> {
        self.call(&ClusterHostCall::Drain { per_second }).await
    }

    /// The serving lease as this node sees it.
    pub async fn lease(&self) -> Result<LeaseState> {
        let head = serde_json::to_string(&ClusterHostCall::Lease)?;
        let answer = from_abi(self.0.call(head.into(), Vec::new().into()).await)?;
        read(&answer.head)
    }

    /// What core knows of another node's sessions, for comparing. `Unsupported` by an older server.
    pub async fn known(&self, node: Node) -> Result<Known> {
        let head = serde_json::to_string(&ClusterHostCall::Known { node })?;
        let answer = from_abi(self.0.call(head.into(), Vec::new().into()).await)?;
        read(&answer.head)
    }

    /// From now on the server's threads call `reader` when something has arrived at `socket`, which does
    /// not block, until it says that it is over or the plugin is stopped. To end it from elsewhere, shut
    /// the socket down, which wakes it. `Unsupported` by a server below level 3.
    pub fn watch<R: Reader>(&self, socket: BorrowedFd<'_>, reader: &Arc<R>) -> Result<()> {
        let reader = Reader_TO::from_ptr(RArc::new(ReaderAdapter(reader.clone())), TD_Opaque);
        from_abi(self.0.watch(socket.as_raw_fd(), reader))
    }

    async fn call(&self, call: &ClusterHostCall) -> Result<()> {
        self.exchange(call, Vec::new()).await.map(drop)
    }

    async fn exchange(&self, call: &ClusterHostCall, body: Vec<u8>) -> Result<Vec<u8>> {
        let head = serde_json::to_string(call)?;
        let answer = from_abi(self.0.call(head.into(), body.into()).await)?;
        Ok(answer.body.into_vec())
    }
}

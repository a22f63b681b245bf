//! A client resumes on this node what another one has (XEP-0198 §5).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::timeout;

use super::moving::name;
use super::{C2s, Held, Resumed};
use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::router::cluster::ClusterError;
use crate::session::export::{self, Exported, Limits};
use crate::session::registry::{Bound as Place, Entries};
use crate::session::{Entry, Node, Order, Origin, Session, resume};
use crate::stream::sm::Counter;

/// How long one node may take to give a session away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who wants to resume what.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w> {
    pub account: AccountId,
    /// The account's bare address.
    pub jid: &'w Jid,
    pub previd: &'w str,
    /// How many stanzas the client has.
    pub h: Counter,
}

impl C2s {
    /// Fetches the session from the node that has it. `None` when none has it, or is there.
    pub(super) async fn fetch(self: &Arc<Self>, wanted: Wanted<'_>) -> Option<Resumed> {
        let nodes = &self.router.nodes;
        if !nodes.is_clustered() {
            return None;
        }
        let cluster = nodes.cluster();
        let name = name(wanted.account, wanted.previd);
        for owner in self.owners(wanted) {
            let octets = match timeout(PATIENCE, cluster.claim(owner, &name)).await {
                Ok(Ok(octets)) => octets,
                Ok(Err(error)) => {
                    tracing::debug!(?owner, %error, "a session is not there");
                    continue;
                }
                Err(_) => {
                    tracing::warn!(?owner, "a node did not give a session away in time");
                    continue;
                }
            };
            let resumed = self.import(wanted, owner, &octets).await;
            let imported = resumed.is_some();
            let (cluster, name) = (cluster.clone(), name.clone());
            // The client need not wait for it. If the word is lost, the owner learns it from the
            // directory.
            self.tracker.spawn("claimed session", async move {
                match cluster.claimed(owner, &name, imported).await {
                    // It has learnt it already.
                    Ok(()) | Err(ClusterError::NotFound(_)) => {}
                    Err(error) => {
                        tracing::warn!(?owner, %error, "a node was not told about its session");
                    }
                }
            });
            return resumed;
        }
        None
    }

    /// The node that the id names, then those that have sessions of the account: one that has moved
    /// keeps its id.
    fn owners(&self, wanted: Wanted<'_>) -> SmallVec<[Node; 4]> {
        let view = self.router.nodes.current();
        let me = self.router.nodes.me();
        let named = resume::owner(wanted.previd);
        let mut owners: SmallVec<[Node; 4]> = view
            .members
            .iter()
            .map(|member| member.node)
            .filter(|node| {
                named.is_some_and(|named| {
                    named.id == node.id
                        && (named.incarnation == 0 || named.incarnation == node.incarnation)
                })
            })
            .collect();
        let host = self.router.hosts.find(wanted.jid.domain()).unwrap_or(HostId::FIRST);
        let local = wanted.jid.local().unwrap_or_default();
        self.router.registry.select(host, local, |entries| {
            for entry in entries {
                if let Entry::Remote(remote) = entry
                    && !owners.contains(&remote.node)
                {
                    owners.push(remote.node);
                }
            }
            Entries::new()
        });
        owners.retain(|node| *node != me);
        owners
    }

    /// Makes the session one of this node. `None`, and nothing has happened, when it cannot be.
    pub(super) async fn import(
        self: &Arc<Self>,
        wanted: Wanted<'_>,
        owner: Node,
        octets: &[u8],
    ) -> Option<Resumed> {
        let exported = match export::decode(octets) {
            Ok(exported) => exported,
            Err(error) => {
                tracing::error!(?owner, %error, "a session that another node gave away");
                return None;
            }
        };
        let is_his = exported.account == wanted.account
            && exported.id == wanted.previd
            && exported.jid.bare_str() == wanted.jid.as_str();
        if !is_his || !exported.covers(wanted.h) {
            tracing::debug!(jid = %exported.jid, "resumption of a wrong session or count");
            return None;
        }
        let (spooled, handled) = (exported.spooled(), exported.handled);
        let mut held = self.register(exported, owner)?;
        self.router.im.take_over(&held.shared, spooled);
        let shared = held.shared.clone();
        if let Some(resumable) = &mut held.resumable
            && let Ok(taken) = resumable.unacknowledged.acknowledge(wanted.h)
        {
            taken.for_each(|envelope| self.delivered(&shared, &envelope));
        }
        if self.still_allowed(&held).await.is_err() {
            self.clone().over(held).await;
            return None;
        }
        Some(Resumed { held, h: handled })
    }

    /// Registers the session in place of its owner's, unless its resource is somebody else's by now.
    fn register(self: &Arc<Self>, exported: Exported, owner: Node) -> Option<Held> {
        let registry = &self.router.registry;
        let limits =
            Limits { mailbox: self.settings.mailbox_kb.get() * 1024, queue: self.settings.queue() };
        let id = exported.id.clone();
        // Until the connection that carries it from now on is known.
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let origin = Origin { peer: nowhere, tls: None, mechanism: "", since: Timestamp(0) };
        let session: Session = exported.into_session(registry.next_id(), origin, &limits);
        let shared = session.shared.clone();
        let stays = |old: &Entry| !matches!(old, Entry::Remote(remote) if remote.node == owner);
        if let Place::Taken = registry.bind_unless(&shared, stays) {
            return None;
        }
        registry.allow_resume(id, shared.clone());
        // As when a resource is bound: whoever ends all sessions finds it, or has set this before.
        if let Some(reason) = *self.leaving.lock() {
            shared.mailbox.order(Order::Close(reason));
        }
        Some(Held::new(self, Box::new(session)))
    }
}

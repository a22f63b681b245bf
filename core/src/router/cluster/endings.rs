//! The end of sessions on whichever node they are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{ClusterError, Node, Nodes};
use crate::host::HostId;
use crate::jid::Jid;
use crate::router::Router;
use crate::session::registry::Entries;
use crate::session::{CloseReason, Entry, Order, Registry, RemoteSession};

/// Topic: the sessions of an account must end; the number of its host and its name.
const ENDED: &str = "sessions.end";
/// Requests, each with the session's number and its full address: end it for an administrator, or
/// because its resource was bound elsewhere.
const KICK: &str = "session.kick";
const REPLACE: &str = "session.replace";
/// How long another node's session may take to end before the new one goes on.
const HANDOVER: Duration = Duration::from_secs(5);

impl Nodes {
    /// Answers what other nodes ask about the ends of sessions.
    pub(super) fn offer_endings(&self) {
        let registry = self.registry.clone();
        self.listen(ENDED, move |key| {
            // After a gap nobody knows whom it was about: logins are checked against the database.
            if let Some((host, name)) = key.split_once('/')
                && let Ok(host) = host.parse()
            {
                end_here(&registry, HostId(host), name);
            }
        });
        for method in [KICK, REPLACE] {
            let registry = self.registry.clone();
            let service = move |_: Node, body: Vec<u8>| -> super::Answer<'static, Vec<u8>> {
                let registry = registry.clone();
                Box::pin(async move { end(&registry, method, &body).await.map(|()| Vec::new()) })
            };
            self.offer(method, Arc::new(service));
        }
    }

    /// Ends all sessions of an account, on all nodes.
    pub fn end_sessions(&self, host: HostId, name: &str) {
        end_here(&self.registry, host, name);
        // Also those that are so new that this node does not know of them.
        self.invalidate(ENDED, &format!("{}/{name}", host.0));
    }

    /// A session here took the resource of one on another node. Returns when that has ended, so that
    /// its contacts learn of its end before they learn of the new one; or when it takes too long.
    pub async fn replaced(&self, old: &RemoteSession) {
        let ended = self.request(old.node, REPLACE, body(old));
        match tokio::time::timeout(HANDOVER, ended).await {
            Ok(Ok(_)) => {}
            // The directory closes it, at the latest.
            other => {
                tracing::debug!(jid = %old.jid, ?other, "the other session may still be there")
            }
        }
    }
}

impl Router {
    /// An administrator ends a session.
    pub async fn end_session(&self, session: &Entry) -> Result<(), ClusterError> {
        match session {
            Entry::Local(session) => {
                session.mailbox.order(Order::Close(CloseReason::Kicked));
                Ok(())
            }
            Entry::Remote(session) => {
                self.nodes.request(session.node, KICK, body(session)).await.map(drop)
            }
        }
    }
}

fn end_here(registry: &Registry, host: HostId, name: &str) {
    let all = |entries: &[Entry]| entries.iter().cloned().collect();
    let sessions: Entries =
        registry.select(host, name, all).map(|found| found.1).unwrap_or_default();
    for session in sessions {
        if let Entry::Local(session) = session {
            session.mailbox.order(Order::Close(CloseReason::Kicked));
        }
    }
}

fn body(session: &RemoteSession) -> Vec<u8> {
    format!("{} {}", session.session, session.jid).into_bytes()
}

async fn end(registry: &Registry, method: &str, body: &[u8]) -> Result<(), ClusterError> {
    let unclear = || ClusterError::Failed("this is no session's number and address".to_owned());
    let text = std::str::from_utf8(body).map_err(|_| unclear())?;
    let (number, jid) = text.split_once(' ').ok_or_else(unclear)?;
    let jid = Jid::parse(jid).map_err(|_| unclear())?;
    let number: u64 = number.parse().map_err(|_| unclear())?;
    let mut found = None;
    registry.each_local(|session| {
        if session.id == number && session.jid == jid {
            found = Some(session.clone());
        }
    });
    let Some(session) = found else {
        // The directory may have been faster: then it ends already.
        if let Some(over) = registry.loser(number) {
            let _ = over.await;
        }
        return Ok(());
    };
    if method == KICK {
        session.mailbox.order(Order::Close(CloseReason::Kicked));
        return Ok(());
    }
    let (done, over) = oneshot::channel();
    session.mailbox.order(Order::Replace(done));
    // It answers by dropping its end.
    let _ = over.await;
    Ok(())
}

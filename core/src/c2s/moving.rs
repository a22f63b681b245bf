//! Sessions that move to another node (XEP-0198 §5). The owner freezes a session and gives it away as
//! octets; it keeps what comes meanwhile, until it hears whether the session lives on elsewhere.
//!
//! Nothing is lost: before a session is given away, the messages for whose safety somebody waits are
//! in the offline table, so that acknowledgements need not follow it around; and until the claimant
//! has it the owner has it still. Nothing comes twice: who takes a session takes the rows over, and
//! the owner forgets what it gave away without finding it another home.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::held::Held;
use super::{C2s, HANDOVER, SETTLING, settled};
use crate::host::AccountId;
use crate::router::Out;
use crate::router::cluster::ClusterError;
use crate::session::{CloseReason, Entry, Node, Order, Session, Shared, export};

/// How long a frozen session waits to hear what becomes of it.
const UNDECIDED: Duration = Duration::from_secs(20);
/// How often the owner looks whether the claimant is still there.
const LOOK: Duration = Duration::from_millis(500);
/// How long the owner waits until the directory knows where the session is.
const NEWS: Duration = Duration::from_secs(3);

/// What is frozen, by what the claimant called it.
#[derive(Default)]
pub struct Frozen(pub(super) Mutex<HashMap<String, Waiting>>);

pub(super) struct Waiting {
    claimant: Node,
    decide: oneshot::Sender<Verdict>,
}

/// What becomes of a frozen session.
enum Verdict {
    /// It lives on at the claimant. The sender is dropped when everything was forwarded.
    Release(oneshot::Sender<()>),
    Thaw,
}

/// What a session is called between nodes: its id, and whose it must be. So nobody disturbs the
/// session of somebody else.
pub(super) fn name(account: AccountId, id: &str) -> String {
    format!("{} {id}", account.0)
}

fn parse(name: &str) -> Option<(AccountId, &str)> {
    let (account, id) = name.split_once(' ')?;
    Some((AccountId(account.parse().ok()?), id))
}

impl C2s {
    /// Freezes a session and gives it away as octets. `NotFound` when it is not here, `Conflict` when
    /// somebody else is about to take it.
    pub async fn freeze(
        self: &Arc<Self>,
        name: &str,
        claimant: Node,
    ) -> Result<Vec<u8>, ClusterError> {
        let unknown = || ClusterError::NotFound("the session is not here".to_owned());
        if self.frozen.0.lock().contains_key(name) {
            return Err(ClusterError::Conflict("the session is being taken already".to_owned()));
        }
        let (account, id) = parse(name).ok_or_else(unknown)?;
        let shared = self.router.registry.resumable(id);
        let shared = shared.filter(|s| s.account == account).ok_or_else(unknown)?;
        let session = surrendered(&shared).await.ok_or_else(unknown)?;
        let mut held = Held::new(self, session);
        let handled = settled(&shared).await;
        if !self.wake(&mut held) {
            // Presence and roster pushes have passed it by: its client must begin anew.
            self.clone().over(held).await;
            return Err(unknown());
        }
        shared.leave();
        let is_safe = self.make_safe(&held).await;
        let octets = export::encode(&held, handled).filter(|_| is_safe);
        let Some(octets) = octets else {
            self.tracker.spawn("thawed session", self.clone().lost(Box::new(held)));
            return Err(ClusterError::Timeout);
        };
        let (decide, verdict) = oneshot::channel();
        let waiting = Waiting { claimant, decide };
        self.frozen.0.lock().insert(name.to_owned(), waiting);
        let keeping = self.clone().keep(name.to_owned(), held, claimant, verdict);
        self.tracker.spawn("frozen session", keeping);
        Ok(octets)
    }

    /// The session lives on at the claimant: forwards what came meanwhile, then forgets it.
    pub async fn release(&self, name: &str, claimant: Node) -> Result<(), ClusterError> {
        let waiting = self.decided(name, Some(claimant))?;
        let (done, over) = oneshot::channel();
        if waiting.decide.send(Verdict::Release(done)).is_ok() {
            // It is told by being dropped.
            let _ = over.await;
        }
        Ok(())
    }

    /// The session stays.
    pub fn thaw(&self, name: &str) -> Result<(), ClusterError> {
        // Whoever kept it may have given up by himself: it stays either way.
        let _ = self.decided(name, None)?.decide.send(Verdict::Thaw);
        Ok(())
    }

    fn decided(&self, name: &str, claimant: Option<Node>) -> Result<Waiting, ClusterError> {
        let mut frozen = self.frozen.0.lock();
        let is_his = |waiting: &Waiting| claimant.is_none_or(|node| node == waiting.claimant);
        match frozen.get(name) {
            Some(waiting) if !is_his(waiting) => {
                Err(ClusterError::Conflict("somebody else has claimed the session".to_owned()))
            }
            _ => frozen
                .remove(name)
                .ok_or_else(|| ClusterError::NotFound("the session is not frozen".to_owned())),
        }
    }

    /// Puts everything into the offline table for whose safety somebody waits. False when the database
    /// does not take it in time.
    async fn make_safe(&self, session: &Session) -> bool {
        let im = &self.router.im;
        let late: Vec<_> = session.resumable.iter().flat_map(|r| r.start_spool()).collect();
        im.spool(&session.shared, late);
        let stored = timeout(SETTLING, im.stored(&session.shared)).await;
        let unacknowledged = session.resumable.iter().flat_map(|r| r.unacknowledged.unacked());
        let is_awaited = unacknowledged.filter_map(|envelope| envelope.duty.as_ref());
        stored.is_ok() && !is_awaited.into_iter().any(|duty| duty.is_awaited())
    }

    /// Keeps what comes for a frozen session until its fate is known.
    async fn keep(
        self: Arc<Self>,
        name: String,
        held: Held,
        claimant: Node,
        verdict: oneshot::Receiver<Verdict>,
    ) {
        let mut returning = Vec::new();
        let end = tokio::select! {
            verdict = verdict => match verdict {
                Ok(Verdict::Release(done)) => Fate::Moved(Some(done)),
                Ok(Verdict::Thaw) | Err(_) => Fate::Stays,
            },
            () = self.undecided(claimant) => match self.is_at(&held.shared, claimant) {
                // The directory knows better.
                true => Fate::Moved(None),
                false => Fate::Stays,
            },
            fate = self.obey(&held.shared, claimant, &mut returning) => fate,
        };
        self.frozen.0.lock().remove(&name);
        match end {
            Fate::Moved(done) => {
                self.forward(held, claimant).await;
                drop(done);
            }
            Fate::Stays => {
                // Its client has come back here meanwhile.
                returning.into_iter().for_each(|order| held.shared.mailbox.order(order));
                self.lost(Box::new(held)).await;
            }
            Fate::Over(by) => {
                self.over(held).await;
                drop(by);
            }
        }
    }

    /// Resolves when the claimant will not tell any more.
    async fn undecided(&self, claimant: Node) {
        let deadline = Instant::now() + UNDECIDED;
        while Instant::now() < deadline && self.router.nodes.current().contains(claimant) {
            sleep(LOOK).await;
        }
    }

    /// Reads the orders to a frozen session until one ends it.
    async fn obey(&self, shared: &Arc<Shared>, claimant: Node, returning: &mut Vec<Order>) -> Fate {
        loop {
            let taken = poll_fn(|cx| shared.mailbox.poll_orders(cx)).await;
            for order in taken.orders {
                match order {
                    Order::Surrender(_) => returning.push(order),
                    // The directory was faster than the claimant's word.
                    Order::Replace(by) if self.is_at(shared, claimant) => {
                        return Fate::Moved(Some(by));
                    }
                    Order::Replace(by) => return Fate::Over(Some(by)),
                    Order::Close(
                        CloseReason::Kicked | CloseReason::Shutdown | CloseReason::Standby,
                    ) => return Fate::Over(None),
                    Order::Acknowledge | Order::Close(_) => {}
                }
            }
        }
    }

    fn place(&self, shared: &Shared) -> Option<Entry> {
        let local = shared.jid.local().unwrap_or_default();
        self.router.registry.resource(shared.host, local, shared.resource())
    }

    fn is_at(&self, shared: &Shared, node: Node) -> bool {
        matches!(self.place(shared), Some(Entry::Remote(remote)) if remote.node == node)
    }

    /// Sends what came after the session was given away to where it is now, and forgets it. Nobody
    /// is told that it has gone: it has not.
    async fn forward(&self, held: Held, claimant: Node) {
        let shared = held.shared.clone();
        let (mut session, _) = held.release();
        let deadline = Instant::now() + NEWS;
        while !self.is_at(&shared, claimant) && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        if let Some(id) = session.resumable.take().and_then(|resumable| resumable.token) {
            self.router.registry.forget_resume(&id);
        }
        self.router.registry.unbind(&shared);
        self.router.im.let_go(&shared, claimant);
        let mut out = Out::default();
        for envelope in shared.mailbox.close() {
            self.router.forward(&shared.jid, envelope, &mut out);
        }
        self.router.perform(&mut out).await;
        shared.mailbox.end();
    }
}

enum Fate {
    Moved(Option<oneshot::Sender<()>>),
    Stays,
    Over(Option<oneshot::Sender<()>>),
}

/// Takes a session away from whoever has it on this node.
pub(super) async fn surrendered(shared: &Shared) -> Option<Box<Session>> {
    let (surrender, mut claim) = oneshot::channel();
    shared.mailbox.order(Order::Surrender(surrender));
    match timeout_at(Instant::now() + HANDOVER, &mut claim).await {
        Ok(claimed) => claimed.ok(),
        // It may have come at this very moment, and must not be lost with the channel.
        Err(_) => {
            claim.close();
            claim.try_recv().ok()
        }
    }
}

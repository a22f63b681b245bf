//! What a node asks for, what it has and until when. Shared by the task that renews the lease, the
//! server that opens and closes its doors, and whoever leads this node in a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Notify, watch};

use super::store::{self, Answer, Mode, Row};
use super::{Claim, HASTE, Holder, RENEW, Reason, Serving};
use crate::clock::{Clock, Timestamp};
use crate::storage::{Db, Dialect, StorageError};

/// How long a call of whoever leads the cluster may wait for the database.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a node that served alone goes on until its leader has given it a term.
const FIRST_TERM: Duration = Duration::from_secs(1);

/// Why a node does not enter, stay or leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Another node serves alone.
    #[error("{0}")]
    Refused(Reason),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the database did not answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("an embedded database serves one node: set this node up with PostgreSQL")]
    Embedded,
    /// The leader's mistake, or this node was fenced meanwhile.
    #[error("this node has not entered the view {0}")]
    NotEntered(i64),
}

/// Whether the node serves. Each change, and each fence, has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub number: u64,
    pub serving: Serving,
}

/// The lease as others are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    pub serving: bool,
    /// What the database says: `free`, `alone` or `cluster`.
    pub mode: &'static str,
    /// Who serves alone; 0 for nobody.
    pub holder: u32,
    /// The cluster's newest view; 0 for none.
    pub epoch: i64,
    /// Why this node does not serve; empty when it does.
    pub reason: String,
}

/// A node's place in the service. Clones share it.
#[derive(Clone, Debug)]
pub struct Seat(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    node: u32,
    incarnation: AtomicI64,
    claim: Mutex<Claim>,
    /// Milliseconds of the boot-time clock until which the claim is surely ours; 0 for not ours.
    until: AtomicU64,
    /// The same of the cluster's term; all the time for a node that serves alone.
    term: AtomicU64,
    state: watch::Sender<State>,
    told: watch::Sender<Told>,
    /// Up to which number of [`State`] the server's doors are as it says.
    followed: watch::Sender<u64>,
    woken: Notify,
    /// This run of the node is over; the next begins when its doors are closed.
    is_spent: AtomicBool,
    /// One question to the database at a time: an answer never overtakes a later one.
    turn: tokio::sync::Mutex<()>,
}

impl Seat {
    /// A seat that asks to serve alone.
    pub fn new(clock: &Clock) -> Seat {
        let Holder { node, incarnation } = Holder::new(clock);
        let serving = Serving::Standby { reason: Reason::Starting };
        let told = Told { mode: "free", reason: Reason::Starting.to_string(), ..Told::default() };
        Seat(Arc::new(Inner {
            clock: clock.clone(),
            node,
            incarnation: AtomicI64::new(incarnation),
            claim: Mutex::default(),
            until: AtomicU64::new(0),
            term: AtomicU64::new(u64::MAX),
            state: watch::Sender::new(State { number: 0, serving }),
            told: watch::Sender::new(told),
            followed: watch::Sender::new(0),
            woken: Notify::new(),
            is_spent: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// This run of this node.
    pub fn holder(&self) -> Holder {
        let incarnation = self.0.incarnation.load(Ordering::Acquire);
        Holder { node: self.0.node, incarnation }
    }

    /// The node's own check, before it acts in the name of the whole service; true also after its
    /// process was stopped a while. Cheap.
    pub fn is_held(&self) -> bool {
        let now = self.now();
        now < self.0.until.load(Ordering::Acquire) && now < self.0.term.load(Ordering::Acquire)
    }

    /// What this node asks for.
    pub fn claim(&self) -> Claim {
        self.0.claim.lock().clone()
    }

    /// Follows whether this node serves.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// Follows what others are told.
    pub fn told(&self) -> watch::Receiver<Told> {
        self.0.told.subscribe()
    }

    /// Claims to serve in the cluster's view `epoch`. A node that served alone goes on; any other
    /// serves from its first term on.
    pub async fn enter(&self, db: &Db, epoch: i64) -> Result<(), LeaseError> {
        if db.dialect() == Dialect::Sqlite {
            return Err(LeaseError::Embedded);
        }
        let work = async {
            if self.is_closing() {
                self.closed().await;
            }
            let _turn = self.turn().await;
            let holder = self.holder();
            let enter = db.reserved(move |tx| Box::pin(store::enter(tx, holder, epoch)));
            let Answer { now, row, outcome } = enter.await?;
            self.know(row, now);
            outcome.map_err(LeaseError::Refused)?;
            let mut claim = self.0.claim.lock();
            if self.is_closing() {
                return Err(LeaseError::NotEntered(epoch));
            }
            let first = if self.is_held() { self.now() + millis(FIRST_TERM) } else { 0 };
            self.0.term.store(first, Ordering::Release);
            self.0.until.store(u64::MAX, Ordering::Release);
            *claim = Claim::Cluster { epoch };
            self.judge();
            Ok(())
        };
        let entered = tokio::time::timeout(PATIENCE, work).await;
        self.0.woken.notify_one();
        entered.unwrap_or(Err(LeaseError::Late))
    }

    /// Goes on in another view.
    pub fn view(&self, epoch: i64) -> Result<(), LeaseError> {
        let mut claim = self.0.claim.lock();
        let Claim::Cluster { epoch: entered } = &mut *claim else {
            return Err(LeaseError::NotEntered(epoch));
        };
        *entered = epoch;
        // The database is told at once.
        self.0.woken.notify_one();
        Ok(())
    }

    /// May serve until then, by the boot-time clock.
    pub fn hold(&self, epoch: i64, until: Duration) -> Result<(), LeaseError> {
        let claim = self.0.claim.lock();
        if *claim != (Claim::Cluster { epoch }) {
            return Err(LeaseError::NotEntered(epoch));
        }
        self.0.term.store(millis(until), Ordering::Release);
        self.judge();
        self.0.woken.notify_one();
        Ok(())
    }

    /// Gives everything up, now. Resolves when no session is left and no door open; from then on
    /// this is another run of the node.
    pub async fn fence(&self, reason: Reason) {
        self.give_up(&mut self.0.claim.lock(), reason);
        self.closed().await;
    }

    /// Resolves when the doors are as the state says.
    async fn closed(&self) {
        let number = self.0.state.borrow().number;
        let mut followed = self.0.followed.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = followed.wait_for(|followed| *followed >= number).await;
    }

    /// The cluster is over and nobody acts for it any more: claims to serve alone again.
    pub async fn leave(&self, db: &Db) -> Result<(), LeaseError> {
        let work = async {
            let _turn = self.turn().await;
            let read = db.reserved(|tx| Box::pin(store::read(tx))).await?;
            let mut claim = self.0.claim.lock();
            if let Claim::Cluster { .. } = *claim {
                self.give_up(&mut claim, Reason::Clustered);
            }
            *claim = match read {
                Some(row) if row.mode == Mode::Cluster => Claim::After { epoch: row.epoch },
                _ => Claim::Alone,
            };
            self.0.term.store(u64::MAX, Ordering::Release);
            Ok(())
        };
        let left = tokio::time::timeout(PATIENCE, work).await;
        self.0.woken.notify_one();
        left.unwrap_or(Err(LeaseError::Late))
    }

    /// Nobody leads this node in a cluster any more. It asks to serve alone, which a database that
    /// belongs to a cluster does not let it.
    pub fn unled(&self) {
        let mut claim = self.0.claim.lock();
        match &*claim {
            Claim::Alone | Claim::After { .. } => return,
            Claim::Cluster { .. } => {
                let stopped = "the plugin that makes the cluster has stopped on this node";
                self.give_up(&mut claim, Reason::Fenced(stopped.to_owned()));
            }
            Claim::Nothing(_) => {}
        }
        *claim = Claim::Alone;
        self.0.term.store(u64::MAX, Ordering::Release);
        self.0.woken.notify_one();
    }

    /// The server's doors are as the state of that number says. After a fence it is another run.
    pub fn followed(&self, state: &State) {
        let is_closed = state.serving != Serving::Serving;
        if is_closed && self.0.is_spent.swap(false, Ordering::AcqRel) {
            let next = Holder::new(&self.0.clock).incarnation;
            self.0.incarnation.store(next, Ordering::Release);
        }
        self.0.followed.send_modify(|followed| *followed = (*followed).max(state.number));
    }

    /// The server's doors stay closed.
    pub fn closed_for_good(&self) {
        self.0.followed.send_replace(u64::MAX);
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Its doors are still open for a run that is over.
    pub fn is_closing(&self) -> bool {
        self.0.is_spent.load(Ordering::Acquire)
    }

    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Resolves when there is something to tell the database, or another end to wait for.
    pub(super) async fn woken(&self) {
        self.0.woken.notified().await;
    }

    /// Time left until the node must stop serving.
    pub(super) fn left(&self) -> Duration {
        let until = self.0.until.load(Ordering::Acquire).min(self.0.term.load(Ordering::Acquire));
        Duration::from_millis(until.saturating_sub(self.now()))
    }

    /// Time until it is to look again.
    pub(super) fn pause(&self) -> Duration {
        match self.claim() {
            Claim::Nothing(_) => RENEW,
            Claim::Cluster { .. } if !self.is_held() => RENEW,
            _ => self.left().clamp(HASTE, RENEW),
        }
    }

    /// The database's answer to `asked`, which holds until `until`.
    pub(super) fn take(&self, asked: &Claim, answer: Answer, until: Duration) {
        self.know(answer.row, answer.now);
        let mut claim = self.0.claim.lock();
        if *claim != *asked {
            return;
        }
        match answer.outcome {
            Ok(()) => {
                let until =
                    if let Claim::Cluster { .. } = *claim { u64::MAX } else { millis(until) };
                if let Claim::After { .. } = *claim {
                    *claim = Claim::Alone;
                }
                self.0.until.store(until, Ordering::Release);
                self.judge();
            }
            Err(reason) if matches!(*claim, Claim::Cluster { .. }) => {
                self.give_up(&mut claim, reason);
            }
            Err(reason) => {
                self.0.until.store(0, Ordering::Release);
                self.become_state(Serving::Standby { reason });
            }
        }
    }

    /// Without an answer a lease goes on until its end and no longer.
    pub(in crate::storage) fn database_away(&self, why: &str) {
        let claim = self.0.claim.lock();
        if matches!(*claim, Claim::Alone | Claim::After { .. }) && !self.is_held() {
            self.0.until.store(0, Ordering::Release);
            let reason = Reason::DatabaseAway(why.to_owned());
            self.become_state(Serving::Standby { reason });
        }
    }

    /// Stops serving when the lease, or the term, has run out.
    pub(in crate::storage) fn expire(&self) {
        if self.is_held() || self.0.state.borrow().serving != Serving::Serving {
            return;
        }
        {
            let mut claim = self.0.claim.lock();
            if let Claim::Cluster { .. } = *claim {
                if !self.is_held() {
                    self.give_up(&mut claim, Reason::TermOver);
                }
                return;
            }
        }
        self.database_away("the lease could not be renewed");
    }

    /// The server stops.
    pub(super) fn stop(&self) {
        self.0.until.store(0, Ordering::Release);
        self.become_state(Serving::Standby { reason: Reason::Stopping });
    }

    /// Stands by until somebody enters or leaves.
    fn give_up(&self, claim: &mut Claim, reason: Reason) {
        self.0.is_spent.store(true, Ordering::Release);
        self.0.until.store(0, Ordering::Release);
        self.0.term.store(0, Ordering::Release);
        *claim = Claim::Nothing(reason.clone());
        self.note(&Serving::Standby { reason: reason.clone() });
        self.0.state.send_modify(|state| {
            state.number += 1;
            state.serving = Serving::Standby { reason: reason.clone() };
        });
    }

    /// Serves if it has both the claim and the term. Under the lock of the claim.
    fn judge(&self) {
        let is_serving = self.0.state.borrow().serving == Serving::Serving;
        match (self.is_held(), is_serving) {
            (true, _) => self.become_state(Serving::Serving),
            (false, false) => self.become_state(Serving::Standby { reason: Reason::Joining }),
            // Its end is noticed by who waits for it.
            (false, true) => {}
        }
    }

    fn become_state(&self, serving: Serving) {
        let changed = self.0.state.borrow().serving != serving;
        if changed {
            self.note(&serving);
            self.0.state.send_modify(|state| {
                state.number += 1;
                state.serving = serving;
            });
        }
    }

    fn note(&self, serving: &Serving) {
        let reason = match serving {
            Serving::Serving => {
                tracing::info!("this node serves");
                String::new()
            }
            Serving::Standby { reason: Reason::Stopping } => Reason::Stopping.to_string(),
            Serving::Standby { reason } => {
                tracing::warn!(%reason, "this node stands by");
                reason.to_string()
            }
        };
        self.0.told.send_if_modified(|told| {
            let serving = *serving == Serving::Serving;
            let changed = told.serving != serving || told.reason != reason;
            (told.serving, told.reason) = (serving, reason);
            changed
        });
    }

    /// What the database says, at `now` on its clock.
    fn know(&self, row: Option<Row>, now: Timestamp) {
        let (mode, holder, epoch) = match row {
            Some(row) if row.mode == Mode::Cluster => ("cluster", 0, row.epoch),
            Some(row) if row.expires > now => ("alone", row.holder.node, 0),
            _ => ("free", 0, 0),
        };
        self.0.told.send_if_modified(|told| {
            let changed = (told.mode, told.holder, told.epoch) != (mode, holder, epoch);
            (told.mode, told.holder, told.epoch) = (mode, holder, epoch);
            changed
        });
    }

    fn now(&self) -> u64 {
        millis(self.0.clock.boot())
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

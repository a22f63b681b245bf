//! Opens the XMPP listeners while this node may serve, and closes them when it must stand by or is
//! drained.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::xmpp::Xmpp;
use super::{Foundation, RunFiles, ServerError, bind};
use crate::admin::api::Api;
use crate::c2s::drain::Drain;
use crate::config::OpenPorts;
use crate::http::{Health, Readiness};
use crate::net::listener::Listener;
use crate::session::CloseReason;
use crate::storage::lease::{Claim, Seat, Serving, State};

/// How long the first client waits for the database at the begin of a run.
const PATIENCE: Duration = Duration::from_secs(2);

/// The XMPP side of a node's entrance.
pub(super) struct Entrance<'s> {
    pub foundation: &'s Foundation,
    pub xmpp: Arc<Xmpp>,
    pub api: Arc<Api>,
    pub run_files: &'s RunFiles,
    pub health: Arc<Health>,
    pub seat: Seat,
    pub drain: Drain,
    /// The HTTP ports, which are open in any case.
    pub ports: OpenPorts,
    /// Clients may have sessions.
    pub is_serving: bool,
    /// Closes the listeners that are open.
    pub open: Option<CancellationToken>,
}

impl Entrance<'_> {
    /// Brings it to what the lease says.
    pub async fn follow(&mut self, state: &State) -> Result<(), ServerError> {
        match &state.serving {
            Serving::Serving if !self.is_serving => {
                self.begin().await;
                self.is_serving = true;
                self.xmpp.connect();
                self.open()?;
            }
            Serving::Serving => {}
            Serving::Standby { reason } => {
                // Others may serve in a moment: nothing is read from now on. Balancers turn away
                // before the farewells, which take their time.
                self.health.set(Readiness::Standby(reason.to_string()));
                self.shut(CloseReason::Standby);
                self.publish(&self.ports)?;
                self.xmpp.farewell(self.foundation).await;
                self.drain.set(0);
                if self.seat.is_closing() {
                    self.xmpp.router.nodes.left();
                }
            }
        }
        self.seat.followed(state);
        Ok(())
    }

    /// Closes the listeners, and nothing else, while the node is drained.
    pub fn follow_drain(&mut self, per_second: u32) -> Result<(), ServerError> {
        match (self.is_serving, per_second) {
            (false, _) => Ok(()),
            (true, 0) if self.open.is_none() => self.open(),
            (true, 0) => Ok(()),
            (true, _) => {
                self.health.set(Readiness::Draining);
                self.close_listeners();
                self.publish(&self.ports)
            }
        }
    }

    /// What must be so before the first client comes.
    async fn begin(&self) {
        let im = &self.xmpp.router.im;
        let begun = im.begin_run(self.seat.holder().incarnation);
        if timeout(PATIENCE, begun).await.is_err() {
            tracing::warn!("the database is slow: stored messages are given out later");
        }
        self.foundation.accounts.forget_all();
        // What members hold is theirs, and what is left of former ones is freed by who drops them.
        if let Claim::Cluster { .. } = self.seat.claim() {
            return;
        }
        // What earlier runs were about to deliver is for whoever comes now.
        if let Err(error) = im.reclaim().await {
            tracing::warn!(%error, "held messages wait for the next start");
        }
    }

    fn open(&mut self) -> Result<(), ServerError> {
        let config = &self.foundation.config;
        let starttls = bind(&config.listen.addresses, config.ports.c2s)?;
        let direct = bind(&config.listen.addresses, config.ports.c2s_tls)?;
        let port = |listeners: &[Listener]| listeners.first().map(|l| l.local_addr().port());
        let mut ports = self.ports.clone();
        (ports.c2s, ports.c2s_tls) = (port(&starttls), port(&direct));
        let stop = self.foundation.tracker.soft().child_token();
        for (listeners, direct_tls) in [(starttls, false), (direct, true)] {
            for listener in listeners {
                let tracker = self.foundation.tracker.clone();
                let accept = self.xmpp.clone().accept(listener, direct_tls, tracker, stop.clone());
                self.foundation.tracker.spawn("client listener", accept);
            }
        }
        self.open = Some(stop);
        self.publish(&ports)?;
        self.health.set(Readiness::Serving);
        Ok(())
    }

    fn close_listeners(&mut self) {
        if let Some(stop) = self.open.take() {
            stop.cancel();
        }
    }

    /// Closes the listeners and reads no further from anybody, at once.
    fn shut(&mut self, reason: CloseReason) {
        self.close_listeners();
        if std::mem::take(&mut self.is_serving) {
            self.xmpp.leave(reason);
        }
    }

    /// The server stops: waits until every session is over. May be begun again.
    pub async fn close(&mut self) {
        self.shut(CloseReason::Shutdown);
        self.xmpp.farewell(self.foundation).await;
    }

    fn publish(&self, ports: &OpenPorts) -> Result<(), ServerError> {
        self.api.about.ports.store(Arc::new(by_name(ports)));
        Ok(self.run_files.publish(ports)?)
    }
}

fn by_name(ports: &OpenPorts) -> BTreeMap<String, u16> {
    let json = serde_json::to_value(ports).and_then(serde_json::from_value);
    json.expect("open ports are a map of numbers")
}

//! Start, stop, upgrade, reload, enable, disable, delete, without a restart of the server. Changes
//! happen one at a time; each leaves a plugin that runs, or says why none does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::abi::PluginRef;
use hearth_plugin_api::loader;

use super::bridge::{Guest, Hooks, Registered, Seams};
use super::guard::Guard;
use super::incoming;
use super::install::examine;
use super::store::{self, PluginRow, Standing};
use super::{PluginError, PluginHost, bridge};
use crate::admin::audit;
use crate::events::Kind;

/// Time to create, register and start.
const START: Duration = Duration::from_secs(15);
/// Time to stop, and again for calls in flight to come back.
const STOP: Duration = Duration::from_secs(5);

/// What happens to a deleted plugin's tables and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Keep,
    Drop,
}

/// A plugin that runs.
pub struct Instance {
    pub guard: Arc<Guard>,
    plugin: PluginRef,
    version: String,
    pub(super) hooks: Hooks,
}

impl PluginHost {
    /// Starts what is enabled, in the order of the ids. A plugin that does not start is reported
    /// and left out.
    pub async fn start(self: &Arc<Self>, seams: Seams) {
        if self.seams.set(Arc::new(seams)).is_err() {
            return;
        }
        incoming::clean(&self.home);
        let _alone = self.changes.lock().await;
        let rows = match self.rows().await {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "no plugin is started"),
        };
        let died = std::fs::read_to_string(self.marker()).ok();
        for row in rows.into_iter().filter(|row| row.standing == Standing::Enabled) {
            if died.as_deref() == Some(&row.file) {
                self.quarantine(row).await;
            } else if let Err(why) = self.launch(&row, None).await {
                tracing::error!(plugin = row.manifest.id, why, "a plugin does not start");
                self.settle(PluginRow { report: Some(why), ..row }).await;
            }
        }
        self.unmark();
    }

    /// The server died the last time that it started this plugin.
    async fn quarantine(&self, row: PluginRow) {
        let why = "the server ended while it started this plugin; enable it to try once more";
        tracing::error!(plugin = row.manifest.id, "{why}");
        let report = Some(why.to_owned());
        let since = self.clock.now();
        self.settle(PluginRow { standing: Standing::Quarantined, report, since, ..row }).await;
    }

    /// Stops everything, because the server stops.
    pub async fn stop(&self) {
        let _alone = self.changes.lock().await;
        let running = std::mem::take(&mut *self.running.write());
        let stops = running.into_values().map(|instance| self.end(instance));
        futures_util::future::join_all(stops).await;
    }

    /// Starts `row` in place of `before`. On failure the old one runs as before.
    pub(super) async fn replace(
        self: &Arc<Self>,
        row: &PluginRow,
        before: Option<&PluginRow>,
    ) -> Result<(), PluginError> {
        if self.seams.get().is_none() {
            return Ok(());
        }
        let id = row.manifest.id.clone();
        let old = self.suspend(&id).await;
        let Err(why) = self.launch(row, old.as_deref()).await else {
            self.release(old, true).await;
            return Ok(());
        };
        let mut old_runs = false;
        if let Some(before) = before.filter(|_| old.is_some()) {
            match self.launch(before, old.as_deref()).await {
                Ok(()) => old_runs = true,
                Err(why) => self.settle(PluginRow { report: Some(why), ..before.clone() }).await,
            }
        }
        self.release(old, old_runs).await;
        Err(PluginError::Start { id, why, old_runs })
    }

    /// Stops a plugin and starts it anew.
    pub async fn reload(self: &Arc<Self>, id: &str, actor: &str) -> Result<(), PluginError> {
        self.server()?;
        let _alone = self.changes.lock().await;
        let row = self.row(id).await?;
        if row.standing != Standing::Enabled {
            let state = row.standing.name();
            return Err(PluginError::NotRunning { id: id.to_owned(), state });
        }
        let old = self.suspend(id).await;
        let done = self.start_again(row, "plugin.reload", actor, old.as_deref()).await;
        self.release(old, done.is_ok()).await;
        done
    }

    /// Lets a plugin run that was disabled, faulty or quarantined.
    pub async fn enable(self: &Arc<Self>, id: &str, actor: &str) -> Result<(), PluginError> {
        let _alone = self.changes.lock().await;
        let row = self.row(id).await?;
        if self.running.read().contains_key(id) {
            return Ok(());
        }
        self.start_again(row, "plugin.enable", actor, None).await
    }

    async fn start_again(
        self: &Arc<Self>,
        row: PluginRow,
        action: &'static str,
        actor: &str,
        old: Option<&Instance>,
    ) -> Result<(), PluginError> {
        let started = match self.seams.get() {
            Some(_) => self.launch(&row, old).await,
            None => Ok(()),
        };
        let report = started.clone().err();
        let id = row.manifest.id.clone();
        let (standing, since) = (Standing::Enabled, self.clock.now());
        let row = PluginRow { standing, report, since, faults: 0, ..row };
        self.note(row, action, actor).await?;
        started.map_err(|why| PluginError::Start { id, why, old_runs: false })
    }

    /// Stops a plugin until somebody enables it.
    pub async fn disable(self: &Arc<Self>, id: &str, actor: &str) -> Result<(), PluginError> {
        let _alone = self.changes.lock().await;
        let row = self.row(id).await?;
        self.halt(id).await;
        let (standing, since) = (Standing::Disabled, self.clock.now());
        self.note(PluginRow { standing, report: None, since, ..row }, "plugin.disable", actor).await
    }

    /// Stops a plugin and takes it off this node. Data that another node's plugin of the same id
    /// works on stays.
    pub async fn remove(&self, id: &str, data: Data, actor: &str) -> Result<(), PluginError> {
        let _alone = self.changes.lock().await;
        let row = self.row(id).await?;
        self.halt(id).await;
        let (clock, actor, file) = (self.clock.clone(), actor.to_owned(), self.file(&row));
        let (id, name) = (id.to_owned(), id.to_owned());
        let forget = self.db.write(move |tx| {
            Box::pin(async move {
                store::remove(tx, clock.node(), &id).await?;
                if data == Data::Drop && !store::is_elsewhere(tx, clock.node(), &id).await? {
                    store::drop_data(tx, &id, &bridge::prefix(&id)).await?;
                }
                let target = format!("{id} {}", row.manifest.version);
                audit::note(tx, &clock, &actor, "plugin.remove", &target).await
            })
        });
        forget.await?;
        let folder = self.home.plugins().join("data").join(&name);
        if data == Data::Drop {
            std::fs::remove_dir_all(folder).or_else(gone).map_err(incoming::disk)?;
        }
        std::fs::remove_file(file).or_else(gone).map_err(incoming::disk)
    }

    /// Stops an instance that failed too often.
    async fn give_up(&self, guard: &Arc<Guard>) {
        let _alone = self.changes.lock().await;
        let id = guard.id().to_owned();
        let (faults, last) = guard.faults();
        let is_current = |running: &Arc<Instance>| Arc::ptr_eq(&running.guard, guard);
        if !self.running.read().get(&id).is_some_and(is_current) {
            return;
        }
        tracing::error!(plugin = id, faults, "a plugin is disabled, it failed too often");
        self.halt(&id).await;
        let Ok(row) = self.row(&id).await else { return };
        let report = Some(format!(
            "disabled, faults: {faults}; the last: {}",
            last.unwrap_or_else(|| "unknown".to_owned())
        ));
        let (standing, since) = (Standing::Faulty, self.clock.now());
        self.settle(PluginRow { standing, report, since, faults, ..row }).await;
    }

    /// Loads and starts a plugin; the error says why it does not run. If this kills the server, the
    /// marker tells the next start whose fault it was. It takes over from `old`, which is suspended.
    async fn launch(
        self: &Arc<Self>,
        row: &PluginRow,
        old: Option<&Instance>,
    ) -> Result<(), String> {
        let seams = self.seams.get().ok_or_else(|| PluginError::NoServer.to_string())?;
        let (marker, name) = (self.marker(), row.file.clone());
        crate::config::write_atomically(&marker, name.as_bytes(), 0o600)
            .map_err(|error| format!("no note of its start can be made: {error}"))?;
        let limits = &self.settings.max_faults;
        let guard = Guard::new(&row.manifest.id, &self.clock, &self.tracker, limits);
        let launched = tokio::time::timeout(START, self.bring_up(row, seams, old, &guard)).await;
        self.unmark();
        let late = || Err(format!("it did not start within {} s", START.as_secs()));
        let launched = launched.unwrap_or_else(|_| late());
        if launched.is_err() {
            // What it has begun by itself has no server any more.
            guard.close(Duration::ZERO).await;
        }
        let instance = Arc::new(launched?);
        let id = row.manifest.id.clone();
        let guard = instance.guard.clone();
        for (other, running) in &*self.running.read() {
            instance.hooks.introduce(other, &running.version);
        }
        let version = instance.version.clone();
        self.running.write().insert(id.clone(), instance);
        seams.events.tell(Kind::PluginStarted, || bridge::events::plugin(&id, &version));
        self.tracker.spawn("plugin faults", watch(self.clone(), guard));
        Ok(())
    }

    async fn bring_up(
        &self,
        row: &PluginRow,
        seams: &Arc<Seams>,
        old: Option<&Instance>,
        guard: &Arc<Guard>,
    ) -> Result<Instance, String> {
        let manifest = Arc::new(row.manifest.clone());
        let guest = Guest::new(seams, guard, &manifest);
        let host = bridge::host(&guest);
        let (file, expected, registering) = (self.file(row), row.sha256, guest.clone());
        let folder = seams.data.join(&manifest.id);
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("its folder {} cannot be made: {error}", folder.display()))?;
        let create = move || {
            let found = examine(&file).map_err(|error| error.to_string())?;
            if found.sha256 != expected {
                return Err("its file is not the one that was installed: install it anew".into());
            }
            let library = loader::load(&file).map_err(|error| error.to_string())?;
            let plugin = library.create(host).map_err(|error| error.message)?;
            let registered = Registered::of(&plugin, &registering)?;
            Ok((plugin, registered))
        };
        let bug = || Err("the server could not load it: see its log".to_owned());
        let (plugin, registered) = apart(create).await.unwrap_or_else(bug)?;
        registered.prepare(&guest).await?;
        let started = guard.later("start", START, || plugin.start()).await;
        started.map_err(|error| error.message)?;
        let hooks = match bridge::open(&guest, registered, old.map(|old| &old.hooks)) {
            Ok(hooks) => hooks,
            Err(why) => {
                // Why it does not run is known; how it stops says nothing more.
                let deadline = STOP.as_millis() as u64;
                let _ = guard.later("stop", STOP, || plugin.stop(deadline)).await;
                return Err(why);
            }
        };
        let version = row.manifest.version.clone();
        Ok(Instance { guard: guard.clone(), plugin, version, hooks })
    }

    /// Stops the running instance of a plugin. False when none runs.
    async fn halt(&self, id: &str) -> bool {
        let Some(instance) = self.running.write().remove(id) else { return false };
        self.end(instance).await;
        true
    }

    async fn end(&self, instance: Arc<Instance>) {
        instance.hooks.close();
        self.quiet(&instance).await;
        // Its own code runs when it is dropped, and may take its time.
        apart(move || drop(instance)).await;
    }

    /// Stops the running instance of a plugin, whose traffic waits from now on.
    async fn suspend(&self, id: &str) -> Option<Arc<Instance>> {
        let instance = self.running.write().remove(id)?;
        instance.hooks.suspend();
        self.quiet(&instance).await;
        Some(instance)
    }

    /// The traffic of a suspended instance goes on, with its successor if there is one.
    async fn release(&self, old: Option<Arc<Instance>>, is_replaced: bool) {
        let Some(instance) = old else { return };
        match is_replaced {
            true => instance.hooks.parking.resume(),
            false => instance.hooks.parking.give_up(),
        }
        instance.hooks.close();
        apart(move || drop(instance)).await;
    }

    /// Tells an instance to stop, and waits for the calls in flight.
    async fn quiet(&self, instance: &Instance) {
        let Instance { guard, plugin, version, .. } = instance;
        if let Some(seams) = self.seams.get() {
            let data = || bridge::events::plugin(guard.id(), version);
            seams.events.tell(Kind::PluginStopped, data);
        }
        let deadline = STOP.as_millis() as u64;
        // What it says at its end is in its fault report and in the log.
        let _ = guard.later("stop", STOP, || plugin.stop(deadline)).await;
        instance.hooks.close_last();
        if !guard.close(STOP).await {
            tracing::warn!(plugin = guard.id(), "calls into a stopped plugin have not come back");
        }
    }

    /// A server runs, so that plugins can.
    pub(super) fn server(&self) -> Result<&Arc<Seams>, PluginError> {
        self.seams.get().ok_or(PluginError::NoServer)
    }

    /// Keeps what became of a plugin; what cannot be kept is logged, and holds until the next start.
    pub(super) async fn settle(&self, row: PluginRow) {
        let node = self.clock.node();
        let put =
            self.db.write(move |tx| Box::pin(async move { store::put(tx, node, &row).await }));
        if let Err(error) = put.await {
            tracing::error!(%error, "the state of a plugin is not kept");
        }
    }

    async fn note(
        &self,
        row: PluginRow,
        action: &'static str,
        actor: &str,
    ) -> Result<(), PluginError> {
        let (clock, actor) = (self.clock.clone(), actor.to_owned());
        let put = self.db.write(move |tx| {
            Box::pin(async move {
                store::put(tx, clock.node(), &row).await?;
                audit::note(tx, &clock, &actor, action, &row.manifest.id).await
            })
        });
        Ok(put.await?)
    }

    fn marker(&self) -> PathBuf {
        self.home.plugins().join(".starting")
    }

    fn unmark(&self) {
        if let Err(error) = std::fs::remove_file(self.marker()).or_else(gone) {
            tracing::error!(%error, "the note of a plugin's start stays: it will be quarantined");
        }
    }
}

async fn watch(host: Arc<PluginHost>, guard: Arc<Guard>) {
    tokio::select! {
        () = guard.exhausted() => host.give_up(&guard).await,
        () = guard.closed() => {}
    }
}

/// Runs a plugin's own code on a thread of its own, which holds up nobody if it never comes back:
/// neither the reactor nor the end of the process. `None` when it panicked.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("plugin".to_owned());
    // Whoever waited may have given up.
    let begun = thread.spawn(move || drop(done.send(work())));
    if let Err(error) = begun {
        tracing::error!(%error, "no thread could be started for a plugin");
    }
    result.await.ok()
}

fn gone(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

//! Where the plugin's own work runs: one thread of its own, which ends with the plugin.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hearth_plugin_api::Result;
use hearth_plugin_api::runtime::Runtime;

/// Handle on the thread. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<OnceLock<Runtime>>);

impl Tasks {
    /// Starts the thread; once.
    pub fn start(&self) -> Result<()> {
        if self.0.get().is_none() {
            let _ = self.0.set(Runtime::new("hearth-cluster")?);
        }
        Ok(())
    }

    /// Begins something that nobody waits for. Before the start and after the end: nothing happens.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = self.0.get() {
            drop(runtime.run(async move {
                work.await;
                Ok(())
            }));
        }
    }

    /// Ends what runs, at its next await.
    pub fn shutdown(&self, patience: Duration) {
        if let Some(runtime) = self.0.get() {
            runtime.shutdown(patience);
        }
    }
}

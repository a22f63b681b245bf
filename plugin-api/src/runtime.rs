//! A runtime of the plugin's own.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::guard::panicked;

/// A tokio runtime with one thread. Timers and sockets of tokio work in what runs here, and only here:
/// the server has another copy of tokio.
///
/// ```
/// # use std::time::Duration;
/// use hearth_plugin_api::runtime::Runtime;
/// let runtime = Runtime::new("demo")?;
/// let answer = runtime.run(async { Ok(42) });
/// // `answer` may be awaited anywhere.
/// runtime.shutdown(Duration::from_secs(1));
/// # drop(answer);
/// # Ok::<(), hearth_plugin_api::Error>(())
/// ```
#[derive(Debug)]
pub struct Runtime(std::sync::Mutex<Option<tokio::runtime::Runtime>>, tokio::runtime::Handle);

impl Runtime {
    /// Starts the thread, which bears the plugin's `name`.
    pub fn new(name: &str) -> Result<Runtime> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name(name)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Runtime(std::sync::Mutex::new(Some(runtime)), handle))
    }

    /// Runs a future here; what is returned may be awaited anywhere. A panic becomes an error, and so
    /// does the end of the runtime. Dropping what is returned does not end the future.
    pub fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let task = self.1.spawn(future);
        async move {
            match task.await {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(panicked(&*error.into_panic())),
                Err(_) => Err(Error::new(ErrorKind::Stopped, "the plugin was stopped")),
            }
        }
    }

    /// Ends what runs here, at its next await, and waits for the thread at most so long. To be called by
    /// [`crate::Plugin::stop`].
    pub fn shutdown(&self, patience: Duration) {
        let runtime = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(patience);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Waiting is not allowed where a runtime's own task drops it.
        let runtime = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let _ =
            std::panic::catch_unwind(AssertUnwindSafe(|| runtime.map(|r| r.shutdown_background())));
    }
}

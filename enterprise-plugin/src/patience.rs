//! Waiting for something, but not for ever.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use hearth_plugin_api::{Error, ErrorKind, Host, Result};

/// `Timeout` when a future takes longer; `what` names who did not answer.
pub async fn within<T>(
    host: &Host,
    time: Duration,
    what: &str,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (mut future, mut sleep) = (pin!(future), pin!(host.sleep(time)));
    poll_fn(|context| {
        if let Poll::Ready(done) = future.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        sleep.as_mut().poll(context).map(|slept| {
            slept?;
            Err(Error::new(ErrorKind::Timeout, format!("{what} did not answer in time")))
        })
    })
    .await
}

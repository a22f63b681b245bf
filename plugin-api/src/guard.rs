//! No panic leaves the plugin: one that did would end the server.

use std::any::Any;
use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use async_ffi::FfiFuture;

use crate::abi;
use crate::error::{Error, ErrorKind, Result, to_abi};

thread_local! {
    /// Where the last panic of this thread happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Remembers where panics happen, so that a fault report can say it. The hook is the plugin's own:
/// each library has its own copy of `std`.
pub fn remember_places() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        PLACE.with(|last| *last.borrow_mut() = place);
    }));
}

/// Runs an entry of the plugin; a panic becomes an error of kind `Panic`.
///
/// ```
/// use hearth_plugin_api::guard::guard;
/// let answer: Result<(), _> = guard(|| panic!("no")).into_result();
/// assert_eq!(answer.unwrap_err().message.as_str(), "panicked: no");
/// ```
pub fn guard<T>(entry: impl FnOnce() -> Result<T>) -> abi::Res<T> {
    to_abi(catch(entry))
}

/// The same for an entry that answers later. `entry` makes the future when it is first polled.
pub fn answer<T, F>(entry: impl FnOnce() -> F + Send + 'static) -> abi::Fut<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    FfiFuture::new(async move {
        let future = match catch(|| Ok(entry())) {
            Ok(future) => future,
            Err(error) => return to_abi(Err(error)),
        };
        let mut future = pin!(future);
        poll_fn(|context| match catch(|| Ok(future.as_mut().poll(context))) {
            Ok(Poll::Ready(result)) => Poll::Ready(to_abi(result)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(error) => Poll::Ready(to_abi(Err(error))),
        })
        .await
    })
}

fn catch<T>(entry: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic left half done is the plugin's own; the server stops it after a few of them.
    match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(result) => result,
        Err(payload) => Err(panicked(&*payload)),
    }
}

pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.with(|place| place.borrow_mut().take());
    let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
    Error::new(ErrorKind::Panic, format!("panicked{place}: {}", text.unwrap_or("without a word")))
}

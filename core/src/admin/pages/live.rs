//! Parts of a page that change while it is looked at: server-sent events, which htmx puts in place.

use std::convert::Infallible;

use futures_util::stream::{self, Stream, StreamExt};
use parking_lot::Mutex;
use warp::Reply;
use warp::sse::{self, Event};

use super::Visit;
use crate::http::Response;

/// Sends each text of `parts` as an event of this name, until the page is closed, the session ends
/// or the server stops. To look on does not count as using the session.
pub fn events<S>(visit: &Visit, name: &'static str, parts: S) -> Response
where
    S: Stream<Item = String> + Send + 'static,
{
    let stop = visit.console.tracker.soft().clone().cancelled_owned();
    let (console, session) = (visit.console.clone(), visit.session.clone());
    let is_open = move || session.as_ref().is_some_and(|session| console.sessions.is_open(session));
    let events = parts
        .take_while(move |_| std::future::ready(is_open()))
        .map(move |part| Ok::<_, Infallible>(Event::default().event(name).data(part)))
        .take_until(stop);
    sse::reply(sse::keep_alive().stream(shareable(events))).into_response()
}

/// A body must be `Sync`, what its stream awaits is not: a lock that nobody ever takes makes it so.
fn shareable<S: Stream + Send>(stream: S) -> impl Stream<Item = S::Item> + Send + Sync {
    let mut held = Mutex::new(Box::pin(stream));
    stream::poll_fn(move |context| held.get_mut().as_mut().poll_next(context))
}

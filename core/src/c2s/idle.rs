//! Clients that fell silent: asked whether they are there (XEP-0199), and given up when no answer
//! comes. One task looks after all of them, so that no connection needs a timer.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::C2s;
use crate::ns;
use crate::session::{CloseReason, Envelope, Order, Shared};
use crate::stanza::{IqType, Kind, Stanza};
use crate::xml::Element;

/// Seconds between two looks at most, so that a silence is noticed not much too late.
const LONGEST_PAUSE: u32 = 30;

/// What is done about a silence.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    Nothing,
    Ask,
    Close,
}

impl Remedy {
    /// For a silence that has grown from `before` to `now` where `limit` is too long; in seconds.
    fn of(before: u32, now: u32, limit: u32) -> Remedy {
        match now {
            _ if now >= limit => Remedy::Close,
            _ if now >= limit / 2 && before < limit / 2 => Remedy::Ask,
            _ => Remedy::Nothing,
        }
    }
}

impl C2s {
    /// Looks after silent clients until `stop`.
    pub async fn watch_idle(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let limit = self.settings.idle_seconds.get();
            let pause = (limit / 4).clamp(1, LONGEST_PAUSE);
            let pause = if limit == 0 { LONGEST_PAUSE } else { pause };
            let slept = tokio::time::sleep(Duration::from_secs(pause.into()));
            if stop.run_until_cancelled(slept).await.is_none() {
                return;
            }
            // Without a limit the silence is counted all the same: the console shows it.
            self.look(pause, if limit == 0 { u32::MAX } else { limit });
        }
    }

    pub(super) fn look(&self, pause: u32, limit: u32) {
        let mut silent = Vec::new();
        self.router.registry.each_local(|session| {
            let Some(now) = session.lengthen_silence(pause) else { return };
            match Remedy::of(now - pause, now, limit) {
                Remedy::Nothing => {}
                remedy => silent.push((session.clone(), remedy)),
            }
        });
        for (session, remedy) in silent {
            match remedy {
                Remedy::Close => session.mailbox.order(Order::Close(CloseReason::Idle)),
                // A mailbox that is closed has an end of its own.
                _ => drop(session.mailbox.push(Envelope::new(self.ping(&session).into()))),
            }
        }
    }

    fn ping(&self, session: &Shared) -> Stanza {
        let mut ping = Stanza::new(Kind::Iq(IqType::Get))
            .with_id(self.router.clock.random().token())
            .with_child(&Element::new("ping", ns::PING));
        ping.head.from = Some(self.router.hosts.domain(session.host).clone());
        ping.head.to = Some(session.jid.clone());
        ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_is_asked_once_and_then_closed() {
        let remedies: Vec<_> = (1..=4).map(|n| Remedy::of((n - 1) * 30, n * 30, 120)).collect();
        assert_eq!(remedies, [Remedy::Nothing, Remedy::Ask, Remedy::Nothing, Remedy::Close]);
    }

    #[test]
    fn the_shortest_limit_still_asks_before_it_closes() {
        assert_eq!(Remedy::of(0, 1, 2), Remedy::Ask);
        assert_eq!(Remedy::of(1, 2, 2), Remedy::Close);
    }
}

//! Sessions page by page, by name and then resource, however many there are.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Entry;
use crate::host::HostId;

/// Which sessions are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Window<'w> {
    pub host: HostId,
    /// Of accounts whose name begins with this.
    pub prefix: &'w str,
    /// Behind this name and resource.
    pub after: (&'w str, &'w str),
    /// As many at most.
    pub limit: usize,
}

/// A page that is being gathered: the first sessions of those that were seen.
pub(super) struct Page<'w> {
    window: Window<'w>,
    found: BinaryHeap<ByName>,
}

impl<'w> Page<'w> {
    pub(super) fn new(window: Window<'w>) -> Page<'w> {
        Page { window, found: BinaryHeap::with_capacity(window.limit + 1) }
    }

    /// Whether sessions of the account may be on the page.
    pub(super) fn covers(&self, host: HostId, name: &str) -> bool {
        let Window { prefix, after, limit, .. } = self.window;
        let last = self.found.peek().filter(|_| self.found.len() == limit);
        host == self.window.host
            && name >= after.0
            && name.starts_with(prefix)
            && last.is_none_or(|last| name <= last.key().0)
    }

    pub(super) fn offer(&mut self, session: &Entry, wanted: impl Fn(&Entry) -> bool) {
        let session = ByName(session.clone());
        if session.key() > self.window.after && wanted(&session.0) {
            self.found.push(session);
            if self.found.len() > self.window.limit {
                self.found.pop();
            }
        }
    }

    pub(super) fn into_sessions(self) -> Vec<Entry> {
        self.found.into_sorted_vec().into_iter().map(|session| session.0).collect()
    }
}

/// A session in the order of pages.
struct ByName(Entry);

impl ByName {
    fn key(&self) -> (&str, &str) {
        (self.0.jid().local().unwrap_or_default(), self.0.resource())
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &ByName) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ByName {}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &ByName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &ByName) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::host::AccountId;
    use crate::jid::Jid;
    use crate::session::{Origin, Registry, Shared};

    const HOST: HostId = HostId::FIRST;

    fn registry(count: usize) -> Registry {
        let registry = Registry::default();
        for number in 0..count {
            let name = format!("user{number:05}");
            for resource in ["phone", "desk"] {
                let jid = Jid::parse(&format!("{name}@example.org/{resource}")).unwrap();
                let peer = ([192, 0, 2, (number % 256) as u8], 5000).into();
                let origin = Origin { peer, tls: None, mechanism: "PLAIN", since: Timestamp(0) };
                let key = (HOST, AccountId(number as i64 + 1));
                registry.bind(&Arc::new(Shared::new(number as u64, key, jid, origin, 1024)));
            }
        }
        registry
    }

    fn names(sessions: &[Entry]) -> Vec<&str> {
        sessions.iter().map(|session| session.jid().as_str()).collect()
    }

    fn window<'w>(prefix: &'w str, after: (&'w str, &'w str), limit: usize) -> Window<'w> {
        Window { host: HOST, prefix, after, limit }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let registry = registry(100);
        let (mut all, mut after) = (Vec::new(), (String::new(), String::new()));
        loop {
            let page = registry.page(window("", (&after.0, &after.1), 7), |_| true);
            let Some(last) = page.last() else { break };
            after = (last.jid().local().unwrap().to_owned(), last.resource().to_owned());
            all.extend(names(&page).into_iter().map(str::to_owned));
        }
        assert_eq!(all.len(), 200);
        assert!(all.is_sorted());
        assert_eq!(all[..2], ["user00000@example.org/desk", "user00000@example.org/phone"]);
    }

    #[test]
    fn only_what_was_asked_for_is_on_the_page() {
        let registry = registry(100);
        let page = registry.page(window("user0001", ("", ""), 3), |s| s.resource() == "desk");
        let expected = ["user00010", "user00011", "user00012"];
        assert_eq!(names(&page), expected.map(|name| format!("{name}@example.org/desk")));
        assert!(registry.page(window("nobody", ("", ""), 3), |_| true).is_empty());
    }
}

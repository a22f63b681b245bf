//! What the client of a session has of its account's roster. Changes are made on any node, and may be
//! heard of in another order than they were made in: each names the version that it follows.

use std::sync::Arc;

use crate::jid::Jid;
use crate::stanza::Stanza;

/// Pushes that are remembered beyond a gap, or until the roster was answered.
const MAX_AHEAD: usize = 64;

/// A change of a roster that is committed.
#[derive(Debug)]
pub struct RosterPush {
    /// The account's bare address.
    pub owner: Jid,
    /// The roster's version before it, and with it.
    pub after: i64,
    pub version: i64,
    pub contact: Jid,
    /// What clients are sent; `None`: they see no difference.
    pub stanza: Option<Arc<Stanza>>,
}

/// How far a client knows the roster.
#[derive(Debug, Default)]
pub struct RosterView {
    /// It has this version with every change before it.
    version: i64,
    /// Its requests that are not answered.
    asked: u32,
    /// Later changes, oldest first.
    ahead: Vec<Arc<RosterPush>>,
}

impl RosterView {
    pub fn new(version: i64) -> RosterView {
        RosterView { version, ..RosterView::default() }
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    /// The client asks for its roster: until that is answered it is pushed nothing, since the answer
    /// may be older.
    pub fn ask(&mut self) {
        self.asked += 1;
    }

    /// It is answered with this version, or an error. What is to be pushed now, in order: each with
    /// the version up to which the client then has everything.
    pub fn answered(&mut self, version: Option<i64>) -> Vec<(Arc<RosterPush>, i64)> {
        self.asked = self.asked.saturating_sub(1);
        if let Some(version) = version {
            self.version = version;
        }
        let version = self.version;
        self.ahead.retain(|push| push.version > version);
        if self.asked > 0 {
            return Vec::new();
        }
        let ahead = std::mem::take(&mut self.ahead);
        ahead.into_iter().filter_map(|push| Some((push.clone(), self.offer(&push)?))).collect()
    }

    /// Whether the client is to be sent `push` now, and the version up to which it then has
    /// everything: it may store that and ask with it at its next login (RFC 6121 §2.6).
    pub fn offer(&mut self, push: &Arc<RosterPush>) -> Option<i64> {
        let at = match self.ahead.binary_search_by_key(&push.version, |known| known.version) {
            Err(at) if push.version > self.version => at,
            // It has it, or will be sent it.
            _ => return None,
        };
        self.ahead.insert(at, push.clone());
        // The client has something newer of the contact.
        let is_late = self.ahead[at + 1..].iter().any(|later| later.contact == push.contact);
        if self.asked == 0 {
            self.go_on();
        }
        if self.ahead.len() > MAX_AHEAD {
            self.ahead.remove(0);
        }
        (self.asked == 0 && !is_late).then_some(self.version)
    }

    /// Goes on to the last change before which there is no gap.
    fn go_on(&mut self) {
        let next = |ahead: &[Arc<RosterPush>], version| {
            ahead.first().filter(|push| push.after <= version).map(|push| push.version)
        };
        while let Some(version) = next(&self.ahead, self.version) {
            self.version = version;
            self.ahead.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(after: i64, version: i64, contact: &str) -> Arc<RosterPush> {
        let contact = Jid::parse(contact).unwrap();
        let owner = Jid::parse("juliet@x").unwrap();
        Arc::new(RosterPush { owner, after, version, contact, stanza: None })
    }

    #[test]
    fn in_order_each_push_has_its_own_version() {
        let mut view = RosterView::new(1);
        assert_eq!(view.offer(&push(1, 2, "a@x")), Some(2));
        assert_eq!(view.offer(&push(2, 5, "b@x")), Some(5));
        assert_eq!(view.offer(&push(2, 5, "b@x")), None, "it has that");
    }

    #[test]
    fn beyond_a_gap_the_client_is_told_no_version_that_it_does_not_have() {
        let mut view = RosterView::new(1);
        assert_eq!(view.offer(&push(2, 3, "b@x")), Some(1));
        assert_eq!(view.offer(&push(2, 3, "b@x")), None, "it has that");
        assert_eq!(view.offer(&push(1, 2, "a@x")), Some(3));
    }

    #[test]
    fn what_is_older_than_what_the_client_has_of_the_contact_is_not_sent() {
        let mut view = RosterView::new(1);
        assert_eq!(view.offer(&push(2, 3, "a@x")), Some(1));
        assert_eq!(view.offer(&push(1, 2, "a@x")), None);
        assert_eq!(view.offer(&push(3, 4, "b@x")), Some(4), "nothing is missing any more");
    }

    #[test]
    fn until_the_roster_is_answered_pushes_wait() {
        let mut view = RosterView::default();
        view.ask();
        assert_eq!(view.offer(&push(3, 4, "b@x")), None);
        assert_eq!(view.offer(&push(1, 2, "a@x")), None);
        assert_eq!(view.offer(&push(2, 3, "b@x")), None);
        let sent = view.answered(Some(2));
        let sent: Vec<_> = sent.iter().map(|(push, version)| (push.version, *version)).collect();
        assert_eq!(sent, [(3, 3), (4, 4)]);
    }

    #[test]
    fn an_answer_that_is_older_than_what_was_pushed_is_followed_by_that() {
        let mut view = RosterView::new(1);
        view.ask();
        assert_eq!(view.offer(&push(1, 2, "a@x")), None);
        assert_eq!(view.answered(Some(1)).len(), 1);
        view.ask();
        assert!(view.answered(None).is_empty());
        assert_eq!(view.version(), 2);
    }

    #[test]
    fn a_gap_that_nothing_fills_costs_no_more_than_so_much() {
        let mut view = RosterView::new(1);
        for version in 10..1000 {
            assert_eq!(view.offer(&push(version - 1, version, "a@x")), Some(1));
        }
        assert!(view.ahead.len() <= MAX_AHEAD);
    }
}

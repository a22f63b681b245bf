//! Sessions of the console: who has signed in from which browser, in this process's memory only.
//!
//! The browser keeps the id in a cookie, the server its hash. Each sign-in makes a new id; an id that
//! a browser brings along is never taken over (session fixation).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::token::TokenHash;
use crate::auth::credentials::{Credentials, equal};
use crate::clock::Clock;
use crate::host::AccountId;
use crate::properties::{Declared, Live, Properties, Property};

/// Above it the session that was used the longest ago ends.
const SESSIONS: usize = 1024;
/// How long a password that was given again counts.
const CONFIRMED: Duration = Duration::from_secs(5 * 60);

static IDLE_MINUTES: Property<u64> = Property::new(
    "console.idle-minutes",
    || 30,
    "Minutes without a request after which an administrator must sign in to the console again.",
)
.within("1 to 1440", |minutes| (1..=1440).contains(minutes));
static LONGEST_HOURS: Property<u64> = Property::new(
    "console.longest-hours",
    || 12,
    "Hours after which an administrator must sign in to the console again in any case.",
)
.within("1 to 720", |hours| (1..=720).contains(hours));

pub const PROPERTIES: [&dyn Declared; 2] = [&IDLE_MINUTES, &LONGEST_HOURS];

/// Who signs in, as his account was then.
#[derive(Clone)]
pub struct Who {
    pub account: AccountId,
    /// The prepared localpart.
    pub name: String,
    /// A session does not outlive the password with which it began.
    pub credentials: Credentials,
}

/// A browser in which an administrator has signed in.
pub struct Session {
    pub who: Who,
    /// What every form of this session carries.
    pub csrf: String,
    began: Duration,
    times: Mutex<Times>,
    /// What the next page says on top.
    notice: Mutex<Option<Said>>,
    /// A page, and what was typed there before the session began.
    typed: Mutex<Option<(String, Pairs)>>,
}

/// Names and values of a form.
type Pairs = Vec<(String, String)>;

/// A line on top of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub tone: Tone,
    pub text: String,
}

/// How something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warn,
    Bad,
}

impl Tone {
    /// As the style sheet calls it.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
        }
    }

    /// How urgently it is read to who does not see it.
    pub fn role(self) -> &'static str {
        match self {
            Tone::Bad => "alert",
            Tone::Good | Tone::Warn => "status",
        }
    }
}

#[derive(Clone, Copy)]
struct Times {
    used: Duration,
    /// The password was given.
    confirmed: Duration,
}

impl Session {
    /// Whether this token came from one of our own forms.
    pub fn accepts(&self, csrf: &str) -> bool {
        equal(self.csrf.as_bytes(), csrf.as_bytes())
    }

    /// Shows on the next page what was done.
    pub fn say(&self, text: impl Into<String>) {
        self.say_as(Tone::Good, text.into());
    }

    /// Shows `text` on the next page.
    pub fn say_as(&self, tone: Tone, text: String) {
        *self.notice.lock() = Some(Said { tone, text });
    }

    pub fn take_notice(&self) -> Option<Said> {
        self.notice.lock().take()
    }

    /// Shows a form again with what was typed, once.
    pub fn keep(&self, page: &str, typed: Pairs) {
        *self.typed.lock() = Some((page.to_owned(), typed));
    }

    /// What was typed on this page, which is the next one with a form.
    pub fn take_typed(&self, page: &str) -> Option<Pairs> {
        let typed = self.typed.lock().take();
        typed.filter(|(own, _)| own == page).map(|(_, typed)| typed)
    }
}

/// All sessions of this node.
pub struct Sessions {
    clock: Clock,
    idle_minutes: Live<u64>,
    longest_hours: Live<u64>,
    open: Mutex<HashMap<[u8; 32], Arc<Session>>>,
}

impl Sessions {
    pub fn new(clock: Clock, properties: &Properties) -> Sessions {
        Sessions {
            clock,
            idle_minutes: properties.live(&IDLE_MINUTES),
            longest_hours: properties.live(&LONGEST_HOURS),
            open: Mutex::default(),
        }
    }

    /// Begins a session; the id is for the cookie.
    pub fn begin(&self, who: Who) -> (String, Arc<Session>) {
        let (random, now) = (self.clock.random(), self.clock.boot());
        let (id, csrf) = (random.token(), random.token());
        let times = Mutex::new(Times { used: now, confirmed: now });
        let (notice, typed) = (Mutex::default(), Mutex::default());
        let session = Arc::new(Session { who, csrf, began: now, times, notice, typed });
        let mut open = self.open.lock();
        open.retain(|_, session| self.is_fresh(session, now));
        if open.len() >= SESSIONS {
            let oldest = open.iter().min_by_key(|(_, session)| session.times.lock().used);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                open.remove(&hash);
            }
        }
        open.insert(TokenHash::of(&id).0, session.clone());
        (id, session)
    }

    /// The session with this id, which counts as used.
    pub fn find(&self, id: &str) -> Option<Arc<Session>> {
        let session = self.look_on(id)?;
        session.times.lock().used = self.clock.boot();
        Some(session)
    }

    /// The session with this id, for a page that refreshes itself: that does not count as use.
    pub fn look_on(&self, id: &str) -> Option<Arc<Session>> {
        let now = self.clock.boot();
        let session = self.open.lock().get(&TokenHash::of(id).0)?.clone();
        if !self.is_fresh(&session, now) {
            self.end(&session);
            return None;
        }
        Some(session)
    }

    /// Whether a session goes on; asking does not count as use.
    pub fn is_open(&self, session: &Arc<Session>) -> bool {
        let open = self.open.lock();
        open.values().any(|other| Arc::ptr_eq(other, session))
            && self.is_fresh(session, self.clock.boot())
    }

    pub fn end(&self, session: &Arc<Session>) {
        self.open.lock().retain(|_, other| !Arc::ptr_eq(other, session));
    }

    /// The password was given again.
    pub fn confirm(&self, session: &Session) {
        session.times.lock().confirmed = self.clock.boot();
    }

    /// Whether the password was given lately: dangerous acts demand it.
    pub fn reauthenticated(&self, session: &Session) -> bool {
        self.clock.boot().saturating_sub(session.times.lock().confirmed) < CONFIRMED
    }

    fn is_fresh(&self, session: &Session, now: Duration) -> bool {
        let idle = Duration::from_secs(self.idle_minutes.get() * 60);
        let longest = Duration::from_secs(self.longest_hours.get() * 3600);
        let used = session.times.lock().used;
        now.saturating_sub(used) < idle && now.saturating_sub(session.began) < longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sessions() -> Sessions {
        Sessions {
            clock: Clock::fake(Timestamp(1_750_000_000_000)),
            idle_minutes: Live::fixed(30),
            longest_hours: Live::fixed(2),
            open: Mutex::default(),
        }
    }

    fn who() -> Who {
        let credentials = Credentials::default();
        Who { account: AccountId(7), name: "admin".to_owned(), credentials }
    }

    #[test]
    fn each_sign_in_has_an_id_of_its_own() {
        let sessions = sessions();
        let (one, session) = sessions.begin(who());
        let (two, _) = sessions.begin(who());
        assert_ne!(one, two);
        // 128 bits are 22 characters of base64.
        assert!(one.len() >= 22 && session.csrf.len() >= 22);
        assert!(sessions.find("an id that the browser made up").is_none());
    }

    #[test]
    fn the_id_itself_is_not_kept() {
        let sessions = sessions();
        let (id, _) = sessions.begin(who());
        let keys: Vec<_> = sessions.open.lock().keys().copied().collect();
        assert_eq!(keys, [TokenHash::of(&id).0]);
    }

    #[test]
    fn silence_ends_a_session_and_use_keeps_it() {
        let sessions = sessions();
        let (id, _) = sessions.begin(who());
        sessions.clock.advance(MINUTE * 29);
        assert!(sessions.find(&id).is_some());
        sessions.clock.advance(MINUTE * 29);
        assert!(sessions.find(&id).is_some());
        sessions.clock.advance(MINUTE * 30);
        assert!(sessions.find(&id).is_none());
        assert!(sessions.open.lock().is_empty());
    }

    #[test]
    fn looking_on_is_no_use() {
        let sessions = sessions();
        let (id, session) = sessions.begin(who());
        sessions.clock.advance(MINUTE * 29);
        assert!(sessions.is_open(&session));
        assert!(sessions.look_on(&id).is_some());
        sessions.clock.advance(MINUTE);
        assert!(!sessions.is_open(&session));
        assert!(sessions.look_on(&id).is_none());
    }

    #[test]
    fn no_session_is_longer_than_allowed() {
        let sessions = sessions();
        let (id, _) = sessions.begin(who());
        for _ in 0..5 {
            sessions.clock.advance(MINUTE * 20);
            assert!(sessions.find(&id).is_some());
        }
        sessions.clock.advance(MINUTE * 20);
        assert!(sessions.find(&id).is_none());
    }

    #[test]
    fn signing_out_ends_this_session_only() {
        let sessions = sessions();
        let ((one, session), (two, _)) = (sessions.begin(who()), sessions.begin(who()));
        sessions.end(&session);
        assert!(sessions.find(&one).is_none());
        assert!(sessions.find(&two).is_some());
    }

    #[test]
    fn the_csrf_token_belongs_to_one_session() {
        let sessions = sessions();
        let ((_, one), (_, two)) = (sessions.begin(who()), sessions.begin(who()));
        assert!(one.accepts(&one.csrf));
        assert!(!one.accepts(&two.csrf) && !one.accepts(""));
    }

    #[test]
    fn a_password_counts_for_some_minutes() {
        let sessions = sessions();
        let (_, session) = sessions.begin(who());
        assert!(sessions.reauthenticated(&session));
        sessions.clock.advance(MINUTE * 5);
        assert!(!sessions.reauthenticated(&session));
        sessions.confirm(&session);
        assert!(sessions.reauthenticated(&session));
    }

    #[test]
    fn memory_is_bounded() {
        let sessions = sessions();
        let (first, _) = sessions.begin(who());
        sessions.clock.advance(MINUTE);
        (0..SESSIONS).for_each(|_| drop(sessions.begin(who())));
        assert_eq!(sessions.open.lock().len(), SESSIONS);
        assert!(sessions.find(&first).is_none());
    }

    #[test]
    fn a_notice_is_shown_once() {
        let (_, session) = sessions().begin(who());
        session.say("done");
        assert_eq!(session.take_notice().map(|said| said.text).as_deref(), Some("done"));
        assert_eq!(session.take_notice(), None);
    }

    #[test]
    fn what_was_typed_is_for_the_next_page_with_a_form() {
        let (_, session) = sessions().begin(who());
        let typed = vec![("name".to_owned(), "romeo".to_owned())];
        session.keep("/create/user", typed.clone());
        assert_eq!(session.take_typed("/create/user"), Some(typed.clone()));
        assert_eq!(session.take_typed("/create/user"), None);
        session.keep("/create/user", typed);
        assert_eq!(session.take_typed("/create/group"), None);
        assert_eq!(session.take_typed("/create/user"), None);
    }
}

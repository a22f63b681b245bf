//! Who may use the wizard: whoever presents the token that the server's log shows. It is exchanged
//! for a session of this browser, in this process's memory only.
//!
//! The token is valid until the wizard ends, so that another browser may go on; each start of the
//! wizard has a new one.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderValue};
use parking_lot::Mutex;

use crate::admin::lockout::Lockout;
use crate::admin::pages::cookie;
use crate::admin::token::TokenHash;
use crate::auth::credentials::equal;
use crate::clock::Clock;

/// Browsers at a time; of more the first has to present the token again.
const SESSIONS: usize = 16;

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Wrong,
    /// Too many wrong ones came from this address: the time to wait.
    Wait(Duration),
}

pub struct Door {
    token: TokenHash,
    clock: Clock,
    lockout: Lockout,
    /// Cookies do not know ports: two servers of one machine must not take each other's.
    cookie: String,
    sessions: Mutex<VecDeque<Session>>,
}

struct Session {
    id: TokenHash,
    csrf: String,
}

impl Door {
    pub fn new(token: TokenHash, clock: Clock) -> Door {
        let cookie = format!("hearth-setup-{}", &clock.random().hex()[..8]);
        Door { token, clock, lockout: Lockout::default(), cookie, sessions: Mutex::default() }
    }

    /// Begins a session for who presents the token. Returns its cookie.
    pub fn enter(&self, token: &str, from: IpAddr, secure: bool) -> Result<HeaderValue, Refused> {
        if let Some(wait) = self.lockout.wait(from, self.clock.boot()) {
            return Err(Refused::Wait(wait));
        }
        if !TokenHash::of(token).is(&self.token) {
            tracing::warn!(%from, "a wrong token was presented to the set-up wizard");
            self.lockout.failed(from, self.clock.boot());
            return Err(Refused::Wrong);
        }
        self.lockout.succeeded(from);
        let (id, csrf) = (self.clock.random().token(), self.clock.random().token());
        let mut sessions = self.sessions.lock();
        sessions.truncate(SESSIONS - 1);
        sessions.push_front(Session { id: TokenHash::of(&id), csrf });
        let (name, secure) = (self.name(secure), if secure { "; Secure" } else { "" });
        let cookie = format!("{name}={id}; Path=/setup; HttpOnly; SameSite=Strict{secure}");
        Ok(HeaderValue::try_from(cookie).expect("hexadecimal digits and base64url are visible"))
    }

    /// What every form of this browser carries; `None`: it has no session.
    pub fn csrf(&self, headers: &HeaderMap, secure: bool) -> Option<String> {
        let id = TokenHash::of(cookie::get(headers, &self.name(secure))?);
        let sessions = self.sessions.lock();
        sessions.iter().find(|session| session.id.is(&id)).map(|session| session.csrf.clone())
    }

    /// Whether a form came from a page of this browser's session.
    pub fn accepts(csrf: &str, presented: &str) -> bool {
        equal(csrf.as_bytes(), presented.as_bytes())
    }

    /// The encrypted port's cookie has a name of its own: the plain port could not replace it.
    fn name(&self, secure: bool) -> String {
        let prefix = if secure { "__Secure-" } else { "" };
        format!("{prefix}{}", self.cookie)
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::COOKIE;

    use super::*;
    use crate::admin::Token;
    use crate::clock::Timestamp;

    fn door() -> (Door, Token) {
        let clock = Clock::fake(Timestamp(1_750_000_000_000));
        let token = Token::new(clock.random());
        (Door::new(token.hash(), clock), token)
    }

    fn address() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    fn sent_back(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(pair).expect("a header"))])
    }

    #[test]
    fn the_token_is_exchanged_for_a_session() {
        let (door, token) = door();
        let one = door.enter(token.reveal(), address(), true).expect("right");
        let two = door.enter(token.reveal(), address(), true).expect("right again");
        assert_ne!(one, two);
        let text = one.to_str().expect("text");
        assert!(text.starts_with("__Secure-hearth-setup-"), "{text}");
        assert!(text.ends_with("; Path=/setup; HttpOnly; SameSite=Strict; Secure"), "{text}");
        let csrf = door.csrf(&sent_back(&one), true).expect("a session");
        assert!(Door::accepts(&csrf, &csrf) && !Door::accepts(&csrf, ""));
        assert_ne!(door.csrf(&sent_back(&two), true), Some(csrf));
        assert_eq!(door.csrf(&sent_back(&one), false), None);
        assert_eq!(door.csrf(&HeaderMap::new(), true), None);
    }

    #[test]
    fn wrong_tokens_open_nothing_and_then_wait() {
        let (door, token) = door();
        let mut tried = 0;
        while door.enter("hearth_wrong", address(), false) == Err(Refused::Wrong) {
            tried += 1;
            assert!(tried < 100, "never locked out");
        }
        let right = door.enter(token.reveal(), address(), false);
        assert!(matches!(right, Err(Refused::Wait(_))));
        assert!(door.enter(token.reveal(), [192, 0, 2, 2].into(), false).is_ok());
        door.clock.advance(Duration::from_secs(3600));
        assert!(door.enter(token.reveal(), address(), false).is_ok());
    }

    #[test]
    fn sessions_are_bounded() {
        let (door, token) = door();
        let first = door.enter(token.reveal(), address(), false).expect("right");
        for _ in 0..SESSIONS {
            door.enter(token.reveal(), address(), false).expect("right");
        }
        assert_eq!(door.sessions.lock().len(), SESSIONS);
        assert_eq!(door.csrf(&sent_back(&first), false), None);
    }
}

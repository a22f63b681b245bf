//! Answers the questions of the negotiation that are about accounts: keys, passwords, registration.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::auth::accounts::{AccountError, Accounts};
use crate::auth::throttle::LoginThrottle;
use crate::clock::Clock;
use crate::host::HostId;
use crate::stanza::RootNamespace;
use crate::stream::{Answer, Password, PreAuth, Question};

/// Who knows the accounts.
pub struct Oracle {
    pub accounts: Arc<Accounts>,
    pub throttle: Mutex<LoginThrottle>,
    pub pre_auth: Arc<dyn PreAuth>,
    pub clock: Clock,
}

impl Oracle {
    /// Answers a question; those about sessions are not for here.
    pub async fn answer(&self, peer: IpAddr, question: Question) -> Answer {
        match question {
            Question::Credentials { host, username, hash } => {
                if !self.may_try(peer, host, &username) {
                    return Answer::TryLater;
                }
                match self.accounts.scram_keys(host, &username, hash).await {
                    Ok((keys, standing)) => Answer::Credentials { keys, standing },
                    Err(error) => later(&error),
                }
            }
            Question::VerifyPassword { host, username, password } => {
                self.verify(peer, host, &username, password).await
            }
            Question::PreAuthIq(request) => {
                let reply = self.pre_auth.answer(peer, &request).await;
                let mut octets = Vec::new();
                reply.render(None, RootNamespace::Inherited, &mut octets);
                Answer::Reply(Bytes::from(octets))
            }
            Question::Bind { .. } | Question::Resume { .. } => Answer::TryLater,
        }
    }

    async fn verify(
        &self,
        peer: IpAddr,
        host: HostId,
        username: &str,
        password: Password,
    ) -> Answer {
        if !self.may_try(peer, host, username) {
            return Answer::TryLater;
        }
        match self.accounts.verify_password(host, username, password).await {
            Ok(standing) => Answer::Password(standing),
            // The queue of derivations is full: nobody's fault, and no news.
            Err(AccountError::Overloaded(_) | AccountError::Away(_)) => Answer::TryLater,
            Err(error) => later(&error),
        }
    }

    fn may_try(&self, peer: IpAddr, host: HostId, username: &str) -> bool {
        let now = self.clock.now();
        let allowed = self.throttle.lock().check(peer, host, username, now);
        if let Err(throttled) = &allowed {
            tracing::info!(%peer, username, %throttled, "a login is refused");
        }
        allowed.is_ok()
    }

    /// Counts a wrong password or proof.
    pub fn failed(&self, peer: IpAddr, host: HostId, username: &str) {
        tracing::info!(%peer, username, "a login failed");
        self.throttle.lock().failed(peer, host, username, self.clock.now());
    }

    pub fn succeeded(&self, host: HostId, username: &str) {
        self.throttle.lock().succeeded(host, username);
    }
}

fn later(error: &dyn std::error::Error) -> Answer {
    tracing::error!(%error, "a login cannot be checked");
    Answer::TryLater
}

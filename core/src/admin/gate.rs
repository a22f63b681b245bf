//! Who calls the API: the holder of a bearer token, or the administrator of this machine.

use std::net::IpAddr;
use std::time::Duration;

use super::api::Problem;
use super::lockout::Lockout;
use super::store;
use super::token::TokenHash;
use crate::clock::Clock;
use crate::storage::{Db, StorageError};

/// No token of ours is longer; what is longer is not hashed at all.
const LONGEST: usize = 256;
/// The time of a token's last use is kept to this precision, to spare the database.
const USE_PRECISION: Duration = Duration::from_secs(60);

/// Checks tokens.
pub struct Gate {
    db: Db,
    clock: Clock,
    lockout: Lockout,
    /// The token in `run/`, which only the server's own account can read.
    local: TokenHash,
}

impl Gate {
    pub fn new(db: Db, clock: Clock, local: TokenHash) -> Gate {
        Gate { db, clock, lockout: Lockout::default(), local }
    }

    /// The name of the caller for the audit log. `authorization` is that header's value.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        from: IpAddr,
    ) -> Result<String, Problem> {
        let presented = authorization.and_then(bearer).ok_or(Problem::Unauthorized)?;
        let hash = TokenHash::of(presented);
        // Before the lockout: other users of this machine cannot lock its administrator out.
        if hash.is(&self.local) {
            return Ok("local administrator".to_owned());
        }
        if let Some(wait) = self.lockout.wait(from, self.clock.boot()) {
            return Err(Problem::Locked(wait));
        }
        match self.find(hash).await? {
            Some(name) => {
                self.lockout.succeeded(from);
                Ok(format!("token {name}"))
            }
            None => {
                tracing::warn!(%from, "a wrong or expired API token was presented");
                self.lockout.failed(from, self.clock.boot());
                Err(Problem::Unauthorized)
            }
        }
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<String>, StorageError> {
        let now = self.clock.now();
        let look = self
            .db
            .read(move |tx| Box::pin(async move { store::token_by_hash(tx, &hash.0, now).await }));
        let Some(token) = look.await? else { return Ok(None) };
        if token.last_used.is_none_or(|last| now.since(last) >= USE_PRECISION) {
            let id = token.id;
            self.db
                .write(move |tx| Box::pin(async move { store::token_used(tx, &id, now).await }))
                .await?;
        }
        Ok(Some(token.name))
    }
}

/// RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    let fits = !token.is_empty() && token.len() <= LONGEST;
    (scheme.eq_ignore_ascii_case("bearer") && fits).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_bearer_scheme_only() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer "), None);
        assert_eq!(bearer("abc"), None);
        assert_eq!(bearer(&format!("Bearer {}", "x".repeat(LONGEST + 1))), None);
    }
}

//! The first set-up of an installation, and a further node's joining it. The command line and the
//! wizard are its front ends.

mod store;

use crate::admin::{audit, store as admin};
use crate::auth::accounts::{AccountError, Accounts};
use crate::clock::Clock;
use crate::host::HostId;
use crate::jid::{JidError, domainpart};
use crate::storage::{Db, StorageError};

pub use store::MIGRATIONS;

/// What was decided about a new installation.
#[derive(Clone)]
pub struct Plan {
    /// The XMPP domain; need not be prepared.
    pub domain: String,
    /// The first administrator's name and password.
    pub administrator: String,
    pub password: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Installed,
    /// The database held an installation of this domain already: nothing was changed.
    Joined,
}

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("`{domain}` is no domain ({source}); use a host name such as chat.example.org")]
    Domain { domain: String, source: JidError },
    #[error(
        "the database belongs to the domain {theirs}, not {ours}; choose another database, or leave \
         the domain out to join"
    )]
    OtherDomain { theirs: String, ours: String },
    #[error("the administrator: {0}")]
    Account(#[from] AccountError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The domain of the installation in this database; `None` when there is none yet.
pub async fn installed_domain(db: &Db) -> Result<Option<String>, StorageError> {
    db.read(|tx| Box::pin(store::domain(tx, HostId::FIRST))).await
}

/// Sets the database up, or joins the installation in it. The row of the host comes last: what was
/// broken off before is simply done again.
pub async fn install(
    db: &Db,
    clock: &Clock,
    accounts: &Accounts,
    plan: &Plan,
) -> Result<Outcome, SetupError> {
    let named = |source| SetupError::Domain { domain: plan.domain.clone(), source };
    let domain = domainpart(&plan.domain).map_err(named)?.into_owned();
    if let Some(theirs) = installed_domain(db).await? {
        return match theirs == domain {
            true => Ok(Outcome::Joined),
            false => Err(SetupError::OtherDomain { theirs, ours: domain }),
        };
    }
    let (name, password) = (&plan.administrator, &plan.password);
    let id = match accounts.create(HostId::FIRST, name, password).await {
        Err(AccountError::NameTaken) => accounts.set_password(HostId::FIRST, name, password).await,
        created => created,
    }?;
    let clock = clock.clone();
    let write = db.write(move |tx| {
        Box::pin(async move {
            admin::appoint(tx, id, "set-up", clock.now()).await?;
            audit::note(tx, &clock, "set-up", "server.install", &domain).await?;
            store::insert(tx, HostId::FIRST, &domain, clock.now()).await
        })
    });
    write.await?;
    Ok(Outcome::Installed)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use super::*;
    use crate::auth::derive::Derivation;
    use crate::clock::Timestamp;
    use crate::shutdown::Tracker;
    use crate::storage::migrate;
    use crate::storage::testing::TestDb;
    use crate::telemetry::Counter;

    async fn prepare(test: &TestDb) -> (Clock, Accounts) {
        let clock = Clock::fake(Timestamp(1_750_000_000_000));
        let tables = [crate::admin::MIGRATIONS, crate::auth::store::MIGRATIONS, MIGRATIONS];
        migrate(&test.db, &tables.concat(), clock.now()).await.expect("migrated");
        let tracker = Tracker::new(Arc::new(Counter::new()));
        let derivation = Derivation::new(tracker, NonZeroUsize::MIN, 8);
        let accounts = Accounts::open(test.db.clone(), clock.clone(), derivation).await;
        (clock, accounts.expect("accounts"))
    }

    fn plan(domain: &str) -> Plan {
        let (administrator, password) = ("admin".to_owned(), "secret".to_owned());
        Plan { domain: domain.to_owned(), administrator, password }
    }

    async fn the_first_node_installs_and_the_second_joins(test: TestDb) {
        let (clock, accounts) = prepare(&test).await;
        assert_eq!(installed_domain(&test.db).await, Ok(None));
        let first = install(&test.db, &clock, &accounts, &plan("Chat.Example.ORG")).await;
        assert_eq!(first.expect("installed"), Outcome::Installed);
        let second = install(&test.db, &clock, &accounts, &plan("chat.example.org")).await;
        assert_eq!(second.expect("joined"), Outcome::Joined);
        let domain = installed_domain(&test.db).await.expect("read");
        assert_eq!(domain.as_deref(), Some("chat.example.org"));
        let administrators = test.db.read(|tx| Box::pin(admin::administrators(tx))).await;
        assert_eq!(administrators.expect("read").len(), 1);
    }

    async fn another_domain_is_refused(test: TestDb) {
        let (clock, accounts) = prepare(&test).await;
        install(&test.db, &clock, &accounts, &plan("one.example")).await.expect("installed");
        let refused = install(&test.db, &clock, &accounts, &plan("two.example")).await;
        let told = refused.expect_err("another domain").to_string();
        assert!(told.contains("one.example") && told.contains("two.example"), "{told}");
    }

    async fn a_set_up_that_was_broken_off_is_done_again(test: TestDb) {
        let (clock, accounts) = prepare(&test).await;
        accounts.create(HostId::FIRST, "admin", "old").await.expect("as far as it came");
        let done = install(&test.db, &clock, &accounts, &plan("localhost")).await;
        assert_eq!(done.expect("installed"), Outcome::Installed);
        let right = accounts.verify_password(HostId::FIRST, "admin", "secret".to_owned().into());
        assert!(matches!(right.await, Ok(crate::auth::Standing::Active(_))));
    }

    async fn what_is_no_domain_is_refused(test: TestDb) {
        let (clock, accounts) = prepare(&test).await;
        for domain in ["", "a b", "user@host", "x..y"] {
            let refused = install(&test.db, &clock, &accounts, &plan(domain)).await;
            assert!(matches!(refused, Err(SetupError::Domain { .. })), "{domain:?}");
        }
    }

    crate::backend_tests! {
        the_first_node_installs_and_the_second_joins,
        another_domain_is_refused,
        a_set_up_that_was_broken_off_is_done_again,
        what_is_no_domain_is_refused,
    }
}

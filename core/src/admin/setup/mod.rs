//! The first set-up of an installation, and a further node's joining it. The command line and the
//! wizard are its front ends.

mod administrator;
mod answers;
mod database;
mod done;
mod door;
mod gone;
mod guest;
mod join;
mod language;
mod profile;
mod server;
mod step;
mod store;
mod wizard;

use crate::admin::{audit, store as admin};
use crate::auth::Standing;
use crate::auth::accounts::{AccountError, Accounts};
use crate::auth::plain::prepare_password;
use crate::clock::Clock;
use crate::config::ConfigError;
use crate::host::HostId;
use crate::jid::{JidError, domainpart, localpart};
use crate::storage::{Db, StorageError};

pub use gone::mount_gone;
pub use store::MIGRATIONS;
pub use wizard::{Builder, Wizard};

/// What was decided about an installation.
#[derive(Clone)]
pub struct Plan {
    /// The XMPP domain; need not be prepared. `None`: that of the installation to join.
    pub domain: Option<String>,
    /// The name and password of the first administrator, or of one of the installation to join.
    pub administrator: String,
    pub password: String,
    pub kind: Kind,
}

/// What a database must hold for a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything: an installation that is there is joined.
    Either,
    /// No installation.
    New,
    /// An installation whose administrator signs in.
    Join,
}

/// What became of a plan, with the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Installed(String),
    /// The database held an installation already: nothing was changed.
    Joined(String),
}

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the domain is missing; name it by --domain or HEARTH_DOMAIN")]
    NoDomain,
    #[error("`{domain}` is no domain ({source}); use a host name such as chat.example.org")]
    Domain { domain: String, source: JidError },
    #[error(
        "the database belongs to the domain {theirs}, not {ours}; choose another database, or leave \
         the domain out to join"
    )]
    OtherDomain { theirs: String, ours: String },
    #[error(
        "the database holds the installation of {0} by now; join it, or choose another database"
    )]
    Taken(String),
    #[error("the database holds no installation any more; choose another one")]
    NothingToJoin,
    #[error("the set-up was broken off by a bug; the log says where")]
    BrokenOff,
    #[error("this is no administrator of the installation, or not the password")]
    NoAdministrator,
    #[error("the administrator: {0}")]
    Account(#[from] AccountError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The domain of the installation in this database; `None` when there is none yet.
pub async fn installed_domain(db: &Db) -> Result<Option<String>, StorageError> {
    db.read(|tx| Box::pin(store::domain(tx, HostId::FIRST))).await
}

/// Sets the database up, or joins the installation in it.
pub async fn install(
    db: &Db,
    clock: &Clock,
    accounts: &Accounts,
    plan: &Plan,
) -> Result<Outcome, SetupError> {
    let prepared = plan.domain.as_deref().map(prepare_domain).transpose()?;
    match (installed_domain(db).await?, prepared) {
        (None, _) if plan.kind == Kind::Join => Err(SetupError::NothingToJoin),
        (None, None) => Err(SetupError::NoDomain),
        (None, Some(domain)) => create(db, clock, accounts, plan, domain).await,
        (Some(theirs), _) if plan.kind == Kind::New => Err(SetupError::Taken(theirs)),
        (Some(theirs), Some(ours)) if theirs != ours => {
            Err(SetupError::OtherDomain { theirs, ours })
        }
        (Some(theirs), _) => {
            if plan.kind == Kind::Join {
                sign_in(db, accounts, plan).await?;
            }
            Ok(Outcome::Joined(theirs))
        }
    }
}

/// The domain as it is compared and kept.
pub fn prepare_domain(domain: &str) -> Result<String, SetupError> {
    let named = |source| SetupError::Domain { domain: domain.to_owned(), source };
    Ok(domainpart(domain).map_err(named)?.into_owned())
}

/// The row of the host comes last: what was broken off before is simply done again.
async fn create(
    db: &Db,
    clock: &Clock,
    accounts: &Accounts,
    plan: &Plan,
    domain: String,
) -> Result<Outcome, SetupError> {
    let (name, password) = (&plan.administrator, &plan.password);
    let id = match accounts.create(HostId::FIRST, name, password).await {
        Err(AccountError::NameTaken) => accounts.set_password(HostId::FIRST, name, password).await,
        created => created,
    }?;
    let clock = clock.clone();
    db.try_write(move |tx| {
        Box::pin(async move {
            if let Some(theirs) = store::domain(tx, HostId::FIRST).await? {
                // Another node was faster.
                return Err(SetupError::Taken(theirs));
            }
            admin::appoint(tx, id, "set-up", clock.now()).await?;
            audit::note(tx, &clock, "set-up", "server.install", &domain).await?;
            store::insert(tx, HostId::FIRST, &domain, clock.now()).await?;
            Ok(Outcome::Installed(domain))
        })
    })
    .await
}

/// Checks that the plan's administrator is one, and knows the password.
async fn sign_in(db: &Db, accounts: &Accounts, plan: &Plan) -> Result<(), SetupError> {
    // A name or a password that nobody can have is a wrong one.
    let name = localpart(&plan.administrator).map_err(|_| SetupError::NoAdministrator)?;
    let password = prepare_password(&plan.password).map_err(|_| SetupError::NoAdministrator)?;
    let standing = accounts.verify_password(HostId::FIRST, &name, password).await?;
    let Standing::Active(id) = standing else { return Err(SetupError::NoAdministrator) };
    match db.read(|tx| Box::pin(admin::administrators(tx))).await?.contains(&id) {
        true => Ok(()),
        false => Err(SetupError::NoAdministrator),
    }
}

/// The keys of texts that are put together of names.
#[cfg(test)]
pub fn computed_texts() -> Vec<String> {
    use administrator::Strength;
    let steps = step::Step::ALL.map(|step| format!("setup_{}.short", step.name()));
    let ports = crate::config::Ports::default().named();
    let strengths = [Strength::Weak, Strength::Fair, Strength::Good];
    let mut keys = steps.to_vec();
    keys.extend(ports.map(|(name, _)| format!("setup_server.{name}")));
    keys.extend(database::TLS.map(|mode| format!("setup_database.tls_{mode}")));
    keys.extend(strengths.map(|strength| format!("setup_administrator.{}", strength.name())));
    for profile in profile::PROFILES {
        keys.extend(["", "_hint"].map(|kind| format!("setup_profile.{profile}{kind}")));
    }
    keys
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
        Plan { domain: Some(domain.to_owned()), administrator, password, kind: Kind::Either }
    }

    fn installed(domain: &str) -> Outcome {
        Outcome::Installed(domain.to_owned())
    }

    async fn the_first_node_installs_and_the_second_joins(test: TestDb) {
        let (clock, accounts) = prepare(&test).await;
        assert_eq!(installed_domain(&test.db).await, Ok(None));
        let first = install(&test.db, &clock, &accounts, &plan("Chat.Example.ORG")).await;
        assert_eq!(first.expect("installed"), installed("chat.example.org"));
        let second = install(&test.db, &clock, &accounts, &plan("chat.example.org")).await;
        assert_eq!(second.expect("joined"), Outcome::Joined("chat.example.org".to_owned()));
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
        assert_eq!(done.expect("installed"), installed("localhost"));
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

    async fn who_joins_by_the_wizard_is_an_administrator_there(test: TestDb) {
        let (clock, accounts) = prepare(&test).await;
        let join = |name: &str, password: &str| {
            let (administrator, password) = (name.to_owned(), password.to_owned());
            Plan { domain: None, administrator, password, kind: Kind::Join }
        };
        let nothing = install(&test.db, &clock, &accounts, &join("admin", "secret")).await;
        assert!(matches!(nothing, Err(SetupError::NothingToJoin)));
        install(&test.db, &clock, &accounts, &plan("one.example")).await.expect("installed");
        accounts.create(HostId::FIRST, "romeo", "secret").await.expect("an account");
        for (name, password) in [("admin", "wrong"), ("romeo", "secret"), ("", ""), ("a@b", "x")] {
            let refused = install(&test.db, &clock, &accounts, &join(name, password)).await;
            assert!(matches!(refused, Err(SetupError::NoAdministrator)), "{name:?}");
        }
        let joined = install(&test.db, &clock, &accounts, &join("Admin", "secret")).await;
        assert_eq!(joined.expect("joined"), Outcome::Joined("one.example".to_owned()));
    }

    async fn a_new_installation_overwrites_none(test: TestDb) {
        let (clock, accounts) = prepare(&test).await;
        install(&test.db, &clock, &accounts, &plan("one.example")).await.expect("installed");
        let new = Plan { kind: Kind::New, ..plan("one.example") };
        let refused = install(&test.db, &clock, &accounts, &new).await;
        assert!(matches!(refused, Err(SetupError::Taken(theirs)) if theirs == "one.example"));
    }

    crate::backend_tests! {
        who_joins_by_the_wizard_is_an_administrator_there,
        a_new_installation_overwrites_none,
        the_first_node_installs_and_the_second_joins,
        another_domain_is_refused,
        a_set_up_that_was_broken_off_is_done_again,
        what_is_no_domain_is_refused,
    }
}

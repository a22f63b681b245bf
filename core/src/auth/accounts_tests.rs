use std::num::NonZeroUsize;

use super::*;
use crate::auth::plain::prepare_password;
use crate::auth::providers::Credentials;
use crate::auth::providers::tests::{book, disabled, door};
use crate::shutdown::Tracker;
use crate::storage::migrate;
use crate::storage::testing::{TestDb, backend_tests};
use crate::telemetry::Counter;

const HOST: HostId = HostId::FIRST;

backend_tests! {
    a_password_lets_in_until_it_is_replaced,
    a_new_password_is_long_enough,
    a_name_belongs_to_one_account,
    a_recreated_name_is_another_account,
    an_unknown_name_gets_the_same_keys_again,
    a_locked_account_stands_apart,
    the_secret_stays,
    another_process_is_noticed,
    others_are_asked_in_their_order,
    an_account_is_made_at_the_first_sign_in_elsewhere,
    a_user_of_a_directory_is_there_before_he_signs_in,
    a_source_that_is_away_lets_nobody_in,
    a_password_is_changed_where_it_is_kept,
    whom_a_directory_disables_stays_out,
    a_name_of_a_directory_is_taken,
    a_password_kept_elsewhere_stays_there_without_its_source,
}

async fn accounts(test: &TestDb) -> Accounts {
    accounts_with(test, Clock::fake(Timestamp(1_000_000))).await
}

async fn accounts_with(test: &TestDb, clock: Clock) -> Accounts {
    migrate(&test.db, store::MIGRATIONS, clock.now()).await.unwrap();
    open(test.db.clone(), clock).await
}

async fn open(db: Db, clock: Clock) -> Accounts {
    let tracker = Tracker::new(Arc::new(Counter::default()));
    let derivation = Derivation::new(tracker, NonZeroUsize::MIN, 100);
    let iterations = NonZeroU32::new(8).unwrap();
    Accounts { iterations, ..Accounts::open(db, clock, derivation).await.unwrap() }
}

async fn verify(accounts: &Accounts, username: &str, password: &str) -> Standing {
    let password = prepare_password(password).unwrap();
    accounts.verify_password(HOST, username, password).await.unwrap()
}

async fn a_new_password_is_long_enough(test: TestDb) {
    let accounts = accounts(&test).await;
    accounts.create(HOST, "juliet", "pencil").await.unwrap();
    let accounts = accounts.demanding(Live::fixed(8));
    let short = Err(AccountError::Short(8));
    assert_eq!(accounts.create(HOST, "romeo", "pencil").await, short);
    assert_eq!(accounts.set_own_password(HOST, "juliet", "feather").await, short);
    // Counted in characters, not in octets.
    assert_eq!(accounts.set_password(HOST, "juliet", "größer!").await, short);
    assert!(accounts.set_password(HOST, "juliet", "größer!!").await.is_ok());
    assert!(accounts.create(HOST, "romeo", "pencil-2").await.is_ok());
}

async fn a_password_lets_in_until_it_is_replaced(test: TestDb) {
    let accounts = accounts(&test).await;
    let id = accounts.create(HOST, "Juliet", "pencil").await.unwrap();
    assert_eq!(verify(&accounts, "juliet", "pencil").await, Standing::Active(id));
    assert_eq!(verify(&accounts, "juliet", "pen").await, Standing::Unknown);
    assert_eq!(accounts.set_password(HOST, "juliet", "feather").await, Ok(id));
    assert_eq!(verify(&accounts, "juliet", "pencil").await, Standing::Unknown);
    assert_eq!(verify(&accounts, "juliet", "feather").await, Standing::Active(id));
    for hash in Hash::ALL {
        let (keys, standing) = accounts.scram_keys(HOST, "juliet", hash).await.unwrap();
        assert!(keys.hash == hash && keys.verify("feather"));
        assert_eq!(standing, Standing::Active(id));
    }
}

async fn a_name_belongs_to_one_account(test: TestDb) {
    let accounts = accounts(&test).await;
    accounts.create(HOST, "romeo", "x").await.unwrap();
    assert_eq!(accounts.create(HOST, "ROMEO", "y").await, Err(AccountError::NameTaken));
    accounts.create(HostId(2), "romeo", "x").await.unwrap();
    assert!(matches!(accounts.create(HOST, "a b", "x").await, Err(AccountError::Name(_))));
    assert!(matches!(accounts.create(HOST, "ab", "").await, Err(AccountError::Password(_))));
    assert_eq!(accounts.set_password(HOST, "x", "y").await, Err(AccountError::NoSuchAccount));
    assert_eq!(accounts.delete(HOST, "x").await, Err(AccountError::NoSuchAccount));
}

async fn a_recreated_name_is_another_account(test: TestDb) {
    let accounts = accounts(&test).await;
    let first = accounts.create(HOST, "romeo", "old").await.unwrap();
    // Into the cache.
    assert!(accounts.exists(HOST, "romeo").await.unwrap());
    assert_eq!(accounts.delete(HOST, "romeo").await, Ok(first));
    assert!(!accounts.exists(HOST, "romeo").await.unwrap());
    assert_eq!(verify(&accounts, "romeo", "old").await, Standing::Unknown);
    // The name is remembered as unknown, and forgotten as such at once.
    let second = accounts.create(HOST, "romeo", "new").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(verify(&accounts, "romeo", "old").await, Standing::Unknown);
    assert_eq!(verify(&accounts, "romeo", "new").await, Standing::Active(second));
}

async fn an_unknown_name_gets_the_same_keys_again(test: TestDb) {
    let accounts = accounts(&test).await;
    accounts.create(HOST, "known", "x").await.unwrap();
    let (known, _) = accounts.scram_keys(HOST, "known", Hash::Sha256).await.unwrap();
    let (first, standing) = accounts.scram_keys(HOST, "ghost", Hash::Sha256).await.unwrap();
    let (second, _) = accounts.scram_keys(HOST, "ghost", Hash::Sha256).await.unwrap();
    assert_eq!(standing, Standing::Unknown);
    assert!(first == second);
    assert_eq!((first.salt.len(), first.iterations), (known.salt.len(), known.iterations));
    // And after a restart, which keeps the secret.
    let again = open(test.db.clone(), Clock::fake(Timestamp(0))).await;
    assert!(again.scram_keys(HOST, "ghost", Hash::Sha256).await.unwrap().0 == first);
}

async fn a_locked_account_stands_apart(test: TestDb) {
    let clock = Clock::fake(Timestamp(1_000_000));
    let accounts = accounts_with(&test, clock.clone()).await;
    let id = accounts.create(HOST, "tybalt", "x").await.unwrap();
    let minute = Duration::from_secs(60);
    let lockout = |from, until| Some(Lockout { from, until, reason: None });
    accounts.set_lockout(HOST, "tybalt", lockout(clock.now(), None)).await.unwrap();
    assert_eq!(verify(&accounts, "tybalt", "x").await, Standing::Disabled);
    assert_eq!(verify(&accounts, "tybalt", "wrong").await, Standing::Unknown);
    accounts.set_lockout(HOST, "tybalt", None).await.unwrap();
    assert_eq!(verify(&accounts, "tybalt", "x").await, Standing::Active(id));
    let begin = clock.now() + minute;
    accounts.set_lockout(HOST, "tybalt", lockout(begin, Some(begin + minute))).await.unwrap();
    for standing in [Standing::Active(id), Standing::Disabled, Standing::Active(id)] {
        assert_eq!(verify(&accounts, "tybalt", "x").await, standing);
        clock.advance(minute);
    }
    let nobody = accounts.set_lockout(HOST, "nobody", None).await;
    assert_eq!(nobody, Err(AccountError::NoSuchAccount));
}

async fn the_secret_stays(test: TestDb) {
    let first = accounts(&test).await.secret;
    assert_eq!(open(test.db.clone(), Clock::fake(Timestamp(0))).await.secret, first);
}

async fn another_process_is_noticed(test: TestDb) {
    let clock = Clock::fake(Timestamp(1_000_000));
    let here = accounts_with(&test, clock.clone()).await;
    let there = open(test.another().await, clock.clone()).await;
    let id = here.create(HOST, "juliet", "pencil").await.unwrap();
    assert_eq!(verify(&here, "juliet", "pencil").await, Standing::Active(id));
    there.set_password(HOST, "juliet", "feather").await.unwrap();
    clock.advance(CACHE_FRESH);
    assert_eq!(verify(&here, "juliet", "pencil").await, Standing::Unknown);
    assert_eq!(verify(&here, "juliet", "feather").await, Standing::Active(id));
}

async fn others_are_asked_in_their_order(test: TestDb) {
    let accounts = accounts(&test).await;
    accounts.create(HOST, "juliet", "ours").await.unwrap();
    let providers = accounts.providers();
    providers.add_credentials(door(10, Ok(("juliet", "theirs"))));
    assert!(matches!(verify(&accounts, "juliet", "ours").await, Standing::Active(_)));
    assert_eq!(verify(&accounts, "juliet", "theirs").await, Standing::Unknown);
    providers.add_credentials(door(-10, Ok(("juliet", "first"))));
    assert!(matches!(verify(&accounts, "juliet", "first").await, Standing::Active(_)));
    assert_eq!(verify(&accounts, "juliet", "ours").await, Standing::Unknown);
}

async fn an_account_is_made_at_the_first_sign_in_elsewhere(test: TestDb) {
    let accounts = accounts(&test).await;
    let providers = accounts.providers().clone();
    let source: Arc<dyn Credentials> = door(10, Ok(("romeo", "secret")));
    providers.add_credentials(source.clone());
    providers.add_users(book("romeo"));
    assert_eq!(verify(&accounts, "romeo", "wrong").await, Standing::Unknown);
    let Standing::Active(id) = verify(&accounts, "romeo", "secret").await else { panic!() };
    assert_eq!(verify(&accounts, "romeo", "secret").await, Standing::Active(id));
    let login = accounts.find(HOST, "romeo").await.unwrap().unwrap();
    assert_eq!((login.row.id, login.credentials.0.len()), (id, 0));
    providers.remove_credentials(&source);
    assert_eq!(verify(&accounts, "romeo", "secret").await, Standing::Unknown);
}

async fn a_user_of_a_directory_is_there_before_he_signs_in(test: TestDb) {
    let accounts = accounts(&test).await;
    assert!(!accounts.exists(HOST, "nurse").await.unwrap());
    accounts.forget_all();
    accounts.providers().add_users(book("nurse"));
    assert!(accounts.exists(HOST, "nurse").await.unwrap());
    assert!(!accounts.exists(HOST, "romeo").await.unwrap());
}

async fn a_source_that_is_away_lets_nobody_in(test: TestDb) {
    let accounts = accounts(&test).await;
    accounts.create(HOST, "juliet", "ours").await.unwrap();
    accounts.providers().add_credentials(door(10, Err("gone fishing")));
    assert!(matches!(verify(&accounts, "juliet", "ours").await, Standing::Active(_)));
    let password = prepare_password("any").unwrap();
    let refused = accounts.verify_password(HOST, "romeo", password).await;
    assert!(matches!(refused, Err(AccountError::Away(_))));
}

async fn a_password_is_changed_where_it_is_kept(test: TestDb) {
    let accounts = accounts(&test).await;
    accounts.create(HOST, "juliet", "ours").await.unwrap();
    accounts.providers().add_credentials(door(10, Ok(("romeo", "secret"))));
    let Standing::Active(romeo) = verify(&accounts, "romeo", "secret").await else { panic!() };
    assert_eq!(accounts.set_password(HOST, "romeo", "new").await, Ok(romeo));
    let kept = accounts.set_password(HOST, "romeo", "kept").await;
    assert_eq!(kept, Err(AccountError::Elsewhere));
    assert!(accounts.find(HOST, "romeo").await.unwrap().unwrap().credentials.0.is_empty());
    accounts.set_password(HOST, "juliet", "new").await.unwrap();
    assert!(matches!(verify(&accounts, "juliet", "new").await, Standing::Active(_)));
}

async fn whom_a_directory_disables_stays_out(test: TestDb) {
    let accounts = accounts(&test).await;
    let providers = accounts.providers();
    providers.add_credentials(door(10, Ok(("romeo", "secret"))));
    providers.add_users(disabled("romeo"));
    assert_eq!(verify(&accounts, "romeo", "secret").await, Standing::Disabled);
    assert!(!accounts.exists(HOST, "romeo").await.unwrap());
    // Nor does an account help that was made before.
    providers.add_credentials(door(10, Ok(("nurse", "secret"))));
    assert!(matches!(verify(&accounts, "nurse", "secret").await, Standing::Active(_)));
    providers.add_users(disabled("nurse"));
    assert_eq!(verify(&accounts, "nurse", "secret").await, Standing::Disabled);
}

async fn a_name_of_a_directory_is_taken(test: TestDb) {
    let accounts = accounts(&test).await;
    accounts.providers().add_users(book("nurse"));
    assert_eq!(accounts.create(HOST, "nurse", "mine").await, Err(AccountError::NameTaken));
    accounts.create(HOST, "romeo", "mine").await.unwrap();
}

async fn a_password_kept_elsewhere_stays_there_without_its_source(test: TestDb) {
    let accounts = accounts(&test).await;
    let providers = accounts.providers().clone();
    let source: Arc<dyn Credentials> = door(10, Ok(("romeo", "secret")));
    providers.add_credentials(source.clone());
    let Standing::Active(romeo) = verify(&accounts, "romeo", "secret").await else { panic!() };
    assert_eq!(accounts.set_own_password(HOST, "romeo", "new").await, Ok(romeo));
    providers.remove_credentials(&source);
    let refused = accounts.set_own_password(HOST, "romeo", "mine").await;
    assert_eq!(refused, Err(AccountError::Elsewhere));
    assert_eq!(accounts.set_password(HOST, "romeo", "given").await, Ok(romeo));
    assert_eq!(accounts.set_own_password(HOST, "romeo", "mine").await, Ok(romeo));
}

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::super::testing::{TestDb, backend_tests};
use super::super::{Append, Commit, Db, Done, StorageError, params};
use super::{names, table};
use crate::clock::{Clock, StanzaId, Timestamp};

backend_tests! {
    appends_are_committed_in_their_order_and_told,
    a_bad_append_fails_alone,
    a_full_queue_asks_senders_to_stop_and_calls_them_back,
    closing_commits_what_was_appended,
    the_oldest_pending_id_is_known,
    tickets_of_many_appends_share_one_receiver,
}

const INSERT: &str = "INSERT INTO t (name) VALUES ($1) ON CONFLICT DO NOTHING";

type Told = mpsc::UnboundedReceiver<(String, Result<(), StorageError>)>;

/// Appends `name` by `statement` and tells the channel.
fn append(
    db: &Db,
    statement: &'static str,
    name: &str,
    tell: &mpsc::UnboundedSender<(String, Result<(), StorageError>)>,
) {
    let (tell, owned) = (tell.clone(), name.to_owned());
    let done = Done::Call(Box::new(move |outcome| {
        tell.send((owned, outcome.map_err(Clone::clone))).unwrap();
    }));
    db.append(Append { statement, params: params![name].to_vec(), id: None, done });
}

async fn receive(told: &mut Told, count: usize) -> Vec<(String, Result<(), StorageError>)> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(told.recv().await.unwrap());
    }
    all
}

async fn appends_are_committed_in_their_order_and_told(test: TestDb) {
    table(&test.db).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let expected: Vec<String> = (0..3000).map(|n| format!("{n:04}")).collect();
    for name in &expected {
        append(&test.db, INSERT, name, &tell);
    }
    let told = receive(&mut told, expected.len()).await;
    assert!(told.iter().map(|(name, _)| name).eq(expected.iter()));
    assert!(told.iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(names(&test.db).await, expected);
}

async fn a_bad_append_fails_alone(test: TestDb) {
    table(&test.db).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    append(&test.db, INSERT, "a", &tell);
    append(&test.db, "INSERT INTO nowhere VALUES ($1)", "bad", &tell);
    append(&test.db, "INSERT INTO t (name) VALUES ($1)", "a", &tell);
    append(&test.db, INSERT, "b", &tell);
    let told = receive(&mut told, 4).await;
    let failed: Vec<_> = told.iter().map(|(_, outcome)| outcome.is_err()).collect();
    assert_eq!(failed, [false, true, true, false]);
    assert!(told[2].1.as_ref().unwrap_err().is_constraint());
    assert_eq!(names(&test.db).await, ["a", "b"]);
}

async fn a_full_queue_asks_senders_to_stop_and_calls_them_back(test: TestDb) {
    table(&test.db).await;
    let insert = "INSERT INTO t (body) VALUES ($1)";
    let megabyte = bytes::Bytes::from(vec![7; 1 << 20]);
    let db = test.another().await;
    for _ in 0..16 {
        assert!(!db.append_would_block());
        let params = params![&megabyte].to_vec();
        db.append(Append { statement: insert, params, id: None, done: Done::Nobody });
    }
    assert!(db.append_would_block());
    tokio::spawn(db.run_appends());
    db.append_ready().await;
    assert!(!db.append_would_block());
}

async fn closing_commits_what_was_appended(test: TestDb) {
    table(&test.db).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    append(&test.db, INSERT, "last", &tell);
    test.db.close().await;
    assert_eq!(told.try_recv().unwrap(), ("last".to_owned(), Ok(())));
    assert_eq!(names(&test.another().await).await, ["last"]);
}

async fn the_oldest_pending_id_is_known(test: TestDb) {
    table(&test.db).await;
    let clock = Clock::fake(Timestamp(1_000));
    let ids: Vec<StanzaId> = (0..3).map(|_| clock.stanza_id()).collect();
    let db = test.another().await;
    assert_eq!(db.oldest_pending(), None);
    for id in &ids {
        let params = params![id.to_string()].to_vec();
        db.append(Append { statement: INSERT, params, id: Some(*id), done: Done::Nobody });
    }
    assert_eq!(db.oldest_pending(), Some(ids[0]));
    tokio::spawn(db.run_appends());
    db.close().await;
    assert_eq!(db.oldest_pending(), None);
}

#[derive(Default)]
struct Window(Mutex<Vec<(u64, bool)>>);

impl Commit for Window {
    fn resolved(&self, ticket: u64, outcome: Result<(), &StorageError>) {
        self.0.lock().push((ticket, outcome.is_ok()));
    }
}

async fn tickets_of_many_appends_share_one_receiver(test: TestDb) {
    table(&test.db).await;
    let window = Arc::new(Window::default());
    for ticket in 1..=3 {
        let params = params![ticket.to_string()].to_vec();
        let done = Done::Ticket(window.clone(), ticket);
        test.db.append(Append { statement: INSERT, params, id: None, done });
    }
    test.db.close().await;
    assert_eq!(*window.0.lock(), [(1, true), (2, true), (3, true)]);
}

use super::*;
use crate::backend_tests;
use crate::clock::Timestamp;
use crate::jid::Jid;
use crate::stanza::MessageType;
use crate::storage::migrate;
use crate::storage::testing::TestDb;

backend_tests! {
    a_message_is_kept_for_both_sides,
    keeping_twice_keeps_once,
    a_removed_account_leaves_nothing,
}

const ROMEO: (HostId, AccountId) = (HostId::FIRST, AccountId(1));
const JULIET: (HostId, AccountId) = (HostId::FIRST, AccountId(2));

async fn archive(test: &TestDb) -> Arc<Archive> {
    migrate(&test.db, MIGRATIONS, Timestamp(0)).await.unwrap();
    Archive::new(test.db.clone(), Live::fixed(true), &Arc::default())
}

fn message() -> Stanza {
    Stanza::message(MessageType::Chat)
        .with_from(Jid::parse("romeo@hearth.example/orchard").unwrap())
        .with_to(Jid::parse("juliet@hearth.example").unwrap())
}

/// Account, peer and direction of every row, by id.
async fn rows(test: &TestDb) -> Vec<(i64, String, bool)> {
    let sql = "SELECT account, peer, outgoing FROM archive_messages ORDER BY account, id";
    let rows = test.db.read(move |tx| Box::pin(async move { tx.query(sql, &[]).await }));
    let row = |row: &crate::storage::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    rows.await.unwrap().iter().map(row).collect::<Result<_, StorageError>>().unwrap()
}

/// Keeps a message and waits for its commit.
async fn keep(archive: &Archive, owner: (HostId, AccountId), id: u128, outgoing: bool) {
    let duty = Arc::new(Duty::new(StanzaId(id), None));
    archive.keep(owner, StanzaId(id), outgoing, &message(), Some(&duty));
    let db = archive.db.clone();
    let committed = async {
        while Arc::strong_count(&duty) > 1 || db.oldest_pending().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), committed).await.unwrap();
}

async fn a_message_is_kept_for_both_sides(test: TestDb) {
    let archive = archive(&test).await;
    keep(&archive, ROMEO, 1, true).await;
    keep(&archive, JULIET, 1, false).await;
    let expected = [
        (1, "juliet@hearth.example".to_owned(), true),
        (2, "romeo@hearth.example".to_owned(), false),
    ];
    assert_eq!(rows(&test).await, expected);
}

async fn keeping_twice_keeps_once(test: TestDb) {
    let archive = archive(&test).await;
    keep(&archive, ROMEO, 1, true).await;
    keep(&archive, ROMEO, 1, true).await;
    assert_eq!(rows(&test).await.len(), 1);
}

async fn a_removed_account_leaves_nothing(test: TestDb) {
    let archive = archive(&test).await;
    keep(&archive, ROMEO, 1, true).await;
    keep(&archive, JULIET, 1, false).await;
    archive.account_removed(ROMEO.0, ROMEO.1).await.unwrap();
    assert_eq!(rows(&test).await.len(), 1);
}

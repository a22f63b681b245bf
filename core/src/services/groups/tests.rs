use super::*;
use crate::storage::testing::{TestDb, backend_tests};
use crate::storage::{BoxFuture, Tx, migrate};

const HOST: HostId = HostId::FIRST;
const NOW: Timestamp = Timestamp(1_000_000);

backend_tests! {
    a_name_is_given_once,
    groups_are_listed_by_name_and_prefix,
    members_are_paged_and_counted,
    a_deleted_account_leaves_its_groups,
    a_deleted_group_leaves_nothing,
    a_group_is_renamed,
}

async fn write<T: Send + 'static>(
    test: &TestDb,
    body: impl for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, StorageError>>
    + Send
    + 'static,
) -> T {
    test.db.write(body).await.unwrap()
}

async fn new(test: &TestDb, name: &'static str) -> Option<GroupId> {
    write(test, move |tx| Box::pin(store::create(tx, HOST, name, "about", NOW))).await
}

async fn filled(test: &TestDb) -> GroupId {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    let id = new(test, "friends").await.unwrap();
    for (at, username) in ["romeo", "juliet", "nurse"].into_iter().enumerate() {
        put(test, id, username, at as i64 + 1, false).await;
    }
    id
}

async fn put(test: &TestDb, id: GroupId, username: &str, account: i64, administrator: bool) {
    let member =
        Member { username: username.to_owned(), account: AccountId(account), administrator };
    write(test, move |tx| Box::pin(async move { store::put_member(tx, HOST, id, &member).await }))
        .await;
}

async fn found(test: &TestDb, name: &'static str) -> Option<Group> {
    write(test, move |tx| Box::pin(store::find(tx, HOST, name))).await
}

async fn members(test: &TestDb, id: GroupId, after: &'static str) -> Vec<String> {
    let page = write(test, move |tx| Box::pin(store::members(tx, HOST, id, after, 2))).await;
    page.into_iter().map(|member| member.username).collect()
}

async fn a_name_is_given_once(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    assert!(new(&test, "friends").await.is_some());
    assert_eq!(new(&test, "friends").await, None);
}

async fn groups_are_listed_by_name_and_prefix(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    for name in ["Sales", "Support", "IT"] {
        new(&test, name).await;
    }
    let list = async |prefix: &'static str, after: &'static str| {
        let page =
            write(&test, move |tx| Box::pin(store::page(tx, HOST, (prefix, after), 2))).await;
        page.into_iter().map(|group| group.name).collect::<Vec<_>>()
    };
    assert_eq!(list("", "").await, ["IT", "Sales"]);
    assert_eq!(list("", "Sales").await, ["Support"]);
    assert_eq!(list("Su", "").await, ["Support"]);
}

async fn members_are_paged_and_counted(test: TestDb) {
    let id = filled(&test).await;
    assert_eq!(members(&test, id, "").await, ["juliet", "nurse"]);
    assert_eq!(members(&test, id, "nurse").await, ["romeo"]);
    put(&test, id, "romeo", 1, true).await;
    let romeo = AccountId(1);
    let groups = write(&test, move |tx| Box::pin(store::of_account(tx, HOST, romeo, "", 9))).await;
    assert_eq!((groups[0].0.members, groups[0].1), (3, true), "he is counted once");
    let left = || write(&test, move |tx| Box::pin(store::delete_member(tx, HOST, id, romeo)));
    assert!(left().await && !left().await);
    assert_eq!(found(&test, "friends").await.unwrap().members, 2);
}

async fn a_deleted_account_leaves_its_groups(test: TestDb) {
    let id = filled(&test).await;
    Groups(test.db.clone()).account_removed(HOST, AccountId(2)).await.unwrap();
    assert_eq!(members(&test, id, "").await, ["nurse", "romeo"]);
    assert_eq!(found(&test, "friends").await.unwrap().members, 2);
}

async fn a_deleted_group_leaves_nothing(test: TestDb) {
    let id = filled(&test).await;
    write(&test, move |tx| Box::pin(store::delete(tx, HOST, id))).await;
    assert_eq!(found(&test, "friends").await, None);
    let again = new(&test, "friends").await.unwrap();
    assert_ne!(again, id);
    assert_eq!(members(&test, again, "").await, [""; 0]);
}

async fn a_group_is_renamed(test: TestDb) {
    let id = filled(&test).await;
    write(&test, move |tx| Box::pin(store::edit(tx, id, "enemies", "no more"))).await;
    let group = found(&test, "enemies").await.unwrap();
    assert_eq!((group.id, group.members, group.description.as_str()), (id, 3, "no more"));
    new(&test, "friends").await.unwrap();
    let taken = test.db.write(move |tx| Box::pin(store::edit(tx, id, "friends", "")));
    assert!(taken.await.unwrap_err().is_constraint());
}

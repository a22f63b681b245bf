//! The plugin's tables. All times are the database's, in milliseconds since 1970.

use std::collections::BTreeMap;

use hearth_plugin_api::sql::{Expect, Row, Rows, Statement};
use hearth_plugin_api::{Error, ErrorKind, Host, Migration, Result, json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::membership::node::MISSED;
use crate::membership::{About, Change, Member, NodeRow, Snapshot, View};

pub fn migrations() -> Vec<Migration> {
    let licence = "CREATE TABLE {licence} (\
            id BIGINT PRIMARY KEY, body TEXT NOT NULL, installed_ms BIGINT NOT NULL, installed_by TEXT NOT NULL);\
        CREATE TABLE {evaluation} (\
            id BIGINT PRIMARY KEY, started_ms BIGINT NOT NULL, started_by TEXT NOT NULL);\
        CREATE TABLE {seen} (id BIGINT PRIMARY KEY, latest_ms BIGINT NOT NULL);\
        INSERT INTO {seen} (id, latest_ms) VALUES (1, 0);";
    let membership = "CREATE TABLE {node} (\
            node BIGINT PRIMARY KEY, incarnation BIGINT NOT NULL, beat_ms BIGINT NOT NULL, \
            links TEXT NOT NULL, about TEXT NOT NULL, drain BIGINT NOT NULL, known BOOLEAN NOT NULL);\
        CREATE TABLE {view} (\
            id BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, enabled BOOLEAN NOT NULL, \
            members TEXT NOT NULL, departed TEXT NOT NULL);\
        INSERT INTO {view} (id, epoch, enabled, members, departed) VALUES (1, 0, FALSE, '[]', '[]');\
        CREATE TABLE {membership_log} (\
            id BIGSERIAL PRIMARY KEY, at_ms BIGINT NOT NULL, epoch BIGINT NOT NULL, \
            node BIGINT NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL);";
    let cluster = "CREATE TABLE {authority} (\
            id BIGINT PRIMARY KEY, certificate TEXT NOT NULL, secret TEXT NOT NULL);\
        CREATE TABLE {owner} (\
            topic TEXT NOT NULL, name TEXT NOT NULL, node BIGINT NOT NULL, \
            incarnation BIGINT NOT NULL, epoch BIGINT NOT NULL, PRIMARY KEY (topic, name));";
    vec![
        Migration::new(1, "licence", licence),
        Migration::new(2, "membership", membership),
        Migration::new(3, "cluster", cluster),
    ]
}

/// What the database holds of licences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Papers {
    pub now_ms: i64,
    /// The latest time that was ever seen, apart from the last minute.
    pub latest_ms: i64,
    pub licence: Option<InstalledText>,
    /// When the evaluation was started.
    pub evaluation_ms: Option<i64>,
}

/// The text of a licence as it was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledText {
    pub body: String,
    pub installed_ms: i64,
    pub installed_by: String,
}

/// Reads the papers, and remembers that this time was seen.
pub async fn papers(host: &Host) -> Result<Papers> {
    let seen = "UPDATE {seen} SET latest_ms = {:now} WHERE latest_ms < {:now} - 60000";
    let read = [
        seen,
        "SELECT {:now}, latest_ms FROM {seen}",
        "SELECT body, installed_ms, installed_by FROM {licence}",
        "SELECT started_ms FROM {evaluation}",
    ];
    let rows = host.sql().transaction(read.map(Statement::new).into()).await?;
    let [_, times, licence, evaluation] = four(rows)?;
    let times = times.first().ok_or("the row of the latest time is missing")?;
    let installed = |row: &Row| -> Result<InstalledText> {
        let (body, installed_by) = (row.text(0)?.to_owned(), row.text(2)?.to_owned());
        Ok(InstalledText { body, installed_ms: row.int(1)?, installed_by })
    };
    Ok(Papers {
        now_ms: times.int(0)?,
        latest_ms: times.int(1)?,
        licence: licence.first().map(installed).transpose()?,
        evaluation_ms: evaluation.first().map(|row| row.int(0)).transpose()?,
    })
}

/// Replaces the licence.
pub async fn install_licence(host: &Host, body: &str, actor: &str) -> Result<()> {
    let install = Statement::new(
        "INSERT INTO {licence} (id, body, installed_ms, installed_by) VALUES (1, $1, {:now}, $2) \
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, \
         installed_ms = excluded.installed_ms, installed_by = excluded.installed_by",
    );
    host.sql().execute(install.bind(body).bind(actor)).await.map(drop)
}

/// Starts the evaluation, once per database. False: it was started before.
pub async fn start_evaluation(host: &Host, actor: &str) -> Result<bool> {
    let start = Statement::new(
        "INSERT INTO {evaluation} (id, started_ms, started_by) VALUES (1, {:now}, $1) \
         ON CONFLICT (id) DO NOTHING RETURNING id",
    );
    Ok(host.sql().execute(start.bind(actor)).await?.affected == 1)
}

/// Everybody's rows and the view.
pub async fn snapshot(host: &Host) -> Result<Snapshot> {
    let rows = host.sql().transaction(READ.map(Statement::new).into()).await?;
    read_snapshot(rows)
}

/// Renews this node's row and reads everybody's, in one transaction on the reserved connection. The row
/// of this process's run `before` is replaced; what it was asked to drain is forgotten with it. That of
/// another process only if it was not renewed lately: two that share a number are told apart by it.
pub async fn beat(
    host: &Host,
    (me, before): (Member, i64),
    links: &[Member],
    about: &About,
) -> Result<Snapshot> {
    let renew = Statement::new(
        "INSERT INTO {node} (node, incarnation, beat_ms, links, about, drain, known) \
         VALUES ($1, $2, {:now}, $3, $4, 0, FALSE) \
         ON CONFLICT (node) DO UPDATE SET incarnation = excluded.incarnation, \
         beat_ms = excluded.beat_ms, links = excluded.links, about = excluded.about, \
         drain = CASE WHEN {node}.incarnation = excluded.incarnation THEN {node}.drain ELSE 0 END \
         WHERE {node}.incarnation = excluded.incarnation OR {node}.incarnation = $5 \
         OR {node}.beat_ms < {:now} - $6",
    );
    let renew = renew.bind(me.node).bind(me.incarnation).bind(text(&links)?).bind(text(about)?);
    let renew = renew.bind(before).bind(MISSED.as_millis() as i64);
    let all = [renew].into_iter().chain(READ.map(Statement::new)).collect();
    let mut rows = host.sql().reserved().transaction(all).await?;
    rows.remove(0);
    read_snapshot(rows)
}

const READ: [&str; 2] = [
    "SELECT epoch, enabled, members, departed FROM {view} WHERE id = 1",
    "SELECT node, incarnation, {:now} - beat_ms, links, about, drain, known FROM {node} ORDER BY node",
];

fn read_snapshot(rows: Vec<Rows>) -> Result<Snapshot> {
    let [view, nodes] =
        <[Rows; 2]>::try_from(rows).map_err(|_| "the answer has not a part for each statement")?;
    let row = view.first().ok_or("the row of the view is missing")?;
    Ok(Snapshot {
        view: View { epoch: row.int(0)?, members: parsed(row.text(2)?)? },
        enabled: row.bool(1)?,
        departed: parsed(row.text(3)?)?,
        nodes: nodes.rows.iter().map(node_row).collect::<Result<_>>()?,
    })
}

fn node_row(row: &Row) -> Result<NodeRow> {
    let number = |column| -> Result<u32> {
        u32::try_from(row.int(column)?).map_err(|_| Error::invalid("a number is out of range"))
    };
    Ok(NodeRow {
        member: Member { node: number(0)?, incarnation: row.int(1)? },
        silent_ms: row.int(2)?,
        links: parsed(row.text(3)?)?,
        about: parsed(row.text(4)?)?,
        drain: number(5)?,
        known: row.bool(6)?,
    })
}

/// Changes the view if its epoch is still the one before. False: somebody was faster. Its members
/// are known from then on, and the log tells what happened.
pub async fn swap_view(host: &Host, change: &Change) -> Result<bool> {
    let Change { view, departed, happened } = change;
    let swap = Statement::new(
        "UPDATE {view} SET epoch = $1, members = $2, departed = $3 WHERE id = 1 AND epoch = $4",
    );
    let (members, departed) = (text(&view.members)?, text(departed)?);
    let swap = swap.bind(view.epoch).bind(members).bind(departed).bind(view.epoch - 1);
    let mut all = vec![swap.expect(Expect::Exactly(1))];
    for member in &view.members {
        let known = "UPDATE {node} SET known = TRUE WHERE node = $1 AND NOT known";
        all.push(Statement::new(known).bind(member.node));
    }
    for (member, event) in happened {
        all.push(logged(view.epoch, member.node, event.name(), &event.to_string()));
    }
    match host.sql().reserved().transaction(all).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

fn logged(epoch: i64, node: u32, event: &str, detail: &str) -> Statement {
    let log = "INSERT INTO {membership_log} (at_ms, epoch, node, event, detail) \
               VALUES ({:now}, $1, $2, $3, $4)";
    Statement::new(log).bind(epoch).bind(node).bind(event).bind(detail)
}

/// Switches clustering on or off for all that share the database. False: it was so already.
pub async fn set_enabled(host: &Host, enabled: bool, node: u32) -> Result<bool> {
    let set = "UPDATE {view} SET enabled = $1 WHERE id = 1 AND enabled <> $1";
    let set = Statement::new(set).bind(enabled).expect(Expect::Exactly(1));
    let event = if enabled { "enabled" } else { "disabled" };
    match host.sql().transaction(vec![set, logged(0, node, event, "")]).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

/// Asks a node to move its users away, so many per second; 0 takes that back. `NotFound` when there
/// is no such node.
pub async fn set_drain(host: &Host, node: u32, per_second: u32) -> Result<()> {
    let set = Statement::new("UPDATE {node} SET drain = $1 WHERE node = $2");
    let set = set.bind(per_second).bind(node).expect(Expect::Exactly(1));
    host.sql().execute(set).await.map(drop).map_err(|error| match error.kind {
        ErrorKind::Conflict => Error::not_found(format!("there is no node {node}")),
        _ => error,
    })
}

/// The cluster's authority (certificate and key) if there is one; otherwise `candidate` becomes it. Of
/// two first nodes both get the same.
pub async fn authority(host: &Host, candidate: &[String; 2]) -> Result<[String; 2]> {
    let [certificate, secret] = candidate;
    let add = "INSERT INTO {authority} (id, certificate, secret) VALUES (1, $1, $2) \
               ON CONFLICT (id) DO NOTHING";
    let add = Statement::new(add).bind(certificate).bind(secret);
    let read = Statement::new("SELECT certificate, secret FROM {authority} WHERE id = 1");
    let rows = host.sql().transaction(vec![add, read]).await?;
    let row = rows.last().and_then(Rows::first).ok_or("the row of the authority is missing")?;
    Ok([row.text(0)?.to_owned(), row.text(1)?.to_owned()])
}

/// Who owns a key afterwards: whoever does, if it belongs to `view`; otherwise `me`. `Conflict` when
/// another node was faster, or the view is not the newest.
pub async fn take_key(
    host: &Host,
    (topic, key): (&str, &str),
    me: Member,
    view: &View,
) -> Result<Member> {
    let read = "SELECT node, incarnation FROM {owner} WHERE topic = $1 AND name = $2";
    let rows = host.sql().query(Statement::new(read).bind(topic).bind(key)).await?;
    let owner = |row: &Row| -> Result<Member> {
        let node = u32::try_from(row.int(0)?).map_err(|_| "a number is out of range")?;
        Ok(Member { node, incarnation: row.int(1)? })
    };
    let owner = rows.first().map(owner).transpose()?;
    if let Some(owner) = owner.filter(|owner| *owner == me || view.contains(*owner)) {
        return Ok(owner);
    }
    let old = owner.unwrap_or(Member { node: 0, incarnation: 0 });
    let is_newest = "SELECT epoch FROM {view} WHERE id = 1 AND epoch = $1";
    let is_newest = Statement::new(is_newest).bind(view.epoch).expect(Expect::Exactly(1));
    let take = Statement::new(
        "INSERT INTO {owner} (topic, name, node, incarnation, epoch) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (topic, name) DO UPDATE SET node = excluded.node, \
         incarnation = excluded.incarnation, epoch = excluded.epoch \
         WHERE {owner}.node = $6 AND {owner}.incarnation = $7",
    );
    let take = take.bind(topic).bind(key).bind(me.node).bind(me.incarnation).bind(view.epoch);
    let take = take.bind(old.node).bind(old.incarnation).expect(Expect::Exactly(1));
    host.sql().transaction(vec![is_newest, take]).await?;
    Ok(me)
}

/// Gives a key of `me` back.
pub async fn give_key_up(host: &Host, (topic, key): (&str, &str), me: Member) -> Result<()> {
    let give =
        "DELETE FROM {owner} WHERE topic = $1 AND name = $2 AND node = $3 AND incarnation = $4";
    let give = Statement::new(give).bind(topic).bind(key).bind(me.node).bind(me.incarnation);
    host.sql().execute(give).await.map(drop)
}

/// A line of the membership log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub at_ms: i64,
    /// 0: it changed no view.
    pub epoch: i64,
    pub node: u32,
    pub event: String,
    pub detail: String,
}

/// The last lines of the membership log, the newest first.
pub async fn last_logged(host: &Host, limit: u32) -> Result<Vec<Logged>> {
    let read = "SELECT at_ms, epoch, node, event, detail FROM {membership_log} \
                ORDER BY id DESC LIMIT $1";
    let rows = host.sql().query(Statement::new(read).bind(limit)).await?;
    let line = |row: &Row| {
        Ok(Logged {
            at_ms: row.int(0)?,
            epoch: row.int(1)?,
            node: u32::try_from(row.int(2)?).unwrap_or_default(),
            event: row.text(3)?.to_owned(),
            detail: row.text(4)?.to_owned(),
        })
    };
    rows.rows.iter().map(line).collect()
}

/// When each node last became a member.
pub async fn joined(host: &Host) -> Result<BTreeMap<u32, i64>> {
    let read = "SELECT node, MAX(at_ms) FROM {membership_log} WHERE event = 'joined' GROUP BY node";
    let rows = host.sql().query(Statement::new(read)).await?;
    let line = |row: &Row| Ok((u32::try_from(row.int(0)?).unwrap_or_default(), row.int(1)?));
    rows.rows.iter().map(line).collect()
}

fn four(rows: Vec<Rows>) -> Result<[Rows; 4]> {
    rows.try_into().map_err(|_| Error::from("the answer has not a part for each statement"))
}

fn text(value: &impl Serialize) -> Result<String> {
    Ok(json::to_string(value)?)
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T> {
    Ok(json::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use hearth_plugin_api::testing::{FakeHost, block_on};

    use super::*;
    use crate::Enterprise;
    use crate::membership::Happened;

    fn host() -> Host {
        FakeHost::start::<Enterprise>().expect("it starts").host()
    }

    fn member(node: u32, incarnation: i64) -> Member {
        Member { node, incarnation }
    }

    fn change(view: View) -> Change {
        let happened = view.members.iter().map(|member| (*member, Happened::Joined)).collect();
        Change { view, departed: Vec::new(), happened }
    }

    #[test]
    fn a_beat_renews_the_row_and_reads_all() {
        let host = host();
        let about = About { name: "one".to_owned(), ..About::default() };
        block_on(beat(&host, (member(1, 7), 0), &[], &about)).expect("a beat");
        block_on(set_drain(&host, 1, 50)).expect("asked");
        let links = [member(1, 7)];
        let both =
            block_on(beat(&host, (member(2, 9), 0), &links, &About::default())).expect("a beat");
        assert_eq!(both.view, View::default());
        assert_eq!(both.nodes.len(), 2);
        assert_eq!((both.nodes[0].drain, &both.nodes[0].about), (50, &about));
        assert_eq!(both.nodes[1].links, links);
        // Another run of node 1 is not asked to drain.
        let again = block_on(beat(&host, (member(1, 8), 7), &[], &about)).expect("a beat");
        assert_eq!((again.nodes[0].member, again.nodes[0].drain), (member(1, 8), 0));
    }

    #[test]
    fn the_row_of_another_process_is_replaced_when_that_is_silent() {
        let host = host();
        let beat_of = |incarnation| {
            let me = (member(1, incarnation), 0);
            let rows = block_on(beat(&host, me, &[], &About::default())).expect("a beat").nodes;
            rows[0].member.incarnation
        };
        assert_eq!(beat_of(7), 7);
        assert_eq!(beat_of(8), 7, "it lives");
        let age = Statement::new("UPDATE {node} SET beat_ms = beat_ms - $1");
        let age = age.bind(2 * MISSED.as_millis() as i64);
        block_on(host.sql().execute(age)).expect("it is silent");
        assert_eq!(beat_of(8), 8);
        assert_eq!(beat_of(7), 8, "now this one lives");
    }

    #[test]
    fn of_two_changes_of_a_view_one_counts() {
        let host = host();
        block_on(beat(&host, (member(1, 7), 0), &[], &About::default())).expect("a beat");
        let first = change(View::default().with(member(1, 7)));
        let second = change(View::default().with(member(2, 9)));
        assert_eq!(block_on(swap_view(&host, &first)), Ok(true));
        assert_eq!(block_on(swap_view(&host, &second)), Ok(false));
        let now = block_on(snapshot(&host)).expect("rows");
        assert_eq!(now.view, first.view);
        assert!(now.nodes[0].known);
        let log = block_on(last_logged(&host, 9)).expect("lines");
        assert_eq!(log.len(), 1, "what did not happen is not logged");
        assert_eq!((log[0].node, log[0].event.as_str()), (1, "joined"));
        assert_eq!(block_on(joined(&host)), Ok(BTreeMap::from([(1, log[0].at_ms)])));
    }

    #[test]
    fn of_two_first_nodes_both_have_the_same_authority() {
        let host = host();
        let one = ["a", "b"].map(str::to_owned);
        assert_eq!(block_on(authority(&host, &one)), Ok(one.clone()));
        assert_eq!(block_on(authority(&host, &["c", "d"].map(str::to_owned))), Ok(one));
    }

    #[test]
    fn a_key_is_taken_from_nobody_but_who_left_the_view() {
        let host = host();
        let (one, two) = (member(1, 7), member(2, 9));
        let both = View::default().with(one).with(two);
        let before = View { epoch: 1, ..View::default().with(one) };
        assert_eq!(block_on(swap_view(&host, &change(before.clone()))), Ok(true));
        assert_eq!(block_on(swap_view(&host, &change(both.clone()))), Ok(true));
        let key = ("room", "tea");
        let stale = block_on(take_key(&host, key, one, &before)).expect_err("an old view");
        assert_eq!(stale.kind, ErrorKind::Conflict);
        assert_eq!(block_on(take_key(&host, key, one, &both)), Ok(one));
        assert_eq!(block_on(take_key(&host, key, two, &both)), Ok(one));
        let without = both.without(one);
        assert_eq!(block_on(swap_view(&host, &change(without.clone()))), Ok(true));
        assert_eq!(block_on(take_key(&host, key, two, &without)), Ok(two));
        block_on(give_key_up(&host, key, one)).expect("nothing happens");
        assert_eq!(block_on(take_key(&host, key, two, &without)), Ok(two));
        block_on(give_key_up(&host, key, two)).expect("given up");
        assert_eq!(block_on(take_key(&host, key, member(3, 1), &without)), Ok(member(3, 1)));
    }

    #[test]
    fn clustering_is_switched_once() {
        let host = host();
        assert_eq!(block_on(set_enabled(&host, true, 1)), Ok(true));
        assert_eq!(block_on(set_enabled(&host, true, 1)), Ok(false));
        assert!(block_on(snapshot(&host)).expect("rows").enabled);
    }
}

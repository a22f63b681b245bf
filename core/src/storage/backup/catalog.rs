//! What the database says about its own tables.

use super::OWN;
use crate::storage::{Dialect, Row, StorageError, Tx, params};

/// All tables that an export carries, parents of foreign keys before their children.
pub(super) async fn tables(tx: &mut Tx<'_>) -> Result<Vec<String>, StorageError> {
    let rows = tx.query(tx.dialect().tables(), &[]).await?;
    let mut waiting: Vec<String> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    waiting.retain(|table| !OWN.contains(&table.as_str()));
    let references = tx.query(references(tx.dialect()), &[]).await?;
    let pair = |row: &Row| Ok((row.get(0)?, row.get(1)?));
    let references: Result<Vec<(String, String)>, StorageError> =
        references.iter().map(pair).collect();
    Ok(parents_first(waiting, &references?))
}

/// `references` are pairs of child and parent.
fn parents_first(mut waiting: Vec<String>, references: &[(String, String)]) -> Vec<String> {
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let blocked = |table: &String| {
            let parents =
                references.iter().filter(|(child, parent)| child == table && parent != table);
            parents.clone().any(|(_, parent)| waiting.contains(parent))
        };
        // In a circle no order helps: the first goes first.
        let next = waiting.iter().position(|table| !blocked(table)).unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    ordered
}

fn references(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "SELECT t.name, f.\"table\" FROM sqlite_schema t, pragma_foreign_key_list(t.name) f
             WHERE t.type = 'table'"
        }
        Dialect::Postgres => {
            "SELECT CAST(child.relname AS TEXT), CAST(parent.relname AS TEXT)
             FROM pg_constraint
             JOIN pg_class child ON child.oid = conrelid
             JOIN pg_class parent ON parent.oid = confrelid
             JOIN pg_namespace ON pg_namespace.oid = child.relnamespace
             WHERE contype = 'f' AND nspname = current_schema()"
        }
    }
}

/// The columns of `table`, in their order.
pub(super) async fn columns(tx: &mut Tx<'_>, table: &str) -> Result<Vec<String>, StorageError> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info($1) ORDER BY cid",
        Dialect::Postgres => {
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
    };
    let rows = tx.query(sql, params![table]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// The last number that the `id` column of `table` gave, if it counts by itself.
pub(super) async fn last_id(tx: &mut Tx<'_>, table: &str) -> Result<Option<i64>, StorageError> {
    let row = match tx.dialect() {
        // The table is there when any table counts by itself.
        Dialect::Sqlite if !counts(tx).await? => None,
        Dialect::Sqlite => {
            tx.query_opt("SELECT seq FROM sqlite_sequence WHERE name = $1", params![table]).await?
        }
        Dialect::Postgres => {
            let sql = "SELECT last_value FROM pg_sequences
                       WHERE schemaname = current_schema() AND sequencename = $1";
            tx.query_opt(sql, params![format!("{table}_id_seq")]).await?
        }
    };
    row.map_or(Ok(None), |row| row.get(0))
}

/// Makes the `id` column of `table` go on after `last`.
pub(super) async fn set_last_id(
    tx: &mut Tx<'_>,
    table: &str,
    last: i64,
) -> Result<(), StorageError> {
    match tx.dialect() {
        Dialect::Sqlite => {
            let renewed = "UPDATE sqlite_sequence SET seq = $2 WHERE name = $1";
            if tx.execute(renewed, params![table, last]).await? == 0 {
                let new = "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)";
                tx.execute(new, params![table, last]).await?;
            }
        }
        Dialect::Postgres => {
            tx.query(
                "SELECT setval(CAST(CAST($1 AS TEXT) AS regclass), $2)",
                params![format!("{table}_id_seq"), last],
            )
            .await?;
        }
    }
    Ok(())
}

async fn counts(tx: &mut Tx<'_>) -> Result<bool, StorageError> {
    let sql = "SELECT name FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    Ok(tx.query_opt(sql, &[]).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_children() {
        let pair = |child: &str, parent: &str| (child.to_owned(), parent.to_owned());
        let references = [pair("a", "c"), pair("c", "b"), pair("b", "b")];
        let tables = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(parents_first(tables, &references), ["b", "c", "a"]);
        let circle = [pair("a", "b"), pair("b", "a")];
        assert_eq!(parents_first(vec!["a".into(), "b".into()], &circle), ["a", "b"]);
    }
}

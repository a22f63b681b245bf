//! Whether a database is fit for Hearth, asked before anything is made in it.

use super::migrate::check_reader;
use super::{Db, Dialect, StorageError, Tx};

impl Db {
    /// Refuses a database of a newer server, one that cannot hold every text, and one in which this
    /// user may not make tables. Changes nothing.
    pub async fn check_fitness(&self) -> Result<(), StorageError> {
        check_reader(self).await?;
        match self.dialect() {
            Dialect::Sqlite => Ok(()),
            Dialect::Postgres => self.read(|tx| Box::pin(check_postgres(tx))).await,
        }
    }
}

async fn check_postgres(tx: &mut Tx<'_>) -> Result<(), StorageError> {
    let sql = "SELECT CAST(current_setting('server_encoding') AS TEXT), CAST(current_user AS TEXT), \
               COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)";
    let row = tx.query_one(sql, &[]).await?;
    let (encoding, user): (String, String) = (row.get(0)?, row.get(1)?);
    if encoding != "UTF8" {
        let remedy = "create it with ENCODING 'UTF8' TEMPLATE template0";
        return Err(StorageError::Unfit(format!("its encoding is {encoding}; {remedy}")));
    }
    if !row.get::<bool>(2)? {
        let remedy = format!("make that user its owner (ALTER DATABASE … OWNER TO {user})");
        return Err(StorageError::Unfit(format!("{user} may not make tables in it; {remedy}")));
    }
    Ok(())
}

/// Whether there is a table of this name; a database without schema has none.
pub async fn has_table(tx: &mut Tx<'_>, name: &str) -> Result<bool, StorageError> {
    let tables = tx.query(tx.dialect().tables(), &[]).await?;
    Ok(tables.iter().any(|row| row.get::<String>(0).is_ok_and(|table| table == name)))
}

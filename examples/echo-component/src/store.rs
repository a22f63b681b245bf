//! The table of who has sent how many messages.

use hearth_plugin_api::sql::Statement;
use hearth_plugin_api::{Host, Migration, Result};

pub fn migrations() -> Vec<Migration> {
    let heard = "CREATE TABLE {heard} (sender TEXT PRIMARY KEY, messages BIGINT NOT NULL);";
    vec![Migration::new(1, "heard", heard)]
}

/// One more message of a sender.
pub async fn count(host: &Host, sender: &str) -> Result<()> {
    let counted = Statement::new(
        "INSERT INTO {heard} (sender, messages) VALUES ($1, 1) \
         ON CONFLICT (sender) DO UPDATE SET messages = {heard}.messages + 1",
    );
    host.sql().execute(counted.bind(sender)).await?;
    Ok(())
}

/// How many messages a sender has sent.
pub async fn messages(host: &Host, sender: &str) -> Result<i64> {
    let query = Statement::new("SELECT messages FROM {heard} WHERE sender = $1");
    let rows = host.sql().query(query.bind(sender)).await?;
    rows.first().map_or(Ok(0), |row| row.int(0))
}

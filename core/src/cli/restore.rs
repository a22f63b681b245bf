//! `hearth restore FILE`: puts a backup back, in place of everything in the database.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::backup::progress;
use super::{CliError, Exit, Global};
use crate::clock::Random;
use crate::config::{Config, Environment};
use crate::server::Foundation;
use crate::storage::{DatabaseUrl, backup};

/// What every SQLite file begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `hearth backup` wrote. No server may run on the database
    file: PathBuf,
}

pub async fn perform(global: &Global, Restore { file }: Restore) -> Result<(), CliError> {
    let unreadable =
        |error| CliError::failure(error, file.display(), "name a file that `hearth backup` wrote");
    let is_snapshot = begins_with(&file, SQLITE).map_err(unreadable)?;
    let home = global.home();
    home.create()?;
    let _lock = home.lock()?;
    let config = Config::load(&home, &Environment::read()?, &Random::system())?;
    let output = global.output();
    let rows = match (is_snapshot, config.database_url(&home)?) {
        (true, DatabaseUrl::Sqlite(database)) => {
            backup::restore_snapshot(&file, &database, progress(output))?;
            None
        }
        (true, url) => {
            let what = format!("a copy of SQLite cannot be restored to {url}");
            let remedy = "make a backup whose name does not end in .db";
            return Err(CliError::new(Exit::Usage, what, file.display(), remedy));
        }
        (false, _) => {
            let foundation = Foundation::open(home, config).await?;
            let from = BufReader::new(File::open(&file).map_err(unreadable)?);
            let done = backup::import(&foundation.db, Box::new(from), progress(output)).await?;
            Some(done)
        }
    };
    let skipped = rows.as_ref().map(|done| done.skipped.clone()).unwrap_or_default();
    let told = json!({ "file": file, "rows": rows.map(|done| done.rows), "skipped": skipped });
    output.value(&told, |_| match skipped.is_empty() {
        true => format!("{} is restored", file.display()),
        false => format!("{} is restored, without {}", file.display(), skipped.join(", ")),
    })
}

fn begins_with(file: &PathBuf, magic: &[u8]) -> std::io::Result<bool> {
    let mut begin = Vec::new();
    File::open(file)?.take(magic.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == magic)
}

//! `hearth backup FILE`: everything in the database, while the server runs or not.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::output::Output;
use super::{CliError, Exit, Global};
use crate::clock::Random;
use crate::config::{Config, Environment};
use crate::storage::Db;
use crate::storage::backup::{self, Progress};

#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write. Ending in .db: a copy of the SQLite database; otherwise a text that either
    /// database reads back
    file: PathBuf,
}

pub async fn perform(global: &Global, Backup { file }: Backup) -> Result<(), CliError> {
    let home = global.home();
    if !home.config().exists() {
        let remedy = "name another by --home";
        return Err(CliError::new(
            Exit::Configuration,
            "no home is here",
            home.path().display(),
            remedy,
        ));
    }
    if file.exists() {
        return Err(CliError::failure("the file exists", file.display(), "choose another name"));
    }
    let config = Config::load(&home, &Environment::read()?, &Random::system())?;
    let db = Db::open(&config.database_url(&home)?, config.synchronous()).await?;
    let progress = progress(global.output());
    match db.file().filter(|_| file.extension().is_some_and(|end| end == "db")) {
        Some(database) => backup::snapshot(database, &file, progress)?,
        None => backup::export_file(&db, &file, progress).await.map(drop)?,
    }
    let bytes = fs::metadata(&file).map(|meta| meta.len()).unwrap_or_default();
    global.output().value(&json!({ "file": file, "bytes": bytes }), |_| {
        format!("{} is written ({} KiB)", file.display(), bytes.div_ceil(1024))
    })
}

/// Shows how far the work is.
pub fn progress(output: Output) -> Progress {
    let bar = output.work();
    Box::new(move |done, of| {
        if let Some(of) = of {
            bar.set_length(of);
        }
        bar.set_position(done);
    })
}

//! `hearth backup FILE`: everything in the database, while the server runs or not.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
        None => export(&db, &file, progress).await?,
    }
    let bytes = fs::metadata(&file).map(|meta| meta.len()).unwrap_or_default();
    global.output().value(&json!({ "file": file, "bytes": bytes }), |_| {
        format!("{} is written ({} KiB)", file.display(), bytes.div_ceil(1024))
    })
}

/// The file appears under its name when it is whole. It holds keys: for this user only.
async fn export(db: &Db, file: &Path, progress: Progress) -> Result<(), CliError> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let failed = |error: std::io::Error| {
        CliError::failure(error, file.display(), "name a folder that is writable and has room")
    };
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let open = open.map_err(failed)?;
    let out = open.try_clone().map_err(failed)?;
    let written = match backup::export(db, Box::new(BufWriter::new(out)), progress).await {
        Ok(_) => sync(open).and_then(|()| fs::rename(&part, file)).map_err(failed),
        Err(error) => Err(error.into()),
    };
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}

fn sync(mut file: fs::File) -> std::io::Result<()> {
    file.flush()?;
    file.sync_all()
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

//! `hearth-licence`: makes the vendor's key, issues licences and inspects them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hearth_enterprise::licence::{self, Kind, Licence, TrustedKey, day};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use time::{Date, Duration, OffsetDateTime};

#[derive(Parser)]
#[command(
    name = "hearth-licence",
    version,
    about = "Issues and inspects licences of Hearth Enterprise"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a key pair: the private key in FILE (keep it secret), the public one in FILE.pub
    Keygen { file: PathBuf },
    /// Prints a new licence
    Issue(Issue),
    /// Shows what a licence says, and whether it is genuine; `-` reads standard input
    Inspect {
        file: PathBuf,
        /// A public key in place of the built-in one
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Issue {
    /// The private key, as `keygen` made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[arg(long)]
    holder: String,
    /// Names the licence in letters and logs
    #[arg(long)]
    id: String,
    /// Greatest number of cluster members
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    members: u32,
    /// The first day, UTC, as 2027-11-22 [default: today]
    #[arg(long, value_name = "DAY", value_parser = date)]
    from: Option<Date>,
    /// How many days it holds
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
    #[arg(long)]
    evaluation: bool,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} is not a key that `hearth-licence keygen` made")]
    Key(PathBuf),
    #[error("the key cannot be made: the system gives no randomness")]
    Randomness,
    #[error(transparent)]
    Licence(#[from] licence::LicenceError),
    #[error("the licence cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the licence would end after the year 9999: give fewer --days")]
    Days,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Keygen { file } => keygen(&file),
        Command::Issue(wanted) => issue(&wanted),
        Command::Inspect { file, public_key } => inspect(&file, public_key.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hearth-licence: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn date(text: &str) -> Result<Date, String> {
    day::parse(text).ok_or_else(|| "write it as 2027-11-22".to_owned())
}

fn keygen(file: &Path) -> Result<(), Failure> {
    let private =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| Failure::Randomness)?;
    let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).map_err(|_| Failure::Randomness)?;
    write_new(file, private.as_ref(), 0o600)?;
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    write_new(&public, pair.public_key().as_ref(), 0o644)?;
    println!("private key: {}\npublic key:  {}", file.display(), public.display());
    Ok(())
}

/// Never replaces a key.
fn write_new(path: &Path, octets: &[u8], mode: u32) -> Result<(), Failure> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(octets)).map_err(|source| failed(path, source))
}

fn issue(wanted: &Issue) -> Result<(), Failure> {
    let key = Ed25519KeyPair::from_pkcs8(&read(&wanted.key)?)
        .map_err(|_| Failure::Key(wanted.key.clone()))?;
    let issued = wanted.from.unwrap_or_else(|| OffsetDateTime::now_utc().date());
    let last = issued.checked_add(Duration::days(i64::from(wanted.days) - 1));
    let licence = Licence {
        v: 1,
        id: wanted.id.clone(),
        holder: wanted.holder.clone(),
        kind: if wanted.evaluation { Kind::Evaluation } else { Kind::Subscription },
        issued,
        expires: last.ok_or(Failure::Days)?,
        members: wanted.members,
    };
    print!("{}", licence::issue(&licence, &key)?);
    Ok(())
}

fn inspect(file: &Path, public_key: Option<&Path>) -> Result<(), Failure> {
    let key = match public_key {
        None => TrustedKey::BUILT_IN,
        Some(path) => {
            let octets = read(path)?.try_into().map_err(|_| Failure::Key(path.to_owned()))?;
            TrustedKey::new(octets)
        }
    };
    let text = String::from_utf8_lossy(&read(file)?).into_owned();
    let licence = licence::verify(&text, &key)?;
    println!("{}", serde_json::to_string_pretty(&licence)?);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    let done = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_end(&mut octets).map(|_| ()),
        false => fs::read(path).map(|read| octets = read),
    };
    done.map(|()| octets).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> Failure {
    Failure::File { path: path.to_owned(), source }
}

//! Passwords come from a file or standard input, never from the command line, which other users of
//! the machine can read.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use clap::Args;

use super::CliError;
use crate::clock::Random;

/// Where a password comes from.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// A file whose first line is the password; `-` reads standard input [default: a random one,
    /// printed once]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The password of the source, if one is named.
pub fn read(source: &Source) -> Result<Option<String>, CliError> {
    source.password_file.as_deref().map(read_file).transpose()
}

/// The password, and whether it was given; otherwise it is a random one.
pub fn read_or_generate(source: &Source) -> Result<(String, bool), CliError> {
    Ok(match read(source)? {
        Some(secret) => (secret, true),
        None => (generate(), false),
    })
}

/// 192 random bits.
pub fn generate() -> String {
    Random::system().token()
}

/// The first line of a file, or of standard input for `-`.
pub fn read_file(path: &Path) -> Result<String, CliError> {
    let line = match path == Path::new("-") {
        true => first_line(io::stdin().lock()),
        false => std::fs::File::open(path).and_then(|file| first_line(io::BufReader::new(file))),
    };
    let line = line.map_err(|error| {
        let what = format!("the password cannot be read: {error}");
        CliError::usage(what, path.display(), "name a file that this account may read")
    })?;
    match line.is_empty() {
        false => Ok(line),
        true => Err(CliError::usage(
            "the password is empty",
            path.display(),
            "put it on the first line",
        )),
    }
}

fn first_line(mut reader: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        assert_eq!(first_line(&b"se cret \r\nmore"[..]).expect("read"), "se cret ");
        assert_eq!(first_line(&b"secret"[..]).expect("read"), "secret");
        assert_eq!(first_line(&b""[..]).expect("read"), "");
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let error = read_file(Path::new("/nonexistent/password")).expect_err("no such file");
        assert!(error.to_string().contains("/nonexistent/password"), "{error}");
    }
}

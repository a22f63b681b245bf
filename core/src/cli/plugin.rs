//! `hearth plugin`: what is installed, and the tools of those who write plugins.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::link::{Link, segment};
use super::output::{Output, text};
use super::{CliError, Exit, Global, plugin_new};
use crate::plugin_host::probe;
use crate::plugin_host::signature::{self, SigningKey};

#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// Check a plugin file, install it and start it in place of an earlier version
    Install {
        /// The library that cargo built
        file: PathBuf,
        /// Install it although no trusted key has signed it
        #[arg(long)]
        accept_unsigned: bool,
    },
    /// List the plugins of this node
    List,
    /// Stop a plugin and start it anew
    Reload { id: String },
    /// Start a plugin that is disabled, faulty or quarantined
    Enable { id: String },
    /// Stop a plugin until it is enabled
    Disable { id: String },
    /// Stop a plugin and take it off this node
    Remove {
        id: String,
        /// Drop its tables and values, too
        #[arg(long)]
        drop_data: bool,
    },
    /// Run a command of a plugin
    Run {
        id: String,
        command: String,
        /// What the command is given
        #[arg(value_name = "JSON")]
        input: Option<String>,
    },
    /// Write a project that builds a plugin, in a new folder
    New {
        /// Its id, which is for good
        name: String,
        /// Take hearth-plugin-api from this folder (plugin-api of Hearth's source), not from crates.io
        #[arg(long, value_name = "DIR")]
        path: Option<PathBuf>,
    },
    /// Show what a file says of itself, without installing it
    Inspect { file: PathBuf },
    /// Make a key that signs plugins, and print its public half
    Keygen {
        /// Where the private key goes
        file: PathBuf,
    },
    /// Sign a plugin file, in place
    Sign {
        file: PathBuf,
        /// The private key, as keygen wrote it
        #[arg(long)]
        key: PathBuf,
    },
    /// Trust what a key signs, no longer trust it, or list the trusted keys
    #[command(subcommand)]
    Key(Key),
    /// Load a file in this process, which may die of it, and print its manifest
    #[command(hide = true)]
    Probe { file: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Trust a public key
    Trust { name: String, key: String },
    /// No longer trust a key
    Distrust { name: String },
    /// List the trusted keys
    List,
}

pub async fn perform(global: &Global, command: Plugin) -> Result<(), CliError> {
    let output = global.output();
    match command {
        Plugin::Install { file, accept_unsigned } => {
            let bar = output.work();
            let installed = global.link().await?.upload(&file, accept_unsigned, &bar).await?;
            bar.finish_and_clear();
            output.value(&installed, |plugin| describe("installed", plugin))
        }
        Plugin::List => list(&global.link().await?, output).await,
        Plugin::Reload { id } => change(global, &id, "reload", "reloaded").await,
        Plugin::Enable { id } => change(global, &id, "enable", "enabled").await,
        Plugin::Disable { id } => change(global, &id, "disable", "disabled").await,
        Plugin::Remove { id, drop_data } => {
            let data = if drop_data { "drop" } else { "keep" };
            let path = format!("/plugins/{}?data={data}", segment(&id));
            global.link().await?.call(Method::DELETE, &path, None).await?;
            output.value(&json!({ "removed": id }), |_| format!("removed {id}"))
        }
        Plugin::Run { id, command, input } => {
            let input = input.as_deref().map(parse).transpose()?;
            let path = format!("/plugins/{}/commands/{}", segment(&id), segment(&command));
            let answer = global.link().await?.call(Method::POST, &path, input.as_ref()).await?;
            output.value(&answer, |answer| format!("{answer:#}"))
        }
        Plugin::New { name, path } => plugin_new::create(output, &name, path.as_deref()),
        Plugin::Inspect { file } => inspect(output, &file).await,
        Plugin::Keygen { file } => keygen(output, &file),
        Plugin::Sign { file, key } => sign(output, &file, &key),
        Plugin::Key(key) => trust(global, key).await,
        Plugin::Probe { file } => probe_here(&file),
    }
}

fn parse(input: &str) -> Result<Value, CliError> {
    serde_json::from_str(input).map_err(|error| {
        CliError::usage(format_args!("not JSON: {error}"), input, "quote it for the shell")
    })
}

fn describe(done: &str, plugin: &Value) -> String {
    let (id, version) = (text(plugin, "id"), text(plugin, "version"));
    format!("{done} {id} {version} ({}, {})", text(plugin, "state"), text(plugin, "signature"))
}

async fn change(global: &Global, id: &str, action: &str, done: &str) -> Result<(), CliError> {
    let path = format!("/plugins/{}/{action}", segment(id));
    let plugin = global.link().await?.call(Method::POST, &path, None).await?;
    global.output().value(&plugin, |plugin| describe(done, plugin))
}

async fn list(link: &Link, output: Output) -> Result<(), CliError> {
    let mut list = output.list("ID                      VERSION     STATE        SIGNATURE")?;
    link.every("/plugins", |plugin| {
        list.item(plugin, |plugin| {
            let [id, version, state, signature, report] =
                ["id", "version", "state", "signature", "report"].map(|field| text(plugin, field));
            let report = if report.is_empty() { String::new() } else { format!("  {report}") };
            format!("{id:<22}  {version:<10}  {state:<11}  {signature}{report}")
        })
    })
    .await?;
    list.end()
}

async fn inspect(output: Output, file: &Path) -> Result<(), CliError> {
    let octets = fs::read(file).map_err(|error| unreadable(file, &error))?;
    let refused = |error: &dyn std::fmt::Display| {
        CliError::failure(error, file.display(), "build it anew, see docs/plugins.md")
    };
    let signer = signature::signer(&octets).map_err(|error| refused(&error))?;
    let path = fs::canonicalize(file).map_err(|error| unreadable(file, &error))?;
    let manifest = probe::inspect(&path).await.map_err(|error| refused(&error))?;
    let mut shown = manifest;
    shown["signer"] = signer.map(|key| key.to_string()).into();
    output.value(&shown, |shown| format!("{shown:#}"))
}

fn unreadable(file: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(error, file.display(), "name a file that this account may read")
}

fn keygen(output: Output, file: &Path) -> Result<(), CliError> {
    let (key, pem) = SigningKey::generate();
    let unwritable = |error: std::io::Error| {
        CliError::failure(error, file.display(), "name a new file in a folder of yours")
    };
    let mut made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(unwritable)?;
    made.write_all(pem.as_bytes()).map_err(unwritable)?;
    let public = key.public().to_string();
    output.value(&json!({ "public_key": public, "file": file }), |_| public.clone())
}

/// Appends the signature: the library keeps its place, so that a signed file still loads.
fn sign(output: Output, file: &Path, key: &Path) -> Result<(), CliError> {
    let pem = fs::read_to_string(key).map_err(|error| unreadable(key, &error))?;
    let key = SigningKey::parse(&pem)
        .map_err(|error| CliError::usage(error, key.display(), "make one by keygen"))?;
    let octets = fs::read(file).map_err(|error| unreadable(file, &error))?;
    let unsigned = |error: &dyn std::fmt::Display| {
        CliError::failure(error, file.display(), "build it anew and sign that")
    };
    let trailer = key.sign(&octets).map_err(|error| unsigned(&error))?;
    let appended = fs::OpenOptions::new().append(true).open(file);
    appended.and_then(|mut out| out.write_all(&trailer)).map_err(|error| unsigned(&error))?;
    let public = key.public().to_string();
    output.value(&json!({ "signed": file, "public_key": public }), |_| {
        format!("signed {} by {public}", file.display())
    })
}

async fn trust(global: &Global, key: Key) -> Result<(), CliError> {
    let (link, output) = (global.link().await?, global.output());
    match key {
        Key::Trust { name, key } => {
            let body = json!({ "name": name, "key": key });
            link.call(Method::POST, "/plugin-keys", Some(&body)).await?;
            output.value(&body, |_| format!("trusts {name}"))
        }
        Key::Distrust { name } => {
            let path = format!("/plugin-keys/{}", segment(&name));
            link.call(Method::DELETE, &path, None).await?;
            output.value(&json!({ "distrusted": name }), |_| format!("no longer trusts {name}"))
        }
        Key::List => {
            let mut list = output.list("NAME              PUBLIC KEY")?;
            link.every("/plugin-keys", |key| {
                list.item(key, |key| format!("{:<16}  {}", text(key, "name"), text(key, "key")))
            })
            .await?;
            list.end()
        }
    }
}

/// The child's side of the probe.
fn probe_here(file: &Path) -> Result<(), CliError> {
    match probe::in_this_process(file) {
        Ok(manifest) => Output { json: false }.value(&Value::Null, |_| manifest),
        Err(why) => Err(CliError::told(Exit::Refused, why)),
    }
}

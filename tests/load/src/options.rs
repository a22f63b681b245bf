//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Load generator for any XMPP server.
///
/// Prints one JSON object on standard output and a summary on standard error. The server's
/// certificate is NOT verified: this is a load tool.
#[derive(Debug, Parser)]
#[command(name = "hearth-load", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create the accounts by in-band registration (XEP-0077)
    Register(Target),
    /// Log every user in once and keep the sessions: server CPU per login
    Login(Login),
    /// Hold a session per user with presence: server memory per session
    Idle(Idle),
    /// Users in pairs exchange messages: server CPU per message, loss, order, latency
    Chat(Chat),
    /// Connect, log in and close the stream again and again: server CPU per cycle
    Cycle(Cycle),
    /// Users in groups of mutual contacts send presence: server CPU per delivery
    Presence(Presence),
    /// Fetch a roster again and again: server CPU per round trip
    Roster(Roster),
    /// Room messages (XEP-0045): server CPU per copy delivered
    Muc(Muc),
    /// Markdown table of result files: a line per row, a column per label, medians
    Compare(Compare),
}

/// Where the server is and who logs in.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Address to connect to
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port [default: 5223 with --tls direct, otherwise 5222]
    #[arg(long)]
    pub port: Option<u16>,
    /// Port of another node of the same cluster, to which every second user connects: both users of
    /// a pair are on different nodes then
    #[arg(long)]
    pub other_port: Option<u16>,
    /// XMPP domain
    #[arg(long, default_value = "localhost")]
    pub domain: String,
    /// Transport; certificates are not verified
    #[arg(long, value_enum, default_value_t = Tls::None)]
    pub tls: Tls,
    /// SASL mechanism
    #[arg(long, value_enum, default_value_t = Mechanism::ScramSha1)]
    pub mechanism: Mechanism,
    /// Resource to bind
    #[arg(long, default_value = "load")]
    pub resource: String,
    /// How many users
    #[arg(long, short = 'n', default_value_t = 200)]
    pub users: usize,
    /// Number of the first user
    #[arg(long, default_value_t = 0)]
    pub first: usize,
    /// User names are this and a number
    #[arg(long, default_value = "user")]
    pub prefix: String,
    /// Password of all users
    #[arg(long, default_value = "not a secret")]
    pub password: String,
    /// Take names and passwords from lines `user,password` instead
    #[arg(long)]
    pub accounts_file: Option<PathBuf>,
    /// Logins or registrations under way at once
    #[arg(long, default_value_t = 32)]
    pub concurrency: usize,
    /// Rotate over this many source addresses 127.0.0.2, 127.0.0.3, … (a source address has some
    /// 28,000 ports)
    #[arg(long, default_value_t = 0)]
    pub sources: u8,
    /// Process of the server; its descendants are counted too
    #[arg(long)]
    pub pid: Option<u32>,
    /// Process of the other node: the CPU time of both is counted
    #[arg(long, requires = "pid")]
    pub other_pid: Option<u32>,
    /// Name of the server in results
    #[arg(long, default_value = "server")]
    pub label: String,
    /// Name of the table line in results [default: derived from the options]
    #[arg(long)]
    pub row: Option<String>,
    /// Longest time for one login or answer, in seconds
    #[arg(long, default_value_t = 30)]
    pub timeout: u64,
    /// Fail when anything was lost, doubled or out of order, or a login failed
    #[arg(long)]
    pub strict: bool,
}

impl Target {
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls == Tls::Direct { 5223 } else { 5222 })
    }

    /// Where the user of this index connects.
    pub fn port_of(&self, index: usize) -> u16 {
        self.other_port.filter(|_| index % 2 == 1).unwrap_or_else(|| self.port())
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// How long a run is measured.
#[derive(Debug, Clone, Args)]
pub struct Span {
    /// Seconds before the measurement starts
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Longest measurement, in seconds
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// End the measurement after this many operations, if that is earlier
    #[arg(long)]
    pub messages: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub struct Login {
    #[command(flatten)]
    pub target: Target,
    /// Send initial presence after the login
    #[arg(long)]
    pub presence: bool,
    /// Of the users, log in this many before the measurement starts
    #[arg(long, default_value_t = 20)]
    pub warmup_users: usize,
    /// First log everybody in and out, then rest for this many seconds: the keys are derived then,
    /// so that the logins follow as fast as the server takes them, and what it remembers for a
    /// moment is forgotten
    #[arg(long)]
    pub rehearse: Option<f64>,
    /// Seconds to wait after the last login, so that work it left behind is counted
    #[arg(long, default_value_t = 0.5)]
    pub settle: f64,
}

#[derive(Debug, Clone, Args)]
pub struct Idle {
    #[command(flatten)]
    pub target: Target,
    /// Seconds to hold the sessions before memory is read
    #[arg(long, default_value_t = 5.0)]
    pub hold: f64,
    /// Of the users, log in this many before memory is read for the first time, so that start-up
    /// costs do not count
    #[arg(long, default_value_t = 100)]
    pub warmup_users: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Chat {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub span: Span,
    /// Undelivered messages per sender (closed loop)
    #[arg(long, default_value_t = 1)]
    pub window: u32,
    /// Messages per second of all users together, whatever is delivered (open loop)
    #[arg(long, conflicts_with = "window")]
    pub rate: Option<u64>,
    /// Bytes in a body
    #[arg(long, default_value_t = 100)]
    pub body: usize,
    /// Address messages to bare JIDs instead of full ones
    #[arg(long)]
    pub bare: bool,
    /// Use stream management (XEP-0198) without resumption
    #[arg(long)]
    pub sm: bool,
    /// Seconds without any delivery after which what is missing counts as lost
    #[arg(long, default_value_t = 5.0)]
    pub drain: f64,
}

#[derive(Debug, Clone, Args)]
pub struct Cycle {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub span: Span,
}

#[derive(Debug, Clone, Args)]
pub struct Presence {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub span: Span,
    /// Contacts of each user; the missing subscriptions are made first
    #[arg(long, default_value_t = 20)]
    pub contacts: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Roster {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub span: Span,
    /// Items in each roster; missing ones are added first
    #[arg(long, default_value_t = 50)]
    pub items: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Muc {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub span: Span,
    /// Occupants of each room; the users are spread over as many rooms as that gives
    #[arg(long, default_value_t = 50)]
    pub occupants: usize,
    /// Domain of the rooms [default: conference.DOMAIN]
    #[arg(long)]
    pub service: Option<String>,
    /// Messages of a room's sender that have not reached every occupant (closed loop)
    #[arg(long, default_value_t = 1)]
    pub window: u32,
    /// Bytes in a body
    #[arg(long, default_value_t = 100)]
    pub body: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Compare {
    /// Result files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    None,
    Starttls,
    Direct,
}

impl Tls {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Starttls => "STARTTLS",
            Self::Direct => "TLS",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    #[value(name = "SCRAM-SHA-1", alias = "scram-sha-1")]
    ScramSha1,
    #[value(name = "SCRAM-SHA-256", alias = "scram-sha-256")]
    ScramSha256,
    #[value(name = "PLAIN", alias = "plain")]
    Plain,
}

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

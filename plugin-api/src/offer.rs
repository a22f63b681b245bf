//! Descriptors: what a plugin registers, apart from the code that answers. They cross as JSON and
//! grow by optional fields only.

mod console;

use serde::{Deserialize, Serialize};

pub use console::{Page, Tab};

use crate::manifest::Capability;

/// One thing that a plugin offers. The calls that its handler gets are named with each.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "offer", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Offer {
    /// A setting; without handler. Changes come as the event `property.changed`.
    Property(Property),
    /// Tables; without handler. Run before `start`, each once.
    Migrations {
        /// In ascending order.
        migrations: Vec<Migration>,
    },
    /// Calls: [`crate::Event`], one after another.
    Events {
        /// Kinds, or groups of them with a star: `session.*`.
        kinds: Vec<String>,
    },
    /// Calls: [`crate::AuthCall`].
    Auth(Source),
    /// Calls: [`crate::DirectoryCall`].
    Directory(Source),
    /// Calls: none but a [`Tick`].
    Timer(Timer),
    /// Calls: [`crate::HttpRequest`].
    Endpoint(Endpoint),
    /// A tab of the console; without handler.
    Tab(Tab),
    /// Calls: [`crate::PageRequest`].
    Page(Page),
    /// Calls: [`crate::CommandCall`].
    Command(Command),
    /// A feature of the server's service discovery (XEP-0030); without handler.
    Feature {
        /// The `var`.
        var: String,
        /// Whose: `None` for the server's domain, else a component's label.
        #[serde(default)]
        of: Option<String>,
    },
    /// An identity of service discovery (XEP-0030); without handler.
    Identity(Identity),
}

impl Offer {
    /// The capability that the manifest must ask for. Properties and timers need none.
    pub fn capability(&self) -> Option<Capability> {
        Some(match self {
            Offer::Property(_) | Offer::Timer(_) => return None,
            Offer::Migrations { .. } => Capability::Tables,
            Offer::Events { .. } => Capability::Events,
            Offer::Auth(_) => Capability::Auth,
            Offer::Directory(_) => Capability::Directory,
            Offer::Endpoint(_) => Capability::HttpServer,
            Offer::Tab(_) | Offer::Page(_) => Capability::Console,
            Offer::Command(_) => Capability::Commands,
            Offer::Feature { .. } | Offer::Identity(_) => Capability::Disco,
        })
    }
}

/// A setting, shown on the page System Properties as `plugin.<id>.<name>`.
///
/// ```
/// use hearth_plugin_api::Property;
/// let limit = Property::int("limit", 20, "Messages kept per user.").within(1, 1000);
/// assert_eq!(limit.check("5000").unwrap_err().message, "`limit` takes a number from 1 to 1000");
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// See [`crate::manifest::is_id`]; dots are allowed.
    pub name: String,
    /// What values it takes.
    #[serde(flatten)]
    pub type_: PropertyType,
    /// As text.
    pub default: String,
    /// One or two sentences for the administrator.
    pub doc: String,
    /// For whom a value holds.
    #[serde(default)]
    pub scope: Scope,
    /// Takes effect with the next start of the plugin only.
    #[serde(default)]
    pub restart: bool,
}

/// What values a property takes.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PropertyType {
    /// Any text.
    Text,
    /// Text over several lines.
    Lines,
    /// Never shown, never in logs.
    Secret,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int {
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// One of these.
    Choice {
        /// In the order in which they are shown.
        choices: Vec<String>,
    },
}

/// For whom a value of a property holds.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole installation.
    #[default]
    Global,
    /// One domain.
    Host,
    /// One node.
    Node,
}

impl Property {
    fn new(name: &str, type_: PropertyType, default: &str, doc: &str) -> Property {
        Property {
            name: name.to_owned(),
            type_,
            default: default.to_owned(),
            doc: doc.to_owned(),
            scope: Scope::Global,
            restart: false,
        }
    }

    /// Text.
    pub fn text(name: &str, default: &str, doc: &str) -> Property {
        Property::new(name, PropertyType::Text, default, doc)
    }

    /// Text over several lines.
    pub fn lines(name: &str, default: &str, doc: &str) -> Property {
        Property::new(name, PropertyType::Lines, default, doc)
    }

    /// A secret, empty at first.
    pub fn secret(name: &str, doc: &str) -> Property {
        Property::new(name, PropertyType::Secret, "", doc)
    }

    /// Yes or no.
    pub fn bool(name: &str, default: bool, doc: &str) -> Property {
        Property::new(name, PropertyType::Bool, &default.to_string(), doc)
    }

    /// A whole number.
    pub fn int(name: &str, default: i64, doc: &str) -> Property {
        let type_ = PropertyType::Int { min: i64::MIN, max: i64::MAX };
        Property::new(name, type_, &default.to_string(), doc)
    }

    /// One of `choices`.
    pub fn choice(name: &str, choices: &[&str], default: &str, doc: &str) -> Property {
        let choices = choices.iter().map(|&choice| choice.to_owned()).collect();
        Property::new(name, PropertyType::Choice { choices }, default, doc)
    }

    /// Bounds of a whole number; of no meaning for others.
    pub fn within(mut self, least: i64, greatest: i64) -> Property {
        if let PropertyType::Int { min, max } = &mut self.type_ {
            (*min, *max) = (least, greatest);
        }
        self
    }

    /// A value of its own for each host or node.
    pub fn scope(mut self, scope: Scope) -> Property {
        self.scope = scope;
        self
    }

    /// Read at the start only.
    pub fn restart(mut self) -> Property {
        self.restart = true;
        self
    }

    /// What it takes, in words.
    pub fn range(&self) -> String {
        match &self.type_ {
            PropertyType::Text | PropertyType::Lines | PropertyType::Secret => "text".to_owned(),
            PropertyType::Bool => "true or false".to_owned(),
            PropertyType::Int { min: i64::MIN, max: i64::MAX } => "a whole number".to_owned(),
            PropertyType::Int { min, max } => format!("a number from {min} to {max}"),
            PropertyType::Choice { choices } => format!("one of {}", choices.join(", ")),
        }
    }

    /// `Invalid`, with the range in words, unless `value` is allowed.
    pub fn check(&self, value: &str) -> crate::Result<()> {
        let allowed = match &self.type_ {
            PropertyType::Text | PropertyType::Lines | PropertyType::Secret => true,
            PropertyType::Bool => matches!(value, "true" | "false"),
            PropertyType::Int { min, max } => {
                value.parse::<i64>().is_ok_and(|number| (*min..=*max).contains(&number))
            }
            PropertyType::Choice { choices } => choices.iter().any(|choice| choice == value),
        };
        let refusal = || crate::Error::invalid(format!("`{}` takes {}", self.name, self.range()));
        allowed.then_some(()).ok_or_else(refusal)
    }
}

/// One step of a plugin's schema. See [`crate::sql`] for what stands in it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Ascending; never changed once released.
    pub number: u32,
    /// For the log.
    pub name: String,
    /// Statements, each ended by `;`.
    pub sql: String,
}

impl Migration {
    /// One step of the schema.
    pub fn new(number: u32, name: &str, sql: &str) -> Migration {
        Migration { number, name: name.to_owned(), sql: sql.to_owned() }
    }
}

/// A source of credentials or users, beside the server's own.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// See [`crate::manifest::is_id`].
    pub name: String,
    /// Lower ones are asked first; the server's own accounts have 0.
    #[serde(default)]
    pub priority: i32,
    /// Milliseconds after which an answer counts as none.
    #[serde(default = "Source::patience")]
    pub timeout_ms: u64,
}

impl Source {
    /// A source that is asked after the server's own accounts.
    pub fn new(name: &str) -> Source {
        Source { name: name.to_owned(), priority: 10, timeout_ms: Source::patience() }
    }

    /// Lower ones are asked first; the server's own accounts have 0.
    pub fn priority(mut self, priority: i32) -> Source {
        self.priority = priority;
        self
    }

    fn patience() -> u64 {
        10_000
    }
}

/// Something that is done again and again while the plugin runs.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// See [`crate::manifest::is_id`].
    pub name: String,
    /// Milliseconds from the end of one run to the next, at least 100; the first one too.
    pub every_ms: u64,
    /// In a cluster, on one node only.
    #[serde(default)]
    pub once_in_cluster: bool,
}

impl Timer {
    /// A timer on every node.
    pub fn every(name: &str, period: std::time::Duration) -> Timer {
        let every_ms = (period.as_millis() as u64).max(100);
        Timer { name: name.to_owned(), every_ms, once_in_cluster: false }
    }

    /// In a cluster, on one node only.
    pub fn once_in_cluster(mut self) -> Timer {
        self.once_in_cluster = true;
        self
    }
}

/// What a timer's handler gets.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The timer's name.
    pub name: String,
}

/// HTTP requests below `/plugins/<id>/<path>`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Without slashes at its ends; what is below it belongs to it too. May be empty.
    pub path: String,
    /// Which listener.
    #[serde(default)]
    pub listener: Listener,
    /// Octets that a request's body may have.
    #[serde(default = "Endpoint::body")]
    pub max_body: u64,
}

/// An HTTP listener of the server.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Listener {
    /// The one of HTTP binding and uploads, open to everybody (7070, 7443).
    #[default]
    Public,
    /// The console's (9090, 9091); the server demands an administrator's bearer token.
    Console,
}

impl Endpoint {
    /// Open to everybody.
    pub fn public(path: &str) -> Endpoint {
        Endpoint { path: path.to_owned(), listener: Listener::Public, max_body: Endpoint::body() }
    }

    /// For administrators with a bearer token.
    pub fn console(path: &str) -> Endpoint {
        Endpoint { listener: Listener::Console, ..Endpoint::public(path) }
    }

    fn body() -> u64 {
        1 << 20
    }
}

/// A command: `hearth plugin run <id> <name>`, `POST /api/v1/plugins/<id>/commands/<name>`, and for
/// administrators' clients as an ad-hoc command (XEP-0050).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// See [`crate::manifest::is_id`].
    pub name: String,
    /// One sentence.
    pub description: String,
    /// JSON Schema of the arguments, an object. The server checks `required` and simple `type`s.
    #[serde(default)]
    pub arguments: serde_json::Value,
    /// It changes nothing; the audit log leaves it out.
    #[serde(default)]
    pub read_only: bool,
    /// Milliseconds that it may take.
    #[serde(default = "Command::patience")]
    pub timeout_ms: u64,
}

impl Command {
    /// A command without arguments.
    pub fn new(name: &str, description: &str) -> Command {
        Command {
            name: name.to_owned(),
            description: description.to_owned(),
            arguments: serde_json::json!({ "type": "object", "properties": {} }),
            read_only: false,
            timeout_ms: Command::patience(),
        }
    }

    /// JSON Schema of the arguments.
    pub fn arguments(mut self, schema: serde_json::Value) -> Command {
        self.arguments = schema;
        self
    }

    /// It changes nothing.
    pub fn read_only(mut self) -> Command {
        self.read_only = true;
        self
    }

    fn patience() -> u64 {
        30_000
    }
}

/// An identity of service discovery (XEP-0030 §3.1).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Such as `component`.
    pub category: String,
    /// Such as `generic`.
    #[serde(rename = "type")]
    pub type_: String,
    /// For people.
    pub name: String,
    /// Whose: `None` for the server's domain, else a component's label.
    #[serde(default)]
    pub of: Option<String>,
}

/// Which stanzas come to a handler of [`crate::Registrar::iq`] or [`crate::Registrar::component`].
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stanzas", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StanzasSpec {
    /// Requests (`get`, `set`) whose child has this namespace. One answer for each.
    Iq(IqSpec),
    /// Everything that is sent to `<label>.<domain>` and addresses at it. Any number of answers.
    Component(ComponentSpec),
}

impl StanzasSpec {
    /// The capability that the manifest must ask for.
    pub fn capability(&self) -> Capability {
        match self {
            StanzasSpec::Iq(_) => Capability::Iq,
            StanzasSpec::Component(_) => Capability::Components,
        }
    }
}

/// Which requests an IQ handler answers.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IqSpec {
    /// Namespace of the payload; none that the server answers itself. Announced by service discovery.
    pub namespace: String,
    /// Sent to the server's domain.
    pub to_server: bool,
    /// Sent to the bare address of an account, which includes one's own without `to`.
    pub to_account: bool,
}

impl IqSpec {
    /// Requests to the server's domain.
    pub fn server(namespace: &str) -> IqSpec {
        IqSpec { namespace: namespace.to_owned(), to_server: true, to_account: false }
    }

    /// Requests to bare addresses.
    pub fn account(namespace: &str) -> IqSpec {
        IqSpec { namespace: namespace.to_owned(), to_server: false, to_account: true }
    }
}

/// A sub-domain.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentSpec {
    /// What stands before the dot and the domain.
    pub label: String,
    /// For people; shown by service discovery.
    pub name: String,
}

impl ComponentSpec {
    /// `<label>.<domain>`.
    pub fn new(label: &str, name: &str) -> ComponentSpec {
        ComponentSpec { label: label.to_owned(), name: name.to_owned() }
    }
}

//! Who a plugin is and what it asks for.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The identity of a plugin. Made by [`manifest!`](crate::manifest!) from the crate's own metadata.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Manifest {
    /// Version of this JSON: 1.
    pub v: u32,
    /// 1 to 40 of `a-z`, `0-9` and `-`, a letter first. Names the plugin for good: its tables,
    /// properties and pages hang on it.
    pub id: String,
    /// For people.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// Who made it.
    pub author: String,
    /// One sentence.
    pub description: String,
    /// [`crate::LEVEL`] that it was built with.
    pub api_level: u32,
    /// [`Capability`] names that it asks for.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The oldest server that it works with; empty for any.
    #[serde(default)]
    pub min_server: String,
    /// SPDX expression; empty when not given.
    #[serde(default)]
    pub licence: String,
    /// Web address; may be empty.
    #[serde(default)]
    pub homepage: String,
    /// Markdown.
    #[serde(default)]
    pub readme: String,
    /// Markdown.
    #[serde(default)]
    pub changelog: String,
    /// It was built with `panic = "abort"`: a fault of it would end the server, which refuses it.
    #[serde(default)]
    pub panic_abort: bool,
}

/// Something that a plugin may do if its manifest asks for it. A declaration that the console shows
/// before installing, and a filter; inside one process it is no sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Capability {
    /// See and change stanzas of others ([`crate::Registrar::step`]).
    Steps,
    /// Answer IQs ([`crate::Registrar::iq`]).
    Iq,
    /// Serve sub-domains ([`crate::Registrar::component`]).
    Components,
    /// Send stanzas of its own ([`crate::Host::route`], [`crate::Host::iq`]).
    Route,
    /// Hear what happens ([`crate::Registrar::events`]).
    Events,
    /// Check passwords ([`crate::Registrar::auth`]).
    Auth,
    /// Supply users and groups ([`crate::Registrar::directory`]).
    Directory,
    /// Read users, groups, rosters and sessions ([`crate::Host::people`]).
    People,
    /// Read the server's own properties ([`crate::Host::server_property`]).
    ServerProperties,
    /// Tables of its own ([`crate::Host::sql`]).
    Tables,
    /// Ask the network ([`crate::Host::fetch`]).
    HttpClient,
    /// Answer HTTP ([`crate::Registrar::endpoint`]).
    HttpServer,
    /// Pages, tabs and notices in the console ([`crate::Registrar::page`]).
    Console,
    /// Commands ([`crate::Registrar::command`]).
    Commands,
    /// Service discovery ([`crate::Registrar::feature`]).
    Disco,
    /// Carry the traffic between nodes ([`crate::Registrar::cluster`]).
    Cluster,
}

impl Capability {
    /// All of them.
    pub const ALL: [Capability; 16] = [
        Capability::Steps,
        Capability::Iq,
        Capability::Components,
        Capability::Route,
        Capability::Events,
        Capability::Auth,
        Capability::Directory,
        Capability::People,
        Capability::ServerProperties,
        Capability::Tables,
        Capability::HttpClient,
        Capability::HttpServer,
        Capability::Console,
        Capability::Commands,
        Capability::Disco,
        Capability::Cluster,
    ];

    /// Its name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Steps => "steps",
            Capability::Iq => "iq",
            Capability::Components => "components",
            Capability::Route => "route",
            Capability::Events => "events",
            Capability::Auth => "auth",
            Capability::Directory => "directory",
            Capability::People => "people",
            Capability::ServerProperties => "server-properties",
            Capability::Tables => "tables",
            Capability::HttpClient => "http-client",
            Capability::HttpServer => "http-server",
            Capability::Console => "console",
            Capability::Commands => "commands",
            Capability::Disco => "disco",
            Capability::Cluster => "cluster",
        }
    }

    /// What it means, for the administrator who decides.
    pub fn description(self) -> &'static str {
        match self {
            Capability::Steps => "sees, changes and rejects stanzas of users",
            Capability::Iq => "answers requests (IQ) of users",
            Capability::Components => "serves addresses of its own below the domain",
            Capability::Route => "sends stanzas",
            Capability::Events => "hears of sessions, users, rooms and the like",
            Capability::Auth => "checks passwords: it sees them",
            Capability::Directory => "supplies users and groups",
            Capability::People => "reads users, groups, rosters and sessions",
            Capability::ServerProperties => "reads the server's settings, secrets excepted",
            Capability::Tables => "keeps tables of its own in the database",
            Capability::HttpClient => "asks web services",
            Capability::HttpServer => "answers HTTP below /plugins/",
            Capability::Console => "adds pages to this console",
            Capability::Commands => "adds commands to API and command line",
            Capability::Disco => "announces features to clients",
            Capability::Cluster => "carries the traffic between nodes and holds the serving lease",
        }
    }

    /// The capability of a name; `None` for one that this level does not know.
    pub fn from_name(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }
}

impl Manifest {
    /// The manifest of a crate; [`manifest!`](crate::manifest!) fills the arguments in.
    pub fn new(id: &str, version: &str, author: &str) -> Manifest {
        Manifest {
            v: 1,
            id: id.to_owned(),
            name: id.to_owned(),
            version: version.to_owned(),
            author: author.replace(':', ", "),
            api_level: crate::LEVEL,
            ..Manifest::default()
        }
    }

    /// A name for people.
    pub fn name(mut self, name: &str) -> Manifest {
        self.name = name.to_owned();
        self
    }

    /// One sentence.
    pub fn description(mut self, description: &str) -> Manifest {
        self.description = description.to_owned();
        self
    }

    /// SPDX expression.
    pub fn licence(mut self, licence: &str) -> Manifest {
        self.licence = licence.to_owned();
        self
    }

    /// Web address.
    pub fn homepage(mut self, homepage: &str) -> Manifest {
        self.homepage = homepage.to_owned();
        self
    }

    /// Asks for capabilities.
    pub fn asks_for(mut self, capabilities: &[Capability]) -> Manifest {
        self.capabilities.extend(capabilities.iter().map(|c| c.name().to_owned()));
        self
    }

    /// The oldest server that the plugin works with.
    pub fn min_server(mut self, version: &str) -> Manifest {
        self.min_server = version.to_owned();
        self
    }

    /// Markdown, mostly `include_str!("../README.md")`.
    pub fn readme(mut self, markdown: &str) -> Manifest {
        self.readme = markdown.to_owned();
        self
    }

    /// Markdown.
    pub fn changelog(mut self, markdown: &str) -> Manifest {
        self.changelog = markdown.to_owned();
        self
    }

    /// Whether it asks for `capability`.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.iter().any(|name| name == capability.name())
    }

    /// `Forbidden` unless it asks for `capability`.
    pub fn require(&self, capability: Capability) -> Result<()> {
        if self.has(capability) {
            return Ok(());
        }
        let message = format!(
            "the manifest of `{}` does not ask for the capability `{}`",
            self.id,
            capability.name()
        );
        Err(Error::new(crate::ErrorKind::Forbidden, message))
    }

    /// What is wrong with it, before anything else is looked at.
    pub fn check(&self) -> Result<()> {
        if !is_id(&self.id) {
            return Err(Error::invalid(format!(
                "the plugin's id `{}` is not 1 to 40 of a-z, 0-9 and `-`, a letter first",
                self.id
            )));
        }
        if self.version.is_empty() {
            return Err(Error::invalid("the manifest has no version"));
        }
        if self.panic_abort {
            return Err(Error::invalid(
                "the plugin was built with panic = \"abort\": build it with panic = \"unwind\"",
            ));
        }
        let known = |name: &&String| Capability::from_name(name).is_none();
        match self.capabilities.iter().find(known) {
            Some(name) => Err(Error::unsupported(format!(
                "the plugin asks for the capability `{name}`, which this server does not know"
            ))),
            None => Ok(()),
        }
    }
}

/// Whether `id` may name a plugin, or a page, command or timer of one.
pub fn is_id(id: &str) -> bool {
    (1..=40).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_capabilities() {
        for capability in Capability::ALL {
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
        }
    }

    #[test]
    fn a_manifest_says_what_is_wrong_with_it() {
        let good = Manifest::new("hello", "1.0.0", "a:b");
        assert_eq!(good.check(), Ok(()));
        assert_eq!(good.author, "a, b");
        for id in ["", "Hello", "../x", "1a", "a_b", &"a".repeat(41)] {
            assert!(Manifest { id: id.to_owned(), ..good.clone() }.check().is_err(), "{id}");
        }
        assert!(Manifest { panic_abort: true, ..good.clone() }.check().is_err());
        let newer = Manifest { capabilities: vec!["teleport".into()], ..good };
        assert!(newer.check().unwrap_err().message.contains("teleport"));
    }
}

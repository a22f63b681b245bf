//! What a plugin asks the server beyond the hot path. Authors use [`crate::Host`]; the server
//! answers one `match` over [`HostCall`].

use serde::{Deserialize, Serialize};

use crate::calls::{HttpRequest, NoticeLevel, Query};
use crate::manifest::Capability;

/// A call of [`crate::abi::Host::call`]. A call that the server cannot read is `Unsupported`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call")]
#[non_exhaustive]
pub enum HostCall {
    /// Answer: [`Found`], the value beside it.
    #[serde(rename = "kv.get")]
    KvGet {
        /// At most 255 octets.
        key: String,
    },
    /// The value, at most 1 MiB, is beside it. Answer: nothing.
    #[serde(rename = "kv.set")]
    KvSet {
        /// At most 255 octets.
        key: String,
    },
    /// Beside it: the expected value (`expected` octets), then the new one. Answer: [`Found`] with
    /// whether it was set.
    #[serde(rename = "kv.swap")]
    KvSwap {
        /// At most 255 octets.
        key: String,
        /// `None`: only when the key is not there.
        #[serde(default)]
        expected: Option<u64>,
    },
    /// Answer: [`Found`] with whether it was there.
    #[serde(rename = "kv.delete")]
    KvDelete {
        /// At most 255 octets.
        key: String,
    },
    /// Answer: a list of keys in order. `search` of the query is a prefix here.
    #[serde(rename = "kv.keys")]
    KvKeys(Query),
    /// One of the plugin's own properties; `None` gives it its default. Answer: nothing.
    #[serde(rename = "property.set")]
    PropertySet {
        /// Without `plugin.<id>.`.
        name: String,
        /// As text.
        value: Option<String>,
    },
    /// A property of the server. Answer: its value as text; null for secrets and unknown names.
    #[serde(rename = "property.server")]
    PropertyServer {
        /// Such as `c2s.starttls`.
        name: String,
    },
    /// The body is beside it. Answer: [`crate::HttpResponse`], its body beside it.
    #[serde(rename = "http.fetch")]
    HttpFetch(HttpRequest),
    /// Answer: [`crate::User`] or null.
    #[serde(rename = "people.user")]
    PeopleUser {
        /// Local part of the address.
        name: String,
    },
    /// Answer: a list of [`crate::User`].
    #[serde(rename = "people.users")]
    PeopleUsers(Query),
    /// Answer: a list of [`crate::Group`].
    #[serde(rename = "people.groups")]
    PeopleGroups(Query),
    /// Answer: a list of names.
    #[serde(rename = "people.members")]
    PeopleMembers {
        /// Name of the group.
        group: String,
    },
    /// Answer: a list of names of those members who administer the group.
    #[serde(rename = "people.admins")]
    PeopleAdmins {
        /// Name of the group.
        group: String,
    },
    /// Answer: a list of [`crate::Contact`].
    #[serde(rename = "people.roster")]
    PeopleRoster {
        /// Local part of the address.
        user: String,
    },
    /// Answer: a list of [`crate::Session`], by address.
    #[serde(rename = "people.sessions")]
    PeopleSessions {
        /// Only this account's; empty for all.
        #[serde(default)]
        user: String,
        /// Which part of them.
        #[serde(flatten)]
        query: Query,
    },
    /// Shows a line on the console's first page until it is taken back. Answer: nothing.
    #[serde(rename = "notice.raise")]
    NoticeRaise {
        /// Another one with the same key replaces it.
        key: String,
        /// How it looks.
        level: NoticeLevel,
        /// One line of plain text: the thing and the remedy.
        text: String,
        /// Slug of a page of the plugin; may be empty.
        #[serde(default)]
        page: String,
        /// On every page, not on the first one only.
        #[serde(default)]
        everywhere: bool,
    },
    /// Answer: nothing.
    #[serde(rename = "notice.clear")]
    NoticeClear {
        /// As it was raised.
        key: String,
    },
    /// Writes an administrative act into the audit log. Answer: nothing.
    #[serde(rename = "audit")]
    Audit {
        /// Who did it: `admin` of a page's request or `actor` of a command's.
        actor: String,
        /// Such as `licence.install`.
        action: String,
        /// One line.
        detail: String,
    },
    /// Answer: an object of numbers: `sessions`, `s2s_in`, `s2s_out`, `rooms`, `memory_bytes`,
    /// `cpu_ms`, `messages` (since the start), `uptime_ms`. More may come.
    #[serde(rename = "statistics")]
    Statistics,
}

impl HostCall {
    /// The capability that the manifest must ask for; `None` when it need not.
    pub fn capability(&self) -> Option<Capability> {
        Some(match self {
            HostCall::PropertyServer { .. } => Capability::ServerProperties,
            HostCall::HttpFetch(_) => Capability::HttpClient,
            HostCall::PeopleUser { .. }
            | HostCall::PeopleUsers(_)
            | HostCall::PeopleGroups(_)
            | HostCall::PeopleMembers { .. }
            | HostCall::PeopleAdmins { .. }
            | HostCall::PeopleRoster { .. }
            | HostCall::PeopleSessions { .. } => Capability::People,
            HostCall::NoticeRaise { .. } | HostCall::NoticeClear { .. } => Capability::Console,
            _ => return None,
        })
    }
}

/// Whether something was there, or was done.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// It was.
    pub found: bool,
}

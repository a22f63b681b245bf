//! What surrounds every page: tabs, sidebar, title, the administrator, light or dark, language.

use super::assets;
use super::help;
use super::text::{Catalogue, Text};
use super::visitor::{Theme, Visitor};
use crate::admin::session::Session;

/// A tab, and the pages of its sidebar. Its text is `nav.<id>`.
pub struct Tab {
    pub id: &'static str,
    pub items: &'static [Item],
}

/// A page of a sidebar. Its text is `<id>.title`.
pub struct Item {
    pub id: &'static str,
    pub path: &'static str,
}

const fn item(id: &'static str, path: &'static str) -> Item {
    Item { id, path }
}

/// The map of the console, which administrators know from Openfire. A tab without pages is not
/// shown.
pub const TABS: &[Tab] = &[
    Tab {
        id: "server",
        items: &[
            item("dashboard", "/"),
            item("information", "/server/information"),
            item("properties", "/server/properties"),
            item("registration", "/server/settings/registration"),
            item("client_connections", "/server/settings/client-connections"),
            item("resource_policy", "/server/settings/resource-policy"),
            item("offline", "/server/settings/offline"),
            item("archive", "/server/settings/archive"),
            item("certificates", "/server/certificates"),
            item("database", "/server/database"),
            item("logs", "/server/logs"),
            item("audit", "/server/audit"),
            item("tokens", "/server/tokens"),
        ],
    },
    Tab { id: "people", items: &[item("users", "/users"), item("groups", "/groups")] },
    Tab { id: "sessions", items: &[item("sessions", "/sessions")] },
    Tab { id: "plugins", items: &[item("plugins", "/plugins")] },
];

/// A link of the tabs or of the sidebar.
pub struct Link {
    pub path: &'static str,
    pub text: Text,
    pub is_current: bool,
}

/// The field `page` of every page's template.
pub struct Frame {
    pub id: &'static str,
    /// What the sidebar marks: the page itself, or the page that it belongs to.
    section: &'static str,
    pub path: String,
    pub theme: Theme,
    pub notice: Option<String>,
    /// Who has signed in.
    pub name: Option<String>,
    pub csrf: String,
    language: &'static Catalogue,
}

impl Frame {
    pub fn new(
        id: &'static str,
        visitor: &Visitor,
        session: Option<&Session>,
        path: &str,
    ) -> Frame {
        Frame {
            id,
            section: id,
            path: path.to_owned(),
            theme: visitor.theme,
            notice: session.filter(|_| !visitor.is_htmx).and_then(Session::take_notice),
            name: session.map(|session| session.who.name.clone()),
            csrf: session.map(|session| session.csrf.clone()).unwrap_or_default(),
            language: visitor.language,
        }
    }

    /// For a page that is not in the sidebar: the one there that it belongs to.
    pub fn below(self, section: &'static str) -> Frame {
        Frame { section, ..self }
    }

    pub fn t(&self, key: &str) -> Text {
        self.language.t(key)
    }

    pub fn title(&self) -> Text {
        self.t(&format!("{}.title", self.id))
    }

    /// Where an asset is served.
    pub fn asset(&self, name: &str) -> &'static str {
        assets::path(name)
    }

    pub fn language(&self) -> &'static str {
        self.language.code
    }

    /// Every language: its code, its own name, whether it is this page's.
    pub fn languages(&self) -> impl Iterator<Item = (&'static str, Text, bool)> {
        let own = self.language.code;
        let all = Catalogue::all().iter();
        all.map(move |other| (other.code, other.t("language.name"), other.code == own))
    }

    /// Where this page is explained, unless it is an explanation.
    pub fn help(&self) -> Option<String> {
        let has = |id: &&str| self.id != "help" && help::has(id);
        let topic = [self.id, self.section].into_iter().find(has)?;
        Some(format!("/help/{topic}"))
    }

    pub fn tabs(&self) -> impl Iterator<Item = Link> {
        let shown = TABS.iter().filter_map(|tab| Some((tab, tab.items.first()?)));
        let link = |(tab, first): (&Tab, &Item)| Link {
            path: first.path,
            text: self.t(&format!("nav.{}", tab.id)),
            is_current: tab.items.iter().any(|item| item.id == self.section),
        };
        shown.map(link)
    }

    pub fn sidebar(&self) -> impl Iterator<Item = Link> {
        let own = |tab: &&Tab| tab.items.iter().any(|item| item.id == self.section);
        let items = TABS.iter().find(own).map_or(&[][..], |tab| tab.items);
        items.iter().map(|item| Link {
            path: item.path,
            text: self.t(&format!("{}.title", item.id)),
            is_current: item.id == self.section,
        })
    }
}

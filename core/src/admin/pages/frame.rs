//! What surrounds every page: tabs, sidebar, title, the administrator, light or dark, language.

use super::navigation::{self, Area, Link};
use super::text::{Catalogue, Text};
use super::visitor::{Theme, Visitor};
use super::{assets, help, introduction};
use crate::admin::session::{Said, Session, Tone};
use crate::plugin_host::PluginHost;
use crate::plugin_host::bridge::{ConsoleEntry, Notice, NoticeLevel};

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
    introduction::TAB,
];

/// A notice of a plugin as the templates show it.
pub struct Line {
    pub class: &'static str,
    pub name: String,
    pub text: String,
    pub path: String,
}

impl From<Notice> for Line {
    fn from(notice: Notice) -> Line {
        let Notice { level, name, text, path, .. } = notice;
        Line { class: tone(level).class(), name, text, path }
    }
}

/// How a plugin's line is said.
pub fn tone(level: NoticeLevel) -> Tone {
    match level {
        NoticeLevel::Info => Tone::Good,
        NoticeLevel::Warning => Tone::Warn,
        NoticeLevel::Error => Tone::Bad,
    }
}

/// The field `page` of every page's template.
pub struct Frame {
    pub id: &'static str,
    /// What the sidebar marks: the page itself, or the page that it belongs to.
    section: String,
    /// The title, when it is not the text of `id`.
    title: Option<String>,
    pub path: String,
    /// What was typed in the form that the page answers, for the page in another language.
    pub sent: String,
    pub theme: Theme,
    pub said: Option<Said>,
    /// Who has signed in.
    pub name: Option<String>,
    pub csrf: String,
    language: &'static Catalogue,
    /// What plugins add to tabs and sidebars, and say on every page.
    entries: Vec<ConsoleEntry>,
    pub banners: Vec<Line>,
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
            section: id.to_owned(),
            title: None,
            path: path.to_owned(),
            sent: String::new(),
            theme: visitor.theme,
            said: session.filter(|_| !visitor.is_htmx).and_then(Session::take_notice),
            name: session.map(|session| session.who.name.clone()),
            csrf: session.map(|session| session.csrf.clone()).unwrap_or_default(),
            language: visitor.language,
            entries: Vec::new(),
            banners: Vec::new(),
        }
    }

    /// With what the plugins add; who has not signed in does not see it.
    pub fn among(mut self, plugins: &PluginHost) -> Frame {
        if self.name.is_some() {
            self.entries = plugins.console_entries(self.language.code);
            let notices = plugins.notices().into_iter().filter(|notice| notice.everywhere);
            self.banners = notices.map(Line::from).collect();
        }
        self
    }

    /// For a page that answers a form, of which `sent` is kept.
    pub fn answering(self, sent: String) -> Frame {
        Frame { sent, ..self }
    }

    /// For a page that a plugin names and places.
    pub fn titled(self, title: String, section: String) -> Frame {
        Frame { title: Some(title), section, ..self }
    }

    /// Says something on top of this page.
    pub fn saying(self, tone: Tone, text: String) -> Frame {
        Frame { said: Some(Said { tone, text }), ..self }
    }

    /// For a page that is not in the sidebar: the one there that it belongs to.
    pub fn below(self, section: &str) -> Frame {
        Frame { section: section.to_owned(), ..self }
    }

    pub fn t(&self, key: &str) -> Text {
        self.language.t(key)
    }

    /// How the page's language writes figures.
    pub fn figures(&self) -> &'static Catalogue {
        self.language
    }

    /// What the API says, in the page's language.
    pub fn said(&self, english: &str) -> String {
        self.language.said(english)
    }

    pub fn sentence(&self, english: &str) -> String {
        self.language.sentence(english)
    }

    pub fn title(&self) -> Text {
        let own = self.title.clone().map(Text::from);
        own.unwrap_or_else(|| self.t(&format!("{}.title", self.id)))
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
        let topic = [self.id, &self.section].into_iter().find(has)?;
        Some(format!("/help/{topic}"))
    }

    pub fn tabs(&self) -> Vec<Link> {
        let link = |area: &Area| area.link(&self.section);
        self.areas().iter().filter_map(link).collect()
    }

    pub fn sidebar(&self) -> Vec<Link> {
        let areas = self.areas();
        let own = areas.iter().find(|area| area.has(&self.section));
        own.map(|area| area.links(&self.section)).unwrap_or_default()
    }

    /// The first page of a tab that a plugin brings.
    pub fn brought(&self, tab: &str) -> Option<Link> {
        self.areas().iter().find(|area| area.is_brought(tab))?.link("")
    }

    fn areas(&self) -> Vec<Area> {
        navigation::areas(self.language, &self.entries)
    }
}

//! The tabs and their sidebars: the console's own pages, and those that running plugins bring.

use super::frame::{Item, TABS, Tab};
use super::introduction;
use super::text::Catalogue;
use crate::plugin_host::bridge::ConsoleEntry;

/// Where a plugin's page goes that names no tab there is.
const PLUGINS: &str = "plugins";
/// From here on all of the console's own pages share a place, so that a plugin's page that asks for
/// none in particular (1000) comes after them.
const LAST: i32 = 900;

/// A tab.
pub struct Area {
    id: String,
    text: String,
    order: i32,
    places: Vec<Place>,
}

/// A page of its sidebar.
struct Place {
    /// The page's id, which of a plugin's page has a slash in it.
    section: String,
    path: String,
    text: String,
    order: i32,
    is_hidden: bool,
}

/// A link of the tabs or of the sidebar.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    pub path: String,
    pub text: String,
    pub is_current: bool,
}

/// What the sidebar marks on a page of a plugin.
pub fn section(plugin: &str, slug: &str) -> String {
    format!("{plugin}/{slug}")
}

impl Area {
    pub fn has(&self, section: &str) -> bool {
        self.places.iter().any(|place| place.section == section)
    }

    /// Whether a plugin brings this tab.
    pub fn is_brought(&self, slug: &str) -> bool {
        self.id.split_once('/').is_some_and(|(_, own)| own == slug)
    }

    fn shown(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| !place.is_hidden)
    }

    /// To its first page; a tab without pages is not shown.
    pub fn link(&self, section: &str) -> Option<Link> {
        let path = self.shown().next()?.path.clone();
        Some(Link { path, text: self.text.clone(), is_current: self.has(section) })
    }

    /// To each of its pages.
    pub fn links(&self, section: &str) -> Vec<Link> {
        let link = |place: &Place| Link {
            path: place.path.clone(),
            text: place.text.clone(),
            is_current: place.section == section,
        };
        self.shown().map(link).collect()
    }
}

/// All tabs from left to right.
pub fn areas(language: &Catalogue, entries: &[ConsoleEntry]) -> Vec<Area> {
    let tabs = || entries.iter().filter(|entry| entry.tab.is_none());
    let is_introduced = |tab: &Tab| tab.id == introduction::TAB.id;
    let is_there = |tab: &Tab| !is_introduced(tab) || !tabs().any(|entry| entry.slug == tab.id);
    let own = TABS.iter().zip(1..).filter(|(tab, _)| is_there(tab));
    let mut areas: Vec<Area> = own.map(|(tab, place)| area(language, tab, place * 100)).collect();
    areas.extend(tabs().map(|entry| Area {
        id: section(&entry.plugin, &entry.slug),
        text: entry.title.clone(),
        order: entry.order,
        places: Vec::new(),
    }));
    for entry in entries {
        let Some(tab) = &entry.tab else { continue };
        let brought = section(&entry.plugin, tab);
        let at = |id: &str| areas.iter().position(|area| area.id == id);
        let Some(at) = at(&brought).or_else(|| at(known(tab))).or_else(|| at(PLUGINS)) else {
            continue;
        };
        areas[at].places.push(Place {
            section: section(&entry.plugin, &entry.slug),
            path: format!("/plugins/{}/{}", entry.plugin, entry.slug),
            text: entry.title.clone(),
            order: entry.order,
            is_hidden: entry.hidden,
        });
    }
    for area in &mut areas {
        area.places.sort_by_key(|place| place.order);
    }
    areas.sort_by_key(|area| area.order);
    areas
}

fn area(language: &Catalogue, tab: &Tab, order: i32) -> Area {
    let place = |(item, place): (&Item, i32)| Place {
        section: item.id.to_owned(),
        path: item.path.to_owned(),
        text: language.t(&format!("{}.title", item.id)).into(),
        order: (place * 100).min(LAST),
        is_hidden: false,
    };
    Area {
        id: tab.id.to_owned(),
        text: language.t(&format!("nav.{}", tab.id)).into(),
        order,
        places: tab.items.iter().zip(1..).map(place).collect(),
    }
}

/// The console's own tab that plugins know by this name.
fn known(slug: &str) -> &str {
    match slug {
        "users" => "people",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tab(slug: &str, title: &str, order: i32) -> ConsoleEntry {
        ConsoleEntry { tab: None, order, ..page("guest", slug, title, "") }
    }

    fn page(plugin: &str, slug: &str, title: &str, tab: &str) -> ConsoleEntry {
        ConsoleEntry {
            plugin: plugin.to_owned(),
            slug: slug.to_owned(),
            title: title.to_owned(),
            tab: Some(tab.to_owned()),
            order: 1000,
            hidden: false,
        }
    }

    fn shown(entries: &[ConsoleEntry], section: &str) -> (Vec<String>, Vec<String>) {
        let english = Catalogue::named("en").expect("English");
        let areas = areas(english, entries);
        let tabs = areas.iter().filter_map(|area| area.link(section)).map(|link| link.text);
        let own = areas.iter().find(|area| area.has(section));
        let sidebar = own.map(|area| area.links(section)).unwrap_or_default();
        (tabs.collect(), sidebar.into_iter().map(|link| link.text).collect())
    }

    #[test]
    fn a_page_comes_last_in_the_sidebar_of_the_tab_that_it_names() {
        let pages = [
            page("guest", "hello", "Hello", "plugins"),
            page("guest", "nodes", "Nodes", "server"),
            page("guest", "lost", "Lost", "no such tab"),
            page("guest", "people", "Card index", "users"),
        ];
        let (tabs, sidebar) = shown(&pages, "plugins");
        assert_eq!(tabs, shown(&[], "plugins").0);
        assert_eq!(sidebar, ["Plugins", "Hello", "Lost"]);
        assert_eq!(shown(&pages, "dashboard").1.last().map(String::as_str), Some("Nodes"));
        assert_eq!(shown(&pages, "guest/people").1, ["Users", "Groups", "Card index"]);
    }

    #[test]
    fn a_plugin_brings_a_tab_and_orders_its_pages() {
        let first = ConsoleEntry { order: 1, ..page("guest", "b", "First", "own") };
        let hidden = ConsoleEntry { hidden: true, ..page("guest", "c", "Hidden", "own") };
        let entries = [tab("own", "Own", 150), page("guest", "a", "Second", "own"), first, hidden];
        let (tabs, sidebar) = shown(&entries, "guest/c");
        assert_eq!(tabs[..2], ["Server", "Own"]);
        assert_eq!(sidebar, ["First", "Second"]);
    }

    #[test]
    fn a_tab_without_pages_is_not_shown() {
        assert_eq!(shown(&[tab("own", "Own", 150)], "").0, shown(&[], "").0);
    }

    #[test]
    fn an_introduction_stands_until_the_tab_is_there() {
        let introduced = |tabs: &[String]| tabs.iter().filter(|tab| *tab == "Enterprise").count();
        assert_eq!(introduced(&shown(&[], "").0), 1);
        let entries = [tab("enterprise", "Enterprise", 600), page("guest", "a", "A", "enterprise")];
        let (tabs, sidebar) = shown(&entries, "guest/a");
        assert_eq!(introduced(&tabs), 1);
        assert_eq!(sidebar, ["A"]);
    }
}

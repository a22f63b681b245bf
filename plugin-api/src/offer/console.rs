//! Tabs and pages of the console.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A tab of the console.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tab {
    /// See [`crate::manifest::is_id`].
    pub slug: String,
    /// For people.
    pub title: String,
    /// The title in other languages, by their tags (RFC 5646); see [`Tab::translated`].
    #[serde(default)]
    pub titles: BTreeMap<String, String>,
    /// Lower ones stand further left. The server's own have 100, 200, … 500 (Plugins).
    #[serde(default)]
    pub order: i32,
}

impl Tab {
    /// A tab at the right end.
    pub fn new(slug: &str, title: &str) -> Tab {
        Tab { slug: slug.to_owned(), title: title.to_owned(), titles: BTreeMap::new(), order: 1000 }
    }

    /// The title in another language, named by its tag: `de`.
    ///
    /// ```
    /// use hearth_plugin_api::Tab;
    /// let tab = Tab::new("books", "Books").translated("de", "Bücher");
    /// assert_eq!((tab.title_in("de-AT"), tab.title_in("fr")), ("Bücher", "Books"));
    /// ```
    pub fn translated(mut self, language: &str, title: &str) -> Tab {
        self.titles.insert(language.to_owned(), title.to_owned());
        self
    }

    /// The title for who reads the language with this tag.
    pub fn title_in(&self, language: &str) -> &str {
        title_in(language, &self.titles).unwrap_or(&self.title)
    }
}

/// A page of the console, at `/plugins/<id>/<slug>`. The server authenticates, checks the form's
/// token and puts the fragment into its layout; the plugin sees neither cookies nor passwords.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// See [`crate::manifest::is_id`].
    pub slug: String,
    /// For people; also the sidebar item.
    pub title: String,
    /// The title in other languages, by their tags (RFC 5646); see [`Page::translated`].
    #[serde(default)]
    pub titles: BTreeMap<String, String>,
    /// Slug of the tab whose sidebar shows it: `server`, `users`, `sessions`, `rooms`, `plugins` or
    /// one of the plugin's own.
    pub tab: String,
    /// Lower ones stand further up; the server's own have 100, 200 and so on.
    #[serde(default)]
    pub order: i32,
    /// Without sidebar item; links lead to it.
    #[serde(default)]
    pub hidden: bool,
    /// Octets that a form may have, files included.
    #[serde(default = "Page::form")]
    pub max_form: u64,
}

impl Page {
    /// A page in the sidebar of the tab Plugins.
    pub fn new(slug: &str, title: &str) -> Page {
        Page {
            slug: slug.to_owned(),
            title: title.to_owned(),
            titles: BTreeMap::new(),
            tab: "plugins".to_owned(),
            order: 1000,
            hidden: false,
            max_form: Page::form(),
        }
    }

    /// The title in another language, named by its tag: `de`.
    pub fn translated(mut self, language: &str, title: &str) -> Page {
        self.titles.insert(language.to_owned(), title.to_owned());
        self
    }

    /// The title for who reads the language with this tag.
    pub fn title_in(&self, language: &str) -> &str {
        title_in(language, &self.titles).unwrap_or(&self.title)
    }

    /// In the sidebar of this tab.
    pub fn in_tab(mut self, slug: &str) -> Page {
        self.tab = slug.to_owned();
        self
    }

    /// Without sidebar item.
    pub fn hidden(mut self) -> Page {
        self.hidden = true;
        self
    }

    /// Lower ones stand further up.
    pub fn order(mut self, order: i32) -> Page {
        self.order = order;
        self
    }

    fn form() -> u64 {
        1 << 20
    }
}

/// RFC 4647 §3.4: the tag is cut from its end until there is a title.
fn title_in<'t>(mut tag: &str, titles: &'t BTreeMap<String, String>) -> Option<&'t str> {
    loop {
        let mut titles = titles.iter();
        if let Some((_, title)) = titles.find(|(other, _)| other.eq_ignore_ascii_case(tag)) {
            return Some(title);
        }
        tag = tag.rsplit_once('-')?.0;
    }
}

//! Pages and tabs of the console: the console authenticates, checks forms and lays out; the plugin
//! gives a fragment.

use std::time::Duration;

use hearth_plugin_api::{ErrorKind, PageRequest, PageResponse};
use hearth_plugin_api::{Page, Tab};

use super::super::{PluginError, PluginHost};
use super::Handler;
use super::notices::Level;

/// A person waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

/// The pages of a running plugin.
#[derive(Default)]
pub struct Pages {
    pub(super) tabs: Vec<Tab>,
    pages: Vec<(Page, Handler)>,
}

impl Pages {
    pub(super) fn add(&mut self, page: Page, handler: Handler) {
        self.pages.push((page, handler));
    }
}

/// A tab, or a sidebar item when `tab` says below which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub plugin: String,
    pub slug: String,
    pub title: String,
    pub tab: Option<String>,
    pub order: i32,
    /// A page that no sidebar lists.
    pub hidden: bool,
}

/// What the console knows of a request, checked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub is_post: bool,
    /// Behind the page's own path.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
    /// Field, name and content.
    pub files: Vec<(String, String, Vec<u8>)>,
    pub admin: String,
    pub language: String,
    /// The hidden field that each form must have, as HTML.
    pub token: String,
    pub partial: bool,
}

/// What the console shows.
#[derive(Clone, Debug, Default)]
pub struct Fragment {
    pub status: u16,
    pub title: String,
    /// Go there instead: a path below the plugin's own.
    pub location: Option<String>,
    pub notice: Option<(Level, String)>,
    /// Not a fragment but a document of this type.
    pub media_type: Option<String>,
    pub file_name: Option<String>,
    pub body: Vec<u8>,
}

impl PluginHost {
    /// The tabs and pages of all running plugins, for who reads this language.
    pub fn console_entries(&self, language: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (id, instance) in &*self.running.read() {
            let Pages { tabs, pages } = &instance.hooks.pages;
            entries.extend(tabs.iter().map(|tab| Entry {
                plugin: id.clone(),
                slug: tab.slug.clone(),
                title: tab.title_in(language).to_owned(),
                tab: None,
                order: tab.order,
                hidden: false,
            }));
            entries.extend(pages.iter().map(|(page, _)| Entry {
                plugin: id.clone(),
                slug: page.slug.clone(),
                title: page.title_in(language).to_owned(),
                tab: Some(page.tab.clone()),
                order: page.order,
                hidden: page.hidden,
            }));
        }
        entries.sort_by(|a, b| (a.order, &a.title).cmp(&(b.order, &b.title)));
        entries
    }

    /// Octets that a form of this page may have; `None`: there is no such page.
    pub fn page_form_limit(&self, id: &str, slug: &str) -> Option<u64> {
        let instance = self.running(id)?;
        let mut pages = instance.hooks.pages.pages.iter();
        pages.find(|(page, _)| page.slug == slug).map(|(page, _)| page.max_form)
    }

    /// Asks a plugin for one of its pages.
    pub async fn page(&self, id: &str, slug: &str, asked: Asked) -> Result<Fragment, PluginError> {
        let unknown = || PluginError::NoPage { id: id.to_owned(), slug: slug.to_owned() };
        let instance = self.running(id).ok_or_else(unknown)?;
        let mut pages = instance.hooks.pages.pages.iter();
        let (page, handler) =
            pages.find(|(page, _)| page.slug == slug).cloned().ok_or_else(unknown)?;
        let base = format!("/plugins/{id}/{slug}");
        let title = page.title_in(&asked.language).to_owned();
        let (request, body) = request(base, asked);
        let what = format!("page {slug}");
        let answer = handler.ask::<_, PageResponse>(&what, DEADLINE, (&request, body)).await;
        let (response, body) = answer.map_err(|error| match error.kind {
            ErrorKind::NotFound => unknown(),
            _ => PluginError::Page { id: id.to_owned(), why: error.message },
        })?;
        fragment(id, title, response, body)
    }
}

fn request(base: String, asked: Asked) -> (PageRequest, Vec<u8>) {
    let Asked { is_post, path, query, form, files, admin, language, token, partial } = asked;
    let mut body = Vec::new();
    let files = files.into_iter().map(|(field, name, content)| {
        let size = content.len() as u64;
        body.extend(content);
        hearth_plugin_api::FormFile { field, name, size, content: Vec::new() }
    });
    let request = PageRequest {
        v: 1,
        method: if is_post { "POST" } else { "GET" }.to_owned(),
        path,
        base,
        query,
        form,
        files: files.collect(),
        admin,
        language,
        token,
        partial,
    };
    (request, body)
}

/// Checks what a plugin must not do: lead away from its own pages, or send active content.
fn fragment(
    id: &str,
    title: String,
    response: PageResponse,
    body: Vec<u8>,
) -> Result<Fragment, PluginError> {
    let refused = |why: &str| PluginError::Page { id: id.to_owned(), why: why.to_owned() };
    let own = format!("/plugins/{id}/");
    if response.location.as_ref().is_some_and(|to| !to.starts_with(&own) || to.contains("..")) {
        return Err(refused("it leads to an address that is not its own"));
    }
    let is_active = |kind: &String| {
        let kind = kind.to_ascii_lowercase();
        ["html", "javascript", "ecmascript"].iter().any(|active| kind.contains(active))
    };
    if response.media_type.as_ref().is_some_and(is_active) {
        return Err(refused("it sends a document that browsers would run"));
    }
    let title = if response.title.is_empty() { title } else { response.title };
    Ok(Fragment {
        status: response.status,
        title,
        location: response.location,
        notice: response.notice.map(|notice| (notice.level.into(), notice.text)),
        media_type: response.media_type,
        file_name: response.file_name,
        body,
    })
}

//! Searches: users, groups, members. Lists come in pages (RFC 2696).

use std::collections::BTreeMap;

use hearth_plugin_api::{Group, Query, User};
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{Scope, SearchEntry};

use crate::connection::{Connection, within};
use crate::error::LdapFault;
use crate::filter;

/// Where and what.
struct Search {
    base: String,
    scope: Scope,
    filter: String,
    attributes: Vec<String>,
}

impl Connection {
    /// A user's distinguished name and what is known of him. `Ambiguous` when there are several.
    pub async fn find(&mut self, user: &str) -> Result<Option<(String, User)>, LdapFault> {
        let filter = filter::of_user(&self.settings.user_filter, user);
        let search = Search { filter, ..self.all_users() };
        let mut found = Vec::new();
        self.each(search, |entry| found.push(entry)).await?;
        if found.len() > 1 {
            return Err(LdapFault::Ambiguous { user: user.to_owned() });
        }
        let entry = found.pop();
        Ok(entry.and_then(|entry| Some((entry.dn.clone(), self.user_of(&entry)?))))
    }

    /// Users by name.
    pub async fn users(&mut self, query: &Query) -> Result<Vec<User>, LdapFault> {
        let names = [&self.settings.user_attribute, &self.settings.name_attribute];
        let names = names.map(String::as_str);
        let filter = filter::of_users(&self.settings.user_filter, &names, &query.search);
        let search = Search { filter, ..self.all_users() };
        let (settings, mut page) = (self.settings.clone(), Page::new(query));
        self.each(search, |entry| {
            if let Some(user) = user_of(&settings, &entry) {
                page.take(user.name.clone(), user);
            }
        })
        .await?;
        Ok(page.into_list())
    }

    /// Groups by name.
    pub async fn groups(&mut self, query: &Query) -> Result<Vec<Group>, LdapFault> {
        let settings = self.settings.clone();
        if settings.group_filter.is_empty() {
            return Ok(Vec::new());
        }
        let search = Search {
            base: settings.group_base_dn,
            scope: Scope::Subtree,
            filter: filter::narrowed(
                &settings.group_filter,
                &[&settings.group_attribute],
                &query.search,
            ),
            attributes: vec![settings.group_attribute.clone(), "description".to_owned()],
        };
        let mut page = Page::new(query);
        self.each(search, |entry| {
            if let Some(name) = first(&entry, &settings.group_attribute) {
                let description = first(&entry, "description").unwrap_or_default();
                page.take(name.clone(), Group { name, description });
            }
        })
        .await?;
        Ok(page.into_list())
    }

    /// Names of a group's users, in order; those that are no users here are left out.
    pub async fn members(&mut self, group: &str) -> Result<Vec<String>, LdapFault> {
        let settings = self.settings.clone();
        if settings.group_filter.is_empty() {
            return Ok(Vec::new());
        }
        let search = Search {
            base: settings.group_base_dn,
            scope: Scope::Subtree,
            filter: filter::with(&settings.group_filter, &settings.group_attribute, group),
            attributes: vec![settings.member_attribute.clone()],
        };
        let mut values = Vec::new();
        self.each(search, |entry| values.extend(all(&entry, &settings.member_attribute))).await?;
        let mut names = match settings.members_are_dns {
            true => self.named(values).await?,
            false => values.iter().filter_map(|value| name(value)).collect(),
        };
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The names of the users with these distinguished names.
    async fn named(&mut self, dns: Vec<String>) -> Result<Vec<String>, LdapFault> {
        let mut names = Vec::new();
        for dn in dns {
            let search = Search { base: dn, scope: Scope::Base, ..self.all_users() };
            let attribute = self.settings.user_attribute.clone();
            let looked = self
                .each(search, |entry| {
                    names.extend(first(&entry, &attribute).and_then(|it| name(&it)));
                })
                .await;
            // RFC 4511 §4.1.9: noSuchObject. Groups keep members who are gone.
            match looked {
                Err(LdapFault::Answer { why, .. }) if why.starts_with("result 32 ") => {}
                other => other?,
            }
        }
        Ok(names)
    }

    fn all_users(&self) -> Search {
        let settings = &self.settings;
        let attributes =
            [&settings.user_attribute, &settings.name_attribute, &settings.email_attribute];
        Search {
            base: settings.base_dn.clone(),
            scope: Scope::Subtree,
            filter: filter::of_users(&settings.user_filter, &[], ""),
            attributes: attributes.map(String::clone).to_vec(),
        }
    }

    fn user_of(&self, entry: &SearchEntry) -> Option<User> {
        user_of(&self.settings, entry)
    }

    /// Gives each entry that a search finds, page by page.
    async fn each(
        &mut self,
        search: Search,
        mut take: impl FnMut(SearchEntry),
    ) -> Result<(), LdapFault> {
        let Search { base, scope, filter, attributes } = search;
        let (timeout, server) = (self.settings.timeout, self.server.clone());
        let late = self.late();
        let paged = PagedResults::new(self.settings.page_size);
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(paged)];
        let begin = self.ldap.streaming_search_with(adapters, &base, scope, &filter, attributes);
        let Some(stream) = within(timeout, begin).await else { return Err(late) };
        let mut stream = stream.map_err(|error| LdapFault::at(&server, &error))?;
        loop {
            let Some(next) = within(timeout, stream.next()).await else { return Err(late) };
            match next.map_err(|error| LdapFault::at(&server, &error))? {
                Some(entry) => take(SearchEntry::construct(entry)),
                None => break,
            }
        }
        stream.finish().await.success().map_err(|error| LdapFault::at(&server, &error))?;
        Ok(())
    }
}

fn user_of(settings: &crate::settings::Settings, entry: &SearchEntry) -> Option<User> {
    let text = |attribute: &str| first(entry, attribute).unwrap_or_default();
    Some(User {
        name: name(&text(&settings.user_attribute))?,
        display_name: text(&settings.name_attribute),
        email: text(&settings.email_attribute),
        ..User::default()
    })
}

/// A name as the local part of an address; `None` for what cannot be one (RFC 7622 §3.3.1).
fn name(value: &str) -> Option<String> {
    let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || "\"&'/:<>@".contains(c);
    (!value.is_empty() && !value.contains(is_forbidden)).then(|| value.to_lowercase())
}

/// Values of an attribute, whose name knows no case (RFC 4512 §2.5).
fn all(entry: &SearchEntry, attribute: &str) -> Vec<String> {
    let mut attributes = entry.attrs.iter();
    let found = attributes.find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    found.map(|(_, values)| values.clone()).unwrap_or_default()
}

fn first(entry: &SearchEntry, attribute: &str) -> Option<String> {
    all(entry, attribute).into_iter().next()
}

/// The part of a list that a query wants. A directory gives its entries in no order: all of them pass
/// by, those that are wanted stay.
struct Page<T> {
    after: String,
    limit: usize,
    kept: BTreeMap<String, T>,
}

impl<T> Page<T> {
    fn new(query: &Query) -> Page<T> {
        let limit = query.limit.clamp(1, 1000) as usize;
        Page { after: query.after.clone(), limit, kept: BTreeMap::new() }
    }

    fn take(&mut self, name: String, item: T) {
        if name > self.after {
            self.kept.insert(name, item);
        }
        if self.kept.len() > self.limit {
            self.kept.pop_last();
        }
    }

    fn into_list(self) -> Vec<T> {
        self.kept.into_values().collect()
    }
}

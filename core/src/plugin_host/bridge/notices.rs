//! Lines that a plugin wants administrators to read, on the console's first page or on every one.

use std::collections::BTreeMap;

use hearth_plugin_api::wire::HostCall;
use hearth_plugin_api::{Error, ErrorKind, NoticeLevel};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::super::PluginHost;
use super::super::manifest::Manifest;

/// Notices that one plugin may show at a time.
const MOST: usize = 20;
/// Characters of a text, octets of a key.
const LONGEST: usize = 500;

/// How urgent a notice is; the most urgent ones stand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warning,
    Info,
}

impl From<NoticeLevel> for Level {
    fn from(level: NoticeLevel) -> Level {
        match level {
            NoticeLevel::Info => Level::Info,
            NoticeLevel::Warning => Level::Warning,
            NoticeLevel::Error => Level::Error,
        }
    }
}

/// A notice as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub level: Level,
    /// The plugin's id, and its name for people.
    pub plugin: String,
    pub name: String,
    pub key: String,
    pub text: String,
    /// Where the console has more about it.
    pub path: String,
    /// On every page.
    pub everywhere: bool,
}

/// What an instance shows, by key. It ends with the instance.
#[derive(Default)]
pub struct Notices(Mutex<BTreeMap<String, Notice>>);

impl Notices {
    /// Performs a call of that plugin about its notices.
    pub(super) fn perform(&self, of: &Manifest, call: HostCall) -> Result<(), Error> {
        match call {
            HostCall::NoticeRaise { key, level, text, page, everywhere } => {
                let (plugin, name) = (of.id.clone(), of.name.clone());
                let path = match page.as_str() {
                    "" => format!("/plugins/{plugin}"),
                    page => format!("/plugins/{plugin}/{page}"),
                };
                let level = level.into();
                self.raise(Notice { level, plugin, name, key, text, path, everywhere })
            }
            HostCall::NoticeClear { key } => {
                self.0.lock().remove(&key);
                Ok(())
            }
            _ => Err(Error::unsupported("this call is not about notices")),
        }
    }

    /// Another one of the same key goes.
    fn raise(&self, notice: Notice) -> Result<(), Error> {
        let Notice { key, text, .. } = &notice;
        let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST;
        if !fits || text.contains('\n') || key.len() > LONGEST {
            return Err(Error::invalid(format!(
                "a notice is one line of 1 to {LONGEST} characters"
            )));
        }
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(key) {
            let full = format!("a plugin shows at most {MOST} notices: clear one");
            return Err(Error::new(ErrorKind::Full, full));
        }
        all.insert(key.clone(), notice);
        Ok(())
    }

    fn all(&self) -> Vec<Notice> {
        self.0.lock().values().cloned().collect()
    }
}

impl PluginHost {
    /// What the running plugins show, the most urgent first.
    pub fn notices(&self) -> Vec<Notice> {
        let running = self.running.read();
        let of_each = running.values().map(|instance| instance.hooks.notices.all());
        let mut all: Vec<Notice> = of_each.flatten().collect();
        all.sort_by(|a, b| (a.level, &a.name, &a.key).cmp(&(b.level, &b.name, &b.key)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Manifest {
        Manifest::new("enterprise", "1.0.0", "somebody")
    }

    fn raise(notices: &Notices, key: &str, text: &str) -> Result<(), ErrorKind> {
        let (level, page) = (NoticeLevel::Warning, "licence".to_owned());
        let (key, text) = (key.to_owned(), text.to_owned());
        let call = HostCall::NoticeRaise { key, level, text, page, everywhere: true };
        notices.perform(&plugin(), call).map_err(|error| error.kind)
    }

    #[test]
    fn a_notice_is_replaced_and_taken_back() {
        let notices = Notices::default();
        assert_eq!(raise(&notices, "a", "one"), Ok(()));
        assert_eq!(raise(&notices, "a", "two"), Ok(()));
        let shown = notices.all();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].text, "two");
        assert_eq!(shown[0].path, "/plugins/enterprise/licence");
        assert_eq!(
            notices.perform(&plugin(), HostCall::NoticeClear { key: "a".to_owned() }),
            Ok(())
        );
        assert_eq!(notices.all(), []);
    }

    #[test]
    fn notices_are_few_and_short() {
        let notices = Notices::default();
        for n in 0..MOST {
            assert_eq!(raise(&notices, &n.to_string(), "text"), Ok(()));
        }
        assert_eq!(raise(&notices, "one more", "text"), Err(ErrorKind::Full));
        assert_eq!(raise(&notices, "1", "again"), Ok(()));
        for text in ["", " ", "two\nlines"] {
            assert_eq!(raise(&notices, "1", text), Err(ErrorKind::Invalid));
        }
        assert_eq!(raise(&notices, "1", &"x".repeat(LONGEST + 1)), Err(ErrorKind::Invalid));
    }
}

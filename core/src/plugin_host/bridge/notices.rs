//! Lines that plugins show in the console until they take them back, or stop.

use std::collections::BTreeMap;

use hearth_plugin_api::{Error, ErrorKind, NoticeLevel};
use parking_lot::Mutex;

use super::super::PluginHost;

/// Lines that one plugin may show at a time.
const MOST: usize = 16;
/// Octets of each.
const LONGEST: usize = 1000;

/// A line for the administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Id of the plugin that says it.
    pub plugin: String,
    /// `info`, `warning` or `error`.
    pub level: &'static str,
    /// Plain text.
    pub text: String,
    /// Where more is to be read: a path of the console, or nothing.
    pub link: Option<String>,
    /// On every page, not on the first one only.
    pub everywhere: bool,
}

/// What one plugin shows, by key.
#[derive(Default)]
pub struct Notices(Mutex<BTreeMap<String, Notice>>);

/// How a notice looks, in the console's words.
pub(super) fn level(level: NoticeLevel) -> &'static str {
    match level {
        NoticeLevel::Info => "info",
        NoticeLevel::Warning => "warning",
        NoticeLevel::Error => "error",
    }
}

impl Notice {
    /// `page` is the slug of one of the plugin's pages, or empty.
    pub(super) fn new(
        of: &str,
        looks: NoticeLevel,
        text: String,
        page: &str,
        everywhere: bool,
    ) -> Result<Notice, Error> {
        if text.is_empty() || text.len() > LONGEST || text.contains('\n') {
            return Err(Error::invalid("a notice is one line of at most 1000 octets"));
        }
        let link = (!page.is_empty()).then(|| format!("/plugins/{of}/{page}"));
        Ok(Notice { plugin: of.to_owned(), level: level(looks), text, link, everywhere })
    }
}

impl Notices {
    /// Another one of the same key goes.
    pub(super) fn raise(&self, key: String, notice: Notice) -> Result<(), Error> {
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(&key) {
            return Err(Error::new(ErrorKind::Full, "a plugin shows at most 16 notices at a time"));
        }
        all.insert(key, notice);
        Ok(())
    }

    pub(super) fn clear(&self, key: &str) {
        self.0.lock().remove(key);
    }
}

impl PluginHost {
    /// What the running plugins want administrators to see, the worst first.
    pub fn notices(&self) -> Vec<Notice> {
        let running = self.running.read();
        let of_each = running.values().map(|instance| instance.hooks.notices.0.lock().clone());
        let mut all: Vec<Notice> = of_each.flat_map(BTreeMap::into_values).collect();
        all.sort_by_key(|notice| {
            ["error", "warning"].iter().position(|l| *l == notice.level).unwrap_or(2)
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str) -> Result<Notice, Error> {
        Notice::new("trial", NoticeLevel::Warning, text.to_owned(), "start", true)
    }

    #[test]
    fn a_key_has_one_line_until_it_is_taken_back() {
        let notices = Notices::default();
        for text in ["first", "second"] {
            notices.raise("key".to_owned(), notice(text).expect("a line")).expect("room");
        }
        let shown: Vec<_> = notices.0.lock().values().cloned().collect();
        assert_eq!(shown, [notice("second").expect("a line")]);
        assert_eq!(shown[0].link.as_deref(), Some("/plugins/trial/start"));
        notices.clear("key");
        assert!(notices.0.lock().is_empty());
    }

    #[test]
    fn lines_are_short_and_few() {
        assert!(notice("two\nlines").is_err());
        assert!(notice("").is_err());
        assert!(notice(&"x".repeat(1001)).is_err());
        let notices = Notices::default();
        let raise = |key: usize| notices.raise(key.to_string(), notice("a line").expect("a line"));
        assert!((0..MOST).all(|key| raise(key).is_ok()));
        assert_eq!(raise(MOST).expect_err("too many").kind, ErrorKind::Full);
    }
}

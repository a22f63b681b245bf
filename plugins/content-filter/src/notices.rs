//! Messages to administrators about what has matched.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hearth_plugin_api::{ErrorKind, Host, Language, Result, Stanza};

use crate::rules::Judgement;

/// The property with their addresses.
pub const ADMINISTRATORS: &str = "administrators";
/// One message per pattern and sender in so many milliseconds: a room, or somebody who insists, must
/// not bury them.
const QUIET_MS: i64 = 60_000;
/// Pairs of pattern and sender that are remembered.
const REMEMBERED: usize = 4096;

/// When who was last told of.
#[derive(Debug, Default)]
pub struct Notices(Mutex<HashMap<(i64, String), i64>>);

impl Notices {
    /// Tells them, if one of the patterns says so and has not for a while. A full queue loses the
    /// notice, not the message.
    pub fn tell(
        &self,
        host: &Host,
        sender: &str,
        to: Option<&str>,
        judgement: &Judgement<'_>,
    ) -> Result<()> {
        let loud = judgement.matched.iter().filter(|pattern| pattern.notify);
        for pattern in loud {
            if !self.is_due(pattern.id, sender, host.boot_ms()) {
                continue;
            }
            let text = format!(
                "Content filter: a message from {sender} to {} matches “{}”: {}.",
                to.unwrap_or("the server"),
                pattern.text,
                pattern.action.label(Language::English).to_lowercase(),
            );
            for address in host.property(ADMINISTRATORS)?.lines().map(str::trim) {
                if !address.is_empty() {
                    route(host, Stanza::message(address).body(&text))?;
                }
            }
        }
        Ok(())
    }

    fn is_due(&self, pattern: i64, sender: &str, now_ms: i64) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.retain(|_, at| now_ms - *at < QUIET_MS);
        }
        let key = (pattern, sender.to_owned());
        // So many at once are a flood: nobody is told more than that.
        let has_room = told.len() < REMEMBERED || told.contains_key(&key);
        let is_due = has_room && told.get(&key).is_none_or(|at| now_ms - at >= QUIET_MS);
        if is_due {
            told.insert(key, now_ms);
        }
        is_due
    }
}

fn route(host: &Host, message: Stanza) -> Result<()> {
    match host.route(&message) {
        Err(error) if matches!(error.kind, ErrorKind::Full | ErrorKind::Invalid) => {
            host.warn(format!("an administrator was not told of a match: {error}"));
            Ok(())
        }
        other => other,
    }
}

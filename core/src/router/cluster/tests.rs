//! Some nodes in one process, joined by a carrier that moves bytes only when it is told to.

use super::codec::{self, CodecError, Letter};
use super::*;
use crate::im::testing::{eventually, inbox, jid, stanza};
use crate::session::{Session, ToOverride};
use crate::stanza::{RootNamespace, Stanza};

mod directory;
mod envelopes;
mod failures;
mod keys;
mod messages;
mod one_read;
mod presence;
mod town;

use town::{Site, Town};

/// A message from its text, for one of the accounts.
fn chat(to: &str, body: &str) -> String {
    format!("<message to='{to}' type='chat'><body>{body}</body></message>")
}

/// The bodies of the messages that the session was sent.
fn bodies(session: &Session) -> Vec<String> {
    let body = |text: &String| {
        let (_, rest) = text.split_once("<body>")?;
        Some(rest.split_once("</body>")?.0.to_owned())
    };
    inbox(session).iter().filter_map(body).collect()
}

//! The Hearth XMPP server. The modules stand in the order in which a stanza meets them: a stanza
//! moves down this list and never calls back up (see ARCHITECTURE.md).

// words: pure values, no IO, no async
pub mod host;
pub mod jid;
pub mod ns;
pub mod stanza;

//! The Hearth XMPP server. The modules stand in the order in which a stanza meets them: a stanza
//! moves down this list and never calls back up (see ARCHITECTURE.md).

pub mod cli;
pub mod clock;
pub mod config;
pub mod events;
pub mod properties;
pub mod server;
pub mod shutdown;
pub mod telemetry;

// words: pure values, no IO, no async
pub mod host;
pub mod jid;
pub mod network;
pub mod ns;
pub mod stanza;
pub mod xml;

// 1 accept, 2 TLS: bytes only
pub mod net;

// 3 streams: a sans-IO state machine and the framings that carry it
pub mod auth;
pub mod stream;

// 4 drivers: the only read and write loops
pub mod c2s;

// 5 session, 6 router, 7 RFC 6121
pub mod im;
pub mod router;
pub mod session;

// 8 extensions
pub mod services;
pub mod xep;

// 9 edges
pub mod admin;
pub mod http;
pub mod plugin_host;
pub mod storage;

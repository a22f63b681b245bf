//! The web console: pages for administrators, rendered by the server.
//!
//! A page is a client of the API in this process ([`Visit::read`], [`Visit::change`]), so that the API
//! covers everything the console does. How to add one:
//!
//! 1. a file here with `pub const ROUTES`, and its line in [`routes`] below;
//! 2. its place in `TABS` (`frame.rs`), and a template in `web/templates` that extends `layout.html`
//!    and uses the macros of `parts/` (`tokens.rs` and `tokens.html` show them all);
//! 3. its texts in every file of `web/locales`: a section named after the page, with a `title`;
//! 4. its help in `docs/operators/console` and its folders of other languages, with a line in `help.rs`.
//!
//! Tests hold 2 to 4 true. Route first, then authorise by route: a route is for administrators
//! unless it says [`Route::open`], and what is not in the table does not exist.

mod amount;
mod assets;
mod audit;
mod certificates;
mod chart;
pub(super) mod cookie;
mod dashboard;
mod database;
mod editor;
pub mod form;
mod frame;
mod groups;
mod help;
mod information;
mod interrupted;
mod introduction;
pub mod list;
pub mod live;
mod logs;
mod navigation;
mod origin;
mod plugin_page;
pub mod plugins;
mod properties;
mod said;
mod sent;
mod serve;
mod sessions;
mod settings;
mod sign_in;
mod text;
mod tokens;
mod upload_form;
mod user;
mod user_lists;
mod user_roster;
mod users;
pub mod visit;
mod visitor;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use frame::Frame;
pub use serve::mount;
pub use text::{Catalogue, Text};
pub use visit::{Refusal, Visit};
// What the wizard's pages share with the console's.
pub(super) use assets::{serve as asset, text as asset_text};
pub(super) use form::{Fields, Form};
pub(super) use origin::is_ours;
pub(super) use serve::harden;
pub(super) use visit::{redirect, show, show_as, show_refused};
pub use visitor::Visitor;

use super::api::Api;
use super::lockout::Lockout;
use super::route;
use super::session::Sessions;
use crate::http::Response;
use crate::shutdown::Tracker;

pub type Handler = fn(Visit) -> BoxFuture<'static, Result<Response, Refusal>>;
pub type Route = route::Route<Handler>;

/// What the pages work on.
pub struct Console {
    pub api: Arc<Api>,
    pub sessions: Sessions,
    pub tracker: Tracker,
    /// Wrong passwords by address, and by account.
    addresses: Lockout,
    accounts: Lockout<String>,
}

impl Console {
    pub fn new(api: Arc<Api>, tracker: Tracker) -> Console {
        let sessions = Sessions::new(api.clock.clone(), &api.properties);
        let (addresses, accounts) = (Lockout::default(), Lockout::default());
        Console { api, sessions, tracker, addresses, accounts }
    }
}

/// Every route of the console.
fn routes() -> impl Iterator<Item = &'static Route> {
    let console = [assets::ROUTES, sign_in::ROUTES, help::ROUTES];
    let server = [dashboard::ROUTES, information::ROUTES, tokens::ROUTES, plugins::ROUTES];
    let settings = [properties::ROUTES, settings::ROUTES, certificates::ROUTES, audit::ROUTES];
    let node = [database::ROUTES, logs::ROUTES, sessions::ROUTES, introduction::ROUTES];
    let people =
        [users::ROUTES, user::ROUTES, user_roster::ROUTES, user_lists::ROUTES, groups::ROUTES];
    let all = console.into_iter().chain(server).chain(settings).chain(node).chain(people);
    all.flatten()
}

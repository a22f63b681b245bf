//! What is left of the wizard when it is done.

use askama::Template;
use hyper::StatusCode;
use hyper::header::HeaderMap;
use warp::{Filter, Reply};

use super::wizard::BODY;
use crate::admin::pages::{Frame, Visitor, harden, show_as};
use crate::http::{Allowance, Peer, Routes};

/// Answers where the wizard was, once there is none: it must not come back by any other route.
pub fn mount_gone(routes: &Routes) {
    let filter = warp::header::headers_cloned().and(warp::ext::get::<Peer>()).map(
        |headers: HeaderMap, peer| {
            let page = Frame::new("setup_gone", &Visitor::of(&headers, peer), None, "/");
            let shown = show_as(StatusCode::NOT_FOUND, Gone { page });
            harden(shown.unwrap_or_else(|_| StatusCode::NOT_FOUND.into_response()))
        },
    );
    // A form that comes late is told the same.
    routes.mount("/setup", Allowance::body(BODY), filter.boxed());
}

#[derive(Template)]
#[template(path = "setup/gone.html")]
struct Gone {
    page: Frame,
}

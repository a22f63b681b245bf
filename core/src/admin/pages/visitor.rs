//! What a request tells about the browser behind it.

use hyper::header::{ACCEPT_LANGUAGE, HeaderMap};

use super::cookie;
use super::text::{Catalogue, Text};
use crate::admin::api::Problem;
use crate::http::Peer;

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the browser is set.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    /// As the style sheet and the cookie call it.
    pub fn name(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    fn parse(name: &str) -> Option<Theme> {
        [Theme::Auto, Theme::Light, Theme::Dark].into_iter().find(|theme| theme.name() == name)
    }
}

/// A browser that asks for something.
#[derive(Clone)]
pub struct Visitor {
    pub peer: Peer,
    pub language: &'static Catalogue,
    pub theme: Theme,
    /// A part of a page is wanted by htmx, not a page by its reader.
    pub is_htmx: bool,
}

impl Visitor {
    pub fn of(headers: &HeaderMap, peer: Peer) -> Visitor {
        let accepted = || {
            let header = headers.get(ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok());
            Catalogue::accepted(header.unwrap_or_default())
        };
        let chosen = cookie::get(headers, cookie::LANGUAGE).and_then(Catalogue::named);
        Visitor {
            peer,
            language: chosen.unwrap_or_else(accepted),
            theme: cookie::get(headers, cookie::THEME).and_then(Theme::parse).unwrap_or_default(),
            is_htmx: headers.contains_key("hx-request"),
        }
    }

    pub fn t(&self, key: &str) -> Text {
        self.language.t(key)
    }

    /// A problem in the reader's language.
    pub fn reword(&self, problem: Problem) -> Problem {
        problem.reworded(&|text| self.language.said(text))
    }
}

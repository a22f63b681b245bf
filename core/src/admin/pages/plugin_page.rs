//! Pages of plugins, at `/plugins/<id>/<slug>` and below. The console authenticates, checks the form
//! and lays out what the plugin gives; the plugin sees neither cookies nor passwords.

use askama::Template;
use bytes::Bytes;
use hyper::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use hyper::{Method, StatusCode};
use warp::Reply;

use super::frame::tone;
use super::plugins::Plugin;
use super::sent::Sent;
use super::visit::{redirect, redirect_htmx, show_as};
use super::{Frame, Refusal, Visit, navigation};
use crate::admin::api::Problem;
use crate::http::Response;
use crate::plugin_host::PluginError;
use crate::plugin_host::bridge::{Fragment, PageAsked};

/// What a document of a plugin may do when it is opened by itself: nothing.
const DOCUMENT: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub id: String,
    pub slug: String,
    /// Behind the page's own path.
    rest: String,
}

impl Place {
    /// `None`: no plugin can have a page there.
    pub fn of(segments: &[String]) -> Option<Place> {
        match segments {
            [area, id, slug, rest @ ..] if area == "plugins" => {
                Some(Place { id: id.clone(), slug: slug.clone(), rest: rest.join("/") })
            }
            _ => None,
        }
    }

    fn section(&self) -> String {
        navigation::section(&self.id, &self.slug)
    }
}

#[derive(Template)]
#[template(path = "plugin_page.html")]
struct Page {
    page: Frame,
    plugin: String,
    fragment: String,
}

#[derive(Template)]
#[template(path = "plugin_page_failed.html")]
struct Failed {
    page: Frame,
    plugin: Plugin,
    why: String,
}

/// Asks the plugin. The session was checked.
pub async fn answer(
    visit: Visit,
    place: Place,
    method: Method,
    (headers, body): (&HeaderMap, Bytes),
) -> Result<Response, Refusal> {
    let session = visit.session.clone().ok_or(Refusal::SignIn)?;
    let is_post = match method {
        Method::GET => false,
        Method::POST => true,
        _ => return Err(Problem::Method("GET, POST".to_owned()).into()),
    };
    let mut sent = Sent::default();
    if is_post {
        sent = Sent::read(headers, body).await?;
        sent.check(headers, Some(&session), &visit.visitor)?;
    }
    let asked = PageAsked {
        is_post,
        path: place.rest.clone(),
        query: visit.query.pairs().collect(),
        form: sent.fields.pairs().filter(|(name, _)| name != "csrf").collect(),
        files: sent.files,
        admin: session.who.name.clone(),
        language: visit.visitor.language.code.to_owned(),
        token: format!("<input type=\"hidden\" name=\"csrf\" value=\"{}\">", session.csrf),
        partial: visit.visitor.is_htmx,
    };
    match visit.console.api.plugins.page(&place.id, &place.slug, asked).await {
        Ok(fragment) => lay_out(&visit, &place, fragment),
        Err(error) => failed(&visit, &place, error).await,
    }
}

fn lay_out(visit: &Visit, place: &Place, fragment: Fragment) -> Result<Response, Refusal> {
    let said = fragment.notice.map(|(level, text)| (tone(level), text));
    if let Some(location) = fragment.location {
        if let (Some(session), Some((tone, text))) = (&visit.session, said) {
            session.say_as(tone, text);
        }
        let elsewhere = if visit.visitor.is_htmx { redirect_htmx } else { redirect };
        return elsewhere(&location);
    }
    let status = status(fragment.status);
    if let Some(media_type) = fragment.media_type {
        return document(status, &media_type, fragment.file_name.as_deref(), fragment.body);
    }
    let html = String::from_utf8_lossy(&fragment.body).into_owned();
    if visit.visitor.is_htmx {
        return Ok(warp::reply::with_status(warp::reply::html(html), status).into_response());
    }
    let mut page = visit.frame("plugin_page").titled(fragment.title, place.section());
    if let Some((tone, text)) = said {
        page = page.saying(tone, text);
    }
    show_as(status, Page { page, plugin: place.id.clone(), fragment: html })
}

/// The plugin's own, unless it means something to the browser that only the console may say.
fn status(status: u16) -> StatusCode {
    let own = StatusCode::from_u16(status).ok();
    own.filter(|own| own.is_success() || own.is_client_error() || own.is_server_error())
        .unwrap_or(StatusCode::OK)
}

fn document(
    status: StatusCode,
    media_type: &str,
    file_name: Option<&str>,
    body: Vec<u8>,
) -> Result<Response, Refusal> {
    let header = |text: &str| {
        let unsendable = |_| Problem::invalid("the plugin's document cannot be sent");
        HeaderValue::try_from(text).map_err(unsendable)
    };
    let mut response = warp::reply::with_status(body, status).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, header(media_type)?);
    headers.insert(CONTENT_SECURITY_POLICY, DOCUMENT);
    if let Some(name) = file_name {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._- ".contains(c);
        let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        headers.insert(CONTENT_DISPOSITION, header(&format!("attachment; filename=\"{name}\""))?);
    }
    Ok(response)
}

/// Says in the page's place why it cannot be shown.
async fn failed(visit: &Visit, place: &Place, error: PluginError) -> Result<Response, Refusal> {
    let plugin: Plugin = visit.read(&["plugins", &place.id], &[]).await?;
    let (status, why) = match error {
        PluginError::NoPage { .. } if plugin.runs() => {
            return Err(Problem::NotFound(visit.t("problem.no_page").into()).into());
        }
        PluginError::NoPage { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, visit.t("plugin_page.stopped").into())
        }
        PluginError::Page { why, .. } => (StatusCode::BAD_GATEWAY, why),
        other => return Err(Problem::from(other).into()),
    };
    let page = visit.frame("plugin_page").titled(plugin.name.clone(), place.section());
    show_as(status, Failed { page, plugin, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::route;

    #[test]
    fn a_path_names_plugin_page_and_what_is_below() {
        let place = |path: &str| Place::of(&route::segments(path));
        let of = |id: &str, slug: &str, rest: &str| {
            let [id, slug, rest] = [id, slug, rest].map(str::to_owned);
            Some(Place { id, slug, rest })
        };
        assert_eq!(place("/plugins/hello/page"), of("hello", "page", ""));
        assert_eq!(place("/plugins/hello/page/a/b"), of("hello", "page", "a/b"));
        assert_eq!(place("/plugins/hello"), None);
        assert_eq!(place("/users/hello/page"), None);
    }

    #[test]
    fn a_plugin_cannot_redirect_by_its_status() {
        assert_eq!(status(404), StatusCode::NOT_FOUND);
        for odd in [0, 101, 302, 304, 1000] {
            assert_eq!(status(odd), StatusCode::OK, "{odd}");
        }
    }

    #[test]
    fn a_document_is_shut_in() {
        let sent = document(StatusCode::OK, "image/svg+xml", Some("a\"b\r\n.svg"), b"x".to_vec());
        let sent = sent.expect("a document");
        assert_eq!(sent.headers()[CONTENT_SECURITY_POLICY], DOCUMENT);
        assert_eq!(sent.headers()[CONTENT_DISPOSITION], "attachment; filename=\"a_b__.svg\"");
        assert!(document(StatusCode::OK, "text/plain\r\nx: y", None, vec![]).is_err());
    }
}

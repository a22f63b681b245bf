//! The plugin's pages. What comes from outside is escaped; texts are English and German.

mod clustering;
mod export;
mod licence;
mod overview;
mod text;

#[cfg(test)]
mod tests;

use hearth_plugin_api::{Error, NoticeLevel, PageRequest, PageResponse, Result};

/// Back to the page after a form: what it did, or why it did not.
fn answered(request: &PageRequest, done: Result<&'static str, String>) -> PageResponse {
    let page = PageResponse::redirect(&request.base);
    match done {
        Ok(text) => page.notice(NoticeLevel::Info, text),
        Err(why) => page.notice(NoticeLevel::Error, &sentence(&why)),
    }
}

/// With a capital first: reasons are written so that they may follow a colon.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// A button with a form of its own.
fn button(request: &PageRequest, path: &str, class: &str, label: &str) -> String {
    let form = request.open_form(path);
    format!("{form}<button class='button {class}'>{label}</button></form>")
}

/// A card of figures: label and value, both as HTML.
fn fact(label: &str, value: &str) -> String {
    format!("<div class='card'><dt>{label}</dt><dd>{value}</dd></div>")
}

/// A table that scrolls by itself when it is too wide; `rows` has head and body as HTML.
fn table(label: &str, rows: &str) -> String {
    format!(
        "<div class='table' tabindex='0' role='region' aria-label='{label}'>\
         <table>{rows}</table></div>"
    )
}

/// A node's number, as the rest of the console and the logs write it.
fn number(node: u32) -> String {
    format!("<code>{node:08x}</code>")
}

/// A form of the page that the page does not have.
fn unknown_form(path: &str) -> Error {
    Error::not_found(format!("this page has no form `{path}`"))
}

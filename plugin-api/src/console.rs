//! What pages of the console have in common: the administrator's language, the question before something
//! that has consequences, tables as files.

use crate::calls::{PageRequest, PageResponse};
use crate::xml::escaped;

/// A language of the console.
///
/// ```
/// use hearth_plugin_api::{Language, PageRequest};
/// let request = PageRequest { language: "de-AT".into(), ..PageRequest::default() };
/// assert_eq!(Language::of(&request).say("Books", "Bücher"), "Bücher");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Also for who reads neither.
    English,
    /// With all its regions.
    German,
}

impl Language {
    /// Which one the page is to speak.
    pub fn of(request: &PageRequest) -> Language {
        match request.language.split(['-', '_']).next() {
            Some(tag) if tag.eq_ignore_ascii_case("de") => Language::German,
            _ => Language::English,
        }
    }

    /// The text in this language.
    pub fn say<'t>(self, english: &'t str, german: &'t str) -> &'t str {
        match self {
            Language::English => english,
            Language::German => german,
        }
    }
}

/// What is asked before something that has consequences, in a dialog. Buttons of the page open it by
/// `data-dialog`, its id. Where the form goes to then, and what stands in an element of the title with
/// `data-subject`, they may say in `data-action` and `data-subject`.
///
/// ```
/// use hearth_plugin_api::{PageRequest, Question};
/// let question = Question {
///     id: "delete",
///     title: "Delete the entry of <q class='subject' data-subject></q>",
///     consequence: "It cannot be had back.",
///     act: "Delete",
/// };
/// let page = "<button type='button' class='button danger' data-dialog='delete' \
///             data-action='/plugins/guestbook/start/delete/7' data-subject='Anna'>Delete</button>"
///     .to_owned()
///     + &question.dialog(&PageRequest::default(), "delete");
/// # assert!(page.contains("<dialog id='delete'"));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// Of the dialog.
    pub id: &'q str,
    /// As HTML.
    pub title: &'q str,
    /// What will happen, as HTML.
    pub consequence: &'q str,
    /// What the button says that does it, as HTML.
    pub act: &'q str,
}

impl Question<'_> {
    /// The dialog, to stand anywhere on the page. `path` is where its form goes to, below this page.
    pub fn dialog(&self, request: &PageRequest, path: &str) -> String {
        let Question { id, title, consequence, act } = self;
        let form = request.open_form(path);
        let cancel = Language::of(request).say("Cancel", "Abbrechen");
        format!(
            "<dialog id='{id}' aria-labelledby='{id}-title'>{form}<h2 id='{id}-title'>{title}</h2>\
             <p class='consequence'>{consequence}</p><div class='buttons'>\
             <button class='button danger solid'>{act}</button>\
             <button class='button' type='button' data-close-dialog>{cancel}</button></div>\
             </form></dialog>"
        )
    }
}

/// A table as a file (RFC 4180). The names of its columns and what is in it are the same in every language.
///
/// ```
/// use hearth_plugin_api::Csv;
/// let mut csv = Csv::new(&["id", "by", "text"]);
/// csv.row([7.to_string(), "Anna".to_owned(), "=1, 2".to_owned()]);
/// let page = csv.into_response("entries.csv");
/// assert_eq!(page.body, b"id,by,text\r\n7,Anna,\"'=1, 2\"\r\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv(String);

impl Csv {
    /// A table with these columns, and no row yet.
    pub fn new(columns: &[&str]) -> Csv {
        let mut csv = Csv(String::new());
        csv.row(columns);
        csv
    }

    /// Adds a row. What a spreadsheet would take for a formula becomes a text; a number is none.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        for (at, text) in cells.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.cell(text.as_ref());
        }
        self.0.push_str("\r\n");
    }

    fn cell(&mut self, text: &str) {
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let guard = if is_formula && text.parse::<f64>().is_err() { "'" } else { "" };
        match text.contains(['"', ',', '\r', '\n']) {
            true => self.0.extend(["\"", guard, &text.replace('"', "\"\""), "\""]),
            false => self.0.extend([guard, text]),
        }
    }

    /// The file, for the browser to save.
    pub fn into_response(self, file_name: &str) -> PageResponse {
        let file_name = Some(file_name.to_owned());
        PageResponse { file_name, ..PageResponse::document("text/csv", self.0) }
    }

    /// Stands below the table: a link to the file, which is had at `path` below this page.
    pub fn link(request: &PageRequest, path: &str) -> String {
        let (base, path) = (escaped(&request.base), escaped(path));
        let label = Language::of(request).say("Export as CSV", "Als CSV ausgeben");
        format!("<a class='button quiet' href='{base}/{path}' download>{label}</a>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_neither_language_gets_english() {
        for (tag, said) in
            [("de", "ja"), ("DE-ch", "ja"), ("de_AT", "ja"), ("fr", "yes"), ("", "yes")]
        {
            let request = PageRequest { language: tag.into(), ..PageRequest::default() };
            assert_eq!(Language::of(&request).say("yes", "ja"), said, "{tag}");
        }
    }

    #[test]
    fn cells_are_no_formulas_and_quoted_where_they_must_be() {
        let rows = [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("-", "'-"),
            ("-1", "-1"),
            ("", ""),
            ("a=b", "a=b"),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ];
        for (text, cell) in rows {
            let mut csv = Csv::new(&["text", "end"]);
            csv.row([text, "x"]);
            assert_eq!(csv.0, format!("text,end\r\n{cell},x\r\n"), "{text}");
        }
    }

    #[test]
    fn a_question_posts_what_the_server_checks() {
        let request = PageRequest {
            base: "/plugins/a/b".into(),
            language: "de".into(),
            token: "<input name='csrf'>".into(),
            ..PageRequest::default()
        };
        let question =
            Question { id: "stop", title: "Stop it", consequence: "It ends.", act: "Stop" };
        let dialog = question.dialog(&request, "stop");
        for part in
            ["action='/plugins/a/b/stop'", "<input name='csrf'>", "Abbrechen", "id='stop-title'"]
        {
            assert!(dialog.contains(part), "{part}: {dialog}");
        }
    }
}

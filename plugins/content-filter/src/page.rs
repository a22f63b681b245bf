//! The console page: patterns, one pattern's form, the test box, who is told.

use std::sync::Arc;

use hearth_plugin_api::xml::{self, escaped};
use hearth_plugin_api::{NoticeLevel, PageRequest, PageResponse, Result};

use crate::pattern::{Action, Direction, Part, Pattern};
use crate::rules::{Judgement, Sample, Text};
use crate::store::{self, Kept};
use crate::{Filter, notices};

impl Filter {
    pub async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        let path = request.path.clone();
        match (request.is_post(), path.split_once('/').unwrap_or((&path, ""))) {
            (false, ("", _)) => self.overview(&request, "").await,
            (false, ("new", _)) => Ok(form(&request, &Pattern::blank())),
            (false, ("edit", id)) => self.edit(&request, id).await,
            (true, ("save", _)) => self.saved(&request).await,
            (true, ("delete", id)) => self.deleted(&request, id).await,
            (true, ("administrators", _)) => self.administrators(&request).await,
            (true, ("test", _)) => {
                let outcome = self.tried(&request)?;
                self.overview(&request, &outcome).await
            }
            _ => Ok(PageResponse::not_found()),
        }
    }

    async fn overview(&self, request: &PageRequest, outcome: &str) -> Result<PageResponse> {
        self.keep_counts().await?;
        let kept = store::all(&self.host).await?;
        let base = escaped(&request.base);
        let list = match kept.is_empty() {
            true => "<p class='empty'>No pattern yet: every message passes.</p>".to_owned(),
            false => table(request, &kept),
        };
        let told = escaped(&self.host.property(notices::ADMINISTRATORS)?);
        let told_form = request.open_form("administrators");
        let test = test_form(request, outcome);
        Ok(PageResponse::html(format!(
            "<p class='lead'>Messages are looked at before they are delivered. Encrypted ones \
             cannot be.</p>\
             <p><a class='button primary' href='{base}/new'>New pattern</a></p>\
             {list}{test}\
             <div class='card narrow'><h2>Who is told</h2>{told_form}\
             <div class='field'><label for='told'>Addresses, one per line</label>\
             <textarea id='told' name='administrators' rows='3'>{told}</textarea>\
             <p class='hint'>They get a message when a pattern says so, at most one a minute for \
             each pattern and sender.</p></div>\
             <div class='buttons'><button class='button'>Save</button></div></form></div>"
        )))
    }

    async fn edit(&self, request: &PageRequest, id: &str) -> Result<PageResponse> {
        let kept = store::all(&self.host).await?;
        let found = kept.iter().find(|kept| kept.pattern.id.to_string() == id);
        Ok(found.map_or_else(PageResponse::not_found, |kept| form(request, &kept.pattern)))
    }

    async fn saved(&self, request: &PageRequest) -> Result<PageResponse> {
        let has = |name: &str| request.form.iter().any(|(field, _)| field == name);
        let field = |name: &str| has(name).then(|| request.field(name).to_owned());
        let pattern = Pattern::from_fields(field);
        let saved = match pattern {
            Ok(pattern) => self.save(pattern).await.map(|_| "The pattern is in force."),
            Err(error) => Err(error),
        };
        Ok(after(request, saved))
    }

    async fn deleted(&self, request: &PageRequest, id: &str) -> Result<PageResponse> {
        store::delete(&self.host, id.parse()?).await?;
        self.compile().await?;
        Ok(after(request, Ok("The pattern is deleted.")))
    }

    async fn administrators(&self, request: &PageRequest) -> Result<PageResponse> {
        let addresses = request.field("administrators");
        self.host.set_property(notices::ADMINISTRATORS, addresses).await?;
        Ok(after(request, Ok("Saved.")))
    }

    /// What would happen to the text of the test box, as HTML.
    fn tried(&self, request: &PageRequest) -> Result<String> {
        let part = Part::from_word(request.field("part"))?;
        let direction = Direction::from_word(request.field("direction"))?;
        let sender = request.field("sender");
        let texts = [Text { part, text: request.field("text").to_owned() }];
        let rules = self.rules();
        Ok(outcome(&rules.judge(Sample { sender, direction }, &texts)))
    }
}

fn after(request: &PageRequest, done: Result<&str>) -> PageResponse {
    let back = PageResponse::redirect(&request.base);
    match done {
        Ok(text) => back.notice(NoticeLevel::Info, text),
        Err(error) => back.notice(NoticeLevel::Error, &error.message),
    }
}

fn outcome(judgement: &Judgement<'_>) -> String {
    if judgement.matched.is_empty() {
        return "<p class='note good' role='status'>It would pass: no pattern matches.</p>".into();
    }
    let names = judgement.matched.iter().map(|pattern| {
        format!("<li><code>{}</code>: {}</li>", escaped(&pattern.text), pattern.action.label())
    });
    let what = match (judgement.refused_by, &judgement.masked) {
        (Some(pattern), _) => {
            format!("It would be refused. Its sender would read: “{}”", escaped(&pattern.reply))
        }
        (None, Some(texts)) => {
            format!("It would be delivered as: “{}”", escaped(&texts[0].text))
        }
        (None, None) => "It would pass and be counted.".to_owned(),
    };
    let names: String = names.collect();
    format!("<div class='note warn' role='status'><p>{what}</p><ul>{names}</ul></div>")
}

fn table(request: &PageRequest, kept: &[Kept]) -> String {
    let rows: String = kept.iter().map(|kept| row(request, kept)).collect();
    format!(
        "<div class='table'><table><thead><tr><th>Pattern</th><th>Action</th><th>Where</th>\
         <th>Whose</th><th class='number'>Matches</th><th>Last</th><th></th></tr></thead>\
         <tbody>{rows}</tbody></table></div>{}",
        question(request)
    )
}

/// The console's dialog, which the buttons of the table open; each names its own action.
fn question(request: &PageRequest) -> String {
    let form = request.open_form("delete");
    format!(
        "<dialog id='delete' aria-labelledby='delete-title'>{form}\
         <h2 id='delete-title'>Delete the pattern <q class='subject' data-subject></q></h2>\
         <p class='consequence'>Messages that it matches pass from now on, and its count is lost. \
         To stop it for a while, tick Off on its page.</p>\
         <div class='buttons'><button class='button danger solid'>Delete</button>\
         <button class='button' type='button' data-close-dialog>Cancel</button></div>\
         </form></dialog>"
    )
}

fn row(request: &PageRequest, Kept { pattern, hits, last_ms }: &Kept) -> String {
    let base = escaped(&request.base);
    let text = escaped(&pattern.text);
    let kind = if pattern.is_regex { " <span class='badge'>expression</span>" } else { "" };
    let off = if pattern.enabled { "" } else { " <span class='badge warn'>off</span>" };
    let tell = if pattern.notify { " <span class='badge'>tells</span>" } else { "" };
    let (action, part, direction) =
        (pattern.action.label(), pattern.part.label(), pattern.direction.label());
    let last = last_ms.map_or_else(|| "never".to_owned(), xml::time);
    let id = pattern.id;
    format!(
        "<tr><th><a href='{base}/edit/{id}'><code>{text}</code></a>{kind}{off}</th>\
         <td>{action}{tell}</td><td>{part}</td><td>{direction}</td>\
         <td class='number'>{hits}</td><td>{last}</td>\
         <td class='acts'><button type='button' class='button small danger' data-dialog='delete' \
         data-action='{base}/delete/{id}' data-subject='{text}' \
         aria-label='Delete {text}'>Delete</button></td></tr>"
    )
}

fn form(request: &PageRequest, pattern: &Pattern) -> PageResponse {
    let title = if pattern.id == 0 { "New pattern" } else { "Pattern" };
    let open = request.open_form("save");
    let (id, text, reply) = (pattern.id, escaped(&pattern.text), escaped(&pattern.reply));
    let (excluded, base) = (escaped(&pattern.excluded), escaped(&request.base));
    let fields = [
        check("regex", "It is a regular expression", pattern.is_regex),
        select("action", "Action", Action::ALL, pattern.action),
        check("notify", "Tell the administrators", pattern.notify),
        format!(
            "<div class='field'><label for='reply'>What the sender of a refused message reads\
             </label><input id='reply' name='reply' maxlength='512' value='{reply}'></div>"
        ),
        select("part", "Where", Part::ALL, pattern.part),
        select("direction", "Whose messages", Direction::ALL, pattern.direction),
        format!(
            "<div class='field'><label for='excluded'>Except for these addresses and domains\
             </label><textarea id='excluded' name='excluded' rows='3'>{excluded}</textarea>\
             <p class='hint'>One per line.</p></div>"
        ),
        check("disabled", "Off", !pattern.enabled),
    ]
    .concat();
    PageResponse::html(format!(
        "<div class='card narrow'>{open}<input type='hidden' name='id' value='{id}'>\
         <div class='field'><label for='text'>Pattern</label>\
         <input id='text' name='text' required maxlength='512' value='{text}'>\
         <p class='hint'>Words match as whole words. Upper and lower case are the same.</p></div>\
         {fields}<div class='buttons'><button class='button primary'>Save</button>\
         <a class='button' href='{base}'>Cancel</a></div></form></div>"
    ))
    .title(title)
}

fn check(name: &str, label: &str, is_set: bool) -> String {
    let checked = if is_set { " checked" } else { "" };
    format!(
        "<div class='field check'><input type='checkbox' id='{name}' name='{name}' \
         value='true'{checked}><label for='{name}'>{label}</label></div>"
    )
}

fn select<T: Copy + PartialEq>(
    name: &str,
    label: &str,
    all: &[(T, &str, &str)],
    chosen: T,
) -> String {
    let option = |(value, word, label): &(T, &str, &str)| {
        let selected = if *value == chosen { " selected" } else { "" };
        format!("<option value='{word}'{selected}>{label}</option>")
    };
    let options: String = all.iter().map(option).collect();
    format!(
        "<div class='field'><label for='{name}'>{label}</label>\
         <select id='{name}' name='{name}'>{options}</select></div>"
    )
}

/// What was tried stays in the box, beside what would happen to it.
fn test_form(request: &PageRequest, outcome: &str) -> String {
    let open = request.open_form("test");
    let (text, sender) = (escaped(request.field("text")), escaped(request.field("sender")));
    let part = Part::from_word(request.field("part")).unwrap_or(Part::Body);
    let direction = Direction::from_word(request.field("direction")).unwrap_or(Direction::Sent);
    let parts = select("part", "It is", &Part::ALL[..2], part);
    let directions = select("direction", "Whose", &Direction::ALL[..2], direction);
    format!(
        "<div class='card'><h2>What would happen to this text?</h2>{outcome}{open}\
         <div class='field'><label for='try'>Text</label>\
         <textarea id='try' name='text' rows='3' required>{text}</textarea></div>\
         <div class='grid'>{parts}{directions}<div class='field'><label for='sender'>Sender \
         <span class='optional'>(optional)</span></label>\
         <input id='sender' name='sender' value='{sender}'></div></div>\
         <div class='buttons'><button class='button'>Try</button></div></form></div>"
    )
}

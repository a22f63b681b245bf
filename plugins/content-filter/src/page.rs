//! The console page: patterns, one pattern's form, the test box, who is told.

use std::sync::Arc;

use hearth_plugin_api::xml::{self, escaped};
use hearth_plugin_api::{
    Csv, ErrorKind, Language, NoticeLevel, PageRequest, PageResponse, Question, Result,
};

use crate::pattern::{Action, Direction, Part, Pattern};
use crate::rules::{Judgement, Sample, Text};
use crate::store::{self, Kept};
use crate::{Filter, notices, text};

impl Filter {
    pub async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        let path = request.path.clone();
        match (request.is_post(), path.split_once('/').unwrap_or((&path, ""))) {
            (false, ("", _)) => self.overview(&request, "").await,
            (false, ("export", _)) => self.export().await,
            (false, ("new", _)) => Ok(form(&request, &Pattern::blank(), "")),
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
        let language = Language::of(request);
        let base = escaped(&request.base);
        let list = match kept.is_empty() {
            true => format!(
                "<p class='empty'>{}</p>",
                language.say(
                    "No pattern yet: every message passes.",
                    "Noch kein Muster: Jede Nachricht kommt durch."
                )
            ),
            false => table(request, &kept),
        };
        let lead = language.say(
            "Messages are looked at before they are delivered. Encrypted ones cannot be.",
            "Nachrichten werden angesehen, bevor sie zugestellt werden. Bei verschlüsselten geht das nicht.",
        );
        let new = language.say("New pattern", "Neues Muster");
        let test = test_form(request, outcome);
        let told = self.told_form(request)?;
        Ok(PageResponse::html(format!(
            "<p class='lead'>{lead}</p>\
             <p><a class='button primary' href='{base}/new'>{new}</a></p>{list}{test}{told}"
        )))
    }

    fn told_form(&self, request: &PageRequest) -> Result<String> {
        let language = Language::of(request);
        let told = escaped(&self.host.property(notices::ADMINISTRATORS)?);
        let open = request.open_form("administrators");
        let title = language.say("Who is told", "Wer benachrichtigt wird");
        let label = language.say("Addresses, one per line", "Adressen, eine je Zeile");
        let hint = language.say(
            "They get a message when a pattern says so, at most one a minute for each pattern and sender.",
            "Sie bekommen eine Nachricht, wenn ein Muster es verlangt, höchstens eine in der Minute je Muster \
             und Absender.",
        );
        let save = language.say("Save", "Speichern");
        Ok(format!(
            "<div class='card narrow'><h2>{title}</h2>{open}\
             <div class='field'><label for='told'>{label}</label>\
             <textarea id='told' name='administrators' rows='3' aria-describedby='told-hint'>{told}</textarea>\
             <p class='hint' id='told-hint'>{hint}</p></div>\
             <div class='buttons'><button class='button'>{save}</button></div></form></div>"
        ))
    }

    /// The patterns as a file. Its columns are named as in the commands.
    async fn export(&self) -> Result<PageResponse> {
        self.keep_counts().await?;
        let mut csv = Csv::new(&[
            "id",
            "text",
            "regex",
            "action",
            "notify",
            "reply",
            "part",
            "direction",
            "excluded",
            "enabled",
            "hits",
            "last",
        ]);
        for Kept { pattern, hits, last_ms } in store::all(&self.host).await? {
            csv.row([
                pattern.id.to_string(),
                pattern.text,
                pattern.is_regex.to_string(),
                pattern.action.word().to_owned(),
                pattern.notify.to_string(),
                pattern.reply,
                pattern.part.word().to_owned(),
                pattern.direction.word().to_owned(),
                pattern.excluded,
                pattern.enabled.to_string(),
                hits.to_string(),
                last_ms.map(xml::timestamp).unwrap_or_default(),
            ]);
        }
        Ok(csv.into_response("patterns.csv"))
    }

    async fn edit(&self, request: &PageRequest, id: &str) -> Result<PageResponse> {
        let kept = store::all(&self.host).await?;
        let found = kept.iter().find(|kept| kept.pattern.id.to_string() == id);
        Ok(found.map_or_else(PageResponse::not_found, |kept| form(request, &kept.pattern, "")))
    }

    /// What is refused stays in the form, with the reason.
    async fn saved(&self, request: &PageRequest) -> Result<PageResponse> {
        let has = |name: &str| request.form.iter().any(|(field, _)| field == name);
        let typed = Pattern::typed(|name| has(name).then(|| request.field(name).to_owned()))?;
        let saved = match typed.regex() {
            Ok(_) => self.save(typed.clone()).await,
            Err(error) => Err(error),
        };
        let language = Language::of(request);
        match saved {
            Ok(_) => Ok(after(
                request,
                language.say("The pattern is in force.", "Das Muster ist in Kraft."),
            )),
            Err(error) if error.kind == ErrorKind::Invalid => {
                let refused = form(request, &typed, &text::reason(language, &error.message));
                Ok(PageResponse { status: 422, ..refused })
            }
            Err(error) => Err(error),
        }
    }

    async fn deleted(&self, request: &PageRequest, id: &str) -> Result<PageResponse> {
        store::delete(&self.host, id.parse()?).await?;
        self.compile().await?;
        let language = Language::of(request);
        Ok(after(request, language.say("The pattern is deleted.", "Das Muster ist gelöscht.")))
    }

    async fn administrators(&self, request: &PageRequest) -> Result<PageResponse> {
        let addresses = request.field("administrators");
        self.host.set_property(notices::ADMINISTRATORS, addresses).await?;
        Ok(after(request, Language::of(request).say("Saved.", "Gespeichert.")))
    }

    /// What would happen to the text of the test box, as HTML.
    fn tried(&self, request: &PageRequest) -> Result<String> {
        let part = Part::from_word(request.field("part"))?;
        let direction = Direction::from_word(request.field("direction"))?;
        let sender = request.field("sender");
        let texts = [Text { part, text: request.field("text").to_owned() }];
        let rules = self.rules();
        let judgement = rules.judge(Sample { sender, direction }, &texts);
        Ok(outcome(Language::of(request), &judgement))
    }
}

fn after(request: &PageRequest, done: &str) -> PageResponse {
    PageResponse::redirect(&request.base).notice(NoticeLevel::Info, done)
}

fn outcome(language: Language, judgement: &Judgement<'_>) -> String {
    if judgement.matched.is_empty() {
        let text = language
            .say("It would pass: no pattern matches.", "Er käme durch: Kein Muster trifft zu.");
        return format!("<p class='note good' role='status'>{text}</p>");
    }
    let names = judgement.matched.iter().map(|pattern| {
        let action = pattern.action.label(language);
        format!("<li><code>{}</code>: {action}</li>", escaped(&pattern.text))
    });
    let what = match (judgement.refused_by, &judgement.masked) {
        (Some(pattern), _) => {
            let text = language.say(
                "It would be refused. Its sender would read:",
                "Er würde abgewiesen. Der Absender läse:",
            );
            format!("{text} “{}”", escaped(&pattern.reply))
        }
        (None, Some(texts)) => {
            let text = language.say("It would be delivered as:", "Er würde zugestellt als:");
            format!("{text} “{}”", escaped(&texts[0].text))
        }
        (None, None) => language
            .say("It would pass and be counted.", "Er käme durch und würde gezählt.")
            .to_owned(),
    };
    let names: String = names.collect();
    format!("<div class='note warn' role='status'><p>{what}</p><ul>{names}</ul></div>")
}

fn table(request: &PageRequest, kept: &[Kept]) -> String {
    let language = Language::of(request);
    let rows: String = kept.iter().map(|kept| row(request, kept)).collect();
    let heads = [
        ("Pattern", "Muster"),
        ("Action", "Was geschieht"),
        ("Where", "Wo"),
        ("Whose", "Wessen"),
        ("Matches", "Treffer"),
        ("Last", "Zuletzt"),
    ];
    let heads = heads.map(|(english, german)| {
        let class = if english == "Matches" { " class='number'" } else { "" };
        format!("<th scope='col'{class}>{}</th>", language.say(english, german))
    });
    let acts = language.say("Acts", "Handlungen");
    format!(
        "<div class='table'><table><thead><tr>{}<th scope='col'><span class='unseen'>{acts}</span></th>\
         </tr></thead><tbody>{rows}</tbody></table></div>\
         <p class='paging'>{}</p>{}",
        heads.concat(),
        Csv::link(request, "export"),
        question(request)
    )
}

/// The buttons of the table open it; each names its own action.
fn question(request: &PageRequest) -> String {
    let language = Language::of(request);
    let title = language.say("Delete the pattern", "Muster löschen");
    let title = &format!("{title} <q class='subject' data-subject></q>");
    let consequence = language.say(
        "Messages that it matches pass from now on, and its count is lost. To stop it for a while, tick Off \
         on its page.",
        "Nachrichten, auf die es zutrifft, kommen von nun an durch, und seine Zahl geht verloren. Um es eine \
         Weile auszusetzen, wählen Sie „Aus“ auf seiner Seite.",
    );
    let act = language.say("Delete", "Löschen");
    Question { id: "delete", title, consequence, act }.dialog(request, "delete")
}

fn row(request: &PageRequest, Kept { pattern, hits, last_ms }: &Kept) -> String {
    let (base, language) = (escaped(&request.base), Language::of(request));
    let text = escaped(&pattern.text);
    let badge = |is_shown: bool, class: &str, text: &str| match is_shown {
        true => format!(" <span class='badge{class}'>{text}</span>"),
        false => String::new(),
    };
    let kind = badge(pattern.is_regex, "", language.say("expression", "Ausdruck"));
    let off = badge(!pattern.enabled, " warn", language.say("off", "aus"));
    let tell = badge(pattern.notify, "", language.say("tells", "benachrichtigt"));
    let (action, part, direction) = (
        pattern.action.label(language),
        pattern.part.label(language),
        pattern.direction.label(language),
    );
    let last = last_ms.map_or_else(|| language.say("never", "nie").to_owned(), xml::time);
    let (id, delete) = (pattern.id, language.say("Delete", "Löschen"));
    format!(
        "<tr><th scope='row'><a href='{base}/edit/{id}'><code>{text}</code></a>{kind}{off}</th>\
         <td>{action}{tell}</td><td>{part}</td><td>{direction}</td>\
         <td class='number'>{hits}</td><td>{last}</td>\
         <td class='acts'><button type='button' class='button small danger' data-dialog='delete' \
         data-action='{base}/delete/{id}' data-subject='{text}' \
         aria-label='{delete} {text}'>{delete}</button></td></tr>"
    )
}

/// `refused`: why it was, or nothing.
fn form(request: &PageRequest, pattern: &Pattern, refused: &str) -> PageResponse {
    let language = Language::of(request);
    let title = match pattern.id {
        0 => language.say("New pattern", "Neues Muster"),
        _ => language.say("Pattern", "Muster"),
    };
    let open = request.open_form("save");
    let (id, base) = (pattern.id, escaped(&request.base));
    let save = language.say("Save", "Speichern");
    PageResponse::html(format!(
        "<div class='card narrow'>{open}<input type='hidden' name='id' value='{id}'>\
         {}{}<div class='buttons'><button class='button primary'>{save}</button>\
         <a class='button' href='{base}'>{}</a></div></form></div>",
        text_field(language, pattern, refused),
        fields(language, pattern),
        language.say("Cancel", "Abbrechen")
    ))
    .title(title)
}

fn text_field(language: Language, pattern: &Pattern, refused: &str) -> String {
    let (label, text) = (language.say("Pattern", "Muster"), escaped(&pattern.text));
    let hint = language.say(
        "Words match as whole words. Upper and lower case are the same.",
        "Wörter treffen als ganze Wörter zu. Groß und klein gilt gleich.",
    );
    let (error, is_invalid) = match refused.is_empty() {
        true => (String::new(), ""),
        false => (
            format!("<p class='error' id='text-error'>{}</p>", escaped(refused)),
            " aria-invalid='true'",
        ),
    };
    format!(
        "<div class='field'><label for='text'>{label}</label>\
         <input id='text' name='text' required maxlength='512' value='{text}' \
         aria-describedby='text-hint text-error'{is_invalid}>\
         <p class='hint' id='text-hint'>{hint}</p>{error}</div>"
    )
}

fn fields(language: Language, pattern: &Pattern) -> String {
    let (reply, excluded) = (escaped(&pattern.reply), escaped(&pattern.excluded));
    let reads = language.say(
        "What the sender of a refused message reads",
        "Was der Absender einer abgewiesenen Nachricht liest",
    );
    let except = language
        .say("Except for these addresses and domains", "Außer bei diesen Adressen und Domains");
    let lines = language.say("One per line.", "Eine je Zeile.");
    let is_regex = language.say("It is a regular expression", "Es ist ein regulärer Ausdruck");
    let tell = language.say("Tell the administrators", "Die Administratoren benachrichtigen");
    let (action, place) = (language.say("Action", "Was geschieht"), language.say("Where", "Wo"));
    let whose = language.say("Whose messages", "Wessen Nachrichten");
    [
        check("regex", is_regex, pattern.is_regex),
        select("action", action, Action::ALL, pattern.action, |it| it.label(language)),
        check("notify", tell, pattern.notify),
        format!(
            "<div class='field'><label for='reply'>{reads}</label>\
             <input id='reply' name='reply' maxlength='512' value='{reply}'></div>"
        ),
        select("part", place, Part::ALL, pattern.part, |it| it.label(language)),
        select("direction", whose, Direction::ALL, pattern.direction, |it| it.label(language)),
        format!(
            "<div class='field'><label for='excluded'>{except}</label>\
             <textarea id='excluded' name='excluded' rows='3' aria-describedby='excluded-hint'>{excluded}\
             </textarea><p class='hint' id='excluded-hint'>{lines}</p></div>"
        ),
        check("disabled", language.say("Off", "Aus"), !pattern.enabled),
    ]
    .concat()
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
    all: &[(T, &str)],
    chosen: T,
    read: impl Fn(T) -> &'static str,
) -> String {
    let option = |(value, word): &(T, &str)| {
        let selected = if *value == chosen { " selected" } else { "" };
        format!("<option value='{word}'{selected}>{}</option>", read(*value))
    };
    let options: String = all.iter().map(option).collect();
    format!(
        "<div class='field'><label for='{name}'>{label}</label>\
         <select id='{name}' name='{name}'>{options}</select></div>"
    )
}

/// What was tried stays in the box, beside what would happen to it.
fn test_form(request: &PageRequest, outcome: &str) -> String {
    let (open, language) = (request.open_form("test"), Language::of(request));
    let (text, sender) = (escaped(request.field("text")), escaped(request.field("sender")));
    let part = Part::from_word(request.field("part")).unwrap_or(Part::Body);
    let direction = Direction::from_word(request.field("direction")).unwrap_or(Direction::Sent);
    let it_is = language.say("It is", "Er steht als");
    let parts = select("part", it_is, &Part::ALL[..2], part, |it| it.label(language));
    let whose = language.say("Whose", "Wessen");
    let directions =
        select("direction", whose, &Direction::ALL[..2], direction, |it| it.label(language));
    let title = language.say("What would happen to this text?", "Was geschähe mit diesem Text?");
    let optional = language.say("(optional)", "(freiwillig)");
    let from = language.say("Sender", "Absender");
    let go = language.say("Try", "Ausprobieren");
    format!(
        "<div class='card'><h2>{title}</h2>{outcome}{open}\
         <div class='field'><label for='try'>Text</label>\
         <textarea id='try' name='text' rows='3' required>{text}</textarea></div>\
         <div class='grid'>{parts}{directions}<div class='field'><label for='sender'>{from} \
         <span class='optional'>{optional}</span></label>\
         <input id='sender' name='sender' value='{sender}'></div></div>\
         <div class='buttons'><button class='button'>{go}</button></div></form></div>"
    )
}

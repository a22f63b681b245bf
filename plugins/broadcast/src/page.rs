//! The console page: write, confirm, watch, look back.

use std::sync::Arc;

use hearth_plugin_api::xml::{self, escaped};
use hearth_plugin_api::{
    Csv, Error, Language, NoticeLevel, PageRequest, PageResponse, Query, Question, Result,
};

use crate::Broadcast;
use crate::audience::Audience;
use crate::commands::is_headline;
use crate::store::{self, Draft, Sending};
use crate::text;

/// Rows of the history that are shown at once.
const ROWS: u32 = 25;
/// Rows of the file.
const EXPORTED: u32 = 1000;

impl Broadcast {
    pub async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        let (path, language) = (request.path.clone(), Language::of(&request));
        match (request.is_post(), path.split_once('/').unwrap_or((&path, ""))) {
            (false, ("", _)) => self.overview(&request, "").await,
            (false, ("export", _)) => self.export().await,
            (true, ("confirm", _)) => self.confirm(&request).await,
            (true, ("send", _)) => {
                let begun = match draft(&request) {
                    Ok(draft) => self.begin(&draft).await,
                    Err(error) => Err(error),
                };
                match begun {
                    Ok((id, total)) => Ok(after(&request, Ok(goes_to(language, id, total)))),
                    Err(error) => self.refused(&request, &error).await,
                }
            }
            (true, ("stop", id)) => {
                let stopped = store::stop(&self.host, id.parse()?).await;
                let done =
                    language.say("The broadcast is stopped.", "Die Rundnachricht ist angehalten.");
                Ok(after(&request, stopped.map(|()| done.to_owned())))
            }
            _ => Ok(PageResponse::not_found()),
        }
    }

    /// The form with what was typed, and why it was refused.
    async fn refused(&self, request: &PageRequest, error: &Error) -> Result<PageResponse> {
        let why = text::reason(Language::of(request), &error.message);
        let page = self.overview(request, &why).await?;
        Ok(PageResponse { status: 422, ..page })
    }

    async fn overview(&self, request: &PageRequest, refused: &str) -> Result<PageResponse> {
        let language = Language::of(request);
        let fields = self.audience_field(request).await? + &message_fields(request, refused);
        let (open, history) = (request.open_form("confirm"), self.history(request).await?);
        let go_on = language.say("Go on…", "Weiter…");
        let title = language.say("History", "Verlauf");
        Ok(PageResponse::html(format!(
            "<div class='card narrow'>{open}{fields}\
             <div class='buttons'><button class='button primary'>{go_on}</button></div></form>\
             </div><h2>{title}</h2>{history}{}",
            question(request)
        )))
    }

    async fn audience_field(&self, request: &PageRequest) -> Result<String> {
        let language = Language::of(request);
        let group = language.say("Group", "Gruppe");
        let groups = self.host.people().groups(Query::first(1000)).await?;
        let groups = groups.iter().map(|found| {
            let name = &found.name;
            option(request, "to", &format!("group:{name}"), &format!("{group} {name}"))
        });
        let all = language.say("All users", "Alle Benutzer");
        let online = language.say("Users who are online", "Benutzer, die online sind");
        let options = option(request, "to", "all", all)
            + &option(request, "to", "online", online)
            + &groups.collect::<String>();
        let to = language.say("To", "An");
        Ok(format!(
            "<div class='field'><label for='to'>{to}</label><select id='to' name='to'>\
             {options}</select></div>"
        ))
    }

    /// What was sent, as a file.
    async fn export(&self) -> Result<PageResponse> {
        let mut csv = Csv::new(&[
            "id", "at", "by", "to", "type", "subject", "body", "state", "reason", "total", "sent",
            "failed",
        ]);
        for sending in store::before(&self.host, i64::MAX, EXPORTED).await? {
            csv.row(cells(sending));
        }
        Ok(csv.into_response("broadcasts.csv"))
    }

    async fn confirm(&self, request: &PageRequest) -> Result<PageResponse> {
        let counted = match draft(request) {
            Ok(draft) => draft.audience.count(&self.host).await.map(|total| (draft, total)),
            Err(error) => Err(error),
        };
        let (draft, total) = match counted {
            Ok(counted) => counted,
            Err(error) => return self.refused(request, &error).await,
        };
        let hidden: String = ["to", "type", "subject", "body"]
            .map(|name| {
                let value = escaped(request.field(name));
                format!("<input type='hidden' name='{name}' value='{value}'>")
            })
            .concat();
        let (open, base) = (request.open_form("send"), escaped(&request.base));
        let (subject, body) = (escaped(&draft.subject), escaped(&draft.body));
        let language = Language::of(request);
        let audience = escaped(&text::audience(language, &draft.audience));
        let (means, send) = match language {
            Language::English => (
                format!(
                    "This message goes to <strong>{total} users</strong> ({audience}). It cannot be \
                     taken back."
                ),
                format!("Send to {total} users"),
            ),
            Language::German => (
                format!(
                    "Diese Nachricht geht an <strong>{total} Benutzer</strong> ({audience}). Sie \
                     lässt sich nicht zurücknehmen."
                ),
                format!("An {total} Benutzer senden"),
            ),
        };
        let cancel = language.say("Cancel", "Abbrechen");
        Ok(PageResponse::html(format!(
            "<div class='card narrow'><p>{means}</p><p><strong>{subject}</strong></p>\
             <p class='note'>{body}</p>{open}{hidden}\
             <div class='buttons'><button class='button primary'>{send}</button>\
             <a class='button' href='{base}'>{cancel}</a></div></form></div>"
        ))
        .title(language.say("Send a broadcast?", "Rundnachricht senden?")))
    }

    /// While something is under way the list looks again by itself.
    async fn history(&self, request: &PageRequest) -> Result<String> {
        let before = request.param("before").parse().unwrap_or(i64::MAX);
        let all = store::before(&self.host, before, ROWS).await?;
        let language = Language::of(request);
        if all.is_empty() {
            let none = language.say("Nothing has been sent.", "Es wurde noch nichts gesendet.");
            return Ok(format!("<p class='empty'>{none}</p>"));
        }
        let base = escaped(&request.base);
        let again = match all.iter().any(|sending| sending.state == "running") {
            true => format!(
                " hx-get='{base}?before={before}' hx-trigger='every 2s' hx-select='#history' \
                 hx-swap='outerHTML'"
            ),
            false => String::new(),
        };
        let rows: String = all.iter().map(|sending| row(request, sending)).collect();
        let older = match all.last() {
            Some(last) if all.len() == ROWS as usize => {
                let (id, older) = (last.id, language.say("Older", "Ältere"));
                format!("<a class='button' href='{base}?before={id}'>{older}</a>")
            }
            _ => String::new(),
        };
        let heads = language.say(
            "<th>When</th><th>By</th><th>To</th><th>Text</th><th>State</th><th class='number'>Sent</th>",
            "<th>Wann</th><th>Von</th><th>An</th><th>Text</th><th>Zustand</th>\
             <th class='number'>Gesendet</th>",
        );
        Ok(format!(
            "<div id='history'{again}><div class='table'><table><thead><tr>{heads}<th></th></tr>\
             </thead><tbody>{rows}</tbody></table></div><p class='paging'>{older}{}</p></div>",
            Csv::link(request, "export")
        ))
    }
}

fn option(request: &PageRequest, field: &str, value: &str, label: &str) -> String {
    let chosen = if request.field(field) == value { " selected" } else { "" };
    format!("<option value='{}'{chosen}>{}</option>", escaped(value), escaped(label))
}

fn message_fields(request: &PageRequest, refused: &str) -> String {
    let language = Language::of(request);
    let normal = language
        .say("Message: kept for those who are away", "Nachricht: wird für Abwesende aufgehoben");
    let headline = language
        .say("Headline: only for those who are there", "Schlagzeile: nur für die, die da sind");
    let types =
        option(request, "type", "normal", normal) + &option(request, "type", "headline", headline);
    let (subject, body) = (escaped(request.field("subject")), escaped(request.field("body")));
    let (why, is_invalid) = match refused.is_empty() {
        true => (String::new(), ""),
        false => (
            format!("<p class='error' id='body-error'>{}</p>", escaped(refused)),
            " aria-invalid='true' aria-describedby='body-error'",
        ),
    };
    let [type_, about, optional] = [
        language.say("Type", "Art"),
        language.say("Subject", "Betreff"),
        language.say("(optional)", "(freiwillig)"),
    ];
    format!(
        "<div class='field'><label for='type'>{type_}</label><select id='type' name='type'>\
         {types}</select></div>\
         <div class='field'><label for='subject'>{about} \
         <span class='optional'>{optional}</span></label>\
         <input id='subject' name='subject' maxlength='200' value='{subject}'></div>\
         <div class='field'><label for='body'>Text</label>\
         <textarea id='body' name='body' rows='5' maxlength='20000' required\
         {is_invalid}>{body}</textarea>{why}</div>"
    )
}

fn draft(request: &PageRequest) -> Result<Draft> {
    Ok(Draft {
        actor: request.admin.clone(),
        audience: Audience::parse(request.field("to"))?,
        headline: is_headline(request.field("type"))?,
        subject: request.field("subject").to_owned(),
        body: request.field("body").to_owned(),
    })
}

fn after(request: &PageRequest, done: Result<String>) -> PageResponse {
    let back = PageResponse::redirect(&request.base);
    match done {
        Ok(text) => back.notice(NoticeLevel::Info, &text),
        Err(error) => {
            back.notice(NoticeLevel::Error, &text::reason(Language::of(request), &error.message))
        }
    }
}

fn goes_to(language: Language, id: i64, total: i64) -> String {
    match language {
        Language::English => format!("Broadcast {id} goes to {total} users."),
        Language::German => format!("Die Rundnachricht {id} geht an {total} Benutzer."),
    }
}

/// It stands beside the list, which is drawn anew.
fn question(request: &PageRequest) -> String {
    let (language, subject) = (Language::of(request), "<q class='subject' data-subject></q>");
    let title = match language {
        Language::English => format!("Stop the broadcast {subject}"),
        Language::German => format!("Die Rundnachricht {subject} anhalten"),
    };
    let consequence = language.say(
        "Who has it keeps it, everybody else does not get it. It cannot be continued.",
        "Wer sie hat, behält sie, alle anderen bekommen sie nicht. Sie lässt sich nicht fortsetzen.",
    );
    Question { id: "stop", title: &title, consequence, act: stop(language) }.dialog(request, "stop")
}

/// Other than what closes the question.
fn stop(language: Language) -> &'static str {
    language.say("Stop", "Anhalten")
}

/// Of a row of the file.
fn cells(sending: Sending) -> [String; 12] {
    let Sending { id, created_ms, draft, state, reason, total, sent, failed, .. } = sending;
    let Draft { actor, audience, headline, subject, body } = draft;
    let type_ = if headline { "headline" } else { "normal" }.to_owned();
    let [id, total, sent, failed] = [id, total, sent, failed].map(|count| count.to_string());
    let (at, to) = (xml::timestamp(created_ms), audience.to_string());
    [id, at, actor, to, type_, subject, body, state, reason, total, sent, failed]
}

fn row(request: &PageRequest, sending: &Sending) -> String {
    let Sending { id, draft, total, sent, failed, .. } = sending;
    let language = Language::of(request);
    let shown: String = [&draft.subject, " ", &draft.body].concat().chars().take(80).collect();
    let (look, reason) = match sending.state.as_str() {
        "done" => ("badge good", ""),
        "running" => ("badge", ""),
        _ => ("badge warn", sending.reason.as_str()),
    };
    let failed = match failed {
        0 => String::new(),
        _ => format!(", {failed} {}", language.say("failed", "gescheitert")),
    };
    let act = match sending.state.as_str() {
        "running" => format!(
            "<button type='button' class='button small danger' data-dialog='stop' \
             data-action='{}/stop/{id}' data-subject='{}'>{}</button>",
            escaped(&request.base),
            escaped(shown.trim()),
            stop(language)
        ),
        _ => String::new(),
    };
    let most = (*total).max(1);
    let (label, of) = (language.say("Sent", "Gesendet"), language.say("of", "von"));
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td><span class='{look}'>{}</span> {}</td>\
         <td class='number'><progress value='{sent}' max='{most}' aria-label='{label}'></progress> \
         {sent} {of} {total}{failed}</td><td class='acts'>{act}</td></tr>",
        xml::time(sending.created_ms),
        escaped(&draft.actor),
        escaped(&text::audience(language, &draft.audience)),
        escaped(shown.trim()),
        text::state(language, &sending.state),
        escaped(&text::reason(language, reason)),
    )
}

//! The console page: write, confirm, watch, look back.

use std::sync::Arc;

use hearth_plugin_api::xml::{self, escaped};
use hearth_plugin_api::{Error, NoticeLevel, PageRequest, PageResponse, Query, Result};

use crate::Broadcast;
use crate::audience::Audience;
use crate::commands::is_headline;
use crate::store::{self, Draft, Sending};

/// Rows of the history that are shown at once.
const ROWS: u32 = 25;
/// Rows of the file.
const EXPORTED: u32 = 1000;

impl Broadcast {
    pub async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        let path = request.path.clone();
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
                    Ok((id, total)) => {
                        Ok(after(&request, Ok(format!("Broadcast {id} goes to {total} users."))))
                    }
                    Err(error) => self.refused(&request, &error).await,
                }
            }
            (true, ("stop", id)) => {
                let stopped = store::stop(&self.host, id.parse()?).await;
                Ok(after(&request, stopped.map(|()| "The broadcast is stopped.".to_owned())))
            }
            _ => Ok(PageResponse::not_found()),
        }
    }

    /// The form with what was typed, and why it was refused.
    async fn refused(&self, request: &PageRequest, error: &Error) -> Result<PageResponse> {
        let page = self.overview(request, &error.message).await?;
        Ok(PageResponse { status: 422, ..page })
    }

    async fn overview(&self, request: &PageRequest, refused: &str) -> Result<PageResponse> {
        let groups = self.host.people().groups(Query::first(1000)).await?;
        let option = |name: &str, value: &str, label: &str| {
            let chosen = if request.field(name) == value { " selected" } else { "" };
            format!("<option value='{}'{chosen}>{}</option>", escaped(value), escaped(label))
        };
        let group =
            |name: &String| option("to", &format!("group:{name}"), &format!("Group {name}"));
        let groups: String = groups.iter().map(|found| group(&found.name)).collect();
        let everybody =
            option("to", "all", "All users") + &option("to", "online", "Users who are online");
        let types = option("type", "normal", "Message: kept for those who are away")
            + &option("type", "headline", "Headline: only for those who are there");
        let (subject, body) = (escaped(request.field("subject")), escaped(request.field("body")));
        let (why, is_invalid) = match refused.is_empty() {
            true => (String::new(), ""),
            false => (
                format!("<p class='error' id='body-error'>{}</p>", escaped(refused)),
                " aria-invalid='true' aria-describedby='body-error'",
            ),
        };
        let open = request.open_form("confirm");
        let history = self.history(request).await?;
        Ok(PageResponse::html(format!(
            "<div class='card narrow'>{open}\
             <div class='field'><label for='to'>To</label><select id='to' name='to'>\
             {everybody}{groups}</select></div>\
             <div class='field'><label for='type'>Type</label><select id='type' name='type'>\
             {types}</select></div>\
             <div class='field'><label for='subject'>Subject \
             <span class='optional'>(optional)</span></label>\
             <input id='subject' name='subject' maxlength='200' value='{subject}'></div>\
             <div class='field'><label for='body'>Text</label>\
             <textarea id='body' name='body' rows='5' maxlength='20000' required\
             {is_invalid}>{body}</textarea>{why}</div>\
             <div class='buttons'><button class='button primary'>Go on…</button></div></form>\
             </div><h2>History</h2>{history}{}",
            question(request)
        )))
    }

    /// What was sent, as a file.
    async fn export(&self) -> Result<PageResponse> {
        let heads = "id,at,by,to,type,subject,body,state,reason,total,sent,failed";
        let all = store::before(&self.host, i64::MAX, EXPORTED).await?;
        let csv = all.iter().fold(format!("{heads}\r\n"), |file, sending| file + &line(sending));
        let file_name = Some("broadcasts.csv".to_owned());
        Ok(PageResponse { file_name, ..PageResponse::document("text/csv", csv) })
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
        Ok(PageResponse::html(format!(
            "<div class='card narrow'><p>This message goes to <strong>{total} users</strong> \
             ({}). It cannot be taken back.</p><p><strong>{subject}</strong></p>\
             <p class='note'>{body}</p>{open}{hidden}\
             <div class='buttons'><button class='button primary'>Send to {total} users</button>\
             <a class='button' href='{base}'>Cancel</a></div></form></div>",
            escaped(&draft.audience.to_string())
        ))
        .title("Send a broadcast?"))
    }

    /// While something is under way the list looks again by itself.
    async fn history(&self, request: &PageRequest) -> Result<String> {
        let before = request.param("before").parse().unwrap_or(i64::MAX);
        let all = store::before(&self.host, before, ROWS).await?;
        if all.is_empty() {
            return Ok("<p class='empty'>Nothing has been sent.</p>".to_owned());
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
                let id = last.id;
                format!("<a class='button' href='{base}?before={id}'>Older</a>")
            }
            _ => String::new(),
        };
        Ok(format!(
            "<div id='history'{again}><div class='table'><table><thead><tr><th>When</th><th>By</th>\
             <th>To</th><th>Text</th><th>State</th><th class='number'>Sent</th><th></th></tr>\
             </thead><tbody>{rows}</tbody></table></div><p class='paging'>{older}\
             <a class='button quiet' href='{base}/export' download>Export as CSV</a></p></div>"
        ))
    }
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
        Err(error) => back.notice(NoticeLevel::Error, &error.message),
    }
}

/// The console's dialog. It stands beside the list, which is drawn anew.
fn question(request: &PageRequest) -> String {
    let open = request.open_form("stop");
    format!(
        "<dialog id='stop' aria-labelledby='stop-title'>{open}\
         <h2 id='stop-title'>Stop the broadcast <q class='subject' data-subject></q></h2>\
         <p class='consequence'>Who has it keeps it, everybody else does not get it. It cannot be \
         continued.</p><div class='buttons'><button class='button danger solid'>Stop</button>\
         <button class='button' type='button' data-close-dialog>Cancel</button></div></form></dialog>"
    )
}

/// RFC 4180.
fn line(sending: &Sending) -> String {
    let Sending { id, created_ms, draft, state, reason, total, sent, failed, .. } = sending;
    let type_ = if draft.headline { "headline" } else { "normal" };
    let to = draft.audience.to_string();
    let texts = [draft.actor.as_str(), &to, type_, &draft.subject, &draft.body];
    let texts = texts.map(quoted).join(",");
    let (at, reason) = (xml::timestamp(*created_ms), quoted(reason));
    format!("{id},{at},{texts},{state},{reason},{total},{sent},{failed}\r\n")
}

/// What a spreadsheet would take for a formula becomes a text.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn row(request: &PageRequest, sending: &Sending) -> String {
    let Sending { id, draft, total, sent, failed, .. } = sending;
    let shown: String = [&draft.subject, " ", &draft.body].concat().chars().take(80).collect();
    let (look, reason) = match sending.state.as_str() {
        "done" => ("badge good", ""),
        "running" => ("badge", ""),
        _ => ("badge warn", sending.reason.as_str()),
    };
    let failed = if *failed > 0 { format!(", {failed} failed") } else { String::new() };
    let act = match sending.state.as_str() {
        "running" => format!(
            "<button type='button' class='button small danger' data-dialog='stop' \
             data-action='{}/stop/{id}' data-subject='{}'>Stop</button>",
            escaped(&request.base),
            escaped(shown.trim())
        ),
        _ => String::new(),
    };
    let most = (*total).max(1);
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td><span class='{look}'>{}</span> {}</td>\
         <td class='number'><progress value='{sent}' max='{most}' aria-label='Sent'></progress> \
         {sent} of {total}{failed}</td><td class='acts'>{act}</td></tr>",
        xml::time(sending.created_ms),
        escaped(&draft.actor),
        escaped(&draft.audience.to_string()),
        escaped(shown.trim()),
        sending.state,
        escaped(reason),
    )
}

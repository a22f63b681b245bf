//! The console page: write, confirm, watch, look back.

use std::sync::Arc;

use hearth_plugin_api::xml::{self, escaped};
use hearth_plugin_api::{NoticeLevel, PageRequest, PageResponse, Query, Result};

use crate::Broadcast;
use crate::audience::Audience;
use crate::commands::is_headline;
use crate::store::{self, Draft, Sending};

/// Rows of the history that are shown at once.
const ROWS: u32 = 25;

impl Broadcast {
    pub async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        let path = request.path.clone();
        match (request.is_post(), path.split_once('/').unwrap_or((&path, ""))) {
            (false, ("", _)) => self.overview(&request).await,
            (true, ("confirm", _)) => self.confirm(&request).await,
            (true, ("send", _)) => {
                let begun = match draft(&request) {
                    Ok(draft) => self.begin(&draft).await,
                    Err(error) => Err(error),
                };
                let sent =
                    begun.map(|(id, total)| format!("Broadcast {id} goes to {total} users."));
                Ok(after(&request, sent))
            }
            (true, ("stop", id)) => {
                let stopped = store::stop(&self.host, id.parse()?).await;
                Ok(after(&request, stopped.map(|()| "The broadcast is stopped.".to_owned())))
            }
            _ => Ok(PageResponse::not_found()),
        }
    }

    async fn overview(&self, request: &PageRequest) -> Result<PageResponse> {
        let groups = self.host.people().groups(Query::first(1000)).await?;
        let option = |name: &String| {
            let name = escaped(name);
            format!("<option value='group:{name}'>Group {name}</option>")
        };
        let groups: String = groups.iter().map(|group| option(&group.name)).collect();
        let open = request.open_form("confirm");
        let history = self.history(request).await?;
        Ok(PageResponse::html(format!(
            "<div class='card narrow'>{open}\
             <div class='field'><label for='to'>To</label><select id='to' name='to'>\
             <option value='all'>All users</option>\
             <option value='online'>Users who are online</option>{groups}</select></div>\
             <div class='field'><label for='type'>Type</label><select id='type' name='type'>\
             <option value='normal'>Message: kept for those who are away</option>\
             <option value='headline'>Headline: only for those who are there</option>\
             </select></div>\
             <div class='field'><label for='subject'>Subject \
             <span class='optional'>(optional)</span></label>\
             <input id='subject' name='subject' maxlength='200'></div>\
             <div class='field'><label for='body'>Text</label>\
             <textarea id='body' name='body' rows='5' maxlength='20000' required></textarea></div>\
             <div class='buttons'><button class='button primary'>Go on…</button></div></form>\
             </div><h2>History</h2>{history}"
        )))
    }

    async fn confirm(&self, request: &PageRequest) -> Result<PageResponse> {
        let counted = match draft(request) {
            Ok(draft) => draft.audience.count(&self.host).await.map(|total| (draft, total)),
            Err(error) => Err(error),
        };
        let (draft, total) = match counted {
            Ok(counted) => counted,
            Err(error) => return Ok(after(request, Err(error))),
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
                format!(
                    "<p class='paging'><a class='button' href='{base}?before={id}'>Older</a></p>"
                )
            }
            _ => String::new(),
        };
        Ok(format!(
            "<div id='history'{again}><div class='table'><table><thead><tr><th>When</th><th>By</th>\
             <th>To</th><th>Text</th><th>State</th><th class='number'>Sent</th><th></th></tr>\
             </thead><tbody>{rows}</tbody></table></div>{older}</div>"
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
        "running" => {
            let open = request.open_form(&format!("stop/{id}"));
            format!("{open}<button class='button small danger'>Stop</button></form>")
        }
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

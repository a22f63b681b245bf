//! XEP-0012: Last Activity, of the server (its uptime) and of accounts.

use std::sync::Arc;

use super::{Iq, Question, Reply, Services, Xep, answer};
use crate::clock::Timestamp;
use crate::host::HostId;
use crate::im::roster::Key;
use crate::jid::Jid;
use crate::ns;
use crate::router::{Out, Target};
use crate::session::Entry;
use crate::session::registry::Entries;
use crate::stanza::Condition;
use crate::storage::StorageError;
use crate::xml::Element;

pub static XEP: Xep = Xep {
    number: 12,
    name: "Last Activity",
    version: "2.0",
    features: &[ns::LAST],
    iqs: &[Iq {
        namespace: ns::LAST,
        targets: &[Target::Server, Target::Own, Target::Account],
        handle: last,
    }],
};

fn last(services: &Arc<Services>, question: &Question<'_>, out: &mut Out) -> Reply {
    if !question.is_get() {
        return Condition::BadRequest.into();
    }
    let now = services.clock.now();
    match question.request.target {
        Target::Server => Reply::Result(query(now, &Away::since(services.started))),
        // §4: who asks is there at this moment.
        Target::Own => Reply::Result(query(now, &Away::since(now))),
        Target::Account => {
            let (services, request) = (services.clone(), question.request.stanza.clone());
            let host = question.host();
            out.wait(async move {
                let mut out = Out::default();
                let (Some(from), Some(to)) = (&request.head.from, &request.head.to) else {
                    return out;
                };
                let reply = match of_account(&services, host, to, from).await {
                    Ok(Some(away)) => Reply::Result(query(now, &away)),
                    // §4: only who may see the presence learns of it.
                    Ok(None) => Condition::Forbidden.into(),
                    Err(error) => {
                        tracing::error!(%error, "last activity is not known");
                        Condition::InternalServerError.into()
                    }
                };
                answer(&request, reply, &mut out);
                out
            });
            Reply::Later
        }
    }
}

/// How long somebody has been away.
struct Away {
    /// Now, when he is there.
    since: Timestamp,
    /// The `<status/>` with which he went.
    status: Option<String>,
}

impl Away {
    fn since(since: Timestamp) -> Away {
        Away { since, status: None }
    }
}

/// What is to be told of the account `to`; `None` when `from` may not know.
async fn of_account(
    services: &Services,
    host: HostId,
    to: &Jid,
    from: &Jid,
) -> Result<Option<Away>, StorageError> {
    let local = to.local().unwrap_or_default();
    let Some(login) = services.accounts.find(host, local).await? else { return Ok(None) };
    let key = Key { host, account: login.row.id };
    let roster = services.im.roster(key).await?;
    if !roster.item(from.bare_str()).is_some_and(|item| item.state.from()) {
        return Ok(None);
    }
    let choose = |entries: &[Entry]| entries.iter().filter(|e| e.is_available()).cloned().collect();
    let online: Option<(_, Entries)> = services.removal.registry.select(host, local, choose);
    if online.is_some_and(|(_, sessions)| !sessions.is_empty()) {
        return Ok(Some(Away::since(services.clock.now())));
    }
    let Some((since, presence)) = services.im.last_presence(key).await else {
        // Never seen: as long away as it exists.
        return Ok(Some(Away::since(login.row.created)));
    };
    let status = presence.child("status", ns::CLIENT);
    let status = status.map(|status| status.element().text().into_owned());
    Ok(Some(Away { since, status }))
}

fn query(now: Timestamp, away: &Away) -> Element {
    let seconds = now.since(away.since).as_secs().to_string();
    let query = Element::new("query", ns::LAST).with_attr("seconds", seconds);
    match &away.status {
        Some(status) => query.with_text(status),
        None => query,
    }
}

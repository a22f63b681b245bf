//! `presence`: what it costs to tell a contact that a user's presence changed.

use super::broadcast::{self, Plan};
use super::roster;
use crate::error::{LoadError, Result};
use crate::fleet;
use crate::iq;
use crate::link::Link;
use crate::options::Presence;
use crate::scan;
use crate::session::{Dialer, Session};
use std::collections::HashSet;
use std::rc::Rc;

/// Bytes of the status text: enough for the mark.
const STATUS: usize = 48;

/// Makes groups in which everybody is subscribed to everybody, then lets all change presence.
pub async fn run(options: Presence) -> Result<()> {
    let target = &options.target;
    let size = options.contacts + 1;
    if options.contacts == 0 || target.users == 0 || !target.users.is_multiple_of(size) {
        return Err(LoadError::Usage(format!(
            "--users must be a multiple of {size} (contacts + 1)"
        )));
    }
    let dialer = Rc::new(Dialer::new(target)?);
    let sessions = fleet::log_in_everybody(&dialer, false).await?;
    let jids: Rc<Vec<String>> = Rc::new(sessions.iter().map(|one| bare(&one.jid)).collect());
    let deadline = target.timeout();
    let befriend = async move |index: usize, session: Session| {
        let group = index / size * size..(index / size + 1) * size;
        let others = jids[group].iter().filter(|jid| **jid != jids[index]);
        let friends = befriend(session.link, others.map(String::as_str).collect());
        tokio::time::timeout(deadline, friends)
            .await
            .unwrap_or(Err(LoadError::Timeout("making the subscriptions")))
    };
    // All at once: each needs the others' approvals.
    let links: Result<Vec<Link>> =
        fleet::for_each(sessions, target.users, befriend).await.into_iter().collect();
    let mut links = links?.into_iter();
    let groups: Vec<Vec<Link>> =
        (0..target.users / size).map(|_| links.by_ref().take(size).collect()).collect();
    let plan = Plan {
        before: vec!["<presence><status>".into(); groups.len()],
        after: "</status></presence>",
        text: STATUS,
        senders: size,
        window: 1,
        reflected: false,
    };
    let mut report = broadcast::run(groups, plan, target, &options.span).await?;
    let name = || format!("presence to {} contacts, {}", options.contacts, target.tls.name());
    report.row = target.row.clone().unwrap_or_else(name);
    report.publish(target.strict)
}

fn bare(jid: &str) -> String {
    jid.split('/').next().unwrap_or(jid).to_owned()
}

/// Subscribes to all `others` and approves theirs (RFC 6121 §3.1) until all are mutual.
async fn befriend(mut link: Link, others: Vec<&str>) -> Result<Link> {
    let roster = iq::request(&mut link, roster::GET, b"get").await?;
    let mut mutual: HashSet<String> = mutual_in(&roster).collect();
    link.out.extend_from_slice(b"<presence/>");
    for jid in &others {
        if !mutual.contains(*jid) {
            link.out
                .extend_from_slice(format!("<presence type='subscribe' to='{jid}'/>").as_bytes());
        }
    }
    while !others.iter().all(|jid| mutual.contains(*jid)) {
        let element = link.element().await?;
        let kind = scan::attribute(&element, b"type");
        match (scan::name(&element), kind) {
            (b"presence", Some(b"subscribe")) => {
                let from = scan::attribute(&element, b"from").unwrap_or_default();
                let from = bare(&String::from_utf8_lossy(from));
                let approval = format!("<presence type='subscribed' to='{from}'/>");
                link.out.extend_from_slice(approval.as_bytes());
            }
            (b"iq", Some(b"set")) => {
                mutual.extend(mutual_in(&element));
                iq::answer_request(&element, &mut link.out);
            }
            _ => {}
        }
    }
    link.flush().await?;
    Ok(link)
}

/// The contacts with subscription `both` in a roster or a push.
fn mutual_in(roster: &[u8]) -> impl Iterator<Item = String> + '_ {
    memchr::memmem::find_iter(roster, b"<item").filter_map(|at| {
        let item = &roster[at..];
        let jid = scan::attribute(item, b"jid")?;
        let mutual = scan::attribute(item, b"subscription") == Some(b"both");
        mutual.then(|| String::from_utf8_lossy(jid).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mutual_contacts() {
        let roster = b"<iq><query><item jid='a@b' subscription='both'/><item subscription='to' \
            jid='c@d'/><item subscription='both' name='x' jid='e@f'><group>g</group></item>";
        assert_eq!(mutual_in(roster).collect::<Vec<_>>(), ["a@b", "e@f"]);
    }
}

//! `muc`: what a copy of a room message costs (XEP-0045).

use super::broadcast::{self, Plan};
use crate::error::{LoadError, Result};
use crate::fleet;
use crate::iq;
use crate::link::Link;
use crate::options::Muc;
use crate::scan;
use crate::session::{Dialer, Session};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;

/// Fills the rooms, then one occupant of each talks.
pub async fn run(options: Muc) -> Result<()> {
    let target = &options.target;
    let size = options.occupants;
    if size == 0 || target.users == 0 || !target.users.is_multiple_of(size) {
        return Err(LoadError::Usage(format!("--users must be a multiple of {size} (occupants)")));
    }
    let rooms = room_names(&options);
    let dialer = Rc::new(Dialer::new(target)?);
    let mut sessions = fleet::log_in_everybody(&dialer, true).await?.into_iter();
    let mut groups = Vec::new();
    for room in &rooms {
        let occupants: Vec<Session> = sessions.by_ref().take(size).collect();
        groups.push(fill(room.clone(), occupants, target.timeout()).await?);
    }
    let open = |room| format!("<message type='groupchat' to='{room}'><body>");
    let plan = Plan {
        before: rooms.iter().map(open).collect(),
        after: "</body></message>",
        text: options.body,
        senders: 1,
        window: options.window,
        reflected: true,
    };
    let mut report = broadcast::run(groups, plan, target, &options.span).await?;
    let name = || format!("room message, {} rooms × {size}, w{}", rooms.len(), options.window);
    report.row = target.row.clone().unwrap_or_else(name);
    report.publish(target.strict)
}

/// New rooms for each run, so that no history of an earlier one comes in.
fn room_names(options: &Muc) -> Vec<String> {
    let default = || format!("conference.{}", options.target.domain);
    let service = options.service.clone().unwrap_or_else(default);
    let (run, count) = (std::process::id(), options.target.users / options.occupants);
    (0..count).map(|number| format!("load-{run}-{number}@{service}")).collect()
}

/// Lets the occupants enter one after the other, as the first makes the room. All of them read
/// meanwhile: each entry is told to everybody who is there.
async fn fill(room: String, occupants: Vec<Session>, deadline: Duration) -> Result<Vec<Link>> {
    let size = occupants.len();
    let entered = Rc::new(watch::Sender::new(0));
    let job = async move |index: usize, session: Session| {
        let mut link = session.link;
        read_until(&mut link, &entered, index).await?;
        let outcome = tokio::time::timeout(deadline, enter(&mut link, &room, index))
            .await
            .unwrap_or(Err(LoadError::Timeout("entering a room")));
        // After a failure the others need not wait: the run is over.
        let now = if outcome.is_ok() { index + 1 } else { size };
        entered.send_modify(|count| *count = now.max(*count));
        outcome?;
        read_until(&mut link, &entered, size).await?;
        Ok(link)
    };
    fleet::for_each(occupants, size, job).await.into_iter().collect()
}

/// Reads and drops what comes until so many occupants have entered.
async fn read_until(link: &mut Link, entered: &watch::Sender<usize>, count: usize) -> Result<()> {
    let mut entered = entered.subscribe();
    loop {
        tokio::select! {
            _ = entered.wait_for(|&now| now >= count) => return Ok(()),
            read = link.pump(|_| false) => read?,
        }
        while link.framer.next()?.is_some() {}
    }
}

/// Enters a room and waits for the own presence (XEP-0045 §7.2.2); the first occupant accepts the
/// default configuration (§10.1.2: an instant room).
async fn enter(link: &mut Link, room: &str, index: usize) -> Result<()> {
    let join = format!(
        "<presence to='{room}/user{index}'><x xmlns='http://jabber.org/protocol/muc'>\
         <history maxstanzas='0'/></x></presence>"
    );
    link.out.extend_from_slice(join.as_bytes());
    loop {
        let element = link.element().await?;
        if scan::name(&element) != b"presence" {
            continue;
        }
        if scan::attribute(&element, b"type") == Some(b"error") {
            return Err(LoadError::refused("entering a room", &element));
        }
        // XEP-0045 §15.6.2: 201 the room is new, 110 this is you.
        if has_status(&element, 201) {
            let submit = format!(
                "<iq type='set' id='instant' to='{room}'>\
                 <query xmlns='http://jabber.org/protocol/muc#owner'>\
                 <x xmlns='jabber:x:data' type='submit'/></query></iq>"
            );
            iq::request(link, submit.as_bytes(), b"instant").await?;
            return Ok(());
        }
        if has_status(&element, 110) {
            return Ok(());
        }
    }
}

fn has_status(presence: &[u8], code: u16) -> bool {
    ["'", "\""].iter().any(|quote| scan::contains(presence, &format!("code={quote}{code}{quote}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nickname_is_no_status() {
        let presence = b"<presence from='r@c/user201'><x><status code='110'/></x></presence>";
        assert!(has_status(presence, 110) && !has_status(presence, 201));
        assert!(has_status(b"<status code=\"201\"/>", 201));
    }
}

//! `roster`: what fetching a roster costs.

use crate::clock;
use crate::error::Result;
use crate::fleet;
use crate::iq;
use crate::link::Link;
use crate::options::Roster;
use crate::scan;
use crate::session::{Dialer, Session};
use crate::tally::{Tally, add};
use std::rc::Rc;

/// RFC 6121 §2.1.3. Without `ver`, so that every answer is the whole roster.
pub const GET: &[u8] = b"<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>";

/// Each user fetches its roster over and over, one request at a time.
pub async fn run(options: Roster) -> Result<()> {
    let target = &options.target;
    let dialer = Rc::new(Dialer::new(target)?);
    let sessions = fleet::log_in_everybody(&dialer, false).await?;
    let (items, domain) = (options.items, target.domain.clone());
    let fill = async move |_, session: Session| fill(session.link, items, &domain).await;
    let links = fleet::for_each(sessions, target.concurrency, fill).await;

    let tally = Rc::new(Tally::default());
    for link in links {
        let (link, tally) = (link?, tally.clone());
        tokio::task::spawn_local(async move {
            if let Err(error) = fetch(link, &tally).await {
                tally.fail(&error);
            }
        });
    }
    let mut report = tally.measure(target, &options.span, "round trip").await?;
    report.row = target.row.clone().unwrap_or_else(|| format!("roster get, {items} items"));
    tally.drain(target.timeout as f64, &mut report).await;
    report.publish(target.strict)
}

async fn fetch(mut link: Link, tally: &Tally) -> Result<()> {
    while !tally.stopped.get() {
        let begin = clock::micros();
        add(&tally.sent, 1);
        iq::request(&mut link, GET, b"get").await?;
        add(&tally.delivered, 1);
        tally.took(begin, clock::micros());
    }
    Ok(())
}

/// Adds items until there are enough (RFC 6121 §2.3.1).
async fn fill(mut link: Link, items: usize, domain: &str) -> Result<Link> {
    let roster = iq::request(&mut link, GET, b"get").await?;
    for number in 0..items {
        let jid = format!("contact{number}@{domain}");
        if scan::contains(&roster, &jid) {
            continue;
        }
        let set = format!(
            "<iq type='set' id='set'><query xmlns='jabber:iq:roster'>\
             <item jid='{jid}' name='Contact {number}'><group>Friends</group></item></query></iq>"
        );
        iq::request(&mut link, set.as_bytes(), b"set").await?;
    }
    Ok(link)
}

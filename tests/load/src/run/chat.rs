//! `chat`: users in pairs send each other messages.

use crate::clock;
use crate::error::{LoadError, Result};
use crate::fleet;
use crate::framer::Frame;
use crate::lane::Lane;
use crate::marker::{Marker, Sequence};
use crate::options::Chat;
use crate::scan;
use crate::session::{Dialer, Session};
use crate::sm::StreamManagement;
use crate::tally::{Tally, add};
use std::rc::Rc;
use std::time::Duration;

/// The fixed rate is kept by sending what is due once in this time.
const TICK: Duration = Duration::from_millis(1);
/// By then each node knows of the sessions of the other: what is sent to one before is stored first.
const KNOWN: Duration = Duration::from_millis(200);

/// One user of a pair.
struct Talker {
    session: Session,
    index: u32,
    /// The message up to its id.
    head: Vec<u8>,
    body: usize,
    sent: u64,
    own: Rc<Lane>,
    partner: Rc<Lane>,
    /// Whether a delivery lets the partner send again.
    closed_loop: bool,
    from_partner: Sequence,
    sm: Option<StreamManagement>,
    tally: Rc<Tally>,
}

/// Runs the pairs; see [`Chat`] for the options.
pub async fn run(options: Chat) -> Result<()> {
    let target = &options.target;
    if !target.users.is_multiple_of(2) || target.users == 0 {
        return Err(LoadError::Usage("chat needs an even number of --users".into()));
    }
    let dialer = Rc::new(Dialer::new(target)?);
    let sessions = fleet::log_in_everybody(&dialer, true).await?;
    if target.other_port.is_some() {
        tokio::time::sleep(KNOWN).await;
    }
    let tally = Rc::new(Tally::default());
    let lanes = start(&options, sessions, &tally).await?;
    match options.rate {
        Some(rate) => drop(tokio::task::spawn_local(tick(rate, lanes, tally.clone()))),
        None => {
            for lane in lanes.iter().flat_map(|lane| vec![lane; options.window as usize]) {
                lane.grant(clock::micros());
            }
        }
    }
    let mut report = tally.measure(target, &options.span, "message").await?;
    report.row = target.row.clone().unwrap_or_else(|| row(&options));
    tally.drain(options.drain, &mut report).await;
    report.publish(target.strict)
}

/// Starts a task per session; neighbours are partners.
async fn start(
    options: &Chat,
    mut sessions: Vec<Session>,
    tally: &Rc<Tally>,
) -> Result<Vec<Rc<Lane>>> {
    let lanes: Vec<Rc<Lane>> = sessions.iter().map(|_| Rc::default()).collect();
    let jids: Vec<String> = sessions.iter().map(|session| session.jid.clone()).collect();
    for (index, mut session) in sessions.drain(..).enumerate() {
        let partner = index ^ 1;
        let jid = jids[partner].as_str();
        let jid = if options.bare { jid.split('/').next().unwrap_or(jid) } else { jid };
        let sm = match options.sm {
            true => Some(StreamManagement::enable(&mut session).await?),
            false => None,
        };
        let talker = Talker {
            session,
            index: index as u32,
            head: format!("<message type='chat' to='{jid}' id='").into_bytes(),
            body: options.body,
            sent: 0,
            own: lanes[index].clone(),
            partner: lanes[partner].clone(),
            closed_loop: options.rate.is_none(),
            from_partner: Sequence::default(),
            sm,
            tally: tally.clone(),
        };
        tokio::task::spawn_local(talker.talk());
    }
    Ok(lanes)
}

/// Lets messages become due at a fixed rate, the users taking turns.
async fn tick(rate: u64, lanes: Vec<Rc<Lane>>, tally: Rc<Tally>) {
    let begin = clock::micros();
    let mut interval = tokio::time::interval(TICK);
    let mut turns = lanes.iter().cycle();
    for number in 0u64.. {
        // Due by plan, not by when the tick came: a late sender must not hide latency.
        let due = begin + number * 1_000_000 / rate;
        while clock::micros() < due {
            interval.tick().await;
        }
        if tally.stopped.get() {
            return;
        }
        if let Some(lane) = turns.next() {
            lane.grant(due);
        }
    }
}

impl Talker {
    async fn talk(mut self) {
        if let Err(error) = self.exchange().await {
            self.tally.fail(&error);
        }
    }

    async fn exchange(&mut self) -> Result<()> {
        loop {
            self.receive()?;
            self.send();
            let own = &self.own;
            self.session.link.pump(|cx| own.poll_due(cx)).await?;
        }
    }

    /// Handles all that has arrived.
    fn receive(&mut self) -> Result<()> {
        let now = clock::micros();
        let link = &mut self.session.link;
        while let Some(frame) = link.framer.next()? {
            let Frame::Element(element) = frame else {
                return Err(LoadError::StreamClosed("during the chat".into()));
            };
            if element.starts_with(b"<stream:error") {
                return Err(LoadError::StreamClosed(String::from_utf8_lossy(element).into()));
            }
            if let Some(sm) = &mut self.sm {
                sm.received(element, &mut link.out, &self.tally);
            }
            let Some(marker) = Marker::find(element) else { continue };
            if scan::attribute(element, b"type") == Some(b"error") {
                add(&self.tally.errors, 1);
            } else if marker.sender == self.index ^ 1
                && self.tally.arrived(marker, &mut self.from_partner, now)
                && self.closed_loop
                && !self.tally.stopped.get()
            {
                self.partner.grant(now);
            }
        }
        Ok(())
    }

    /// Renders all messages that are due; they leave in one write.
    fn send(&mut self) {
        let due = self.own.take();
        if due.is_empty() || self.tally.stopped.get() {
            return;
        }
        let (sender, out) = (self.index, &mut self.session.link.out);
        for due in due {
            let marker = Marker { sender, sequence: self.sent, due };
            out.extend_from_slice(&self.head);
            marker.write_id(out);
            out.extend_from_slice(b"'><body>");
            marker.write(out, self.body);
            out.extend_from_slice(b"</body></message>");
            self.sent += 1;
            add(&self.tally.sent, 1);
        }
        if let Some(sm) = &mut self.sm {
            sm.request(out);
        }
    }
}

/// The name of the table line, in the words of the budget table.
fn row(options: &Chat) -> String {
    let load = match options.rate {
        Some(rate) => format!("{rate}/s"),
        None => format!("w{}", options.window),
    };
    let sm = if options.sm { ", SM" } else { "" };
    let Chat { target, .. } = options;
    let nodes = if target.other_port.is_some() { ", between two nodes" } else { "" };
    format!("chat, {}, {} users, {load}{sm}{nodes}", target.tls.name(), target.users)
}

//! Groups in which each member's stanza goes to all others: contacts, and occupants of a room.

use crate::clock;
use crate::error::{LoadError, Result};
use crate::framer::Frame;
use crate::lane::Lane;
use crate::link::Link;
use crate::marker::{Marker, Sequence};
use crate::options::{Span, Target};
use crate::report::Report;
use crate::scan;
use crate::tally::{Tally, add};
use std::collections::HashMap;
use std::rc::Rc;

/// Seconds without any delivery after which what is missing counts as lost.
const DRAIN: f64 = 5.0;

/// What the members of all groups send, and how.
pub struct Plan {
    /// The stanza before and after the marked text; `before` has a part for each group.
    pub before: Vec<String>,
    pub after: &'static str,
    /// Bytes of the text.
    pub text: usize,
    /// How many members of each group send.
    pub senders: usize,
    /// Undelivered stanzas per sender.
    pub window: u32,
    /// Whether a sender gets its own stanza back, as in a room.
    pub reflected: bool,
}

struct Member {
    link: Link,
    index: u32,
    group: Rc<Group>,
    sent: u64,
    from: HashMap<u32, Sequence>,
    plan: Rc<Plan>,
    tally: Rc<Tally>,
}

struct Group {
    number: usize,
    /// Index of the first member.
    first: u32,
    /// Deliveries due for each stanza.
    copies: u64,
    lanes: Vec<Lane>,
}

/// Runs the groups (each a list of ready sessions) and returns the report on deliveries.
pub async fn run(
    groups: Vec<Vec<Link>>,
    plan: Plan,
    target: &Target,
    span: &Span,
) -> Result<Report> {
    let (plan, tally) = (Rc::new(plan), Rc::new(Tally::default()));
    let mut index = 0;
    for (number, links) in groups.into_iter().enumerate() {
        let copies = links.len() as u64 - u64::from(!plan.reflected);
        let lanes = links.iter().map(|_| Lane::default()).collect();
        let group = Rc::new(Group { number, first: index, copies, lanes });
        for lane in group.lanes.iter().take(plan.senders) {
            (0..plan.window).for_each(|_| lane.grant(clock::micros()));
        }
        for link in links {
            let (group, plan, tally) = (group.clone(), plan.clone(), tally.clone());
            let from = HashMap::new();
            let member = Member { link, index, group, sent: 0, from, plan, tally };
            tokio::task::spawn_local(member.take_part());
            index += 1;
        }
    }
    let mut report = tally.measure(target, span, "delivery").await?;
    tally.drain(DRAIN, &mut report).await;
    Ok(report)
}

impl Member {
    async fn take_part(mut self) {
        if let Err(error) = self.exchange().await {
            self.tally.fail(&error);
        }
    }

    async fn exchange(&mut self) -> Result<()> {
        let group = self.group.clone();
        let own = &group.lanes[(self.index - group.first) as usize];
        loop {
            self.receive()?;
            self.send(own);
            self.link.pump(|cx| own.poll_due(cx)).await?;
        }
    }

    fn receive(&mut self) -> Result<()> {
        let now = clock::micros();
        while let Some(frame) = self.link.framer.next()? {
            let Frame::Element(element) = frame else {
                return Err(LoadError::StreamClosed("during the broadcast".into()));
            };
            let Some(marker) = Marker::find(element) else { continue };
            if scan::attribute(element, b"type") == Some(b"error") {
                add(&self.tally.errors, 1);
                continue;
            }
            // A server shows a user's presence to the user's own resources too: not counted.
            if marker.sender == self.index && !self.plan.reflected {
                continue;
            }
            let Some(number) = marker.sender.checked_sub(self.group.first) else { continue };
            let Some(lane) = self.group.lanes.get(number as usize) else { continue };
            let sequence = self.from.entry(marker.sender).or_default();
            if self.tally.arrived(marker, sequence, now) {
                lane.copy_arrived(self.group.copies, now);
            }
        }
        Ok(())
    }

    fn send(&mut self, own: &Lane) {
        let due = own.take();
        if self.tally.stopped.get() {
            return;
        }
        for due in due {
            let marker = Marker { sender: self.index, sequence: self.sent, due };
            let out = &mut self.link.out;
            out.extend_from_slice(self.plan.before[self.group.number].as_bytes());
            marker.write(out, self.plan.text);
            out.extend_from_slice(self.plan.after.as_bytes());
            self.sent += 1;
            add(&self.tally.sent, self.group.copies);
        }
    }
}

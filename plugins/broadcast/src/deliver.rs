//! The sending itself: a batch a second, and where it stands is kept after each.

use std::sync::Arc;

use hearth_plugin_api::xml::Element;
use hearth_plugin_api::{Error, ErrorKind, Result, Stanza};

use crate::store::{self, Sending};
use crate::{Broadcast, audience::Batch};

impl Broadcast {
    /// The next batch of the oldest broadcast. What was under way when the server stopped goes on here:
    /// the batch that was not noted is sent again.
    pub async fn deliver(self: Arc<Self>) -> Result<()> {
        let Some(mut sending) = store::take(&self.host).await? else { return Ok(()) };
        let rate = self.host.property_as("rate")?;
        let batch = sending.draft.audience.after(&self.host, &sending.place, rate).await;
        let (state, reason) = match batch {
            Ok(batch) if self.send(&mut sending, &batch)? && batch.is_last => {
                ("done", String::new())
            }
            Ok(_) => ("running", String::new()),
            // The group was deleted.
            Err(Error { kind: ErrorKind::NotFound, message }) => ("failed", message),
            Err(error) => return Err(error),
        };
        store::advance(&self.host, &sending, state, &reason).await?;
        Ok(())
    }

    /// False when the server takes no more at the moment.
    fn send(&self, sending: &mut Sending, batch: &Batch) -> Result<bool> {
        for (place, name) in &batch.recipients {
            match self.host.route(&self.message(sending, name)) {
                Ok(()) => sending.sent += 1,
                Err(error) if error.kind == ErrorKind::Full => return Ok(false),
                Err(error) if error.kind == ErrorKind::Stopped => return Err(error),
                Err(error) => {
                    self.host.warn(format!("broadcast {} to {name}: {error}", sending.id));
                    sending.failed += 1;
                }
            }
            sending.place.clone_from(place);
        }
        sending.place.clone_from(&batch.end);
        self.host.count("messages", &[], batch.recipients.len() as u64);
        Ok(true)
    }

    fn message(&self, sending: &Sending, name: &str) -> Stanza {
        let draft = &sending.draft;
        let mut message = Stanza::message(&format!("{name}@{}", self.host.info().domain));
        // The same each time, so that a message that comes twice can be told.
        message.id = Some(format!("broadcast-{}", sending.id));
        if draft.headline {
            message = message.of_type("headline");
        }
        if !draft.subject.is_empty() {
            message = message.with(&Element::new("subject", "").with_text(&draft.subject));
        }
        message.body(&draft.body)
    }
}

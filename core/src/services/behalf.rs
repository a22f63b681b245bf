//! An administrator changes a roster in the name of its owner, as the owner's client would.

use std::sync::Arc;

use crate::im::Im;
use crate::im::roster::{AmendError, Key, RosterFault, RosterSet};
use crate::im::subscription::{Event, State};
use crate::jid::Jid;
use crate::router::{Out, Router};
use crate::stanza::{PresenceType, Stanza};
use crate::storage::StorageError;

/// An account of ours.
#[derive(Clone, Debug)]
pub struct Owner {
    pub key: Key,
    /// Bare.
    pub jid: Jid,
}

/// Who gets whose presence when all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The owner gets the contact's.
    pub to: bool,
    /// The contact gets the owner's.
    pub from: bool,
}

/// One contact of an owner, whose account it is when it is one of ours.
pub struct Behalf {
    pub router: Arc<Router>,
    pub owner: Owner,
    pub contact: Jid,
    pub account: Option<Key>,
}

impl Behalf {
    /// Adds the contact, changes or removes it.
    pub async fn set(&self, set: RosterSet) -> Result<(), AmendError> {
        let Owner { key, jid } = &self.owner;
        self.perform(self.im().set_roster(*key, jid, set).await?).await;
        Ok(())
    }

    /// Brings the subscriptions to what is wanted, as far as this server can: a contact elsewhere is
    /// asked, and answers for himself. One of ours agrees before he is asked, so that his clients do
    /// not ask him.
    pub async fn subscribe(&self, wanted: Wanted) -> Result<(), AmendError> {
        let other = self.other();
        let Some(state) = self.state().await? else { return Err(RosterFault::NoSuchItem.into()) };
        match (wanted.to, state.to()) {
            (true, false) => {
                if let Some(contact) = &other {
                    self.send(contact, Event::Subscribed, &self.owner.jid).await?;
                }
                if !self.state().await?.is_some_and(|state| state.to()) {
                    self.send(&self.owner, Event::Subscribe, &self.contact).await?;
                }
            }
            (false, has) if has || state.pending_out() => {
                self.send(&self.owner, Event::Unsubscribe, &self.contact).await?;
            }
            _ => {}
        }
        match (wanted.from, state.from()) {
            (true, false) => {
                self.send(&self.owner, Event::Subscribed, &self.contact).await?;
                let agreed = self.state().await?.is_some_and(|state| state.from());
                if let Some(contact) = other.filter(|_| !agreed) {
                    self.send(&contact, Event::Subscribe, &self.owner.jid).await?;
                }
            }
            (false, has) if has || state.pending_in() => {
                self.send(&self.owner, Event::Unsubscribed, &self.contact).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn im(&self) -> &Arc<Im> {
        &self.router.im
    }

    fn other(&self) -> Option<Owner> {
        Some(Owner { key: self.account?, jid: self.contact.clone() })
    }

    async fn state(&self) -> Result<Option<State>, StorageError> {
        let roster = self.im().roster(self.owner.key).await?;
        Ok(roster.item(self.contact.as_str()).map(|item| item.state))
    }

    async fn send(&self, from: &Owner, event: Event, to: &Jid) -> Result<(), AmendError> {
        let kind = match event {
            Event::Subscribe => PresenceType::Subscribe,
            Event::Subscribed => PresenceType::Subscribed,
            Event::Unsubscribe => PresenceType::Unsubscribe,
            Event::Unsubscribed => PresenceType::Unsubscribed,
        };
        let stanza = Stanza::presence(kind).with_to(to.clone());
        let sent = self.im().send_subscription(from.key, &from.jid, event, stanza).await;
        self.perform(sent.map_err(|(error, _)| error)?).await;
        Ok(())
    }

    async fn perform(&self, mut out: Out) {
        self.router.perform(&mut out).await;
    }
}

//! Keys, such as rooms: each has one owner, which keeps it until it gives it up or leaves the view.
//! The database holds who owns what; what is here is what was heard of it.

use std::collections::HashMap;
use std::time::Duration;

use hearth_plugin_api::cluster::{Node, Ownership, View};
use hearth_plugin_api::{Error, ErrorKind, Result};
use ring::digest::{Context, SHA256};

use super::wire::Message;
use super::{Carrier, Seam};
use crate::membership::{self, Member};
use crate::store;

/// While the view changes, a key is asked for again.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(200);

type Name = (String, String);

/// Who owns what, as far as it was heard.
#[derive(Debug, Default)]
pub struct Keys(HashMap<Name, Member>);

impl Keys {
    pub fn set(&mut self, name: Name, owner: Option<Member>) {
        match owner {
            Some(owner) => self.0.insert(name, owner),
            None => self.0.remove(&name),
        };
    }

    /// The keys of a node.
    pub fn of(&self, member: Member) -> Vec<Name> {
        let of = self.0.iter().filter(|(_, owner)| **owner == member);
        of.map(|(name, _)| name.clone()).collect()
    }
}

impl<S: Seam> Carrier<S> {
    pub(super) fn ownership(&self, topic: &str, key: &str) -> Ownership {
        let state = self.state();
        let known = state.keys.0.get(&(topic.to_owned(), key.to_owned())).copied().map(Node::from);
        let is_member = |node: &Node| state.view.members.iter().any(|it| it.node == *node);
        let me = state.me.map(Node::from).unwrap_or_default();
        let owner = known.filter(is_member).or_else(|| chosen(&state.view, (topic, key), None));
        let owner = owner.unwrap_or(me);
        let deputy = chosen(&state.view, (topic, key), Some(owner)).unwrap_or(owner);
        Ownership { owner, deputy, epoch: state.view.epoch }
    }

    /// Takes a key that nobody owns; whoever owns it then is told to all.
    pub(super) async fn take_key(&self, topic: &str, key: &str) -> Result<Ownership> {
        let name = (topic.to_owned(), key.to_owned());
        for attempt in 1.. {
            let (me, view) = self.standing()?;
            match store::take_key(&self.0.host, (topic, key), me, &view).await {
                Ok(owner) => {
                    self.state().keys.set(name, Some(owner));
                    let (topic, key) = (topic.to_owned(), key.to_owned());
                    if owner == me {
                        self.tell_all(&Message::Owner { topic, key, owner: Some(me) });
                    }
                    break;
                }
                Err(error) if error.kind == ErrorKind::Conflict && attempt < ATTEMPTS => {
                    self.0.host.sleep(PAUSE).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.ownership(topic, key))
    }

    pub(super) async fn give_key_up(&self, topic: &str, key: &str) -> Result<()> {
        let (me, _) = self.standing()?;
        store::give_key_up(&self.0.host, (topic, key), me).await?;
        let (topic, key) = (topic.to_owned(), key.to_owned());
        self.state().keys.set((topic.clone(), key.clone()), None);
        self.tell_all(&Message::Owner { topic, key, owner: None });
        Ok(())
    }

    /// This node is about to leave: core lets go of its keys, which are anybody's then.
    pub async fn let_go_of_keys(&self) -> Result<()> {
        let Some(seam) = self.0.seam.get() else { return Ok(()) };
        let mine = {
            let state = self.state();
            state.me.map(|me| state.keys.of(me)).unwrap_or_default()
        };
        for (topic, key) in mine {
            let next = self.ownership(&topic, &key).deputy;
            seam.disown((&topic, &key), next).await?;
            self.give_key_up(&topic, &key).await?;
        }
        Ok(())
    }

    /// The keys of a node that is gone go to their deputies, which go on with them.
    pub(super) fn inherit(&self, orphans: Vec<Name>) {
        for (topic, key) in orphans {
            self.state().keys.set((topic.clone(), key.clone()), None);
            let (carrier, me) = (self.clone(), self.state().me.map(Node::from));
            if Some(self.ownership(&topic, &key).owner) != me {
                continue;
            }
            self.0.tasks.spawn(async move {
                if let Err(error) = carrier.go_on_with(&topic, &key).await {
                    let host = &carrier.0.host;
                    host.error(format!("{topic} {key} has no owner any more: {error}"));
                }
            });
        }
    }

    async fn go_on_with(&self, topic: &str, key: &str) -> Result<()> {
        let Ownership { owner, deputy, epoch } = self.take_key(topic, key).await?;
        let is_mine = self.state().me == Some(owner.into());
        match self.0.seam.get().filter(|_| is_mine) {
            Some(seam) => seam.own((topic, key), deputy, epoch).await,
            None => Ok(()),
        }
    }

    /// New members are told what this node owns.
    pub(super) fn send_keys(&self, to: &[Member]) {
        let mut state = self.state();
        let Some(me) = state.me else { return };
        for (topic, key) in state.keys.of(me) {
            let message = Message::Owner { topic, key, owner: Some(me) }.encode();
            for member in to {
                let peer = state.peers.get_mut(member);
                peer.into_iter().for_each(|peer| peer.push(message.clone()));
            }
        }
    }

    /// This node, and the view as the database has it.
    fn standing(&self) -> Result<(Member, membership::View)> {
        let state = self.state();
        let stands_by = || Error::unavailable("this node does not belong to the cluster");
        let me = state.me.ok_or_else(stands_by)?;
        let members = state.view.members.iter().map(|member| member.node.into()).collect();
        Ok((me, membership::View { epoch: state.view.epoch, members }))
    }
}

/// Rendezvous hashing: the member that would get the key, apart from one. Nodes that are about to leave
/// get none while there are others.
fn chosen(view: &View, (topic, key): (&str, &str), but: Option<Node>) -> Option<Node> {
    let members = view.members.iter().filter(|member| Some(member.node) != but);
    let weight = |node: Node| {
        let mut context = Context::new(&SHA256);
        for part in [&node.id.to_be_bytes()[..], topic.as_bytes(), &[0], key.as_bytes()] {
            context.update(part);
        }
        <[u8; 8]>::try_from(&context.finish().as_ref()[..8]).unwrap_or_default()
    };
    members.max_by_key(|member| (!member.draining, weight(member.node))).map(|member| member.node)
}

#[cfg(test)]
mod tests {
    use hearth_plugin_api::cluster::Member;

    use super::*;

    fn view(nodes: &[u32]) -> View {
        let node = |id| Node { id, incarnation: 7 };
        let member = |id: &u32| Member {
            node: node(*id),
            name: String::new(),
            version: String::new(),
            draining: false,
        };
        View { epoch: 1, members: nodes.iter().map(member).collect() }
    }

    #[test]
    fn keys_are_spread_and_the_deputy_is_who_follows() {
        let mut counts = HashMap::new();
        for n in 0..300 {
            let key = format!("room{n}");
            let name = ("room", key.as_str());
            let owner = chosen(&view(&[1, 2, 3]), name, None).expect("somebody");
            let deputy = chosen(&view(&[1, 2, 3]), name, Some(owner)).expect("somebody");
            let left: Vec<u32> = [1, 2, 3].into_iter().filter(|id| *id != owner.id).collect();
            assert_eq!(chosen(&view(&left), name, None), Some(deputy));
            *counts.entry(owner.id).or_insert(0) += 1;
        }
        assert!(counts.values().all(|count| (60..140).contains(count)), "{counts:?}");
        assert_eq!(chosen(&view(&[1]), ("room", "x"), Some(Node { id: 1, incarnation: 7 })), None);
    }

    #[test]
    fn who_drains_gets_no_keys() {
        let mut all = view(&[1, 2]);
        all.members[0].draining = true;
        let owner = |n| chosen(&all, ("room", &format!("room{n}")), None).map(|node| node.id);
        assert!((0..50).all(|n| owner(n) == Some(2)));
    }
}

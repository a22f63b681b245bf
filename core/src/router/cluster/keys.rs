//! Keys: what one node does for all, such as a room. Whoever carries says who owns a key; here is what
//! this node owns, and who does something about it.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use super::{Answer, ClusterError, Node, Nodes, Ownership};

/// How often, and for how long, a node that has entered a cluster tries to own there what it owned alone.
const AGAIN: Duration = Duration::from_millis(200);
const ATTEMPTS: usize = 25;

/// Does what the keys of one topic are about, while this node owns them.
pub trait Keeper: Send + Sync {
    /// The owner of a key is gone, and this node goes on with it.
    fn own<'a>(&'a self, key: &'a str, ownership: Ownership) -> Answer<'a, ()>;

    /// `owner` has a key from now on, or with the default node nobody that is known. Lets go of it at
    /// once; it may be told so while it begins to own it.
    fn disown(&self, key: &str, owner: Node);
}

type Name = (String, String);

/// The keys of this node.
#[derive(Default)]
pub(super) struct Keys {
    keepers: RwLock<HashMap<&'static str, Arc<dyn Keeper>>>,
    mine: Mutex<HashMap<Name, Ownership>>,
}

impl Keys {
    fn keeper(&self, topic: &str) -> Result<Arc<dyn Keeper>, ClusterError> {
        let found = self.keepers.read().get(topic).cloned();
        let unknown = || format!("nothing on this server owns keys of the topic `{topic}`");
        found.ok_or_else(|| ClusterError::Unsupported(unknown()))
    }

    /// Whoever takes the key out tells its keeper.
    fn disown(&self, name: &Name, owner: Node) {
        let was_mine = self.mine.lock().remove(name).is_some();
        if let (true, Ok(keeper)) = (was_mine, self.keeper(&name.0)) {
            keeper.disown(&name.1, owner);
        }
    }

    fn names(&self) -> Vec<Name> {
        self.mine.lock().keys().cloned().collect()
    }

    /// This node has left the cluster, where others may own its keys.
    pub fn disown_all(&self) {
        self.names().iter().for_each(|name| self.disown(name, Node::default()));
    }
}

impl Nodes {
    /// `keeper` does what the keys of `topic` are about.
    pub fn keep(&self, topic: &'static str, keeper: Arc<dyn Keeper>) {
        self.keys.keepers.write().insert(topic, keeper);
    }

    /// Who owns a key, or who would get it, as far as the view says.
    pub fn owner(&self, topic: &str, key: &str) -> Ownership {
        self.cluster().owner(topic, key)
    }

    /// This node owns the key.
    pub fn owns(&self, topic: &str, key: &str) -> bool {
        self.keys.mine.lock().contains_key(&name(topic, key))
    }

    /// Takes a key that nobody owns, or tells who has it.
    pub async fn acquire(&self, topic: &str, key: &str) -> Result<Ownership, ClusterError> {
        let ownership = self.cluster().acquire(topic, key).await?;
        if ownership.owner == self.me() && !self.note(&name(topic, key), ownership) {
            return Err(ClusterError::Unavailable);
        }
        Ok(ownership)
    }

    /// Gives a key of this node back, once all is done that was to be done with it.
    pub async fn give_up(&self, topic: &str, key: &str) -> Result<(), ClusterError> {
        self.keys.mine.lock().remove(&name(topic, key));
        self.cluster().give_up(topic, key).await
    }

    /// The owner of a key is gone, and whoever carries has given it to this node. Returns when its keeper
    /// goes on with it; if that fails, the key is not this node's.
    pub async fn own(
        &self,
        topic: &str,
        key: &str,
        ownership: Ownership,
    ) -> Result<(), ClusterError> {
        let (keeper, name) = (self.keys.keeper(topic)?, name(topic, key));
        if !self.note(&name, ownership) {
            return Err(ClusterError::Unavailable);
        }
        let owned = keeper.own(key, ownership).await;
        if owned.is_err() {
            self.keys.mine.lock().remove(&name);
        }
        owned
    }

    /// Another node owns a key from now on, or with the default node nobody that is known.
    pub fn disown(&self, topic: &str, key: &str, owner: Node) {
        self.keys.disown(&name(topic, key), owner);
    }

    /// False when the run of this node to which the key was given is over: who leaves is another run
    /// first, and lets go of all keys then.
    fn note(&self, name: &Name, ownership: Ownership) -> bool {
        self.keys.mine.lock().insert(name.clone(), ownership);
        let is_mine = self.me() == ownership.owner;
        if !is_mine {
            self.keys.mine.lock().remove(name);
        }
        is_mine
    }

    /// What this node owned alone it is to own in the cluster that it has entered as `me`, too.
    pub(super) async fn acquire_again(&self, me: Node) {
        for name in self.keys.names() {
            let ownership = self.acquire_patiently(&name).await;
            if self.me() != me {
                return;
            }
            if ownership.owner != me {
                self.keys.disown(&name, ownership.owner);
            } else if self.owns(&name.0, &name.1) {
                self.note(&name, ownership);
            }
        }
    }

    async fn acquire_patiently(&self, (topic, key): &Name) -> Ownership {
        for _ in 0..ATTEMPTS {
            match self.cluster().acquire(topic, key).await {
                Ok(ownership) => return ownership,
                // Whoever carries does not know the view yet.
                Err(ClusterError::Unavailable) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    tracing::warn!(topic, key, %error, "a key of this node is let go");
                    break;
                }
            }
        }
        Ownership::default()
    }
}

fn name(topic: &str, key: &str) -> Name {
    (topic.to_owned(), key.to_owned())
}

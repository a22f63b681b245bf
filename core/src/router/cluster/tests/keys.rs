//! What one node does for all.

use parking_lot::Mutex;

use super::*;

/// Rooms of make-believe: what became of them on a node.
#[derive(Default)]
struct Rooms(Mutex<Vec<String>>);

impl Keeper for Rooms {
    fn own<'a>(&'a self, key: &'a str, ownership: Ownership) -> Answer<'a, ()> {
        Box::pin(async move {
            self.0.lock().push(format!("{key} is mine, then {}'s", ownership.deputy.id));
            match key {
                "haunted" => Err(ClusterError::Failed("there are ghosts".to_owned())),
                _ => Ok(()),
            }
        })
    }

    fn disown(&self, key: &str, owner: Node) {
        self.0.lock().push(format!("{key} is {}'s", owner.id));
    }
}

impl Rooms {
    fn on(site: &Site) -> Arc<Rooms> {
        let rooms = Arc::new(Rooms::default());
        site.nodes.keep("room", rooms.clone());
        rooms
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

fn of(owner: &Site, deputy: &Site) -> Ownership {
    Ownership { owner: owner.node, deputy: deputy.node, epoch: 1 }
}

#[tokio::test]
async fn a_key_has_one_owner_until_that_gives_it_up() {
    let (_town, [one, two]) = Town::new().await;
    assert_eq!(one.nodes.acquire("room", "tea").await.unwrap().owner, one.node);
    assert_eq!(two.nodes.acquire("room", "tea").await.unwrap().owner, one.node);
    assert_eq!(two.nodes.owner("room", "tea").owner, one.node);
    assert!(one.nodes.owns("room", "tea") && !two.nodes.owns("room", "tea"));
    one.nodes.give_up("room", "tea").await.unwrap();
    assert_eq!(two.nodes.acquire("room", "tea").await.unwrap().owner, two.node);
    assert!(!one.nodes.owns("room", "tea") && two.nodes.owns("room", "tea"));
}

#[tokio::test]
async fn who_follows_an_owner_that_is_gone_goes_on_with_the_key() {
    let (_town, [one, two]) = Town::new().await;
    let rooms = Rooms::on(&one);
    one.nodes.own("room", "tea", of(&one, &two)).await.unwrap();
    assert_eq!(rooms.told(), ["tea is mine, then 2's"]);
    assert!(one.nodes.owns("room", "tea"));
    let haunted = one.nodes.own("room", "haunted", of(&one, &two)).await;
    assert!(matches!(haunted, Err(ClusterError::Failed(_))) && !one.nodes.owns("room", "haunted"));
    let unknown = one.nodes.own("bridge", "tea", of(&one, &two)).await;
    assert!(matches!(unknown, Err(ClusterError::Unsupported(_))), "{unknown:?}");
    rooms.told();
    one.nodes.disown("room", "tea", two.node);
    one.nodes.disown("room", "never mine", two.node);
    assert_eq!(rooms.told(), ["tea is 2's"]);
    assert!(!one.nodes.owns("room", "tea"));
}

#[tokio::test]
async fn who_leaves_owns_nothing() {
    let (_town, [one, two]) = Town::new().await;
    let rooms = Rooms::on(&one);
    one.nodes.acquire("room", "tea").await.unwrap();
    one.nodes.left();
    assert_eq!(rooms.told(), ["tea is 0's"]);
    assert!(!one.nodes.owns("room", "tea"));
    let late = one.nodes.own("room", "hall", of(&one, &two)).await;
    assert_eq!(late, Err(ClusterError::Unavailable), "it was given to a run that is over");
    assert!(!one.nodes.owns("room", "hall"));
}

#[tokio::test]
async fn what_a_node_owned_alone_it_owns_in_its_cluster_unless_another_does() {
    let (town, [one]) = Town::new().await;
    let late = town.site(2);
    let rooms = Rooms::on(&late);
    one.nodes.acquire("room", "hall").await.unwrap();
    for room in ["hall", "tea"] {
        assert_eq!(late.nodes.acquire("room", room).await.unwrap().owner.id, 2);
    }
    town.enter(&late).await;
    town.until("the hall is let go", async || !late.nodes.owns("room", "hall")).await;
    assert_eq!(rooms.told(), ["hall is 1's"]);
    town.until("tea is known", async || one.nodes.owner("room", "tea").owner == late.node).await;
    assert!(late.nodes.owns("room", "tea"));
}

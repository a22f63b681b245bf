//! Tells whoever listens of each change of the serving lease.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::events::{Events, Kind};
use crate::storage::lease::{Claim, Reason, Serving};

/// Follows the lease until its task has ended.
pub async fn tell(
    events: Arc<Events>,
    mut state: watch::Receiver<Serving>,
    claim: watch::Receiver<Claim>,
) {
    while state.changed().await.is_ok() {
        let (serving, claim) = (state.borrow_and_update().clone(), *claim.borrow());
        events.tell(Kind::LeaseChanged, || data(&serving, claim));
    }
}

/// As far as this node knows: what it holds itself, or why it does not.
fn data(serving: &Serving, claim: Claim) -> Value {
    let (mode, holder, epoch) = match (serving, claim) {
        (Serving::Serving, Claim::Alone) => ("alone", None, 0),
        (Serving::Serving, Claim::Cluster { epoch }) => ("cluster", None, epoch),
        (Serving::Standby { reason }, _) => match reason {
            Reason::HeldBy(node) => ("alone", Some(*node), 0),
            Reason::Clustered => ("cluster", None, 0),
            Reason::OtherEpoch(epoch) => ("cluster", None, *epoch),
            Reason::Starting | Reason::DatabaseAway(_) | Reason::Stopping => ("", None, 0),
        },
    };
    let reason = match serving {
        Serving::Serving => String::new(),
        Serving::Standby { reason } => reason.to_string(),
    };
    json!({
        "serving": *serving == Serving::Serving,
        "mode": mode,
        "holder": holder.unwrap_or_default(),
        "epoch": epoch,
        "reason": reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_who_serves_and_why_not() {
        let holds = data(&Serving::Serving, Claim::Cluster { epoch: 7 });
        let expected = json!({
            "serving": true, "mode": "cluster", "holder": 0, "epoch": 7, "reason": ""
        });
        assert_eq!(holds, expected);
        let waits = data(&Serving::Standby { reason: Reason::HeldBy(9) }, Claim::Alone);
        assert_eq!((&waits["serving"], &waits["holder"]), (&json!(false), &json!(9)));
        assert!(waits["reason"].as_str().is_some_and(|why| why.contains("00000009")), "{waits}");
    }
}

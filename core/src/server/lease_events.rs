//! Tells whoever listens of each change of the serving lease.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::events::{Events, Kind};
use crate::storage::lease::{Seat, Told};

/// Follows the lease of the seat.
pub fn tell(events: &Arc<Events>, seat: &Seat) -> impl Future<Output = ()> + Send + use<> {
    let (events, mut told) = (events.clone(), seat.told());
    async move {
        while told.changed().await.is_ok() {
            let now = told.borrow_and_update().clone();
            events.tell(Kind::LeaseChanged, || data(&now));
        }
    }
}

fn data(told: &Told) -> Value {
    let Told { serving, mode, holder, epoch, reason } = told;
    json!({
        "serving": serving, "mode": mode, "holder": holder, "epoch": epoch, "reason": reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_who_serves_and_why_not() {
        let told = Told { mode: "cluster", epoch: 7, reason: "why".to_owned(), ..Told::default() };
        let expected = json!({
            "serving": false, "mode": "cluster", "holder": 0, "epoch": 7, "reason": "why"
        });
        assert_eq!(data(&told), expected);
    }
}

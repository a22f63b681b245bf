//! The audit log: who did what to whom, on which node. Written in the transaction of the act.

use super::store::{self, AuditRow};
use crate::clock::Clock;
use crate::storage::{StorageError, Tx};

/// Notes an act. `action` is `<noun>.<verb>`, `target` a name; never a secret.
pub async fn note(
    tx: &mut Tx<'_>,
    clock: &Clock,
    actor: &str,
    action: &str,
    target: &str,
) -> Result<(), StorageError> {
    tracing::info!(actor, action, target, "administration");
    let row = AuditRow {
        id: clock.stanza_id(),
        at: clock.now(),
        node: clock.node(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
    };
    store::insert_audit(tx, &row).await
}

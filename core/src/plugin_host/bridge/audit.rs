//! Administrative acts of a plugin, in the audit log under its id.

use std::sync::Arc;

use hearth_plugin_api::Error;

use super::Guest;
use super::sql::refused;
use crate::admin::audit;

const LONGEST: usize = 1024;

pub(super) async fn note(
    guest: &Arc<Guest>,
    actor: String,
    action: String,
    detail: String,
) -> Result<(), Error> {
    if [&actor, &action, &detail].iter().any(|text| text.len() > LONGEST) {
        return Err(Error::invalid("a line of the audit log has at most 1024 octets per field"));
    }
    let (clock, action) = (guest.seams.clock.clone(), format!("{}.{action}", guest.id()));
    let note = guest.seams.db.write(move |tx| {
        Box::pin(async move { audit::note(tx, &clock, &actor, &action, &detail).await })
    });
    note.await.map_err(refused)
}

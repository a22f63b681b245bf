//! `register`: creates the accounts.

use crate::error::{LoadError, Result};
use crate::fleet;
use crate::options::Target;
use crate::report::{Reading, Report};
use crate::session::Dialer;

/// Registers every account over a connection of its own; accounts that exist are left alone and
/// not counted.
pub async fn run(target: Target) -> Result<()> {
    let dialer = Dialer::new(&target)?;
    let accounts = fleet::accounts(&target)?;
    let start = Reading::take(&target)?;
    let job = async move |index, account| dialer.register(index, &account).await;
    let results = fleet::for_each(accounts, target.concurrency, job).await;
    let created = results.iter().filter(|result| matches!(result, Ok(true))).count();
    let errors: Vec<LoadError> = results.into_iter().filter_map(Result::err).collect();
    let mut report = Report::new(&target, start, "registration", created as u64)?;
    report.failed(&errors);
    // A run on accounts that are not there means nothing, so this is always strict.
    report.publish(true)
}

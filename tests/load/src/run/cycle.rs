//! `cycle`: what a connection costs that logs in and leaves at once.

use crate::clock;
use crate::error::Result;
use crate::fleet;
use crate::options::Cycle;
use crate::session::{Account, Dialer};
use crate::tally::{Tally, add};
use std::rc::Rc;

/// Runs `--concurrency` cycles at once, each over accounts of its own.
pub async fn run(options: Cycle) -> Result<()> {
    let target = &options.target;
    let dialer = Rc::new(Dialer::new(target)?);
    let accounts = fleet::accounts(target)?;
    let share = accounts.len().div_ceil(target.concurrency.max(1)).max(1);
    let tally = Rc::new(Tally::default());
    for (index, share) in accounts.chunks(share).enumerate() {
        let (dialer, tally, share) = (dialer.clone(), tally.clone(), share.to_vec());
        tokio::task::spawn_local(async move {
            if let Err(error) = cycle(index, &share, &dialer, &tally).await {
                tally.fail(&error);
            }
        });
    }
    let mut report = tally.measure(target, &options.span, "cycle").await?;
    tally.drain(target.timeout as f64, &mut report).await;
    report.delivery = None;
    report.publish(target.strict)
}

async fn cycle(index: usize, share: &[Account], dialer: &Dialer, tally: &Tally) -> Result<()> {
    for account in share.iter().cycle() {
        if tally.stopped.get() {
            break;
        }
        let begin = clock::micros();
        add(&tally.sent, 1);
        dialer.log_in(index, account).await?.link.close().await?;
        add(&tally.delivered, 1);
        tally.took(begin, clock::micros());
    }
    Ok(())
}

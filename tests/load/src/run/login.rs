//! `login`: what a login costs the server.

use crate::clock;
use crate::error::{LoadError, Result};
use crate::fleet;
use crate::histogram::Histogram;
use crate::options::Login;
use crate::report::{Reading, Report};
use crate::session::{Account, Dialer};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Logs everybody in once. Closing the sessions is not part of the measurement.
pub async fn run(options: Login) -> Result<()> {
    let target = &options.target;
    let dialer = Rc::new(Dialer::new(target)?);
    let mut warmup = fleet::accounts(target)?;
    fleet::check_open_files(warmup.len())?;
    if let Some(rest) = options.rehearse {
        rehearse(&dialer, warmup.clone()).await?;
        tokio::time::sleep(Duration::from_secs_f64(rest)).await;
    }
    let accounts = warmup.split_off(options.warmup_users.min(warmup.len()));
    let first = fleet::log_in(&dialer, warmup, options.presence).await;

    let latency = Rc::new(RefCell::new(Histogram::default()));
    let start = Reading::take(target)?;
    let (shared, record) = (dialer.clone(), latency.clone());
    let job = async move |index, account| {
        let begin = clock::micros();
        let mut session = shared.log_in(index, &account).await?;
        if options.presence {
            session.link.out.extend_from_slice(b"<presence/>");
            session.link.flush().await?;
        }
        record.borrow_mut().record(clock::micros() - begin);
        Ok(session)
    };
    let sessions = fleet::for_each(accounts, target.concurrency, job).await;
    tokio::time::sleep(Duration::from_secs_f64(options.settle)).await;
    let done = sessions.iter().filter(|session| session.is_ok()).count();
    let mut report = Report::new(target, start, "login", done as u64)?;
    report.latency_us = latency.borrow().percentiles();
    let all = first.into_iter().chain(sessions);
    report.failed(&all.filter_map(Result::err).collect::<Vec<LoadError>>());
    report.publish(target.strict)
}

/// Logs everybody in and out, so that the dialer has all keys.
async fn rehearse(dialer: &Rc<Dialer>, accounts: Vec<Account>) -> Result<()> {
    let shared = dialer.clone();
    let job = async move |index, account: Account| {
        shared.log_in(index, &account).await?.link.close().await
    };
    let done = fleet::for_each(accounts, dialer.target.concurrency, job).await;
    done.into_iter().collect()
}

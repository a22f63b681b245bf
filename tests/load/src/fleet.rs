//! Many accounts at once: reading them, logging them in with bounded concurrency.

use crate::error::{LoadError, Result};
use crate::options::Target;
use crate::procfs;
use crate::session::{Account, Dialer, Session};
use std::fs;
use std::rc::Rc;
use tokio::sync::Semaphore;
use tokio::task::{self, JoinHandle};

/// Descriptors that the process needs beside its connections.
const OTHER_FILES: u64 = 32;

/// The accounts that the options name, in their order.
pub fn accounts(target: &Target) -> Result<Vec<Account>> {
    let Some(path) = &target.accounts_file else {
        let numbers = target.first..target.first + target.users;
        return Ok(numbers
            .map(|number| Account {
                user: format!("{}{number}", target.prefix),
                password: target.password.clone(),
            })
            .collect());
    };
    let doing = LoadError::io(format!("reading {}", path.display()));
    let text = fs::read_to_string(path).map_err(doing)?;
    let all = text.lines().filter(|line| !line.is_empty()).map(|line| {
        let (user, password) = line.split_once(',').ok_or_else(|| {
            LoadError::Usage(format!("{}: `{line}` is not user,password", path.display()))
        })?;
        Ok(Account { user: user.into(), password: password.into() })
    });
    all.skip(target.first).take(target.users).collect()
}

/// Refuses early what would fail at the thousandth connection.
pub fn check_open_files(users: usize) -> Result<()> {
    let needed = users as u64 + OTHER_FILES;
    match procfs::open_files_limit() {
        Some(limit) if limit < needed => Err(LoadError::Usage(format!(
            "{users} connections need {needed} open files, the limit is {limit}; \
             run `ulimit -n {needed}` first"
        ))),
        _ => Ok(()),
    }
}

/// Runs `job` for each item as a task of its own, `concurrency` at a time; results in order.
pub async fn for_each<T, R, F>(items: Vec<T>, concurrency: usize, job: F) -> Vec<Result<R>>
where
    T: 'static,
    R: 'static,
    F: AsyncFn(usize, T) -> Result<R> + 'static,
{
    let gate = Rc::new(Semaphore::new(concurrency.max(1)));
    let job = Rc::new(job);
    let spawn = |(index, item)| -> JoinHandle<Result<R>> {
        let (gate, job) = (gate.clone(), job.clone());
        task::spawn_local(async move {
            let _permit = gate.acquire().await.expect("the semaphore is never closed");
            job(index, item).await
        })
    };
    let handles: Vec<_> = items.into_iter().enumerate().map(spawn).collect();
    let mut results = Vec::with_capacity(handles.len());
    for handle in handles {
        results.push(handle.await.expect("a job neither panics nor is aborted"));
    }
    results
}

/// Logs all accounts in, with initial presence if wanted. The results are in the accounts' order.
pub async fn log_in(
    dialer: &Rc<Dialer>,
    accounts: Vec<Account>,
    presence: bool,
) -> Vec<Result<Session>> {
    let shared = dialer.clone();
    for_each(accounts, dialer.target.concurrency, async move |index, account| {
        let mut session = shared.log_in(index, &account).await?;
        if presence {
            session.link.out.extend_from_slice(b"<presence/>");
            session.link.flush().await?;
        }
        Ok(session)
    })
    .await
}

/// As [`log_in`], but the first failure fails the run: for runs that need everybody.
pub async fn log_in_everybody(dialer: &Rc<Dialer>, presence: bool) -> Result<Vec<Session>> {
    let accounts = accounts(&dialer.target)?;
    check_open_files(accounts.len())?;
    log_in(dialer, accounts, presence).await.into_iter().collect()
}

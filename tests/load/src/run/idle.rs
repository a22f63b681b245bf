//! `idle`: what a session that does nothing costs in memory.

use crate::error::{LoadError, Result};
use crate::fleet;
use crate::framer::Frame;
use crate::iq;
use crate::options::Idle;
use crate::procfs;
use crate::report::{MemoryGrowth, Reading, Report};
use crate::session::{Dialer, Session};
use crate::tally::Tally;
use std::rc::Rc;
use std::time::Duration;

/// Logs everybody in with presence, holds, and compares the server's memory before and after.
pub async fn run(options: Idle) -> Result<()> {
    let target = &options.target;
    let pid = target.pid.ok_or_else(|| LoadError::Usage("idle needs --pid".into()))?;
    let dialer = Rc::new(Dialer::new(target)?);
    let mut warmup = fleet::accounts(target)?;
    fleet::check_open_files(warmup.len())?;
    let accounts = warmup.split_off(options.warmup_users.min(warmup.len()));
    let (first, lost) = (fleet::log_in(&dialer, warmup, true).await, Rc::new(Tally::default()));
    let mut errors = hold(first, &lost);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let before = procfs::memory(pid)?;
    let start = Reading::take(target)?;
    let sessions = fleet::log_in(&dialer, accounts, true).await;
    let held = sessions.iter().filter(|session| session.is_ok()).count() as u64;
    errors.extend(hold(sessions, &lost));
    tokio::time::sleep(Duration::from_secs_f64(options.hold)).await;
    let mut report = Report::new(target, start, "session", held)?;
    report.memory = Some(MemoryGrowth::new(before, procfs::memory(pid)?, held));
    report.failed(&errors);
    lost.note_failures(&mut report);
    report.publish(target.strict)
}

/// Keeps each session in a task that reads what comes; returns the logins that failed.
fn hold(sessions: Vec<Result<Session>>, lost: &Rc<Tally>) -> Vec<LoadError> {
    let mut errors = Vec::new();
    for session in sessions {
        match session {
            Err(error) => errors.push(error),
            Ok(session) => {
                let lost = lost.clone();
                tokio::task::spawn_local(async move {
                    if let Err(error) = rest(session).await {
                        lost.fail(&error);
                    }
                });
            }
        }
    }
    errors
}

/// Reads for ever and answers pings.
async fn rest(session: Session) -> Result<()> {
    let mut link = session.link;
    loop {
        while let Some(frame) = link.framer.next()? {
            match frame {
                Frame::Element(element) => iq::answer_request(element, &mut link.out),
                Frame::Open(_) => {}
                Frame::Close => return Err(LoadError::StreamClosed("while idle".into())),
            }
        }
        link.framer.shrink();
        link.pump(|_| false).await?;
    }
}

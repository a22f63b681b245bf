//! Commands that were begun and wait for their forms: what a request is allowed to do to which.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::fault::Fault;
use crate::session::Shared;

/// All that wait, and those of one session; the oldest give way.
const ALL: usize = 256;
const EACH: usize = 16;
/// How long one waits.
const LIFETIME: Duration = Duration::from_secs(600);

/// What a client wants to be done (§3.4, §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Execute,
    Complete,
    Cancel,
    /// To another stage: commands here have one.
    Move,
}

impl Action {
    pub fn parse(action: Option<&str>) -> Result<Action, Fault> {
        match action {
            None | Some("execute") => Ok(Action::Execute),
            Some("complete") => Ok(Action::Complete),
            Some("cancel") => Ok(Action::Cancel),
            Some("next" | "prev") => Ok(Action::Move),
            Some(_) => Err(Fault::MalformedAction),
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Step {
    /// Show this form.
    Show(String),
    /// Run the command; [`Dialogues::put_back`] takes it when the form was filled in wrongly.
    Run(Dialogue),
    /// Nothing more.
    End,
}

/// A form that a client was shown.
#[derive(Clone, Debug)]
pub struct Dialogue {
    pub id: String,
    node: String,
    /// Its end is the dialogue's.
    owner: Weak<Shared>,
    began: Duration,
}

/// Only administrators begin any: a list for all costs sessions nothing.
#[derive(Debug, Default)]
pub struct Dialogues(Mutex<VecDeque<Dialogue>>);

impl Dialogues {
    /// What `owner` may do to the command `node` at the boot time `now`. A new dialogue gets `id`.
    pub fn step(
        &self,
        owner: &Arc<Shared>,
        (node, action, session_id): (&str, Action, Option<&str>),
        now: Duration,
        id: impl FnOnce() -> String,
    ) -> Result<Step, Fault> {
        let Some(known) = session_id else {
            // §3.3: an id is given with the first answer, and stands in all that follows.
            return match action {
                Action::Execute => Ok(Step::Show(self.begin(owner, node, now, id()))),
                _ => Err(Fault::BadSessionId),
            };
        };
        if action == Action::Move {
            return Err(Fault::BadAction);
        }
        let mut all = self.0.lock();
        let owner = Arc::downgrade(owner);
        let is_it = |d: &Dialogue| d.id == known && d.node == node && d.owner.ptr_eq(&owner);
        let dialogue = all.iter().position(is_it).and_then(|at| all.remove(at));
        let dialogue = dialogue.ok_or(Fault::BadSessionId)?;
        match action {
            Action::Cancel => Ok(Step::End),
            _ if now.saturating_sub(dialogue.began) > LIFETIME => Err(Fault::SessionExpired),
            // §3.4: to execute is to do what is proposed, and that is to complete.
            _ => Ok(Step::Run(dialogue)),
        }
    }

    fn begin(&self, owner: &Arc<Shared>, node: &str, now: Duration, id: String) -> String {
        let (node, owner) = (node.to_owned(), Arc::downgrade(owner));
        self.put_back(Dialogue { id: id.clone(), node, owner, began: now });
        id
    }

    /// Lets it wait (again).
    pub fn put_back(&self, dialogue: Dialogue) {
        let mut all = self.0.lock();
        all.retain(|other| other.owner.strong_count() > 0);
        let own = |other: &Dialogue| other.owner.ptr_eq(&dialogue.owner);
        if all.iter().filter(|other| own(other)).count() >= EACH {
            let oldest = all.iter().position(own);
            oldest.and_then(|at| all.remove(at));
        } else if all.len() >= ALL {
            all.pop_front();
        }
        all.push_back(dialogue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::host::{AccountId, HostId};
    use crate::jid::Jid;
    use crate::session::Origin;

    fn session() -> Arc<Shared> {
        let jid = Jid::parse("admin@hearth.example/desk").unwrap();
        let peer = "127.0.0.1:1".parse().unwrap();
        let origin = Origin { peer, tls: None, mechanism: "PLAIN", since: Timestamp(0) };
        Arc::new(Shared::new(1, (HostId::FIRST, AccountId(1)), jid, origin, 1024))
    }

    const START: Duration = Duration::from_secs(1000);

    fn act(
        dialogues: &Dialogues,
        owner: &Arc<Shared>,
        action: &str,
        of: (&str, Option<&str>),
    ) -> Result<Step, Fault> {
        let action = Action::parse(Some(action))?;
        dialogues.step(owner, (of.0, action, of.1), START, || "new".to_owned())
    }

    fn begin(dialogues: &Dialogues, owner: &Arc<Shared>, id: &str) {
        let step = dialogues.step(owner, ("a", Action::Execute, None), START, || id.to_owned());
        assert!(matches!(step, Ok(Step::Show(given)) if given == id));
    }

    /// §4.4, table 5.
    #[test]
    fn what_a_request_may_do() {
        let owner = session();
        let cases = [
            ("execute", ("a", Some("1")), Ok("run")),
            ("complete", ("a", Some("1")), Ok("run")),
            ("cancel", ("a", Some("1")), Ok("end")),
            ("next", ("a", Some("1")), Err(Fault::BadAction)),
            ("prev", ("a", Some("1")), Err(Fault::BadAction)),
            ("fly", ("a", Some("1")), Err(Fault::MalformedAction)),
            ("complete", ("a", Some("2")), Err(Fault::BadSessionId)),
            ("complete", ("b", Some("1")), Err(Fault::BadSessionId)),
            ("complete", ("a", None), Err(Fault::BadSessionId)),
            ("cancel", ("a", None), Err(Fault::BadSessionId)),
        ];
        for (action, of, expected) in cases {
            let dialogues = Dialogues::default();
            begin(&dialogues, &owner, "1");
            let step = act(&dialogues, &owner, action, of).map(|step| match step {
                Step::Show(_) => "show",
                Step::Run(_) => "run",
                Step::End => "end",
            });
            assert_eq!(step, expected, "{action} {of:?}");
        }
    }

    #[test]
    fn a_form_counts_once_and_for_its_session_alone() {
        let (dialogues, owner, other) = (Dialogues::default(), session(), session());
        begin(&dialogues, &owner, "1");
        let of = ("a", Some("1"));
        assert_eq!(act(&dialogues, &other, "complete", of).unwrap_err(), Fault::BadSessionId);
        let Ok(Step::Run(dialogue)) = act(&dialogues, &owner, "complete", of) else { panic!() };
        assert_eq!(act(&dialogues, &owner, "complete", of).unwrap_err(), Fault::BadSessionId);
        dialogues.put_back(dialogue);
        assert!(act(&dialogues, &owner, "complete", of).is_ok(), "it was filled in wrongly");
    }

    #[test]
    fn a_form_expires() {
        let (dialogues, owner) = (Dialogues::default(), session());
        let complete = |after: Duration| {
            begin(&dialogues, &owner, "1");
            let asked = ("a", Action::Complete, Some("1"));
            dialogues.step(&owner, asked, START + after, String::new).map(|_| ())
        };
        assert_eq!(complete(LIFETIME), Ok(()));
        let late = LIFETIME + Duration::from_millis(1);
        assert_eq!(complete(late), Err(Fault::SessionExpired));
    }

    #[test]
    fn the_oldest_gives_way() {
        let (dialogues, owner, other) = (Dialogues::default(), session(), session());
        begin(&dialogues, &other, "other");
        (0..=EACH).for_each(|n| begin(&dialogues, &owner, &n.to_string()));
        let is_there = |owner, id| act(&dialogues, owner, "cancel", ("a", Some(id))).is_ok();
        assert!(!is_there(&owner, "0") && is_there(&owner, "1"));
        assert!(is_there(&other, "other"), "each session has its own share");
        let many: Vec<_> = (0..=ALL).map(|_| session()).collect();
        many.iter().for_each(|owner| begin(&dialogues, owner, "1"));
        assert_eq!(dialogues.0.lock().len(), ALL);
        drop(many);
        begin(&dialogues, &owner, "last");
        assert_eq!(dialogues.0.lock().len(), 1, "the others ended with their sessions");
    }
}

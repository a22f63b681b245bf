//! What has been answered so far: a file in the home that survives a restart of the wizard.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::admin::pages::Fields;
use crate::config::{ConfigError, Home, write_atomically};

/// The answers, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    typed: BTreeMap<Step, BTreeMap<String, String>>,
    /// Steps whose answers were found right.
    done: BTreeSet<Step>,
    /// The domain of the installation that the database holds.
    found: Option<String>,
}

impl Answers {
    /// What an earlier run of the wizard has learnt.
    pub fn load(home: &Home) -> Result<Answers, ConfigError> {
        let path = home.answers();
        let json = match std::fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Answers::default()),
            Err(source) => return Err(ConfigError::File { path, source }),
        };
        // Nobody but the wizard writes it; what cannot be read is asked again.
        Ok(serde_json::from_slice(&json).unwrap_or_else(|error| {
            tracing::warn!(%error, path = %path.display(), "the wizard begins anew");
            Answers::default()
        }))
    }

    /// Writes them down for this user only: the password of the database is among them.
    pub fn save(&self, home: &Home) -> Result<(), ConfigError> {
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::from);
        json.and_then(|json| write_atomically(&home.answers(), &json, 0o600))
            .map_err(|source| ConfigError::File { path: home.answers(), source })
    }

    /// The steps to go, which depend on what the database holds.
    pub fn path(&self) -> &'static [Step] {
        match self.found {
            Some(_) => Step::JOINING,
            None => Step::NEW,
        }
    }

    /// The domain of the installation that the database holds.
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// What was typed; `None` before the first time.
    pub fn typed(&self, step: Step) -> Option<Fields> {
        let pairs = self.typed.get(&step)?.clone();
        Some(Fields::new(pairs.into_iter().collect()))
    }

    /// Where to go on: the first step that is not answered.
    pub fn current(&self) -> Step {
        let path = self.path();
        let open = path.iter().find(|step| !self.is_done(**step));
        *open.unwrap_or(&path[path.len() - 1])
    }

    pub fn is_done(&self, step: Step) -> bool {
        self.done.contains(&step)
    }

    /// Whether all before it is answered.
    pub fn may_open(&self, step: Step) -> bool {
        let path = self.path();
        let at = path.iter().position(|other| *other == step);
        at.is_some_and(|at| path[..at].iter().all(|before| self.is_done(*before)))
    }

    /// Where to go after this step.
    pub fn after(&self, step: Step) -> Step {
        let path = self.path();
        let at = path.iter().position(|other| *other == step).unwrap_or_default();
        path.get(at + 1).copied().filter(|next| self.may_open(*next)).unwrap_or(self.current())
    }

    pub fn before(&self, step: Step) -> Step {
        let at = self.path().iter().position(|other| *other == step).unwrap_or_default();
        self.path()[at.saturating_sub(1)]
    }

    /// Keeps what was typed, right or not. What has changed must be checked again.
    pub fn keep(&mut self, step: Step, fields: &Fields) {
        let value = |name: &&str| ((*name).to_owned(), fields.get(name).to_owned());
        let typed: BTreeMap<String, String> = step.kept().iter().map(value).collect();
        if self.typed.get(&step) != Some(&typed) {
            self.undo(step);
        }
        self.typed.insert(step, typed);
    }

    /// The answers of this step are right.
    pub fn finish(&mut self, step: Step) {
        self.done.insert(step);
    }

    /// The answers of this step are right no more.
    pub fn undo(&mut self, step: Step) {
        self.done.remove(&step);
        if step == Step::Database {
            self.found = None;
        }
    }

    /// The database answers; `domain` is that of the installation which it holds.
    pub fn found_in_database(&mut self, domain: Option<String>) {
        self.found = domain;
        self.finish(Step::Database);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    fn at_the_database() -> Answers {
        let mut answers = Answers::default();
        answers.finish(Step::Language);
        answers.finish(Step::Server);
        answers
    }

    #[test]
    fn one_step_comes_after_the_other() {
        let mut answers = Answers::default();
        for step in Step::NEW {
            assert_eq!(answers.current(), *step);
            assert!(answers.may_open(*step));
            for later in Step::NEW.iter().filter(|later| *later > step) {
                assert!(!answers.may_open(*later), "{later:?} at {step:?}");
            }
            match step {
                Step::Database => answers.found_in_database(None),
                step => answers.finish(*step),
            }
        }
        assert_eq!(answers.current(), Step::Administrator);
    }

    #[test]
    fn an_installation_in_the_database_is_joined() {
        let mut answers = at_the_database();
        assert!(!answers.may_open(Step::Join));
        answers.found_in_database(Some("chat.example".to_owned()));
        assert_eq!(answers.current(), Step::Join);
        assert!(!answers.may_open(Step::Profile) && !answers.may_open(Step::Administrator));
        assert_eq!(answers.before(Step::Join), Step::Database);
    }

    #[test]
    fn another_database_is_asked_again() {
        let mut answers = at_the_database();
        answers.keep(Step::Database, &fields(&[("kind", "postgres"), ("host", "one")]));
        answers.found_in_database(Some("chat.example".to_owned()));
        answers.keep(Step::Database, &fields(&[("kind", "postgres"), ("host", "one")]));
        assert_eq!(answers.current(), Step::Join);
        answers.keep(Step::Database, &fields(&[("kind", "postgres"), ("host", "two")]));
        assert_eq!((answers.current(), answers.found()), (Step::Database, None));
    }

    #[test]
    fn what_changed_must_be_checked_again_and_later_answers_stay() {
        let mut answers = at_the_database();
        answers.keep(Step::Server, &fields(&[("domain", "one.example")]));
        answers.finish(Step::Server);
        answers.keep(Step::Database, &fields(&[("kind", "sqlite")]));
        answers.found_in_database(None);
        answers.keep(Step::Server, &fields(&[("domain", "two.example")]));
        assert_eq!(answers.current(), Step::Server);
        answers.finish(Step::Server);
        assert_eq!(answers.current(), Step::Profile);
        // Whoever went back goes on page by page.
        assert_eq!(answers.after(Step::Language), Step::Server);
        assert_eq!(answers.after(Step::Profile), Step::Profile);
    }

    #[test]
    fn no_password_of_an_administrator_is_kept() {
        let mut answers = Answers::default();
        let typed = [("administrator", "romeo"), ("password", "s3cret"), ("again", "s3cret")];
        for step in [Step::Administrator, Step::Join] {
            answers.keep(step, &fields(&typed));
            assert_eq!(answers.typed(step).expect("typed").get("administrator"), "romeo");
        }
        assert!(!serde_json::to_string(&answers).expect("JSON").contains("s3cret"));
    }

    #[test]
    fn a_restart_goes_on_where_it_was() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path());
        assert_eq!(Answers::load(&home).expect("none yet"), Answers::default());
        let mut answers = at_the_database();
        answers.keep(Step::Database, &fields(&[("kind", "postgres"), ("password", "of it")]));
        answers.save(&home).expect("saved");
        assert_eq!(Answers::load(&home).expect("read"), answers);
        let mode = home.answers().metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(home.answers(), "{ broken").expect("written");
        assert_eq!(Answers::load(&home).expect("begun anew"), Answers::default());
    }
}

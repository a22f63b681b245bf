//! The steps of the wizard and their order.

use serde::{Deserialize, Serialize};

use super::answers::Answers;
use crate::admin::pages::{Frame, Text};

/// A page that asks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Language,
    Server,
    Database,
    Profile,
    Administrator,
    /// In the place of the two before, when the database holds an installation.
    Join,
}

impl Step {
    pub const ALL: [Step; 6] = [
        Step::Language,
        Step::Server,
        Step::Database,
        Step::Profile,
        Step::Administrator,
        Step::Join,
    ];

    /// The steps of a new installation.
    pub const NEW: &[Step] =
        &[Step::Language, Step::Server, Step::Database, Step::Profile, Step::Administrator];

    /// The steps of a node that joins one.
    pub const JOINING: &[Step] = &[Step::Language, Step::Server, Step::Database, Step::Join];

    /// The last part of its path, and of the names of its texts.
    pub fn name(self) -> &'static str {
        match self {
            Step::Language => "language",
            Step::Server => "server",
            Step::Database => "database",
            Step::Profile => "profile",
            Step::Administrator => "administrator",
            Step::Join => "join",
        }
    }

    pub fn named(name: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.name() == name)
    }

    pub fn path(self) -> String {
        format!("/setup/{}", self.name())
    }

    /// What of its form is written down. The passwords of administrators never are.
    pub fn kept(self) -> &'static [&'static str] {
        match self {
            Step::Language => &["language"],
            Step::Server => &[
                "domain",
                "host_name",
                "addresses",
                "console_addresses",
                "c2s",
                "c2s_tls",
                "s2s",
                "s2s_tls",
                "component",
                "http",
                "https",
                "console",
                "console_tls",
            ],
            Step::Database => &[
                "kind",
                "host",
                "port",
                "user",
                "password",
                "name",
                "tls",
                "root_certificate",
                "fingerprint",
            ],
            Step::Profile => &["profile"],
            Step::Administrator | Step::Join => &["administrator"],
        }
    }
}

/// The way through the wizard, as its pages show it.
pub struct Steps(Vec<Stage>);

pub struct Stage {
    pub text: Text,
    pub number: usize,
    /// There when it may be gone to.
    pub path: Option<String>,
    pub is_done: bool,
    pub is_current: bool,
}

impl Steps {
    pub fn iter(&self) -> impl Iterator<Item = &Stage> {
        self.0.iter()
    }

    pub fn is_first(&self) -> bool {
        self.0.first().is_some_and(|stage| stage.is_current)
    }

    /// Done is the last one, after all that ask.
    pub fn at(answers: &Answers, current: Option<Step>, page: &Frame) -> Steps {
        let stage = |(at, step): (usize, &Step)| Stage {
            text: page.t(&format!("setup_{}.short", step.name())),
            number: at + 1,
            path: (current.is_some() && answers.may_open(*step)).then(|| step.path()),
            is_done: current.is_none() || answers.is_done(*step),
            is_current: Some(*step) == current,
        };
        let mut stages: Vec<Stage> = answers.path().iter().enumerate().map(stage).collect();
        stages.push(Stage {
            text: page.t("setup_done.short"),
            number: stages.len() + 1,
            path: None,
            is_done: false,
            is_current: current.is_none(),
        });
        Steps(stages)
    }
}

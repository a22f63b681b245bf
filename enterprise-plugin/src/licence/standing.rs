//! What a licence or an evaluation allows now.
//!
//! It is never a kill switch. After the last day the cluster goes on for two weeks with a warning;
//! afterwards the nodes that it knows may still restart and rejoin, new ones may not. A running node
//! is never put out for the licence's sake, and the core server is never degraded.

use std::cmp::Reverse;
use std::fmt;

use time::{Date, Duration, OffsetDateTime};

use super::Licence;

/// Days on which the cluster goes on as before after the last day.
pub const GRACE: Duration = Duration::days(14);
/// Days of an evaluation, once per database.
pub const EVALUATION: Duration = Duration::days(30);
/// Members of a cluster that is evaluated.
pub const EVALUATION_MEMBERS: u32 = 3;
/// How far a clock may go back without being suspicious: time zones set wrong, corrections.
const UNSUSPICIOUS: Duration = Duration::hours(26);

/// The evaluation of this database, from the row in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    pub started: OffsetDateTime,
}

/// What there is to judge by. All times are the database's.
#[derive(Clone, Debug)]
pub struct Situation {
    pub now: OffsetDateTime,
    /// The latest time that was ever seen here.
    pub latest: OffsetDateTime,
    pub licence: Option<Licence>,
    pub evaluation: Option<Evaluation>,
}

/// How the installation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Unlicensed,
    /// The licence holds from a later day on.
    NotYet {
        from: Date,
    },
    Holds(Grant),
    /// The last day is over; everything goes on until `until`.
    Grace {
        grant: Grant,
        until: Date,
    },
    /// Known nodes may come back, new ones may not join.
    Lapsed(Grant),
}

/// What holds, held, or is in its grace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `None`: the evaluation.
    pub holder: Option<String>,
    /// The last day.
    pub expires: Date,
    pub members: u32,
}

/// Why a node may not join. Each sentence is for the administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no licence: enter one on the Enterprise tab, or start the evaluation there")]
    Unlicensed,
    #[error("the licence holds from {0} on: wait, or ask for one that holds now")]
    NotYet(Date),
    #[error("the licence ended on {0}: only nodes that were members before may join; renew it")]
    Lapsed(Date),
    #[error("the licence allows {allowed} members, and {running} are running: extend it")]
    Full { allowed: u32, running: u32 },
}

impl Situation {
    /// Time does not go back here, whatever the clock says.
    pub fn today(&self) -> Date {
        self.now.max(self.latest).date()
    }

    /// Whether the clock was set back since it was last looked at.
    pub fn is_set_back(&self) -> bool {
        self.now + UNSUSPICIOUS < self.latest
    }

    /// How the installation stands: by whichever of licence and evaluation allows more.
    pub fn standing(&self) -> Standing {
        self.standings().swap_remove(0)
    }

    /// By what nodes are admitted, whatever allows more first: there is always one. A licence that holds
    /// decides alone. One that is over, or not yet valid, and an evaluation that goes on count beside each
    /// other: to start the evaluation takes nothing away.
    pub fn standings(&self) -> Vec<Standing> {
        let licence = self.licence.as_ref().map(|licence| self.by_licence(licence));
        let evaluation = self.evaluation.map(|evaluation| self.by_evaluation(evaluation));
        let counts = |evaluation: &Standing| match &licence {
            Some(Standing::Holds(_)) => false,
            Some(licence) if licence.grant().is_some() => {
                !matches!(evaluation, Standing::Lapsed(_))
            }
            _ => true,
        };
        let evaluation = evaluation.filter(counts);
        let mut all: Vec<_> = licence.into_iter().chain(evaluation).collect();
        // Of equals the licence stays first.
        all.sort_by_key(Standing::order);
        if all.is_empty() {
            all.push(Standing::Unlicensed);
        }
        all
    }

    fn by_evaluation(&self, evaluation: Evaluation) -> Standing {
        self.by_time(Grant {
            holder: None,
            expires: (evaluation.started + EVALUATION).date(),
            members: EVALUATION_MEMBERS,
        })
    }

    fn by_licence(&self, licence: &Licence) -> Standing {
        if self.today() < licence.issued {
            return Standing::NotYet { from: licence.issued };
        }
        self.by_time(Grant {
            holder: Some(licence.holder.clone()),
            expires: licence.expires,
            members: licence.members,
        })
    }

    fn by_time(&self, grant: Grant) -> Standing {
        let until = grant.expires.saturating_add(GRACE);
        match self.today() {
            today if today <= grant.expires => Standing::Holds(grant),
            today if today <= until => Standing::Grace { grant, until },
            _ => Standing::Lapsed(grant),
        }
    }
}

impl Standing {
    /// Through its grace a licence allows what it did before.
    fn order(&self) -> (u8, Reverse<u32>, u8) {
        let (allows, ended) = match self {
            Standing::Holds(_) => (0, 0),
            Standing::Grace { .. } => (0, 1),
            Standing::Lapsed(_) => (1, 0),
            Standing::NotYet { .. } => (2, 0),
            Standing::Unlicensed => (3, 0),
        };
        (allows, Reverse(self.grant().map_or(0, |grant| grant.members)), ended)
    }

    /// What was granted; `None` when nothing was, or not yet.
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Standing::Holds(grant) | Standing::Grace { grant, .. } | Standing::Lapsed(grant) => {
                Some(grant)
            }
            Standing::NotYet { .. } | Standing::Unlicensed => None,
        }
    }

    /// Whether a node may join beside `running` others. `is_known`: it has been a member before.
    pub fn admit(&self, is_known: bool, running: u32) -> Result<(), Refusal> {
        let grant = match self {
            Standing::Unlicensed => return Err(Refusal::Unlicensed),
            Standing::NotYet { from } => return Err(Refusal::NotYet(*from)),
            Standing::Lapsed(grant) if !is_known => return Err(Refusal::Lapsed(grant.expires)),
            Standing::Holds(grant) | Standing::Grace { grant, .. } | Standing::Lapsed(grant) => {
                grant
            }
        };
        match running < grant.members {
            true => Ok(()),
            false => Err(Refusal::Full { allowed: grant.members, running }),
        }
    }
}

/// Whether a node may join by any of the installation's standings. If not, the first one says why.
pub fn admit(standings: &[Standing], is_known: bool, running: u32) -> Result<(), Refusal> {
    let mut answers = standings.iter().map(|standing| standing.admit(is_known, running));
    let first = answers.next().unwrap_or(Err(Refusal::Unlicensed));
    first.or_else(|refusal| answers.find(Result::is_ok).unwrap_or(Err(refusal)))
}

/// One sentence for the licence page and for warnings.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |grant: &Grant| match &grant.holder {
            Some(holder) => format!("The licence of {holder}"),
            None => "The evaluation".to_owned(),
        };
        match self {
            Standing::Unlicensed => f.write_str("There is no licence."),
            Standing::NotYet { from } => write!(f, "The licence holds from {from} on."),
            Standing::Holds(grant) => {
                write!(f, "{} holds until {}.", name(grant), grant.expires)
            }
            Standing::Grace { grant, until } => write!(
                f,
                "{} ended on {}. Everything goes on until {until}; afterwards no new node may join.",
                name(grant),
                grant.expires
            ),
            Standing::Lapsed(grant) => write!(
                f,
                "{} ended on {}. The nodes of the cluster go on; no new node may join.",
                name(grant),
                grant.expires
            ),
        }
    }
}

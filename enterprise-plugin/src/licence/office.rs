//! The licence and the evaluation of this database: looking, installing, starting.

use hearth_plugin_api::{Error, ErrorKind, Host, Result};
use time::{Date, OffsetDateTime};

use super::{Evaluation, Licence, LicenceError, Situation, Standing, TrustedKey, verify};
use crate::store::{self, Papers};

/// How it stands.
#[derive(Clone, Debug)]
pub struct Office {
    pub situation: Situation,
    pub standing: Standing,
    /// What is installed is no licence for this build; it counts as none.
    pub unreadable: Option<LicenceError>,
}

/// Why a text was not installed. Each sentence is for the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    #[error(transparent)]
    Text(#[from] LicenceError),
    #[error("this licence ended on {0}: enter a newer one")]
    Ended(Date),
    #[error("this licence holds from {0} on: enter it then")]
    NotYet(Date),
    #[error("this licence allows {allowed} members, and {running} are running: ask for more")]
    TooSmall { allowed: u32, running: u32 },
    #[error("the database: {0}")]
    Database(#[from] Error),
}

impl From<InstallError> for Error {
    fn from(error: InstallError) -> Error {
        match error {
            InstallError::Database(error) => error,
            other => Error::invalid(other.to_string()),
        }
    }
}

pub async fn look(host: &Host) -> Result<Office> {
    judged(&store::papers(host).await?)
}

fn judged(papers: &Papers) -> Result<Office> {
    let read = papers.licence.as_ref().map(|text| verify(&text.body, &TrustedKey::BUILT_IN));
    let (licence, unreadable) = match read.transpose() {
        Ok(licence) => (licence, None),
        Err(error) => (None, Some(error)),
    };
    let evaluation = papers.evaluation_ms.map(moment).transpose()?;
    let situation = Situation {
        now: moment(papers.now_ms)?,
        latest: moment(papers.latest_ms)?,
        licence,
        evaluation: evaluation.map(|started| Evaluation { started }),
    };
    let standing = situation.standing();
    Ok(Office { situation, standing, unreadable })
}

/// A time of the database.
fn moment(ms: i64) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
        .map_err(|_| Error::invalid("the database's clock shows no date: set it"))
}

/// Installs the licence in `text` in place of the one before.
pub async fn install(host: &Host, text: &str, actor: &str) -> Result<Licence, InstallError> {
    let licence = verify(text, &TrustedKey::BUILT_IN)?;
    let today = look(host).await?.situation.today();
    let running = store::snapshot(host).await?.view.members.len() as u32;
    match &licence {
        Licence { expires, .. } if *expires < today => return Err(InstallError::Ended(*expires)),
        Licence { issued, .. } if *issued > today => return Err(InstallError::NotYet(*issued)),
        Licence { members, .. } if *members < running => {
            return Err(InstallError::TooSmall { allowed: *members, running });
        }
        _ => {}
    }
    store::install_licence(host, text, actor).await?;
    let detail = format!("{} of {}", licence.id, licence.holder);
    host.audit(actor, "licence.install", &detail).await?;
    Ok(licence)
}

/// Starts the evaluation. `Conflict` when this database has had its own.
pub async fn start_evaluation(host: &Host, actor: &str) -> Result<()> {
    if !store::start_evaluation(host, actor).await? {
        let message = "this database has had its evaluation: enter a licence";
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    host.audit(actor, "licence.evaluate", "").await
}

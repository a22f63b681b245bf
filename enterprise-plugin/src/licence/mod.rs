//! A licence: a signed text that says for whom, until when and for how many cluster members.
//! It is verified off line. It is never a kill switch: see [`standing`].

mod armour;
pub mod key;
pub mod office;
pub mod standing;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use time::Date;

pub use armour::{issue, verify};
pub use key::TrustedKey;
pub use standing::{Evaluation, Refusal, Situation, Standing, admit};

/// What was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licence {
    /// The version of this form.
    pub v: u32,
    /// Chosen by the vendor; names the licence in letters and logs.
    pub id: String,
    pub holder: String,
    pub kind: Kind,
    /// The first day on which it holds, UTC.
    #[serde(with = "day")]
    pub issued: Date,
    /// The last day on which it holds, UTC.
    #[serde(with = "day")]
    pub expires: Date,
    /// Greatest number of cluster members.
    pub members: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Evaluation,
    Subscription,
}

/// Why a text is no licence for this build. Each sentence is for the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LicenceError {
    #[error("this is no Hearth licence: paste the whole text, from the line BEGIN to the line END")]
    NotALicence,
    #[error("the text of the licence is damaged ({0}): copy it again from where you got it")]
    Damaged(&'static str),
    #[error(
        "this licence was signed with another vendor's key ({0}): ask for one for this product"
    )]
    Foreign(String),
    #[error("this licence was changed after it had been issued: use the original text")]
    Tampered,
    #[error("this licence has the newer form {0}: upgrade the enterprise plugin")]
    Newer(u32),
}

/// A licence that the test key has signed, and that holds for these days around today.
#[cfg(test)]
pub(crate) fn for_tests(from: i64, until: i64, members: u32) -> String {
    use ring::signature::Ed25519KeyPair;
    let key = Ed25519KeyPair::from_pkcs8(include_bytes!("../../keys/test")).expect("the test key");
    let today = time::OffsetDateTime::now_utc().date();
    let licence = Licence {
        v: 1,
        id: "T-1".to_owned(),
        holder: "Verona <Ltd>".to_owned(),
        kind: Kind::Subscription,
        issued: today + time::Duration::days(from),
        expires: today + time::Duration::days(until),
        members,
    };
    issue(&licence, &key).expect("issued")
}

/// A date as `2027-11-22`.
pub mod day {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use time::Date;
    use time::format_description::BorrowedFormatItem;
    use time::macros::format_description;

    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

    /// `None`: it is no such date.
    pub fn parse(text: &str) -> Option<Date> {
        Date::parse(text, FORMAT).ok()
    }

    pub(super) fn serialize<S: Serializer>(date: &Date, out: S) -> Result<S::Ok, S::Error> {
        // `Date` displays itself in this form.
        out.collect_str(date)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Date, D::Error> {
        let text = String::deserialize(input)?;
        parse(&text).ok_or_else(|| D::Error::custom("a date is written 2027-11-22"))
    }
}

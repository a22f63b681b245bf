//! Authentication. The mechanisms are pure: messages in, messages out, keys and random octets as
//! parameters. Whoever reads accounts stands in `accounts` and `store`, which the stream machine
//! must not know.

pub mod accounts;
pub mod authzid;
pub mod credentials;
pub mod derive;
mod generations;
pub mod mechanism;
pub mod password;
pub mod plain;
pub mod profile;
pub mod providers;
pub mod scram;
pub mod store;
pub mod throttle;

use crate::host::AccountId;

/// What is known of the account that wants in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No such account, or the wrong password.
    Unknown,
    Active(AccountId),
    /// Disabled, or locked for now; told only to who proves the password.
    Disabled,
}

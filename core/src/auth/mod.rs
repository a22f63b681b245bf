//! Authentication. The mechanisms are pure: messages in, messages out, keys and random octets as
//! parameters. Whoever reads accounts stands in `accounts` and `store`, which the stream machine
//! must not know.

pub mod authzid;
pub mod credentials;
pub mod mechanism;
pub mod plain;
pub mod scram;

//! One file per subcommand.

mod broadcast;
pub mod chat;
pub mod compare;
pub mod cycle;
pub mod idle;
pub mod login;
pub mod muc;
pub mod presence;
pub mod register;
pub mod roster;

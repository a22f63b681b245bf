//! What a new password must be. One that is in use stays good, whatever the rule becomes.

use crate::properties::{Declared, Property};

/// Fewer characters can be tried out: NIST SP 800-63B §5.1.1.2.
pub const SHORTEST: usize = 8;

pub static SHORTEST_PASSWORD: Property<usize> = Property::new(
    "accounts.shortest-password",
    || SHORTEST,
    "Characters that a new password has at least. Passwords that are in use stay as they are, and a \
     directory has its own rule.",
)
.within("1 to 64", |characters| (1..=64).contains(characters));

pub static PROPERTIES: [&dyn Declared; 1] = [&SHORTEST_PASSWORD];

//! The version of the protocol between nodes. Each build speaks its own version and the one before, so
//! that one node after the other can be upgraded: two nodes speak the older version of theirs.

/// The version of this build.
const OWN: u32 = 1;

/// The version that this build speaks with its like.
#[cfg(not(feature = "test-key"))]
pub fn own() -> u32 {
    OWN
}

#[cfg(feature = "test-key")]
pub use patched::own;

/// The version that this node and one whose own is `theirs` speak. Whether they can work with each
/// other at all is for who admits nodes: see [`is_near`].
pub fn with(theirs: u32) -> u32 {
    own().min(theirs)
}

/// Builds of these versions work with each other.
pub fn is_near(one: u32, other: u32) -> bool {
    one.abs_diff(other) <= 1
}

/// This build can read that version.
pub fn is_read(version: u32) -> bool {
    version <= own() && is_near(version, own())
}

/// Lets one build be several: a test writes another version into its file.
#[cfg(feature = "test-key")]
mod patched {
    use super::OWN;

    /// Five digits behind a word that stands nowhere else.
    #[used]
    static MARK: [u8; 24] = *b"HEARTH-PROTOCOL-IS:00000";

    /// What a test wrote; [`OWN`] without it.
    pub fn own() -> u32 {
        // Read as it is in the file, not as the compiler knows it.
        let mark = std::hint::black_box(&MARK);
        let number = mark.iter().skip(19).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if number == 0 { OWN } else { number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_speak_the_older_version_of_theirs() {
        assert_eq!(with(own() + 1), own());
        assert_eq!(with(own() - 1), own() - 1);
        assert!(is_read(own()) && is_read(own() - 1));
        assert!(!is_read(own() + 1), "the newer one speaks ours to us");
        assert!(is_near(3, 2) && is_near(2, 3) && !is_near(1, 3) && !is_near(3, 1));
    }
}

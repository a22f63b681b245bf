use super::*;
use crate::stanza::Stanza;

fn future_size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
    size_of::<F>()
}

/// A connection that waits is the most frequent thing in the server. A number that grows here is
/// multiplied by the number of users: think before changing it.
#[test]
fn a_waiting_connection_stays_small() {
    let sizes = [
        ("task", future_size(C2s::serve)),
        ("bound", size_of::<Bound>()),
        ("session", size_of::<Session>()),
        ("shared", size_of::<Shared>()),
        ("stanza", size_of::<Stanza>()),
        ("envelope", size_of::<Envelope>()),
    ];
    // With the two counts of its `Arc` a `Shared` fills the allocator's 320 octets.
    let expected = [184, 328, 24, 304, 216, 24];
    assert_eq!(sizes.map(|(_, size)| size), expected, "{sizes:?}");
}

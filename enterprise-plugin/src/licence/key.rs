//! The vendor's public key, which is compiled in. The private key is not in the repository.

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};

/// An Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKey([u8; 32]);

impl TrustedKey {
    /// The key that this build trusts.
    #[cfg(not(any(test, feature = "test-key")))]
    pub const BUILT_IN: TrustedKey = TrustedKey(*include_bytes!("../../keys/vendor.pub"));
    /// The public test key, in builds for tests and in unit tests alone.
    #[cfg(any(test, feature = "test-key"))]
    pub const BUILT_IN: TrustedKey = TrustedKey(*include_bytes!("../../keys/test.pub"));

    pub const fn new(octets: [u8; 32]) -> TrustedKey {
        TrustedKey(octets)
    }

    /// Names the key in a licence and to people: the begin of its SHA-256.
    pub fn id(&self) -> String {
        let hash = digest(&SHA256, &self.0);
        hash.as_ref()[..8].iter().map(|octet| format!("{octet:02x}")).collect()
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

//! The system's randomness (ring), and the tokens made of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

/// Handle on the system's generator. Cloning costs nothing.
#[derive(Clone, Debug)]
pub struct Random(SystemRandom);

impl Random {
    /// The operating system's generator.
    pub fn system() -> Random {
        Random(SystemRandom::new())
    }

    /// Fills `buffer`.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer).expect("getrandom(2) does not fail once the machine has booted");
    }

    /// `N` random octets.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        self.fill(&mut buffer);
        buffer
    }

    /// A secret of 192 bits in 32 characters of base64url.
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<24>())
    }

    /// An unguessable name of 128 bits in 32 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.bytes()))
    }
}

impl Default for Random {
    fn default() -> Random {
        Random::system()
    }
}

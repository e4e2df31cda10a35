//! The agent's own key: made when it starts, gone when it ends, never written.
//! What a CA connector certifies when `ssh` has no key to certify.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ssh_encoding::Encode as _;

use crate::cli::failure::Failure;

/// Ed25519: every OpenSSH since 6.5 takes it.
const KIND: &str = "ssh-ed25519";
/// How a text begins that is no sign-in but a file's or a commit's.
const FILE_SIGNATURE: &[u8] = b"SSHSIG";

/// A key in memory. No Debug.
pub(super) struct OwnKey(Ed25519KeyPair);

impl OwnKey {
    /// A fresh key.
    ///
    /// # Errors
    /// When the system's random source fails.
    pub(super) fn new() -> Result<Self, Failure> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let key = made.ok().and_then(|document| Ed25519KeyPair::from_pkcs8(document.as_ref()).ok());
        key.map(Self).ok_or_else(|| Failure::failed("no key could be made: the system's random source failed"))
    }

    /// The public half, one line in OpenSSH's form.
    pub(super) fn line(&self) -> Option<String> {
        Some(format!("{KIND} {}", STANDARD.encode(pair(self.0.public_key().as_ref())?)))
    }

    /// A signature as SSH encodes it; for signing in only.
    pub(super) fn sign(&self, data: &[u8]) -> Option<Vec<u8>> {
        if data.starts_with(FILE_SIGNATURE) { None } else { pair(self.0.sign(data).as_ref()) }
    }
}

/// The name of the kind, and bytes: of a key or of a signature.
fn pair(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut blob = Vec::new();
    KIND.encode(&mut blob).ok()?;
    bytes.encode(&mut blob).ok()?;
    Some(blob)
}

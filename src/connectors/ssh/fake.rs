//! A host as a client meets it: it proves its key in a key exchange, and the
//! client asks for a signature to sign in. Made from the RFCs, by ring alone,
//! so that it agrees with the type by the protocol and by nothing else.

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::connectors::{Challenge, HostBinding};

/// A string of RFC 4251.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Strings one after the other.
pub fn strings(all: &[&[u8]]) -> Vec<u8> {
    all.iter().flat_map(|one| string(one)).collect()
}

/// A host with an ed25519 key.
pub struct FakeHost {
    key: Ed25519KeyPair,
}

impl FakeHost {
    /// With a fresh key.
    pub fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { key: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap() }
    }

    /// Its public key, encoded.
    pub fn key(&self) -> Vec<u8> {
        strings(&[b"ssh-ed25519", self.key.public_key().as_ref()])
    }

    /// Its public key, one line.
    pub fn line(&self) -> String {
        use base64::Engine as _;
        format!("ssh-ed25519 {}", base64::engine::general_purpose::STANDARD.encode(self.key()))
    }

    /// What it proves of a session.
    pub fn proof(&self, session_id: &[u8]) -> HostBinding {
        let signature = strings(&[b"ssh-ed25519", self.key.sign(session_id).as_ref()]);
        HostBinding { host_key: self.key(), session_id: session_id.to_vec(), signature }
    }
}

/// What a client asks to have signed.
pub struct SignIn<'a> {
    /// Of the key exchange.
    pub session_id: &'a [u8],
    /// To sign in as.
    pub user: &'a str,
    /// `ssh-connection`.
    pub service: &'a str,
    /// With which signature.
    pub algorithm: &'a str,
    /// With which key, encoded.
    pub key: &'a [u8],
    /// The host's key, where the method is OpenSSH's own.
    pub host_key: Option<Vec<u8>>,
}

impl SignIn<'_> {
    /// The text of RFC 4252 section 7.
    pub fn text(&self) -> Vec<u8> {
        let method: &[u8] = if self.host_key.is_some() { b"publickey-hostbound-v00@openssh.com" } else { b"publickey" };
        let mut text = string(self.session_id);
        text.push(50);
        text.extend(strings(&[self.user.as_bytes(), self.service.as_bytes(), method]));
        text.push(1);
        text.extend(strings(&[self.algorithm.as_bytes(), self.key]));
        text.extend(self.host_key.iter().flat_map(|key| string(key)));
        text
    }

    /// As an agent passes it on.
    pub fn challenge(&self, flags: u32, binding: Option<HostBinding>) -> Challenge {
        Challenge { data: self.text(), flags, binding }
    }
}

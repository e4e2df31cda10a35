//! What a signing session signs: a sign-in to a host that proved one of its
//! pinned keys, as the configured user, with our own key. Nothing else.
//!
//! The data is the text of RFC 4252 section 7, or the one of OpenSSH that also
//! names the host's key. The host's signature of the session id ties it to a
//! key exchange with that host: a signature made here is good in that one
//! session, and for nobody in between.

use ssh_encoding::Decode as _;

use crate::connectors::{Challenge, HostBinding};

use super::public_key::Key;

/// SSH_MSG_USERAUTH_REQUEST.
const USERAUTH_REQUEST: u8 = 50;
/// Ask for RSA with SHA-256 (RFC 8332, agent protocol).
const FLAG_RSA_SHA2_256: u32 = 2;
/// Ask for RSA with SHA-512.
const FLAG_RSA_SHA2_512: u32 = 4;
/// What a session's id may be: a digest of the key exchange.
const SESSION_ID_LENGTHS: std::ops::RangeInclusive<usize> = 20..=64;

/// With what to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The only one of keys that are not RSA.
    OfKey,
    /// RSA with SHA-256.
    RsaSha256,
    /// RSA with SHA-512.
    RsaSha512,
}

/// Why it is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not a sign-in of SSH.
    NotASignIn,
    /// Signs in as somebody else.
    OtherUser,
    /// For another key than ours.
    OtherKey,
    /// SHA-1, or flags that say another thing than the data.
    OtherAlgorithm,
    /// No proof of which host it is for.
    NoHostBinding,
    /// A host whose key is not pinned.
    UnpinnedHost,
    /// The host's signature is not one, or is of another session.
    FalseBinding,
}

impl Refusal {
    /// The reason code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotASignIn => "NOT_A_SIGN_IN",
            Self::OtherUser => "OTHER_USER",
            Self::OtherKey => "OTHER_KEY",
            Self::OtherAlgorithm => "OTHER_ALGORITHM",
            Self::NoHostBinding => "NO_HOST_BINDING",
            Self::UnpinnedHost => "UNPINNED_HOST",
            Self::FalseBinding => "FALSE_BINDING",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotASignIn => "only sign-ins over SSH are signed: neither git commits nor files",
            Self::OtherUser => "sign in as the user of the connector's settings",
            Self::OtherKey => "the key was rotated; mint another session",
            Self::OtherAlgorithm => "use OpenSSH 7.2 or newer, which signs with SHA-2",
            Self::NoHostBinding => "use OpenSSH 8.9 or newer, without agent forwarding",
            Self::UnpinnedHost => "the host proved a key that is not pinned in the connector's host_keys",
            Self::FalseBinding => "the proof of the host is not of this session",
        }
    }
}

/// What is agreed to be signed.
pub struct Agreed<'a> {
    /// The user to sign in as.
    pub username: &'a str,
    /// Our key, encoded.
    pub public_key: &'a [u8],
    /// The pinned keys of the host.
    pub host_keys: &'a [Key],
}

/// A sign-in, taken apart.
struct SignIn {
    session_id: Vec<u8>,
    user: Vec<u8>,
    algorithm: Vec<u8>,
    public_key: Vec<u8>,
    host_key: Option<Vec<u8>>,
}

impl Agreed<'_> {
    /// With what to sign `challenge`.
    ///
    /// # Errors
    /// Why it is not signed.
    pub fn judge(&self, challenge: &Challenge) -> Result<Algorithm, Refusal> {
        let sign_in = SignIn::parse(&challenge.data).ok_or(Refusal::NotASignIn)?;
        if sign_in.user != self.username.as_bytes() {
            return Err(Refusal::OtherUser);
        }
        if sign_in.public_key != self.public_key {
            return Err(Refusal::OtherKey);
        }
        let algorithm = self.algorithm(&sign_in.algorithm, challenge.flags).ok_or(Refusal::OtherAlgorithm)?;
        self.check_host(&sign_in, challenge.binding.as_ref().ok_or(Refusal::NoHostBinding)?)?;
        Ok(algorithm)
    }

    fn algorithm(&self, named: &[u8], flags: u32) -> Option<Algorithm> {
        let mut reader = self.public_key;
        let kind = Vec::<u8>::decode(&mut reader).ok()?;
        match (kind.as_slice(), named, flags) {
            (b"ssh-rsa", b"rsa-sha2-256", FLAG_RSA_SHA2_256) => Some(Algorithm::RsaSha256),
            (b"ssh-rsa", b"rsa-sha2-512", FLAG_RSA_SHA2_512) => Some(Algorithm::RsaSha512),
            (b"ssh-rsa", _, _) => None,
            (kind, named, 0) if kind == named => Some(Algorithm::OfKey),
            _ => None,
        }
    }

    fn check_host(&self, sign_in: &SignIn, binding: &HostBinding) -> Result<(), Refusal> {
        let pinned = self.host_keys.iter().find(|key| key.blob == binding.host_key).ok_or(Refusal::UnpinnedHost)?;
        if sign_in.host_key.as_ref().is_some_and(|key| *key != pinned.blob) {
            return Err(Refusal::UnpinnedHost);
        }
        let of_session = binding.session_id == sign_in.session_id
            && SESSION_ID_LENGTHS.contains(&binding.session_id.len())
            && pinned.verifies(&binding.session_id, &binding.signature);
        if of_session { Ok(()) } else { Err(Refusal::FalseBinding) }
    }
}

impl SignIn {
    /// Nothing but a sign-in by public key parses, to the last byte.
    fn parse(data: &[u8]) -> Option<Self> {
        let mut reader = data;
        let session_id = Vec::<u8>::decode(&mut reader).ok()?;
        let message = u8::decode(&mut reader).ok()?;
        let user = Vec::<u8>::decode(&mut reader).ok()?;
        let service = Vec::<u8>::decode(&mut reader).ok()?;
        let method = Vec::<u8>::decode(&mut reader).ok()?;
        let signed = u8::decode(&mut reader).ok()?;
        let algorithm = Vec::<u8>::decode(&mut reader).ok()?;
        let public_key = Vec::<u8>::decode(&mut reader).ok()?;
        let host_key = match method.as_slice() {
            b"publickey" => None,
            b"publickey-hostbound-v00@openssh.com" => Some(Vec::<u8>::decode(&mut reader).ok()?),
            _ => return None,
        };
        let fits = message == USERAUTH_REQUEST && service == b"ssh-connection" && signed == 1 && reader.is_empty();
        fits.then_some(Self { session_id, user, algorithm, public_key, host_key })
    }
}

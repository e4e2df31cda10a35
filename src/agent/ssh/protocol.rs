//! The words of the agent protocol (draft-miller-ssh-agent, PROTOCOL.agent of
//! OpenSSH): list, sign, and the extension that binds a connection to a host.
//!
//! Parses to the last byte or not at all. Whatever else there is in the
//! protocol, adding keys for example, is a failure.

use ssh_encoding::{Decode as _, Encode as _};

/// What is longer is not for this agent: OpenSSH's bound is eight times that.
pub const MESSAGE_LENGTH_MAX: usize = 32 * 1024;

const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
const EXTENSION: u8 = 27;
const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_RESPONSE: u8 = 14;
const SESSION_BIND: &[u8] = b"session-bind@openssh.com";

/// A key or certificate on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Encoded.
    pub key: Vec<u8>,
    /// For people.
    pub comment: String,
}

/// Proof of which host a connection is with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The host's public key, encoded.
    pub host_key: Vec<u8>,
    /// The session's id.
    pub session_id: Vec<u8>,
    /// The host key's signature of it.
    pub signature: Vec<u8>,
}

/// What is wished to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignWish {
    /// With which of the identities.
    pub key: Vec<u8>,
    /// What.
    pub data: Vec<u8>,
    /// RSA with which digest.
    pub flags: u32,
    /// For which host, when the client said.
    pub binding: Option<Binding>,
}

/// What a client says.
pub enum Request {
    /// List.
    Identities,
    /// Sign.
    Sign {
        /// With which.
        key: Vec<u8>,
        /// What.
        data: Vec<u8>,
        /// How.
        flags: u32,
    },
    /// This connection is for a session with this host.
    Bind {
        /// Which host.
        binding: Binding,
        /// Whoever is there will use the agent from now on.
        forwarding: bool,
    },
}

impl Request {
    /// Parses a message without its length.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (kind, mut reader) = message.split_first()?;
        let bytes = |reader: &mut &[u8]| Vec::<u8>::decode(reader).ok();
        let request = match *kind {
            REQUEST_IDENTITIES => Self::Identities,
            SIGN_REQUEST => {
                let (key, data) = (bytes(&mut reader)?, bytes(&mut reader)?);
                Self::Sign { key, data, flags: u32::decode(&mut reader).ok()? }
            }
            EXTENSION if bytes(&mut reader)? == SESSION_BIND => {
                let (host_key, session_id) = (bytes(&mut reader)?, bytes(&mut reader)?);
                let binding = Binding { host_key, session_id, signature: bytes(&mut reader)? };
                Self::Bind { binding, forwarding: u8::decode(&mut reader).ok()? != 0 }
            }
            _ => return None,
        };
        reader.is_empty().then_some(request)
    }
}

/// What a connection was bound to.
#[derive(Debug, Default)]
pub enum Bindings {
    /// Nothing yet.
    #[default]
    Free,
    /// One host.
    Bound(Binding),
    /// Forwarded, or bound to two: nobody knows any more who asks.
    Lost,
}

impl Bindings {
    /// Adds a binding; false when that loses the connection.
    pub fn add(&mut self, binding: Binding, forwarding: bool) -> bool {
        let fits = match self {
            Self::Free => !forwarding,
            Self::Bound(known) => *known == binding && !forwarding,
            Self::Lost => false,
        };
        *self = if fits { Self::Bound(binding) } else { Self::Lost };
        fits
    }

    /// The binding to sign with, if any; none at all for a lost connection.
    pub fn here(&self) -> Option<Option<Binding>> {
        match self {
            Self::Free => Some(None),
            Self::Bound(binding) => Some(Some(binding.clone())),
            Self::Lost => None,
        }
    }
}

/// What a client hears.
pub enum Reply {
    /// It is not done.
    Failure,
    /// It is done.
    Success,
    /// The identities.
    Identities(Vec<Identity>),
    /// The signature.
    Signature(Vec<u8>),
}

impl Reply {
    /// The message with its length before it.
    pub fn framed(&self) -> Vec<u8> {
        let body = self.body().unwrap_or_else(|_| vec![FAILURE]);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], &body].concat()
    }

    fn body(&self) -> Result<Vec<u8>, ssh_encoding::Error> {
        let mut body = Vec::new();
        match self {
            Self::Failure => body.push(FAILURE),
            Self::Success => body.push(SUCCESS),
            Self::Identities(all) => {
                body.push(IDENTITIES_ANSWER);
                all.len().encode(&mut body)?;
                for one in all {
                    one.key.encode(&mut body)?;
                    one.comment.encode(&mut body)?;
                }
            }
            Self::Signature(signature) => {
                body.push(SIGN_RESPONSE);
                signature.encode(&mut body)?;
            }
        }
        Ok(body)
    }
}

//! Public keys of others: the caller's own, to be certified, and the hosts',
//! pinned in the settings. Both come as lines of OpenSSH and are kept as bytes
//! that encode to nothing but themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use ssh_encoding::{Decode as _, Encode as _};
use ssh_key::public::{EcdsaPublicKey, KeyData};

use super::hosts::Host;

/// Bits of the shortest RSA modulus: what OpenSSH and ring take.
const RSA_BITS_MIN: usize = 2048;
/// Bits of the longest that OpenSSH takes.
const RSA_BITS_MAX: usize = 16_384;

/// A parsed public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    data: KeyData,
    /// Encoded.
    pub blob: Vec<u8>,
}

impl Key {
    /// Decodes a key, only in its one encoding.
    pub fn decode(blob: &[u8]) -> Option<Self> {
        let mut reader = blob;
        let data = KeyData::decode(&mut reader).ok()?;
        let again = encoded(&data)?;
        (again == blob).then_some(Self { data, blob: again })
    }

    /// The name of its kind, for example `ssh-ed25519`.
    pub fn kind(&self) -> String {
        self.data.algorithm().as_str().to_owned()
    }

    /// One line in OpenSSH's form, without a comment.
    pub fn line(&self) -> String {
        format!("{} {}", self.kind(), STANDARD.encode(&self.blob))
    }

    /// Why OpenSSH would not take it from a user, or nothing.
    fn user_problem(&self) -> Option<&'static str> {
        match &self.data {
            KeyData::Ed25519(_) | KeyData::Ecdsa(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => None,
            KeyData::Rsa(key) => {
                let bits = key.n.as_positive_bytes().map_or(0, bits);
                let fits = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits);
                (!fits).then_some("is an RSA key of fewer than 2,048 or more than 16,384 bits")
            }
            KeyData::Dsa(_) => Some(crate::domain::alias::DSA_REFUSED),
            // The enum may grow.
            KeyData::Other(_) | _ => Some(KINDS),
        }
    }

    /// Whether its owner signed `message`; `signature` as SSH encodes it.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.checked(message, signature).unwrap_or(false)
    }

    fn checked(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let mut reader = signature;
        let algorithm = String::decode(&mut reader).ok()?;
        let bytes = Vec::<u8>::decode(&mut reader).ok()?;
        if !reader.is_empty() {
            return None;
        }
        let verified = match (&self.data, algorithm.as_str()) {
            (KeyData::Ed25519(key), "ssh-ed25519") => UnparsedPublicKey::new(&ED25519, key.0).verify(message, &bytes),
            (KeyData::Ecdsa(EcdsaPublicKey::NistP256(key)), "ecdsa-sha2-nistp256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.as_bytes()).verify(message, &fixed(&bytes, 32)?)
            }
            (KeyData::Ecdsa(EcdsaPublicKey::NistP384(key)), "ecdsa-sha2-nistp384") => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.as_bytes()).verify(message, &fixed(&bytes, 48)?)
            }
            (KeyData::Rsa(key), "rsa-sha2-256" | "rsa-sha2-512") => {
                let key = RsaPublicKeyComponents { n: key.n.as_positive_bytes()?, e: key.e.as_positive_bytes()? };
                let sha256 = algorithm == "rsa-sha2-256";
                let with = if sha256 { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PKCS1_2048_8192_SHA512 };
                key.verify(with, message, &bytes)
            }
            // SHA-1 is none of them.
            _ => return None,
        };
        Some(verified.is_ok())
    }
}

/// The words of the settings and parameters for what is taken.
const KINDS: &str = "must be an ed25519, ecdsa or rsa key, or one of a security key (sk-)";

fn encoded(data: &KeyData) -> Option<Vec<u8>> {
    let mut blob = Vec::new();
    data.encode(&mut blob).ok()?;
    Some(blob)
}

fn bits(bytes: &[u8]) -> usize {
    let leading = bytes.first().map_or(0, |byte| byte.leading_zeros() as usize);
    (bytes.len() * 8).saturating_sub(leading)
}

/// `r` and `s` of an ECDSA signature, each padded to the width of the curve.
fn fixed(bytes: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut reader = bytes;
    let mut whole = Vec::with_capacity(2 * width);
    for _ in 0..2 {
        let number = ssh_key::Mpint::decode(&mut reader).ok()?;
        let number = number.as_positive_bytes()?;
        whole.resize(whole.len() + width.checked_sub(number.len())?, 0);
        whole.extend_from_slice(number);
    }
    reader.is_empty().then_some(whole)
}

/// The caller's key from a line of OpenSSH; options before it and a comment
/// after it count for nothing.
///
/// # Errors
/// What is wrong with it.
pub fn of_caller(line: &str) -> Result<Key, &'static str> {
    let line = line.trim();
    let named = |text: &str| ends_of_kinds().any(|kind| text.split_whitespace().next() == Some(kind));
    let line = if named(line) { line } else { after_options(line) };
    let mut words = line.split_whitespace();
    let (kind, text) = words.next().zip(words.next()).ok_or("must be one line of OpenSSH: TYPE KEY [COMMENT]")?;
    if kind.contains("-cert-v01@") {
        return Err("is a certificate; send the key that it certifies");
    }
    let key = STANDARD.decode(text).ok().and_then(|blob| Key::decode(&blob)).ok_or(KINDS)?;
    if key.kind() != kind {
        return Err("names another type than it is of");
    }
    match key.user_problem() {
        Some(problem) => Err(problem),
        None => Ok(key),
    }
}

/// The types of keys that a line may begin with.
fn ends_of_kinds() -> impl Iterator<Item = &'static str> {
    [
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ssh-rsa",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ]
    .into_iter()
}

/// What follows the options of authorized_keys: they end at the first blank
/// outside of quotes.
fn after_options(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    let end = line.find(|character: char| {
        let quote = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        quoted ^= quote;
        !quoted && character.is_whitespace()
    });
    end.and_then(|end| line.get(end..)).unwrap_or_default().trim_start()
}

/// A pinned key of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Whose.
    pub host: Host,
    /// The key.
    pub key: Key,
}

/// The lines of the setting `host_keys`: what ssh-keyscan prints may come in
/// one value, with its remarks.
pub fn pin_lines(values: &[String]) -> impl Iterator<Item = &str> {
    let lines = values.iter().flat_map(|value| value.split(['\n', '\r'])).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The pins of a line of known_hosts.
///
/// # Errors
/// What is wrong with it; more lines than one are no line, lest keys after the
/// first be passed over in silence.
pub fn pins(line: &str) -> Result<Vec<Pin>, &'static str> {
    const FORM: &str = "must be lines of known_hosts: HOST[,HOST...] TYPE KEY, with names in the clear and no globs";
    let line = line.trim();
    if line.contains(['\n', '\r']) {
        return Err(FORM);
    }
    let mut words = line.split_whitespace();
    let (Some(hosts), Some(kind), Some(text)) = (words.next(), words.next(), words.next()) else {
        return Err(FORM);
    };
    let key = STANDARD.decode(text).ok().and_then(|blob| Key::decode(&blob)).ok_or(FORM)?;
    let curve = |key: &EcdsaPublicKey| matches!(key, EcdsaPublicKey::NistP256(_) | EcdsaPublicKey::NistP384(_));
    let checkable = key.data.is_ed25519()
        || key.data.ecdsa().is_some_and(curve)
        || (key.data.is_rsa() && key.user_problem().is_none());
    if !checkable || key.kind() != kind {
        return Err("must be ed25519 keys, ecdsa keys on P-256 or P-384, or rsa keys of 2,048 bits and more");
    }
    let pin = |host: &str| Host::parse(host).map(|host| Pin { host, key: key.clone() });
    hosts.split(',').map(pin).collect::<Option<Vec<_>>>().ok_or(FORM)
}

//! User certificates as OpenSSH reads them (PROTOCOL.certkeys): what is
//! signed, and the line that the caller gets. Pure: serial, nonce and times
//! are handed in, the signature is made elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_encoding::{Encode as _, Error};

use super::public_key::Key;
use super::scope::CertificateScope;

/// A certificate for a user, not for a host.
const USER: u32 = 1;

/// What the mint adds to the scope.
pub struct Facts<'a> {
    /// Random: the signed text differs each time.
    pub nonce: &'a [u8; 32],
    /// Random: what a revocation list would name.
    pub serial: u64,
    /// What the host writes into its log.
    pub key_id: &'a str,
    /// Seconds since the epoch.
    pub valid_after: u64,
    /// Seconds since the epoch; the first at which it is not valid.
    pub valid_before: u64,
    /// The CA's public key, encoded.
    pub ca: &'a [u8],
}

/// The name of a certificate's type: `ssh-ed25519-cert-v01@openssh.com`.
fn kind_of(key: &Key) -> String {
    format!("{}-cert-v01@openssh.com", key.kind().trim_end_matches("@openssh.com"))
}

/// The text that the CA signs.
///
/// # Errors
/// When a part is longer than its length field says.
pub fn to_be_signed(key: &Key, scope: &CertificateScope, facts: &Facts<'_>) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    kind_of(key).encode(&mut text)?;
    facts.nonce.as_slice().encode(&mut text)?;
    // The key's own fields stand here without the name of its type.
    text.extend_from_slice(key.blob.get(4 + key.kind().len()..).ok_or(Error::Length)?);
    facts.serial.encode(&mut text)?;
    USER.encode(&mut text)?;
    facts.key_id.encode(&mut text)?;
    strings(scope.principals.iter().map(String::as_str))?.encode(&mut text)?;
    facts.valid_after.encode(&mut text)?;
    facts.valid_before.encode(&mut text)?;
    critical_options(scope)?.encode(&mut text)?;
    extensions(scope)?.encode(&mut text)?;
    // Reserved.
    "".encode(&mut text)?;
    facts.ca.encode(&mut text)?;
    Ok(text)
}

/// The line of the certificate: type, text with its signature, key id.
///
/// # Errors
/// When a part is longer than its length field says.
pub fn line(key: &Key, mut text: Vec<u8>, signature: &[u8], key_id: &str) -> Result<String, Error> {
    signature.encode(&mut text)?;
    Ok(format!("{} {} {key_id}", kind_of(key), STANDARD.encode(text)))
}

fn strings<'a>(all: impl Iterator<Item = &'a str>) -> Result<Vec<u8>, Error> {
    let mut list = Vec::new();
    for one in all {
        one.encode(&mut list)?;
    }
    Ok(list)
}

/// In the order of their names, each with its value as a string in a string.
/// A host that does not know one of these refuses the certificate.
fn critical_options(scope: &CertificateScope) -> Result<Vec<u8>, Error> {
    let mut list = Vec::new();
    if let Some(command) = &scope.force_command {
        "force-command".encode(&mut list)?;
        strings([command.as_str()].into_iter())?.encode(&mut list)?;
    }
    if !scope.source_address.is_empty() {
        "source-address".encode(&mut list)?;
        strings([scope.source_address.join(",").as_str()].into_iter())?.encode(&mut list)?;
    }
    Ok(list)
}

fn extensions(scope: &CertificateScope) -> Result<Vec<u8>, Error> {
    strings(scope.extensions.iter().flat_map(|extension| [extension.as_str(), ""]))
}

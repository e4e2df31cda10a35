//! The source credential, looked at: the only file of this type that sees it
//! in the clear. A certificate is hostile input until it was read here: its
//! size, its form, its key and its dates.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha1::{Digest as _, Sha1};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::connectors::{SecretEnd, Upstream, UpstreamError};
use crate::domain::jws::SigningKey;
use crate::domain::{SecretText, Timestamp};
use crate::sealing::{Plaintext, SourceCredential};

use super::settings::{Settings, Way};
use super::settings_check::{CLIENT_CERTIFICATE, CLIENT_SECRET, TOKEN};

/// The longest PEM: a key of 4,096 bits and a chain.
const PEM_LENGTH_MAX: usize = 32 * 1024;

/// What tokens are got with. No Debug.
pub enum Source {
    /// An application's secret.
    Secret(SecretText),
    /// An application's certificate.
    Certificate(Box<Certificate>),
    /// The broker's own issuer.
    Federated,
    /// A token as it was handed in.
    HandedIn(SecretText),
    /// The machine's identity.
    Machine,
}

/// A certificate's key, ready to sign. No Debug.
pub struct Certificate {
    /// RSA: Entra takes no other.
    pub key: SigningKey,
    /// SHA-1 of the certificate, base64url, as `x5t` has it.
    pub thumbprint: String,
}

/// What tokens are got with under these settings.
pub fn source(upstream: &Upstream, settings: &Settings, secret: &SourceCredential) -> Result<Source, UpstreamError> {
    let text = |name: &str| {
        let text = secret.field(name).and_then(Plaintext::expose_text).map(|text| SecretText::new(text.to_owned()));
        text.ok_or_else(|| UpstreamError::CredentialRefused { code: "incomplete".to_owned() })
    };
    match settings.way() {
        Way::Application { federated: true, .. } => Ok(Source::Federated),
        Way::Application { .. } => match secret.field(CLIENT_CERTIFICATE) {
            Some(pem) => {
                let read = certificate(pem.expose(), upstream.clock.now());
                let refused = |_| UpstreamError::CredentialRefused { code: "certificate".to_owned() };
                Ok(Source::Certificate(Box::new(read.map_err(refused)?)))
            }
            None => Ok(Source::Secret(text(CLIENT_SECRET)?)),
        },
        Way::HandedIn => Ok(Source::HandedIn(text(TOKEN)?)),
        Way::Machine { .. } => Ok(Source::Machine),
    }
}

/// When it ends by its own word: a certificate, or a handed-in token. Secrets
/// of applications are opaque; Entra alone knows when they end.
pub fn end(settings: &Settings, secret: &SourceCredential) -> Option<SecretEnd> {
    match settings.way() {
        Way::Application { .. } => {
            SecretEnd::of_certificate(CLIENT_CERTIFICATE, secret.field(CLIENT_CERTIFICATE)?.expose())
        }
        Way::HandedIn => SecretEnd::of_token(TOKEN, secret.field(TOKEN)?.expose_text()?),
        Way::Machine { .. } => None,
    }
}

/// Looks at a certificate at the door.
///
/// # Errors
/// What is wrong with it, in our own words and with nothing of it.
pub fn look_at_certificate(pem: &Plaintext, now: Timestamp) -> Result<(), &'static str> {
    certificate(pem.expose(), now).map(drop)
}

/// The first private key and the first certificate of a PEM text, in either
/// order; the rest of a chain is of no use to Entra.
fn certificate(pem: &[u8], now: Timestamp) -> Result<Certificate, &'static str> {
    if pem.len() > PEM_LENGTH_MAX {
        return Err("must be at most 32 KiB");
    }
    let der = CertificateDer::from_pem_slice(pem).map_err(|_| FORM)?;
    let key = SigningKey::from_pem(pem).map_err(|_| FORM)?;
    let (rest, parsed) = X509Certificate::from_der(&der).map_err(|_| FORM)?;
    let SigningKey::Rsa(pair) = &key else {
        return Err("must have an RSA key: Entra takes no other");
    };
    if !rest.is_empty() || parsed.public_key().subject_public_key.data.as_ref() != pair.public().as_ref() {
        return Err("must have the certificate of its key");
    }
    let dates = parsed.validity();
    if dates.not_after.timestamp() <= now.seconds() {
        return Err("has a certificate that has expired");
    }
    if dates.not_before.timestamp() > now.seconds() {
        return Err("has a certificate that is not valid yet");
    }
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha1::digest(&*der));
    Ok(Certificate { key, thumbprint })
}

const FORM: &str = "must be PEM with one certificate and its RSA key (2,048 to 4,096 bits), not encrypted";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::azure::fake::{certificate_pem, stranger_key_pem};

    fn now() -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }

    fn problem(pem: &str, now: Timestamp) -> Option<&'static str> {
        certificate(pem.as_bytes(), now).err()
    }

    #[test]
    fn a_certificate_is_taken_with_its_own_key_and_in_its_own_time() {
        let good = certificate_pem();
        assert_eq!(problem(&good, now()), None);
        let (key, own) = good.split_once("-----BEGIN CERTIFICATE-----").unwrap();
        let turned = format!("-----BEGIN CERTIFICATE-----{own}{key}");
        assert_eq!(problem(&turned, now()), None);
        let late = Timestamp::from_seconds(now().seconds() + 400 * 24 * 3600);
        assert!(problem(&good, late).unwrap().contains("expired"));
        assert!(problem(&good, Timestamp::from_seconds(0)).unwrap().contains("not valid yet"));
        let stolen = format!("{}-----BEGIN CERTIFICATE-----{own}", stranger_key_pem());
        assert!(problem(&stolen, now()).unwrap().contains("of its key"));
    }

    #[test]
    fn hostile_pem_is_refused_without_a_word_of_it() {
        let good = certificate_pem();
        let (key, own) = good.split_once("-----BEGIN CERTIFICATE-----").unwrap();
        let cut: String = own.lines().take(3).collect();
        let elliptic = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
        for bad in [
            String::new(),
            "hunter2".to_owned(),
            key.to_owned(),
            format!("-----BEGIN CERTIFICATE-----{own}"),
            format!("{key}-----BEGIN CERTIFICATE-----\n{cut}\n-----END CERTIFICATE-----\n"),
            format!("{good}{}", "x".repeat(PEM_LENGTH_MAX)),
            good.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            format!("{}{}", elliptic.signing_key.serialize_pem(), elliptic.cert.pem()),
        ] {
            let said = problem(&bad, now()).unwrap_or_else(|| panic!("{bad} was taken"));
            assert!(!said.contains("hunter2") && !said.contains("MII"), "{said}");
        }
    }
}

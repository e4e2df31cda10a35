//! What a source credential says of its own end: an X.509 certificate its
//! `notAfter`, a JSON Web Token its `exp`. Called from the files that see it
//! in the clear; keeps nothing of it but the time.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::domain::{Timestamp, claimed_end};

/// RFC 5280 section 4.1.2.5: 9999-12-31T23:59:59Z is no end that is known.
const NO_KNOWN_END: i64 = 253_402_300_799;
/// The field of a request that says when a source credential ends. Whoever
/// reads an error at a terminal knows it as `--secret-expires-in`.
pub const SECRET_EXPIRES_AT: &str = "secret_expires_at";

/// When a source credential ends by its own word, and which of its fields
/// says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretEnd {
    /// For example `client_certificate`.
    pub field: &'static str,
    /// The end.
    pub at: Timestamp,
}

impl SecretEnd {
    /// Of the first certificate of a PEM text; nothing when it cannot be read,
    /// which is for the check of the field to refuse.
    #[must_use]
    pub fn of_certificate(field: &'static str, pem: &[u8]) -> Option<Self> {
        let at = not_after(pem)?;
        (at.seconds() < NO_KNOWN_END).then_some(Self { field, at })
    }

    /// Of a token, when it is a JWT that names its end.
    #[must_use]
    pub fn of_token(field: &'static str, token: &str) -> Option<Self> {
        claimed_end(token).map(|at| Self { field, at })
    }
}

/// The `notAfter` of the first certificate of a PEM text, the one whose key is
/// used; nothing when it is none.
#[must_use]
pub fn not_after(pem: &[u8]) -> Option<Timestamp> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(Timestamp::from_seconds(certificate.validity().not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(year: i32) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 2, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn the_first_certificate_of_a_chain_says_when_it_ends() {
        let end = SecretEnd { field: "c", at: Timestamp::from_seconds(1_769_904_000) };
        assert_eq!(SecretEnd::of_certificate("c", pem(2026).as_bytes()), Some(end));
        let chain = format!("{}{}", pem(2026), pem(2024));
        assert_eq!(SecretEnd::of_certificate("c", chain.as_bytes()), Some(end));
        let before = SecretEnd::of_certificate("c", pem(1999).as_bytes()).unwrap();
        assert!(before.at.seconds() < 1_000_000_000, "dates before 2050 are written otherwise");
    }

    #[test]
    fn what_cannot_be_read_and_what_has_no_known_end_say_nothing() {
        let good = pem(2026);
        let cut: String = good.lines().take(3).collect::<Vec<_>>().join("\n");
        for text in ["", "hunter2", &format!("{cut}\n-----END CERTIFICATE-----\n")] {
            assert_eq!((not_after(text.as_bytes()), SecretEnd::of_certificate("c", text.as_bytes())), (None, None));
        }
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(9999, 12, 31) + std::time::Duration::from_secs(86_399);
        let endless = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        assert_eq!(not_after(endless.as_bytes()).map(Timestamp::seconds), Some(NO_KNOWN_END));
        assert_eq!(SecretEnd::of_certificate("c", endless.as_bytes()), None);
    }
}

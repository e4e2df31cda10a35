//! Whom to trust: the system's roots and those of the config. One crypto
//! provider, ring.

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::error::OutboundError;

/// The one provider.
pub(super) const fn provider() -> Provider {
    Provider::Rustls(CryptoMode::Ring)
}

/// The system's roots and `extra`.
pub(super) fn context(extra: Option<&str>) -> Result<TlsContext, OutboundError> {
    let mut trust = TrustStore::default();
    if let Some(pem) = extra {
        check(pem)?;
        trust = trust.with_pem_certificate(pem.as_bytes());
    }
    TlsContext::builder().with_trust_store(trust).build().map_err(|_| REFUSED)
}

/// The client panics on a bundle that does not parse: look first.
fn check(pem: &str) -> Result<(), OutboundError> {
    let mut roots = RootCertStore::empty();
    add(&mut roots, pem).ok_or(REFUSED)
}

/// Adds the certificates of a PEM bundle, which has at least one.
pub(super) fn add(roots: &mut RootCertStore, pem: &str) -> Option<()> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    (roots.len() > before).then_some(())
}

const REFUSED: OutboundError = OutboundError::Rules("extra_roots: must be a PEM bundle of CA certificates");

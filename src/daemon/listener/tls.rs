//! TLS 1.3 and HTTP/2 and nothing else for clients; one provider; certificates that are
//! read again without a restart.
//!
//! A new certificate that does not load, does not fit its key, or is not
//! valid now, leaves the old one serving. There is no key log: no variable
//! can switch one on.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};

use crate::config;
use crate::daemon::error::DaemonError;
use crate::domain::Timestamp;

/// The one protocol inside TLS.
pub(super) const ALPN: &[u8] = b"h2";
/// That of the issuer's documents.
const DOCUMENT_ALPN: &[u8] = b"http/1.1";

/// The certificate that is served, and where it comes from.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    read: Mutex<[u8; 32]>,
}

/// What a look at the files led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The files are those that were read last.
    Unchanged,
    /// The new certificate serves.
    Changed,
}

impl Certificates {
    /// The certificate of these files.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn load(certificate: PathBuf, key: PathBuf, now: Timestamp) -> Result<Arc<Self>, DaemonError> {
        let (digest, chain, private) = read(&certificate, &key)?;
        let current = ArcSwap::from_pointee(certified(chain, &private, now)?);
        Ok(Arc::new(Self { certificate, key, current, read: Mutex::new(digest) }))
    }

    /// Reads the files again when they have changed. Files that are no good
    /// are complained about once.
    ///
    /// # Errors
    /// Says what is wrong; the old certificate goes on serving.
    pub fn reload(&self, now: Timestamp) -> Result<Reloaded, DaemonError> {
        let (digest, chain, private) = read(&self.certificate, &self.key)?;
        let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == digest {
            return Ok(Reloaded::Unchanged);
        }
        *last = digest;
        self.current.store(Arc::new(certified(chain, &private, now)?));
        Ok(Reloaded::Changed)
    }

    /// The configuration of TLS that serves the current certificate to
    /// clients.
    ///
    /// # Errors
    /// When the provider lacks TLS 1.3.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, DaemonError> {
        self.config(&[&rustls::version::TLS13], ALPN)
    }

    /// The same for the issuer's public documents: HTTP/1.1, and TLS 1.2 too,
    /// because no cloud says with which it fetches them. Nothing secret goes
    /// that way.
    ///
    /// # Errors
    /// When the provider lacks either version.
    pub fn document_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, DaemonError> {
        self.config(&[&rustls::version::TLS13, &rustls::version::TLS12], DOCUMENT_ALPN)
    }

    fn config(
        self: &Arc<Self>,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[u8],
    ) -> Result<Arc<ServerConfig>, DaemonError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| refused(&error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(Arc::new(config))
    }
}

/// Shows nothing of the key.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

type Files = ([u8; 32], Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(certificate: &std::path::Path, key: &std::path::Path) -> Result<Files, DaemonError> {
    let chain = config::pem_file(certificate, false)?;
    let private = config::pem_file(key, true)?;
    let digest = Sha256::new().chain_update(chain.len().to_be_bytes()).chain_update(&*chain).chain_update(&*private);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|_| problem("the chain is not PEM"))?;
    let private = PrivateKeyDer::from_pem_slice(&private).map_err(|_| problem("the key is not a PEM key"))?;
    Ok((digest.finalize().into(), chain, private))
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
    now: Timestamp,
) -> Result<CertifiedKey, DaemonError> {
    if chain.is_empty() {
        return Err(problem("there is no certificate in the file"));
    }
    check_validity(&chain, now)?;
    CertifiedKey::from_der(chain, key.clone_key(), &provider()).map_err(|error| refused(&error))
}

/// Valid now, each of them that a client will look at. Who signed it is the
/// clients' to judge: only the dates are looked at here.
fn check_validity(chain: &[CertificateDer<'static>], now: Timestamp) -> Result<(), DaemonError> {
    let (Some((leaf, others)), Some(last)) = (chain.split_first(), chain.last()) else { return Ok(()) };
    let mut roots = RootCertStore::empty();
    roots.add(last.clone()).map_err(|error| refused(&error))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| problem("it cannot be checked"))?;
    let name = ServerName::try_from("localhost").map_err(|_| problem("it cannot be checked"))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.seconds()).unwrap_or_default()));
    match verifier.verify_server_cert(leaf, others, &name, &[], at) {
        Err(rustls::Error::InvalidCertificate(
            error @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::BadEncoding),
        )) => Err(problem(&error.to_string())),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn problem(problem: &str) -> DaemonError {
    DaemonError::Certificate { problem: problem.to_owned() }
}

fn refused(error: &rustls::Error) -> DaemonError {
    problem(&error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::daemon::certificates::{Made, make};

    const DAY: Timestamp = Timestamp::from_seconds(1_767_225_600);
    const YEARS_LATER: Timestamp = Timestamp::from_seconds(1_767_225_600 + 3 * 365 * 24 * 3600);

    fn write(folder: &Path, certificate: &str, key: &str) {
        for (name, text) in [("server.pem", certificate), ("server.key", key)] {
            let path = folder.join(name);
            let _ = std::fs::remove_file(&path);
            config::write_new_private_file(&path, text.as_bytes()).unwrap();
        }
    }

    fn served(certificates: &Certificates) -> Vec<u8> {
        certificates.current.load().cert[0].as_ref().to_vec()
    }

    fn fresh(now: Timestamp) -> Made {
        make(&[], now).unwrap()
    }

    #[test]
    fn k2_a_new_certificate_serves_and_a_bad_one_leaves_the_old_one_serving() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second, old) = (fresh(DAY), fresh(DAY), fresh(Timestamp::from_seconds(0)));
        write(folder.path(), &first.server, &first.server_key);
        let paths = (folder.path().join("server.pem"), folder.path().join("server.key"));
        let certificates = Certificates::load(paths.0, paths.1, DAY).unwrap();
        let at_first = served(&certificates);
        assert_eq!(certificates.reload(DAY).unwrap(), Reloaded::Unchanged);

        for (certificate, key) in [
            (second.server.as_str(), first.server_key.as_str()),
            ("", second.server_key.as_str()),
            ("not PEM", second.server_key.as_str()),
            (second.server.as_str(), "not PEM"),
            (old.server.as_str(), old.server_key.as_str()),
        ] {
            write(folder.path(), certificate, key);
            assert!(certificates.reload(DAY).is_err());
            assert_eq!(served(&certificates), at_first);
        }
        write(folder.path(), &second.server, &second.server_key);
        assert_eq!(certificates.reload(DAY).unwrap(), Reloaded::Changed);
        assert_ne!(served(&certificates), at_first);
    }

    #[test]
    fn a_certificate_that_has_ended_or_not_begun_is_refused_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let made = fresh(DAY);
        write(folder.path(), &made.server, &made.server_key);
        let load = |now| Certificates::load(folder.path().join("server.pem"), folder.path().join("server.key"), now);
        assert!(load(DAY).is_ok());
        assert!(load(YEARS_LATER).is_err());
        assert!(load(Timestamp::from_seconds(0)).is_err());
    }

    #[test]
    fn h3_h10_no_key_is_shown_and_none_is_logged() {
        let folder = tempfile::tempdir().unwrap();
        let made = fresh(DAY);
        write(folder.path(), &made.server, &made.server_key);
        let paths = (folder.path().join("server.pem"), folder.path().join("server.key"));
        let certificates = Certificates::load(paths.0, paths.1, DAY).unwrap();
        assert!(!format!("{certificates:?}").contains("current"));
        let config = certificates.server_config().unwrap();
        assert!(!config.key_log.will_log("CLIENT_TRAFFIC_SECRET_0"));
        assert_eq!(config.alpn_protocols, [b"h2".to_vec()]);
    }
}

//! The CA and the server certificate that `init` makes, so that the first
//! contact is over TLS with a name that is checked.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use zeroize::Zeroizing;

use super::error::DaemonError;
use crate::domain::Timestamp;

/// How long clients may trust the CA without a new `ca.pem`.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Apple's and others' longest lifetime of a private CA's server certificate.
const SERVER_LIFETIME: Duration = Duration::from_secs(825 * 24 * 3600);
/// A client's clock may be behind.
const SKEW: Duration = Duration::from_secs(3600);
/// Every server certificate is good for the machine itself.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Certificates and keys, as PEM.
pub(super) struct Made {
    pub(super) ca: String,
    pub(super) ca_key: Zeroizing<String>,
    pub(super) server: String,
    pub(super) server_key: Zeroizing<String>,
}

/// Makes a CA, and a server certificate for this machine and `hosts`.
pub(super) fn make(hosts: &[String], now: Timestamp) -> Result<Made, DaemonError> {
    let ca_key = key()?;
    let mut ca = params(&[], "valetkey CA", now, CA_LIFETIME)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key).map_err(refused)?;

    let server_key = key()?;
    let mut names: Vec<String> = LOCAL_HOSTS.iter().map(|host| (*host).to_owned()).collect();
    names.extend(hosts.iter().filter(|host| !LOCAL_HOSTS.contains(&host.as_str())).cloned());
    let mut server = params(&names, "valetkey server", now, SERVER_LIFETIME)?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_certificate = server.signed_by(&server_key, &Issuer::from_params(&ca, &ca_key)).map_err(refused)?;

    Ok(Made {
        ca: ca_certificate.pem(),
        ca_key: Zeroizing::new(ca_key.serialize_pem()),
        server: server_certificate.pem(),
        server_key: Zeroizing::new(server_key.serialize_pem()),
    })
}

fn key() -> Result<KeyPair, DaemonError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)
}

fn params(
    names: &[String],
    common_name: &str,
    now: Timestamp,
    life: Duration,
) -> Result<CertificateParams, DaemonError> {
    let mut params = CertificateParams::new(names.to_vec()).map_err(refused)?;
    let since_epoch = Duration::from_secs(u64::try_from(now.seconds()).unwrap_or_default());
    let now = date_time_ymd(1970, 1, 1) + since_epoch;
    params.not_before = now - SKEW;
    params.not_after = now + life;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

fn refused(error: rcgen::Error) -> DaemonError {
    DaemonError::Certificate { problem: error.to_string() }
}

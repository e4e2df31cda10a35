//! When a source credential ends by its own word.

use super::*;
use crate::connectors::SecretEnd;

/// A client certificate that ends at the beginning of this year, and its key.
fn client(year: i32) -> (String, String) {
    let mut params = rcgen::CertificateParams::new(vec!["valetkey".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn end(method: &str, fields: &[(&str, &str)]) -> Option<SecretEnd> {
    Kubernetes.secret_end(&settings_of(method, json!({})), &secret(fields))
}

#[test]
fn a_client_certificate_says_when_it_ends() {
    let (pem, key) = client(2030);
    let fields = [("client_certificate", pem.as_str()), ("client_key", key.as_str())];
    let at = Timestamp::from_seconds(1_893_456_000);
    assert_eq!(end("token", &fields), Some(SecretEnd { field: "client_certificate", at }));
    assert!(Kubernetes.check_secret(&settings_of("token", json!({})), &secret(&fields), None, at).is_ok());
}

#[test]
fn a_certificate_that_cannot_be_read_is_refused_by_its_field() {
    let (pem, key) = client(2030);
    let cut: String = pem.lines().take(3).collect::<Vec<_>>().join("\n");
    for bad in ["hunter2", &format!("{cut}\n-----END CERTIFICATE-----\n")] {
        let fields = [("client_certificate", bad), ("client_key", key.as_str())];
        let now = Timestamp::from_seconds(NOW);
        let refused = Kubernetes.check_secret(&settings_of("token", json!({})), &secret(&fields), None, now);
        let refused = refused.unwrap_err();
        assert_eq!(refused.0[0].field, "secrets.client_certificate");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        assert_eq!(end("token", &fields), None);
    }
}

#[test]
fn a_service_accounts_token_says_when_it_ends_and_an_old_one_does_not() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2ln";
    let at = Timestamp::from_seconds(1_700_000_000);
    assert_eq!(end("token", &[("token", jwt)]), Some(SecretEnd { field: "token", at }));
    assert_eq!(end("token", &[("token", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln")]), None);
    assert_eq!(end("token", &[("token", SOURCE)]), None);
    assert_eq!(end("password", &[("username", "u"), ("password", jwt)]), None);
}

//! When a source credential ends by its own word.

use super::*;
use crate::connectors::SecretEnd;
use crate::connectors::secret_end::not_after;

#[test]
fn a_certificate_says_when_it_ends_and_a_secret_does_not() {
    let pem = fake::certificate_pem();
    let own = application("");
    let at = not_after(pem.as_bytes()).unwrap();
    let end = |fields: &[(&str, &str)]| Azure.secret_end(&own, &secret(fields));
    assert_eq!(end(&[("client_certificate", pem.as_str())]), Some(SecretEnd { field: "client_certificate", at }));
    assert_eq!(end(&[("client_secret", fake::SECRET)]), None);
    // What does not parse is the check's to refuse.
    assert_eq!(end(&[("client_certificate", "hunter2")]), None);
    assert!(Azure.check_secret(&own, &secret(&[("client_certificate", "hunter2")]), None, at).is_err());
    let (now, past) = (Timestamp::from_seconds(at.seconds() - 1), at);
    let check = |now| Azure.check_secret(&own, &secret(&[("client_certificate", pem.as_str())]), None, now);
    assert!(check(now).is_ok() && check(past).is_err());
}

#[test]
fn a_handed_in_token_says_when_it_ends_when_it_is_a_jwt() {
    let end = |token: &str| Azure.secret_end(&handed_in(""), &secret(&[("token", token)])).map(|end| end.at.seconds());
    // {"exp":1700000000}
    assert_eq!(end("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2ln"), Some(1_700_000_000));
    assert_eq!(end("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"), None);
    assert_eq!(end("opaque-opaque-opaque"), None);
    let implicit = settings(r#"{"auth_method":"implicit"}"#);
    assert_eq!(Azure.secret_end(&implicit, &secret(&[])), None);
}

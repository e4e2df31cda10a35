//! The files of Google's tools, hostile ones among them.

use serde_json::{Value, json};

use super::super::fake::{ACCOUNT_PEM, EMAIL, key_file};
use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
const PROVIDER: &str =
    "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ml/providers/ours";

fn problems(settings: &Settings, field: &str, value: &str) -> Vec<String> {
    let refused = Gcp.check_secret(settings, &secret(&[(field, value)]), None, NOW).err();
    refused.map(|errors| errors.0.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

fn with(file: &str, key: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(file).unwrap();
    file[key] = value;
    file.to_string()
}

#[test]
fn googles_own_file_is_taken_and_each_wrong_key_is_named() {
    let settings = settings("service-account", "");
    let file = key_file(EMAIL, 0);
    assert_eq!(problems(&settings, "service_account_json", &file), Vec::<String>::new());
    for uri in ["https://accounts.google.com/o/oauth2/token", "https://www.googleapis.com/oauth2/v4/token"] {
        let old = with(&file, "token_uri", json!(uri));
        assert_eq!(problems(&settings, "service_account_json", &old), Vec::<String>::new(), "{uri}");
    }
    for (key, value) in [
        ("type", json!("authorized_user")),
        ("token_uri", json!("https://oauth2.googleapis.com.evil.example/token")),
        ("token_uri", json!("https://oauth2.googleapis.com/token/../../evil")),
        ("token_uri", json!("http://oauth2.googleapis.com/token")),
        ("token_uri", Value::Null),
        ("client_email", json!("a@b.c:generateAccessToken")),
        ("client_email", Value::Null),
        ("private_key_id", json!("a/b")),
        ("private_key_id", Value::Null),
        ("private_key", json!(include_str!("weak.pem"))),
        ("private_key", json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
        ("private_key", Value::Null),
        ("universe_domain", json!("evil.example")),
        ("executable", json!({"command": "/bin/evil"})),
        ("credential_source", json!({"url": "http://evil.example"})),
        ("token_url", json!("http://evil.example")),
        ("source_credentials", json!({"type": "authorized_user"})),
    ] {
        let said = problems(&settings, "service_account_json", &with(&file, key, value.clone()));
        assert_eq!(said.len(), 1, "{key}");
        assert!(
            said[0].starts_with("secrets.service_account_json: ") && said[0].contains(&format!("`{key}`")),
            "{said:?}"
        );
        assert!(!said[0].contains("evil.example") && !said[0].contains("/bin/evil"), "{said:?}");
    }
}

/// SECURITY H4 and E11.
#[test]
fn h4_what_does_not_parse_is_not_repeated_and_costs_little() {
    let settings = settings("service-account", "");
    let nested = "[".repeat(16_000);
    let doubled = format!(r#"{{"type":"service_account","type":"hunter2","private_key":{}}}"#, json!(ACCOUNT_PEM));
    for text in [
        "hunter2",
        "{\"type\":\"hunter2",
        "[\"hunter2\"]",
        &nested,
        &doubled,
        "{\"private_key\":{\"hunter2\":1}}",
        "\u{0}",
    ] {
        let said = problems(&settings, "service_account_json", text);
        assert!(said.len() == 1 && said[0].starts_with("secrets.service_account_json: "), "{said:?}");
        assert!(!said[0].contains("hunter2"), "{said:?}");
    }
    assert!(problems(&settings, "service_account_json", &"a".repeat(20_000))[0].contains("at most 16384"));
    assert!(problems(&settings, "token", "hunter2")[0].contains("secrets.service_account_json: must be given"));
}

#[test]
fn a_file_may_name_the_connectors_own_endpoint_and_no_other() {
    let own = settings("service-account", r#","endpoint_url":"https://google.internal.example""#);
    let file = with(&key_file(EMAIL, 0), "token_uri", json!("https://google.internal.example/token"));
    assert_eq!(problems(&own, "service_account_json", &file), Vec::<String>::new());
    assert_eq!(problems(&settings("service-account", ""), "service_account_json", &file).len(), 1);
    let other = with(&file, "token_uri", json!("https://google.internal.example/elsewhere"));
    assert_eq!(problems(&own, "service_account_json", &other).len(), 1);
}

#[test]
fn a_persons_file_is_looked_into_as_well() {
    let settings = settings("user-account", "");
    let file =
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "1//r"}).to_string();
    assert_eq!(problems(&settings, "user_account_json", &file), Vec::<String>::new());
    for (key, value) in [
        ("type", json!("service_account")),
        ("token_uri", json!("https://evil.example/token")),
        ("refresh_token", json!("a b")),
        ("client_id", Value::Null),
        ("client_secret", json!("")),
        ("credential_source", json!({})),
    ] {
        let said = problems(&settings, "user_account_json", &with(&file, key, value));
        assert!(said.len() == 1 && said[0].contains(&format!("`{key}`")), "{key}: {said:?}");
    }
}

#[test]
fn a_federation_is_stored_or_our_own_and_says_its_target_in_the_settings() {
    let file = json!({
        "type": "external_account", "audience": PROVIDER, "token_url": "https://sts.googleapis.com/v1/token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"url": "https://issuer.example/t"},
    })
    .to_string();
    let plain = settings("external-account", "");
    assert_eq!(problems(&plain, "external_account_json", &file), Vec::<String>::new());
    let url =
        format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{TARGET}:generateAccessToken");
    let impersonating = with(&file, "service_account_impersonation_url", json!(url));
    let named = settings("external-account", &format!(r#","target_principal":"{TARGET}""#));
    assert_eq!(problems(&named, "external_account_json", &impersonating), Vec::<String>::new());
    assert_eq!(
        problems(&plain, "external_account_json", &impersonating).len(),
        1,
        "nobody sees the target in settings"
    );
    assert_eq!(problems(&named, "external_account_json", &file).len(), 1);
    for (key, value) in [
        ("subject_token_type", json!("urn:ietf:params:aws:token-type:aws4_request")),
        (
            "service_account_impersonation_url",
            json!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.c/../x:generateAccessToken"),
        ),
        ("audience", json!("//iam.googleapis.com/projects/1/../2")),
        ("token_url", json!("https://sts.googleapis.com.evil.example/v1/token")),
    ] {
        let said = problems(&plain, "external_account_json", &with(&file, key, value));
        assert!(said.len() == 1 && said[0].contains(&format!("`{key}`")), "{said:?}");
    }
    let ours = settings("external-account", &format!(r#","audience":"{PROVIDER}""#));
    assert_eq!(Gcp.check_secret(&ours, &secret(&[]), None, NOW), Ok(()));
    assert!(problems(&ours, "external_account_json", &file)[0].contains("external_account_json"));
    let neither = Gcp.check_secret(&plain, &secret(&[]), None, NOW).unwrap_err();
    assert_eq!(neither.0[0].field, "settings.audience");
}

#[test]
fn a_handed_in_token_that_is_a_jwt_says_when_it_ends() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2ln";
    let end = |method: &str, field: &str, value: &str| {
        Gcp.secret_end(&settings(method, ""), &secret(&[(field, value)])).map(|end| (end.field, end.at.seconds()))
    };
    assert_eq!(end("oauth2-token", "token", jwt), Some(("token", 1_700_000_000)));
    assert_eq!(end("oauth2-token", "token", "ya29.a.b"), None);
    assert_eq!(end("user-account", "user_account_json", jwt), None);
}

#[test]
fn servers_over_http_are_a_danger_beyond_the_machine_and_googles_own_is_none() {
    let told = |method: &str, field: &str, url: &str| {
        let said = Gcp.dangers(&settings(method, &format!(r#","{field}":"{url}""#)));
        said.first().is_some_and(|first| first.starts_with("IN THE CLEAR: "))
    };
    assert!(told("oauth2-token", "endpoint_url", "http://google.example.com"));
    assert!(told("implicit", "metadata_url", "http://metadata.example.com"));
    for safe in ["https://google.example.com", "http://127.0.0.1:8080", "http://localhost:8080"] {
        assert!(!told("oauth2-token", "endpoint_url", safe), "{safe}");
    }
    assert!(!told("implicit", "metadata_url", "http://metadata.google.internal"));
    assert!(Gcp.dangers(&settings("implicit", "")).is_empty());
}

#[test]
fn a_handed_in_token_is_one_word_with_an_end() {
    let settings = settings("oauth2-token", "");
    let check = |token: &str, end: Option<i64>| {
        let end = end.map(Timestamp::from_seconds);
        Gcp.check_secret(&settings, &secret(&[("token", token)]), end, NOW).map_err(|errors| errors.0[0].field.clone())
    };
    assert_eq!(check("ya29.a", Some(1_000_001)), Ok(()));
    assert_eq!(check("ya29.a", None), Err("secret_expires_at".to_owned()));
    assert_eq!(check("ya29.a", Some(999_999)), Err("secret_expires_at".to_owned()));
    assert_eq!(check("ya29 a", Some(1_000_001)), Err("secrets.token".to_owned()));
}

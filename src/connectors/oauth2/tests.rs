//! The OAuth 2.0 type as a whole: settings, secrets, narrowing, and minting
//! against a token endpoint on loopback that also answers nonsense.

use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use super::fake::{CLIENT, Fake, LEAK, Manner, REFRESH};
use super::*;
use crate::connectors::workbench::{self, attribution, secret};
use crate::domain::{AccessLevel, Downscope, MintedShape};

const API: &str = "https://api.example.com/v1";

/// How long a call is waited for that can be made again.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(400);

pub(super) fn upstream(allowed: &str) -> Upstream {
    upstream_within(allowed, CALL_TIMEOUT)
}

pub(super) fn upstream_within(allowed: &str, call_timeout: Duration) -> Upstream {
    let upstream = workbench::upstream(allowed, None, &[], Timestamp::from_seconds(1_000_000));
    workbench::within(&upstream, call_timeout)
}

pub(super) fn client_secret() -> SourceCredential {
    secret(&[("client_secret", CLIENT.1)])
}

pub(super) fn refresh_secret(token: &str) -> SourceCredential {
    secret(&[("client_secret", CLIENT.1), ("refresh_token", token)])
}

/// Settings of a method with `token_url` and `more` fields.
pub(super) fn settings(method: &str, url: &str, more: &str) -> Settings {
    let json = format!(
        r#"{{"auth_method":"{method}","api_url":"{API}","token_url":"{url}/token","client_id":"{}"{more}}}"#,
        CLIENT.0
    );
    let settings: Settings = serde_json::from_str(&json).unwrap();
    OAuth2.check(&settings).unwrap();
    settings
}

pub(super) fn ask_with(access: AccessLevel, scope: Option<&str>) -> Ask {
    Ask {
        resource_type: ResourceTypeName::parse("oauth2-api").unwrap(),
        resource: ResourceId::canonical(API).unwrap(),
        access,
        parameters: scope.map(|scope| ("scope".to_owned(), scope.to_owned())).into_iter().collect(),
    }
}

pub(super) async fn mint_with(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    ask: &Ask,
) -> Result<MintOutcome, UpstreamError> {
    let scope = OAuth2.narrow(settings, ask).unwrap();
    OAuth2.mint(upstream, settings, secret, None, &scope, Ttl::seconds(3600), &attribution()).await
}

fn token_of(outcome: &MintOutcome) -> &str {
    let MintedShape::Bearer { token, .. } = &outcome.minted.as_ref().ok().unwrap().shape else {
        panic!("a bearer token is due")
    };
    token.reveal()
}

#[test]
fn settings_that_do_not_fit_are_refused_by_field() {
    let base = |more: &str| {
        format!(r#"{{"api_url":"{API}","token_url":"https://login.example.com/token","client_id":"c"{more}}}"#)
    };
    for (json, field) in [
        (base(r#","scope":"  ""#), "settings.scope"),
        (base(r#","read_scope":"a\"b""#), "settings.read_scope"),
        (base(r#","client_auth_method":"none""#), "settings.client_auth_method"),
        (base(r#","key_id":"k""#), "settings.key_id"),
        (base(r#","assertion_audience":"a""#), "settings.assertion_audience"),
        (base(r#","assumed_lifetime":30"#), "settings.assumed_lifetime"),
        (base(r#","audience":"a\nb""#), "settings.audience"),
        (base(r#","token_params":{"a b":"c"}"#), "settings.token_params"),
        (base(r#","token_headers":{"x-a":"b\r\nauthorization: c"}"#), "settings.token_headers"),
        (base(r#","token_headers":{"X-A":"b","x-a":"c"}"#), "settings.token_headers"),
        (r#"{"api_url":"ftp://h","token_url":"https://h/t","client_id":"c"}"#.to_owned(), "settings.api_url"),
        (r#"{"api_url":"https://h?q","token_url":"https://h/t","client_id":"c"}"#.to_owned(), "settings.api_url"),
        (r#"{"api_url":"https://h","token_url":"https://u:p@h/t","client_id":"c"}"#.to_owned(), "settings.token_url"),
        (r#"{"api_url":"https://h","token_url":"https://h/t#x","client_id":"c"}"#.to_owned(), "settings.token_url"),
        (r#"{"api_url":"https://h","token_url":"https://h/t","client_id":""}"#.to_owned(), "settings.client_id"),
    ] {
        let method = AuthMethodName::parse("client-credentials").unwrap();
        let refused = crate::connectors::AnyConnectorType::parse_settings(&OAuth2, &method, &json).unwrap_err();
        assert_eq!(refused.0[0].field, field, "{json}");
    }
}

#[test]
fn what_is_ours_to_send_is_no_setting() {
    let method = AuthMethodName::parse("client-credentials").unwrap();
    let refused = |field: &str, name: &str| {
        let json =
            format!(r#"{{"api_url":"{API}","token_url":"https://h/t","client_id":"c","{field}":{{"{name}":"x"}}}}"#);
        crate::connectors::AnyConnectorType::parse_settings(&OAuth2, &method, &json).is_err()
    };
    for name in ["grant_type", "client_id", "client_secret", "refresh_token", "scope", "SCOPE", "audience", "code"] {
        assert!(refused("token_params", name), "{name}");
    }
    for name in
        ["Authorization", "host", "Content-Type", "content-length", "Cookie", "proxy-authorization", "te", "sec-x"]
    {
        assert!(refused("token_headers", name), "{name}");
    }
    assert!(!refused("token_params", "resource") && !refused("token_headers", "x-tenant"));
}

#[test]
fn each_way_of_authenticating_has_its_own_secret() {
    let now = Timestamp::from_seconds(1000);
    let check = |settings: &Settings, fields: &[(&str, &str)]| {
        OAuth2.check_secret(settings, &secret(fields), None, now).err().map(|errors| errors.0[0].field.clone())
    };
    let basic = settings("client-credentials", "https://h", "");
    let signed = settings("client-credentials", "https://h", r#","client_auth_method":"private_key_jwt""#);
    let public = settings("refresh-token", "https://h", r#","client_auth_method":"none""#);
    let confidential = settings("refresh-token", "https://h", "");
    assert_eq!(check(&basic, &[("client_secret", "with blanks ok")]), None);
    assert_eq!(check(&basic, &[("client_secret", "line\nend")]).as_deref(), Some("secrets.client_secret"));
    assert_eq!(check(&basic, &[]).as_deref(), Some("secrets.client_secret"));
    assert_eq!(check(&basic, &[("client_secret", "a"), ("private_key", "b")]).as_deref(), Some("secrets.private_key"));
    assert_eq!(check(&signed, &[("private_key", "no pem")]).as_deref(), Some("secrets.private_key"));
    assert_eq!(check(&signed, &[("private_key", &key_pem())]), None);
    assert_eq!(check(&public, &[("refresh_token", "r")]), None);
    assert_eq!(
        check(&public, &[("refresh_token", "r"), ("client_secret", "s")]).as_deref(),
        Some("secrets.client_secret")
    );
    assert_eq!(check(&confidential, &[("client_secret", "s")]).as_deref(), Some("secrets.refresh_token"));
    let token: Settings = serde_json::from_str(&format!(r#"{{"auth_method":"token","api_url":"{API}"}}"#)).unwrap();
    assert_eq!(check(&token, &[("access_token", "t")]).as_deref(), Some("secret_expires_at"));
}

#[test]
fn a_token_that_is_a_jwt_says_when_it_ends() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2ln";
    let end = |settings: &Settings, fields: &[(&str, &str)]| {
        OAuth2.secret_end(settings, &secret(fields)).map(|end| (end.field, end.at.seconds()))
    };
    let token: Settings = serde_json::from_str(&format!(r#"{{"auth_method":"token","api_url":"{API}"}}"#)).unwrap();
    let refresh = settings("refresh-token", "https://h", "");
    assert_eq!(end(&token, &[("access_token", jwt)]), Some(("access_token", 1_700_000_000)));
    assert_eq!(
        end(&refresh, &[("client_secret", "s"), ("refresh_token", jwt)]),
        Some(("refresh_token", 1_700_000_000))
    );
    assert_eq!(end(&token, &[("access_token", "opaque")]), None);
    assert_eq!(end(&settings("client-credentials", "https://h", ""), &[("client_secret", jwt)]), None);
}

#[test]
fn a_server_over_http_is_a_danger_beyond_the_machine_and_its_neighbours_are_none() {
    let told = |api: &str, token_url: &str| {
        let json = format!(
            r#"{{"auth_method":"client-credentials","api_url":"{api}","token_url":"{token_url}","client_id":"c"}}"#
        );
        let settings: Settings = serde_json::from_str(&json).unwrap();
        OAuth2.check(&settings).unwrap();
        OAuth2.dangers(&settings)
    };
    let (safe, local) = ("https://api.example.com", "http://127.0.0.1:8080/token");
    for (api, token_url) in [(safe, "http://login.example.com/token"), ("http://api.example.com", local)] {
        let said = told(api, token_url);
        assert!(said.len() == 1 && said[0].starts_with("IN THE CLEAR: "), "{said:?}");
    }
    for (api, token_url) in [(safe, "https://login.example.com/token"), (safe, local), ("http://localhost", local)] {
        assert!(told(api, token_url).is_empty(), "{api} {token_url}");
    }
}

#[test]
fn a_level_has_its_own_scopes_and_an_ask_narrows_within_them() {
    let levels = settings("client-credentials", "https://h", r#","read_scope":"b a","write_scope":"a b c""#);
    let narrow = |settings: &Settings, access, scope| OAuth2.narrow(settings, &ask_with(access, scope));
    let scope = |settings: &Settings, access, wish| narrow(settings, access, wish).unwrap().scope;
    assert_eq!(scope(&levels, AccessLevel::Read, None).as_deref(), Some("a b"));
    assert_eq!(scope(&levels, AccessLevel::Write, Some("c  a")).as_deref(), Some("a c"));
    assert_eq!(narrow(&levels, AccessLevel::Read, Some("c")).unwrap_err().field, "parameters.scope");
    assert_eq!(narrow(&levels, AccessLevel::Read, Some("")).unwrap_err().field, "parameters.scope");
    assert_eq!(narrow(&levels, AccessLevel::Admin, None).unwrap_err().field, "access");
    let one = settings("client-credentials", "https://h", r#","scope":"all""#);
    assert_eq!(scope(&one, AccessLevel::Admin, None).as_deref(), Some("all"));
    let bare = settings("client-credentials", "https://h", "");
    assert_eq!(scope(&bare, AccessLevel::Read, None), None);
    assert_eq!(narrow(&bare, AccessLevel::Read, Some("a")).unwrap_err().field, "parameters.scope");
    let enforced = |settings: &Settings| OAuth2.enforced(settings, &narrow(settings, AccessLevel::Read, None).unwrap());
    assert_eq!(enforced(&bare).downscope, Downscope::None, "nothing was asked for: nothing is promised");
    assert_eq!(enforced(&levels).downscope, Downscope::Resource);
}

#[test]
fn a_handed_in_token_is_passthrough_when_it_is_wider_or_lives_long() {
    let json = format!(r#"{{"auth_method":"token","api_url":"{API}","access":"write"}}"#);
    let token: Settings = serde_json::from_str(&json).unwrap();
    let now = Timestamp::from_seconds(0);
    let passthrough = |access, seconds| {
        let scope = OAuth2.narrow(&token, &ask_with(access, None)).unwrap();
        OAuth2.passthrough(&token, &scope, Some(Timestamp::from_seconds(seconds)), now)
    };
    assert!(!passthrough(AccessLevel::Write, 3600));
    assert!(passthrough(AccessLevel::Read, 3600), "it can write");
    assert!(passthrough(AccessLevel::Write, 37 * 3600));
    assert_eq!(OAuth2.narrow(&token, &ask_with(AccessLevel::Admin, None)).unwrap_err().field, "access");
    assert_eq!(OAuth2.narrow(&token, &ask_with(AccessLevel::Write, Some("a"))).unwrap_err().field, "parameters.scope");
}

#[test]
fn an_api_has_one_canonical_form_and_no_neighbour_is_served() {
    let bare = settings("client-credentials", "https://h", "");
    let kind = ResourceTypeName::parse("oauth2-api").unwrap();
    for raw in [None, Some(API), Some("https://API.example.com:443/v1/")] {
        assert_eq!(OAuth2.canonical(&bare, &kind, raw).unwrap().as_str(), API, "{raw:?}");
    }
    for raw in ["https://api.example.com", "https://api.example.com/v1/models", "http://api.example.com/v1", "x"] {
        assert_eq!(OAuth2.canonical(&bare, &kind, Some(raw)).unwrap_err().field, "resource_id", "{raw}");
    }
}

#[test]
fn the_secret_goes_where_it_was_handed_in_for() {
    let here = settings("client-credentials", "https://h", "");
    for other in [
        settings("client-credentials", "https://i", ""),
        settings("refresh-token", "https://h", ""),
        settings(
            "client-credentials",
            "https://h",
            r#","client_auth_method":"private_key_jwt","assertion_audience":"https://i""#,
        ),
    ] {
        assert_ne!(OAuth2.destination(&here), OAuth2.destination(&other));
    }
    let scoped = settings("client-credentials", "https://h", r#","scope":"a""#);
    assert_eq!(OAuth2.destination(&here), OAuth2.destination(&scoped), "only what decides where");
}

#[tokio::test]
async fn a_client_asks_as_rfc_6749_says_and_the_reply_is_what_was_granted() {
    let fake = Fake::start(Manner::With(serde_json::json!({"scope": "a"}))).await;
    let more = r#","scope":"b a","audience":"aud","token_params":{"resource":"r"},"token_headers":{"X-Tenant":"ml"}"#;
    let settings = settings("client-credentials", &fake.url, more);
    let ask = ask_with(AccessLevel::Read, None);
    let outcome = mint_with(&upstream(&fake.url), &settings, &client_secret(), &ask).await.ok().unwrap();
    assert_eq!(token_of(&outcome), "access-1");
    let minted = outcome.minted.ok().unwrap();
    assert_eq!(minted.expires_at, Timestamp::from_seconds(1_003_600));
    assert_eq!(minted.enforced.words, format!("{API} read, scope a, audience aud"));
    assert!(outcome.successor.is_none() && !minted.passthrough);
    let asked = &fake.asked()[0];
    for (name, value) in
        [("grant_type", "client_credentials"), ("scope", "a b"), ("audience", "aud"), ("resource", "r")]
    {
        assert_eq!(asked[name], value);
    }
    assert_eq!(asked["header:x-tenant"], "ml");
    assert!(!asked.contains_key("client_secret") && !asked.contains_key("client_id"));
}

#[tokio::test]
async fn more_scope_than_was_asked_for_is_refused_and_named_where_it_can_be() {
    for (said, named) in [
        ("a b", Some("not asked for: b;")),
        ("a b x:y c d e", Some("not asked for: b c d e and 1 more;")),
        ("a <script>", Some("not asked for: 1 more;")),
        ("a\tb", None),
    ] {
        let fake = Fake::start(Manner::With(serde_json::json!({ "scope": said }))).await;
        let settings = settings("client-credentials", &fake.url, r#","scope":"a""#);
        let ask = ask_with(AccessLevel::Read, None);
        let outcome = mint_with(&upstream(&fake.url), &settings, &client_secret(), &ask).await.ok().unwrap();
        match (outcome.minted, named) {
            (Err(UpstreamError::Rejected { remedy, .. }), Some(named)) => assert!(remedy.contains(named), "{remedy}"),
            (Err(UpstreamError::BadAnswer { .. }), None) => {}
            _ => panic!("{said:?}"),
        }
    }
}

#[tokio::test]
async fn a_lifetime_is_the_providers_or_the_one_that_was_set_and_never_a_guess() {
    let null = serde_json::json!({ "expires_in": null });
    for (more, answer, wanted) in [
        ("", null.clone(), Err("no_lifetime")),
        (r#","assumed_lifetime":600"#, null, Ok(1_000_600)),
        (r#","assumed_lifetime":600"#, serde_json::json!({"expires_in": 120}), Ok(1_000_120)),
        ("", serde_json::json!({"expires_in": 200_000}), Err("long_lived")),
    ] {
        let fake = Fake::start(Manner::With(answer)).await;
        let settings = settings("client-credentials", &fake.url, more);
        let ask = ask_with(AccessLevel::Read, None);
        let outcome = mint_with(&upstream(&fake.url), &settings, &client_secret(), &ask).await.ok().unwrap();
        let real = match &outcome.minted {
            Err(UpstreamError::Rejected { code, .. }) => Err(code.as_str()),
            Err(other) => panic!("{other}"),
            Ok(minted) => Ok(minted.expires_at.millis() / 1000),
        };
        assert_eq!(real, wanted);
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_is_the_successor_also_of_an_answer_of_no_use() {
    use serde_json::json;
    // Each field by itself makes the answer one that nobody may believe, or read as it should be.
    for (more, unusable) in [
        (json!({}), false),
        (json!({"scope": "a z"}), true),
        (json!({"access_token": null}), true),
        (json!({"access_token": ""}), true),
        (json!({"access_token": "two words"}), true),
        (json!({"access_token": {"value": "access-1"}}), true),
        (json!({"access_token": "x".repeat(40_000)}), true),
        (json!({"expires_in": -1}), true),
        (json!({"expires_in": 0}), true),
        (json!({"expires_in": "soon"}), true),
        (json!({"expires_in": null}), true),
        (json!({"expires_in": 99_999_999_999_u64}), true),
        (json!({"token_type": "mac"}), true),
        (json!({"token_type": 7}), true),
        (json!({"scope": ["a"]}), true),
    ] {
        let fake = Fake::start(Manner::With(more)).await;
        let settings = settings("refresh-token", &fake.url, r#","scope":"a""#);
        assert!(OAuth2.exclusive(&settings));
        let (upstream, ask) = (upstream(&fake.url), ask_with(AccessLevel::Read, None));
        let outcome = mint_with(&upstream, &settings, &refresh_secret(REFRESH), &ask).await.ok().unwrap();
        assert_eq!(outcome.minted.is_err(), unusable);
        let next = outcome.successor.unwrap();
        assert_eq!(next.field("refresh_token").unwrap().expose(), b"refresh-2");
        assert_eq!(next.field("client_secret").unwrap().expose(), CLIENT.1.as_bytes(), "the whole credential");
        assert!(mint_with(&upstream, &settings, &next, &ask).await.is_ok(), "the provider takes it");
        let used = mint_with(&upstream, &settings, &refresh_secret(REFRESH), &ask).await.err();
        assert!(matches!(used, Some(UpstreamError::UsedUp { .. })), "{used:?}");
    }
}

#[tokio::test]
async fn a_successor_that_is_none_is_not_kept_and_the_error_is_told() {
    for more in [
        serde_json::json!({"access_token": "", "refresh_token": REFRESH}),
        serde_json::json!({"access_token": "", "refresh_token": null}),
        serde_json::json!({"access_token": "", "refresh_token": "two words"}),
        serde_json::json!({"access_token": "", "refresh_token": "x".repeat(40_000)}),
    ] {
        let fake = Fake::start(Manner::With(more)).await;
        let settings = settings("refresh-token", &fake.url, "");
        let ask = ask_with(AccessLevel::Read, None);
        let error = mint_with(&upstream(&fake.url), &settings, &refresh_secret(REFRESH), &ask).await.err();
        assert!(matches!(error, Some(UpstreamError::BadAnswer { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_stays_has_no_successor() {
    for same in [serde_json::json!({ "refresh_token": REFRESH }), serde_json::json!({ "refresh_token": null })] {
        let fake = Fake::start(Manner::With(same)).await;
        let settings = settings("refresh-token", &fake.url, "");
        let ask = ask_with(AccessLevel::Read, None);
        let outcome = mint_with(&upstream(&fake.url), &settings, &refresh_secret(REFRESH), &ask).await.ok().unwrap();
        assert!(outcome.successor.is_none());
    }
}

#[tokio::test]
async fn a_wrong_secret_and_a_hostile_endpoint_give_mapped_errors_that_repeat_nothing() {
    let ask = ask_with(AccessLevel::Read, None);
    let fake = Fake::start(Manner::Sound).await;
    let bare = settings("client-credentials", &fake.url, "");
    let wrong = secret(&[("client_secret", "wrong")]);
    let error = mint_with(&upstream(&fake.url), &bare, &wrong, &ask).await.err().unwrap();
    assert!(matches!(&error, UpstreamError::CredentialRefused { code } if code == "invalid_client"), "{error}");
    let error = mint_with(&upstream("http://127.0.0.1:1"), &bare, &client_secret(), &ask).await.err();
    assert_eq!(error, Some(UpstreamError::AddressRefused { origin: fake.url.clone() }), "the config does not name it");
    let html = format!("<html><body>{LEAK}</body></html>");
    let leak = format!(r#"{{"error":"{LEAK} said no","error_description":"{LEAK}"}}"#);
    for (manner, code) in [
        (Manner::Always(200, html.clone()), "UPSTREAM_BAD_ANSWER"),
        (Manner::Always(200, "x".repeat(2 << 20)), "UPSTREAM_BAD_ANSWER"),
        (Manner::Always(200, format!(r#"{{"access_token":"{LEAK} x","expires_in":60}}"#)), "UPSTREAM_BAD_ANSWER"),
        (Manner::With(serde_json::json!({"expires_in": "soon"})), "UPSTREAM_BAD_ANSWER"),
        (Manner::With(serde_json::json!({"token_type": "mac"})), "UPSTREAM_BAD_ANSWER"),
        (Manner::Redirect(format!("http://{LEAK}/")), "UPSTREAM_BAD_ANSWER"),
        (Manner::Silent, "UPSTREAM_DEADLINE_EXCEEDED"),
        (Manner::Always(400, leak), "UPSTREAM_REJECTED"),
        (Manner::Always(500, html.clone()), "UPSTREAM_UNAVAILABLE"),
        (Manner::Always(503, r#"{"error":"temporarily_unavailable"}"#.to_owned()), "UPSTREAM_UNAVAILABLE"),
        (Manner::Always(403, html), "UPSTREAM_DENIED"),
    ] {
        let fake = Fake::start(manner).await;
        let bare = settings("client-credentials", &fake.url, "");
        let error = mint_with(&upstream(&fake.url), &bare, &client_secret(), &ask).await.err().unwrap();
        assert_eq!(error.code(), code, "{error}");
        let said = format!("{error} {error:?}");
        assert!(!said.contains("canary") && !said.contains(CLIENT.1), "{said}");
    }
}

#[tokio::test]
async fn a_token_is_verified_by_showing_it_to_its_api_and_a_refresh_token_never() {
    let focus = ListAsk { resource_type: None, resource: None, limit: 10, page: None };
    for (status, fits) in [(200, true), (404, true), (401, false), (500, false), (302, false)] {
        let fake = Fake::start(Manner::Always(status, LEAK.to_owned())).await;
        let json = format!(r#"{{"auth_method":"token","api_url":"{}/v1"}}"#, fake.url);
        let token: Settings = serde_json::from_str(&json).unwrap();
        let held = secret(&[("access_token", "t0ken")]);
        let verified = OAuth2.verify(&upstream(&fake.url), &token, &held, &focus).await;
        assert_eq!(verified.is_ok(), fits, "{status}");
        assert_eq!(fake.asked()[0]["header:authorization"], "Bearer t0ken");
        let refused = OAuth2.verify(&upstream("http://127.0.0.1:1"), &token, &held, &focus).await;
        assert!(matches!(refused, Err(UpstreamError::Rejected { .. })), "not shown where the config does not allow");
    }
    let fake = Fake::start(Manner::Sound).await;
    let refresh = settings("refresh-token", &fake.url, "");
    assert!(OAuth2.verify(&upstream(&fake.url), &refresh, &refresh_secret(REFRESH), &focus).await.is_err());
    let reach = OAuth2.list_resources(&upstream(&fake.url), &refresh, &refresh_secret(REFRESH), &focus).await.unwrap();
    assert_eq!(reach[0].resource_ids[0].as_str(), API);
    assert!(fake.asked().is_empty(), "neither asked the provider");
    let client = settings("client-credentials", &fake.url, "");
    let verified = OAuth2.verify(&upstream(&fake.url), &client, &client_secret(), &focus).await.unwrap();
    assert_eq!(verified.identity, format!("client {}", CLIENT.0));
}

#[tokio::test]
async fn a_signed_assertion_is_for_this_endpoint_and_this_minute() {
    let answer = r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#;
    let fake = Fake::start(Manner::Always(200, answer.to_owned())).await;
    let more = r#","client_auth_method":"private_key_jwt","key_id":"k1""#;
    let settings = settings("client-credentials", &fake.url, more);
    let held = secret(&[("private_key", &key_pem())]);
    let ask = ask_with(AccessLevel::Read, None);
    mint_with(&upstream(&fake.url), &settings, &held, &ask).await.ok().unwrap();
    let asked = &fake.asked()[0];
    assert_eq!(asked["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let part = |at: usize| -> serde_json::Value {
        use base64::Engine as _;
        let text = asked["client_assertion"].split('.').nth(at).unwrap();
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    assert_eq!((&part(0)["alg"], &part(0)["kid"]), (&"ES256".into(), &"k1".into()));
    let claims = part(1);
    assert_eq!((&claims["iss"], &claims["sub"]), (&CLIENT.0.into(), &CLIENT.0.into()));
    assert_eq!(claims["aud"], format!("{}/token", fake.url));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    assert!(!asked.contains_key("header:authorization"));
}

fn key_pem() -> String {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &ring::rand::SystemRandom::new()).unwrap();
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

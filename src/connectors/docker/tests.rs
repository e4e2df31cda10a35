//! The type of registries as a whole: settings, secrets, narrowing, and
//! minting against a registry on loopback that also answers nonsense.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Fake, IDENTITY, LEAK, LOGIN, Manner, basic};
use super::*;
use crate::connectors::workbench::{self, attribution, secret};
use crate::domain::{AccessLevel, Downscope, Minted, MintedShape};
use crate::outbound::{Detours, Outbound, OutboundRules};

fn upstream(allowed: &[&str]) -> Upstream {
    let rules = OutboundRules {
        allowed_endpoints: allowed.iter().map(|&text| text.to_owned()).collect(),
        extra_roots_pem: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(10),
        implicit_identities: Vec::new(),
        detours: Detours::default(),
    };
    Upstream {
        outbound: Arc::new(Outbound::new(rules).unwrap()),
        ..workbench::upstream("https://nobody.example", None, &[], Timestamp::from_seconds(1_000_000))
    }
}

fn login() -> SourceCredential {
    secret(&[("username", LOGIN.0), ("password", LOGIN.1)])
}

fn settings(registry: &str, more: &str) -> Settings {
    let json = format!(r#"{{"auth_method":"password","registry":"{registry}"{more}}}"#);
    let settings: Settings = serde_json::from_str(&json).unwrap();
    Docker.check(&settings).unwrap();
    settings
}

#[test]
fn a_registry_that_is_spoken_to_in_the_clear_is_a_danger_and_its_neighbour_is_none() {
    for (registry, more, dangerous) in [
        ("http://registry.example.com", "", true),
        ("registry.example.com", r#","token_url":"http://auth.example.com/token""#, true),
        ("registry.example.com", r#","token_url":"https://auth.example.com/token""#, false),
        ("https://registry.example.com", "", false),
        ("docker.io", "", false),
        ("http://127.0.0.1:5000", "", false),
        ("http://localhost:5000", r#","token_url":"http://[::1]:5001/token""#, false),
        ("http://127.0.0.1:5000", r#","token_url":"http://auth.example.com/token""#, true),
        ("http://10.0.0.1:5000", "", true),
    ] {
        let said = Docker.dangers(&settings(registry, more));
        assert_eq!(
            said.first().is_some_and(|first| first.starts_with("IN THE CLEAR: ")),
            dangerous,
            "{registry}{more}"
        );
    }
}

#[test]
fn a_password_that_is_a_jwt_says_when_it_ends() {
    let end = |fields: &[(&str, &str)]| Docker.secret_end(&settings("h.example", ""), &secret(fields));
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2ln";
    let at = Timestamp::from_seconds(1_700_000_000);
    for field in ["password", "identity_token"] {
        assert_eq!(end(&[("username", "u"), (field, jwt)]), Some(crate::connectors::SecretEnd { field, at }));
        assert_eq!(end(&[("username", jwt), (field, "hunter2")]), None);
    }
}

fn kind() -> ResourceTypeName {
    ResourceTypeName::parse("docker-registry").unwrap()
}

fn ask(settings: &Settings, repository: &str, access: AccessLevel) -> Ask {
    let host = settings.place().unwrap().host;
    let id = if repository.is_empty() { host } else { format!("{host}/{repository}") };
    Ask { resource_type: kind(), resource: ResourceId::canonical(id).unwrap(), access, parameters: BTreeMap::new() }
}

async fn mint(fake: &Fake, more: &str, access: AccessLevel) -> Result<Minted, UpstreamError> {
    mint_with(fake, more, access, &login()).await
}

async fn mint_with(
    fake: &Fake,
    more: &str,
    access: AccessLevel,
    secret: &SourceCredential,
) -> Result<Minted, UpstreamError> {
    let settings = settings(&fake.url, more);
    let scope = Docker.narrow(&settings, &ask(&settings, "team/model", access)).unwrap();
    let end = Some(Timestamp::from_seconds(1_003_600));
    let upstream = upstream(&[&fake.url]);
    let ttl = Ttl::seconds(300);
    Docker.mint(&upstream, &settings, secret, end, &scope, ttl, &attribution()).await?.minted
}

fn code(answer: Result<Minted, UpstreamError>) -> String {
    match answer {
        Ok(_) => "OK".to_owned(),
        Err(UpstreamError::Rejected { code, .. }) => code,
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn settings_and_secrets_that_do_not_fit_are_refused_by_field() {
    let method = AuthMethodName::parse("password").unwrap();
    for (json, field) in [
        (r#"{"registry":"a b"}"#, "settings.registry"),
        (r#"{"registry":"ftp://h"}"#, "settings.registry"),
        (r#"{"registry":"h/team"}"#, "settings.registry"),
        (r#"{"registry":"h","token_url":"https://u@h/t"}"#, "settings.token_url"),
        (r#"{"registry":"h","token_url":"file:///t"}"#, "settings.token_url"),
        (r#"{"registry":"h","service":"a b"}"#, "settings.service"),
        (r#"{"registry":"h","login":"basic","token_url":"https://h/t"}"#, "settings.token_url"),
        (r#"{"registry":"h","login":"basic","service":"s"}"#, "settings.service"),
    ] {
        let refused = crate::connectors::AnyConnectorType::parse_settings(&Docker, &method, json).unwrap_err();
        assert_eq!(refused.0[0].field, field, "{json}");
    }
    let now = Timestamp::from_seconds(1000);
    let check = |more: &str, fields: &[(&str, &str)]| {
        let checked = Docker.check_secret(&settings("h.example", more), &secret(fields), None, now);
        checked.err().map(|errors| errors.0[0].field.clone())
    };
    assert_eq!(check("", &[("username", "u"), ("password", "p p")]), None);
    assert_eq!(check("", &[("username", "u"), ("identity_token", "t")]), None);
    assert_eq!(check("", &[("username", "u:v"), ("password", "p")]).as_deref(), Some("secrets.username"));
    assert_eq!(check("", &[("username", "u"), ("password", "p\n")]).as_deref(), Some("secrets.password"));
    assert_eq!(check("", &[("username", "u")]).as_deref(), Some("secrets.password"));
    let both = [("username", "u"), ("password", "p"), ("identity_token", "t")];
    assert_eq!(check("", &both).as_deref(), Some("secrets.password"));
    let basic = r#","login":"basic""#;
    assert_eq!(check(basic, &[("username", "u"), ("password", "p")]).as_deref(), Some("secret_expires_at"));
}

#[test]
fn an_ask_is_for_one_repository_and_its_neighbour_is_another() {
    let hub = settings("docker.io", "");
    let canonical = |raw: &str| Docker.canonical(&hub, &kind(), Some(raw)).map(|id| id.to_string());
    assert_eq!(canonical("https://index.docker.io/v1/").unwrap(), "docker.io");
    assert_eq!(canonical("docker.io/ubuntu").unwrap(), "docker.io/library/ubuntu");
    assert_eq!(canonical("ghcr.io/team/model").unwrap_err().field, "resource_id");
    let scope = |repository, access| Docker.narrow(&hub, &ask(&hub, repository, access));
    assert_eq!(scope("team/model", AccessLevel::Read).unwrap().words().unwrap(), "repository:team/model:pull");
    let admin = scope("team/model", AccessLevel::Admin).unwrap();
    assert_eq!(admin.words().unwrap(), "repository:team/model:pull,push,delete");
    assert_eq!(Docker.enforced(&hub, &admin).downscope, Downscope::Resource);
    assert_eq!(scope("", AccessLevel::Read).unwrap_err().field, "resource_id", "a token is for a repository");
    let id = |text: &str| ResourceId::canonical(text).unwrap();
    assert!(Docker.contains(&kind(), &id("docker.io"), &id("docker.io/team/model")));
    for (outer, inner) in [
        ("docker.io/team", "docker.io/team/model"),
        ("docker.io/team/model", "docker.io/team/model-2"),
        ("docker.io", "docker.io.evil/team"),
    ] {
        assert!(!Docker.contains(&kind(), &id(outer), &id(inner)), "{outer} {inner}");
    }
    let basic = settings("h.example", r#","login":"basic""#);
    let whole = Docker.narrow(&basic, &ask(&basic, "", AccessLevel::Read)).unwrap();
    assert!(Docker.passthrough(&basic, &whole, None, Timestamp::from_seconds(0)));
    assert!(!Docker.passthrough(&hub, &admin, None, Timestamp::from_seconds(0)));
    assert_ne!(Docker.destination(&hub), Docker.destination(&basic));
    let moved = settings("h.example", r#","token_url":"https://i.example/token""#);
    assert_ne!(Docker.destination(&settings("h.example", "")), Docker.destination(&moved));
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_login_and_ends_when_it_says() {
    let fake = Fake::start(Manner::default()).await;
    let minted = mint(&fake, "", AccessLevel::Write).await.ok().unwrap();
    let MintedShape::Bearer { endpoint, .. } = &minted.shape else { panic!("a bearer token is due") };
    assert_eq!(endpoint.as_ref(), Some(&fake.url));
    // Its own end is sooner than what was said of it.
    assert_eq!(minted.expires_at, Timestamp::from_seconds(1_000_250));
    assert!(minted.enforced.words.ends_with("repository:team/model:pull,push") && !minted.passthrough);
    assert_eq!(minted.enforced.downscope, Downscope::Resource);
    let asked = fake.asked();
    assert_eq!((asked[0].path.as_str(), asked[0].authorization.as_str()), ("/v2/", ""), "asked with no login first");
    assert_eq!(asked[1].path, "/token?service=fake&scope=repository%3Ateam%2Fmodel%3Apull%2Cpush");
    assert_eq!(asked[1].authorization, basic());
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn an_identity_token_is_posted_and_never_sent_as_a_password() {
    let fake = Fake::start(Manner::default()).await;
    let held = secret(&[("username", "<token>"), ("identity_token", IDENTITY)]);
    assert_eq!(code(mint_with(&fake, "", AccessLevel::Read, &held).await), "OK");
    let asked = fake.asked().pop().unwrap();
    assert!(asked.authorization.is_empty() && asked.path == "/token");
    assert!(asked.body.contains("grant_type=refresh_token") && asked.body.contains("scope=repository"));
    let wrong = secret(&[("username", "<token>"), ("identity_token", "wrong")]);
    assert_eq!(code(mint_with(&fake, "", AccessLevel::Read, &wrong).await), "SOURCE_CREDENTIAL_REFUSED");
}

#[tokio::test]
async fn the_password_goes_to_nobody_that_the_registry_names() {
    let thief = Fake::start(Manner::default()).await;
    for challenge in [
        format!(r#"Bearer realm="{}/token",service="fake""#, thief.url),
        format!(r#"Bearer realm="http://registry@{}/token""#, thief.url.trim_start_matches("http://")),
        r#"Bearer realm="https://auth.docker.io/token""#.to_owned(),
    ] {
        let fake = Fake::start(Manner { challenge: Some(challenge.clone()), ..Manner::default() }).await;
        // The thief is reachable, and still gets nothing.
        let settings = settings(&fake.url, "");
        let scope = Docker.narrow(&settings, &ask(&settings, "team/model", AccessLevel::Read)).unwrap();
        let upstream = upstream(&[&fake.url, &thief.url]);
        let ttl = Ttl::seconds(60);
        let minted = Docker.mint(&upstream, &settings, &login(), None, &scope, ttl, &attribution()).await;
        assert_eq!(code(minted.and_then(|outcome| outcome.minted)), "foreign_realm", "{challenge}");
        assert!(fake.asked().iter().all(|asked| asked.authorization.is_empty()));
    }
    assert!(thief.asked().is_empty());
    // Agreed to by an engineer, it is asked, whatever the registry says now.
    let elsewhere = r#"Bearer realm="https://evil.example/token",service="fake""#.to_owned();
    let fake = Fake::start(Manner { challenge: Some(elsewhere), ..Manner::default() }).await;
    let settings = settings(&fake.url, &format!(r#","token_url":"{}/token""#, thief.url));
    let scope = Docker.narrow(&settings, &ask(&settings, "team/model", AccessLevel::Read)).unwrap();
    let both = upstream(&[&fake.url, &thief.url]);
    let ttl = Ttl::seconds(60);
    assert!(Docker.mint(&both, &settings, &login(), None, &scope, ttl, &attribution()).await.is_ok());
    assert_eq!(thief.asked().len(), 1);
}

#[tokio::test]
async fn a_token_for_more_or_for_less_than_was_asked_for_is_refused() {
    let entry = |name: &str, actions: Value| json!([{"type": "repository", "name": name, "actions": actions}]);
    for (access, wanted) in [
        (entry("team/model", json!(["pull"])), "OK"),
        (entry("team/model", json!(["pull", "push"])), "UPSTREAM_BAD_ANSWER"),
        (entry("team/model", json!(["*"])), "UPSTREAM_BAD_ANSWER"),
        (entry("team/other", json!(["pull"])), "UPSTREAM_BAD_ANSWER"),
        (json!([{"type": "registry", "name": "catalog", "actions": ["*"]}]), "UPSTREAM_BAD_ANSWER"),
        (json!([]), "UPSTREAM_DENIED"),
    ] {
        let fake = Fake::start(Manner { access: Some(access.clone()), ..Manner::default() }).await;
        assert_eq!(code(mint(&fake, "", AccessLevel::Read).await), wanted, "{access}");
    }
    let only_pull = Manner { access: Some(entry("team/model", json!(["pull"]))), ..Manner::default() };
    let fake = Fake::start(only_pull).await;
    let Err(UpstreamError::Denied { missing, .. }) = mint(&fake, "", AccessLevel::Write).await else {
        panic!("half of what was asked for is refused");
    };
    assert!(missing[0].starts_with("push on "), "{missing:?}");
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_said_to_be_so_and_an_echo_is_refused() {
    let with = |token: &str| Manner { more: Some(json!({ "token": token })), ..Manner::default() };
    let fake = Fake::start(with("djE6b3BhcXVl")).await;
    let minted = mint(&fake, "", AccessLevel::Read).await.ok().unwrap();
    assert_eq!(minted.enforced.downscope, Downscope::None);
    assert!(minted.enforced.words.contains("as its token service says"), "{}", minted.enforced.words);
    assert_eq!(minted.expires_at, Timestamp::from_seconds(1_000_300));
    let echo = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, LOGIN.1);
    let fake = Fake::start(with(&echo)).await;
    assert_eq!(code(mint(&fake, "", AccessLevel::Read).await), "echo");
}

#[tokio::test]
async fn a_life_is_a_minute_unless_it_is_said_and_counts_from_when_it_began() {
    for (more, end) in [
        (json!({"token": "opaque", "expires_in": null}), Some(1_000_060)),
        (json!({"token": "opaque", "expires_in": 300, "issued_at": "1970-01-12T13:45:40Z"}), Some(1_000_240)),
        (json!({"token": "opaque", "expires_in": 300, "issued_at": "2030-01-01T00:00:00Z"}), Some(1_000_300)),
        (json!({"token": "opaque", "expires_in": 300, "issued_at": "soon"}), Some(1_000_300)),
        (json!({"token": "opaque", "expires_in": 0}), None),
        (json!({"token": "opaque", "expires_in": 31_536_000}), None),
        (json!({"token": "opaque", "expires_in": -1}), None),
    ] {
        let fake = Fake::start(Manner { more: Some(more.clone()), ..Manner::default() }).await;
        let minted = mint(&fake, "", AccessLevel::Read).await;
        assert_eq!(minted.ok().map(|minted| minted.expires_at.millis() / 1000), end, "{more}");
    }
}

#[tokio::test]
async fn a_hostile_registry_gives_mapped_errors_that_repeat_nothing() {
    let html = format!("<html>{LEAK}</html>");
    let challenge = |text: &str| Manner { challenge: Some(text.to_owned()), ..Manner::default() };
    let always = |status, text: &str| Manner { always: Some((status, text.to_owned())), ..Manner::default() };
    for (manner, wanted) in [
        (challenge("nonsense"), "UPSTREAM_BAD_ANSWER"),
        (challenge(r#"Basic realm="x""#), "basic_only"),
        (Manner { probe: Some(200), ..Manner::default() }, "no_login"),
        (Manner { probe: Some(302), ..Manner::default() }, "UPSTREAM_BAD_ANSWER"),
        (Manner { probe: Some(503), ..Manner::default() }, "UPSTREAM_UNAVAILABLE"),
        (always(200, &html), "UPSTREAM_BAD_ANSWER"),
        (always(200, "{}"), "UPSTREAM_BAD_ANSWER"),
        (always(200, &format!(r#"{{"token":"{LEAK} x"}}"#)), "UPSTREAM_BAD_ANSWER"),
        (always(200, &"x".repeat(2 << 20)), "UPSTREAM_BAD_ANSWER"),
        (always(401, &html), "SOURCE_CREDENTIAL_REFUSED"),
        (always(403, &html), "UPSTREAM_DENIED"),
        (always(429, &html), "UPSTREAM_THROTTLED"),
        (always(500, &html), "UPSTREAM_UNAVAILABLE"),
    ] {
        let fake = Fake::start(manner).await;
        let minted = mint(&fake, "", AccessLevel::Read).await;
        let said = minted.as_ref().err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        assert_eq!(code(minted), wanted, "{said}");
        assert!(!said.contains("canary") && !said.contains(LOGIN.1), "{said}");
    }
    let wrong = secret(&[("username", LOGIN.0), ("password", "wrong")]);
    let fake = Fake::start(Manner::default()).await;
    assert_eq!(code(mint_with(&fake, "", AccessLevel::Read, &wrong).await), "SOURCE_CREDENTIAL_REFUSED");
    assert_eq!(code(mint(&fake, r#","service":"other""#, AccessLevel::Read).await), "HTTP 400");
}

#[tokio::test]
async fn a_login_is_verified_and_its_catalog_is_read_page_by_page() {
    let fake = Fake::start(Manner::default()).await;
    let (own, upstream) = (settings(&fake.url, ""), upstream(&[&fake.url]));
    let host = own.place().unwrap().host;
    let list = |resource: Option<ResourceId>, page: Option<&str>| ListAsk {
        resource_type: Some(kind()),
        resource,
        limit: 2,
        page: page.map(str::to_owned),
    };
    let verified = Docker.verify(&upstream, &own, &login(), &list(None, None)).await.unwrap();
    assert_eq!(verified.identity, format!("a login of {host}"));
    let first = &verified.reach[0];
    assert_eq!(first.resource_ids[0].as_str(), format!("{host}/team/model"));
    assert_eq!((first.resource_ids.len(), first.next_page.as_deref()), (2, Some("team/model")));
    let next = Docker.list_resources(&upstream, &own, &login(), &list(None, Some("team/model"))).await.unwrap();
    assert_eq!(next[0].resource_ids[0].as_str(), format!("{host}/team/other"));
    assert_eq!(next[0].next_page, None);
    let one = ResourceId::canonical(format!("{host}/team/model")).unwrap();
    let looked = Docker.list_resources(&upstream, &own, &login(), &list(Some(one.clone()), None)).await.unwrap();
    assert_eq!((looked[0].resource_ids.as_slice(), &looked[0].error), ([one].as_slice(), &None));
    let wrong = secret(&[("username", LOGIN.0), ("password", "wrong")]);
    let refused = Docker.verify(&upstream, &own, &wrong, &list(None, None)).await;
    assert!(matches!(refused, Err(UpstreamError::CredentialRefused { .. })));
}

#[tokio::test]
async fn a_registry_that_takes_passwords_alone_is_passthrough() {
    let basic_only = Manner { challenge: Some(r#"Basic realm="r""#.to_owned()), ..Manner::default() };
    let fake = Fake::start(basic_only).await;
    let more = r#","login":"basic""#;
    let minted = mint(&fake, more, AccessLevel::Read).await.ok().unwrap();
    let MintedShape::Basic { username, password, .. } = &minted.shape else { panic!("a login is due") };
    assert_eq!((username.as_str(), password.reveal(), minted.passthrough), (LOGIN.0, LOGIN.1, true));
    assert_eq!(minted.enforced.downscope, Downscope::None);
    let focus = ListAsk { resource_type: None, resource: None, limit: 2, page: None };
    let (own, allowed) = (settings(&fake.url, more), upstream(&[&fake.url]));
    assert!(Docker.verify(&allowed, &own, &login(), &focus).await.is_ok());
    // The other neighbour: one with tokens is not served by handing on its password.
    let fake = Fake::start(Manner::default()).await;
    let (own, allowed) = (settings(&fake.url, more), upstream(&[&fake.url]));
    let refused = Docker.verify(&allowed, &own, &login(), &focus).await;
    assert!(matches!(refused, Err(UpstreamError::Rejected { code, .. }) if code == "has_tokens"));
}

/// Its tokens are refused with "use login=basic": there it must be served.
#[tokio::test]
async fn a_registry_that_hands_the_password_back_is_verified_by_its_token_service() {
    let echo = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, LOGIN.1);
    let fake = Fake::start(Manner { more: Some(json!({ "token": echo })), ..Manner::default() }).await;
    assert_eq!(code(mint(&fake, "", AccessLevel::Read).await), "echo");
    let (own, allowed) = (settings(&fake.url, r#","login":"basic""#), upstream(&[&fake.url]));
    let focus = |resource| ListAsk { resource_type: None, resource, limit: 2, page: None };
    let one = ResourceId::canonical(format!("{}/team/model", own.place().unwrap().host)).unwrap();
    for resource in [None, Some(one)] {
        let verified = Docker.verify(&allowed, &own, &login(), &focus(resource)).await;
        assert!(verified.is_ok(), "{:?}", verified.err());
    }
    assert!(fake.asked().iter().any(|asked| asked.path.contains("scope=repository%3Ateam%2Fmodel%3Apull")));
    // The neighbours: another password, and a token service elsewhere, which hears nothing.
    let wrong = secret(&[("username", LOGIN.0), ("password", "wrong")]);
    let refused = Docker.verify(&allowed, &own, &wrong, &focus(None)).await;
    assert!(matches!(refused, Err(UpstreamError::CredentialRefused { .. })));
    let thief = Fake::start(Manner::default()).await;
    let away = Some(format!(r#"Bearer realm="{}/token",service="fake""#, thief.url));
    let fake = Fake::start(Manner { challenge: away, ..Manner::default() }).await;
    let own = settings(&fake.url, r#","login":"basic""#);
    let refused = Docker.verify(&upstream(&[&fake.url, &thief.url]), &own, &login(), &focus(None)).await;
    assert!(matches!(refused, Err(UpstreamError::Rejected { code, .. }) if code == "foreign_realm"));
    assert!(thief.asked().is_empty());
}

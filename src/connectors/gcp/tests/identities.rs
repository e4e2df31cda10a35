//! What Google's own client has a part in: a login, a federation, the machine.
//! Google gets what it documents, once, with the secrets in their places.

use std::sync::Arc;

use serde_json::json;

use super::super::fake::{Asked, Fake, Manner};
use super::tokens::{GENERIC, House, PLAIN, bearer, upstream};
use super::*;
use crate::outbound::{Detours, Outbound, OutboundRules};

const POOL: &str = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ml";
const LOGIN: &str =
    r#"{"type":"authorized_user","client_id":"client","client_secret":"s3cret","refresh_token":"1//r&=%"}"#;
const METHODS: [&str; 3] = ["user-account", "external-account", "implicit"];

/// A connector of a method that Google's client has a part in.
async fn house(manner: Manner, method: &str) -> House {
    let more = match method {
        "external-account" => format!(r#","audience":"{POOL}/providers/ours""#),
        _ => String::new(),
    };
    let house = House::new(manner, method, &more).await;
    match method {
        "user-account" => House { secret: secret(&[("user_account_json", LOGIN)]), ..house },
        "implicit" => of_machine(house.fake, None),
        _ => House { secret: secret(&[]), ..house },
    }
}

fn of_machine(fake: Fake, account: Option<&str>) -> House {
    let account = account.map(|email| format!(r#","service_account":"{email}""#)).unwrap_or_default();
    let settings = settings("implicit", &format!(r#","metadata_url":"{}"{account}"#, fake.url));
    let upstream = upstream(&fake, &["gcp:default", "gcp:ml@x.iam.gserviceaccount.com"]);
    House { fake, upstream, settings, secret: secret(&[]) }
}

fn pairs(asked: &Asked) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
    pairs.sort();
    pairs
}

#[tokio::test]
async fn a_login_is_asked_for_as_documented_and_with_the_one_scope_of_every_login() {
    let house = house(PLAIN, "user-account").await;
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!((bearer(&minted), house.life(&minted)), ("ya29.user", 3599));
    let asked = house.fake.asked();
    assert_eq!((asked.len(), asked[0].line.as_str()), (1, "POST /token"));
    let wanted = [
        ("client_id", "client"),
        ("client_secret", "s3cret"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "1//r&=%"),
        ("scope", "https://www.googleapis.com/auth/cloud-platform"),
    ];
    assert_eq!(pairs(&asked[0]), wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // A look at who it is has all that was granted.
    let focus = ListAsk { resource_type: Some(kind("gcp-generic")), resource: None, limit: 1, page: None };
    Gcp.verify(&house.upstream, &house.settings, &house.secret, &focus).await.unwrap();
    let looked = &house.fake.asked()[1];
    assert_eq!((looked.line.as_str(), looked.field("scope")), ("POST /token", None));
    assert_eq!(looked.field("refresh_token").as_deref(), Some("1//r&=%"));
}

#[tokio::test]
async fn a_federation_is_asked_for_as_documented_and_only_iam_where_another_account_is_next() {
    let house = house(PLAIN, "external-account").await;
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!((bearer(&minted), house.life(&minted)), ("ya29.federated", 3599));
    let asked = house.fake.asked();
    assert_eq!((asked.len(), asked[0].line.as_str()), (1, "POST /v1/token"));
    let names: Vec<String> = pairs(&asked[0]).into_iter().map(|(name, _)| name).collect();
    let wanted = ["audience", "grant_type", "requested_token_type", "scope", "subject_token", "subject_token_type"];
    assert_eq!(names, wanted);
    assert_eq!(asked[0].field("scope").as_deref(), Some("https://www.googleapis.com/auth/cloud-platform"));
    assert_eq!(asked[0].field("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:token-exchange"));

    let more = format!(r#","audience":"{POOL}/providers/ours","target_principal":"{TARGET}""#);
    let house = House { secret: secret(&[]), ..House::new(PLAIN, "external-account", &more).await };
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    let asked = house.fake.asked();
    assert_eq!((bearer(&minted), asked.len()), ("ya29.target", 2));
    assert_eq!(asked[0].field("scope").as_deref(), Some("https://www.googleapis.com/auth/iam"));
    assert_eq!(asked[1].authorization, "Bearer ya29.federated");
    assert!(asked[1].line.ends_with(&format!("{TARGET}:generateAccessToken")), "{}", asked[1].line);
}

/// Google's client knows the default account alone.
#[tokio::test]
async fn the_machine_is_asked_for_the_account_that_the_settings_name() {
    let named: Manner = |asked| {
        let token = json!({"access_token": "ya29.named", "token_type": "Bearer", "expires_in": 60});
        match asked.line.as_str().strip_prefix("GET /computeMetadata/v1/instance/service-accounts/") {
            Some("ml@x.iam.gserviceaccount.com/token") => Some((200, token.to_string())),
            Some("ml@x.iam.gserviceaccount.com/email") => Some((200, "ml@x.iam.gserviceaccount.com".to_owned())),
            _ => Some((404, String::new())),
        }
    };
    let house = of_machine(Fake::start(named).await, Some("ml@x.iam.gserviceaccount.com"));
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!((bearer(&minted), house.life(&minted)), ("ya29.named", 60));
    assert_eq!(minted.attribution, "ml@x.iam.gserviceaccount.com");
}

/// A throttled cloud is not stormed, nor a refresh token spent twice, and what
/// the first answer means is what is told.
#[tokio::test]
async fn whatever_comes_back_is_told_once_and_asked_once() {
    let manners: [(Manner, &str, &str); 6] = [
        (|_| Some((429, "canary".to_owned())), "UPSTREAM_THROTTLED", "UPSTREAM_THROTTLED"),
        (|_| Some((503, "canary".to_owned())), "UPSTREAM_UNAVAILABLE", "UPSTREAM_UNAVAILABLE"),
        (|_| Some((302, "canary".to_owned())), "UPSTREAM_BAD_ANSWER", "UPSTREAM_BAD_ANSWER"),
        (|_| Some((200, "canary".to_owned())), "UPSTREAM_BAD_ANSWER", "UPSTREAM_BAD_ANSWER"),
        (|_| Some((200, r#"{"access_token":"canary"}"#.to_owned())), "UPSTREAM_BAD_ANSWER", "UPSTREAM_BAD_ANSWER"),
        (
            |_| Some((400, r#"{"error":"invalid_grant","error_description":"canary"}"#.to_owned())),
            "SOURCE_CREDENTIAL_REFUSED",
            // Our own issuer's token, or the machine: nothing that could be rotated.
            "UPSTREAM_REJECTED",
        ),
    ];
    for (manner, of_login, of_others) in manners {
        for method in METHODS {
            let house = house(manner, method).await;
            let refused = house.mint(GENERIC.0, GENERIC.1).await.err().unwrap();
            let code = if method == "user-account" { of_login } else { of_others };
            assert_eq!(refused.code(), code, "{method}: {refused}");
            assert!(!format!("{refused} {refused:?}").contains("canary"), "{method}: {refused:?}");
            assert_eq!(house.fake.asked().len(), 1, "{method}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_proxy_in_the_environment_stops_what_googles_client_has_a_part_in_and_nothing_else() {
    let astray = |house: House, detours| {
        let rules = OutboundRules { detours, ..house.upstream.outbound.rules().clone() };
        let upstream = Upstream { outbound: Arc::new(Outbound::new(rules).unwrap()), ..house.upstream.clone() };
        House { upstream, ..house }
    };
    let proxied = Detours { proxied: true, metadata_host: false };
    for method in METHODS {
        let house = astray(house(PLAIN, method).await, proxied);
        let refused = house.mint(GENERIC.0, GENERIC.1).await.err().unwrap();
        assert_eq!(refused.code(), "NOT_ENABLED", "{method}");
        assert!(refused.to_string().contains("NO_PROXY"), "{method}: {refused}");
        assert!(house.fake.asked().is_empty(), "{method}");
    }
    let key = astray(House::new(PLAIN, "service-account", "").await, proxied);
    assert_eq!(bearer(&key.mint(GENERIC.0, GENERIC.1).await.ok().unwrap()), "ya29.source");
    let hosted = Detours { proxied: false, metadata_host: true };
    let machine = astray(house(PLAIN, "implicit").await, hosted);
    let refused = machine.mint(GENERIC.0, GENERIC.1).await.err().unwrap();
    assert_eq!(refused.code(), "NOT_ENABLED");
    assert!(refused.to_string().contains("GCE_METADATA_HOST"), "{refused}");
    let login = astray(house(PLAIN, "user-account").await, hosted);
    assert_eq!(bearer(&login.mint(GENERIC.0, GENERIC.1).await.ok().unwrap()), "ya29.user");
}

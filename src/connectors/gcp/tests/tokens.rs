//! Minting and keys against a fake that checks signatures and records what it
//! is asked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::fake::{Asked, EMAIL, Fake, KEY_IDS, Manner, assertion, key_file};
use super::*;
use crate::domain::{IdentityError, IdentityTokens, Minted, MintedShape, SecretText, Subject};

/// An issuer whose tokens say their audience in clear.
struct Issuer;

impl IdentityTokens for Issuer {
    fn token(&self, subject: &Subject, audience: &str, _: Ttl) -> Result<SecretText, IdentityError> {
        use base64::Engine as _;
        let claims = json!({"sub": format!("{}/{}", subject.project, subject.connector), "aud": audience}).to_string();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        Ok(SecretText::new(format!("e30.{claims}.c2ln")))
    }
}

pub fn upstream(fake: &Fake, implicit: &[&str]) -> Upstream {
    let upstream = workbench::upstream(&fake.url, None, implicit, workbench::now());
    Upstream { identities: Arc::new(Issuer), subject: Some(workbench::subject("data")), ..upstream }
}

pub struct House {
    pub fake: Fake,
    pub upstream: Upstream,
    pub settings: Settings,
    pub secret: SourceCredential,
}

impl House {
    pub async fn new(manner: Manner, method: &str, more: &str) -> Self {
        let fake = Fake::start(manner).await;
        let settings = settings(method, &format!(r#","endpoint_url":"{}"{more}"#, fake.url));
        let upstream = upstream(&fake, &[]);
        Self { fake, upstream, settings, secret: secret(&[("service_account_json", &key_file(EMAIL, 0))]) }
    }

    pub async fn mint(&self, resource_type: &str, id: &str) -> Result<Minted, UpstreamError> {
        let access = if resource_type == "gcp-generic" { AccessLevel::Admin } else { AccessLevel::Read };
        let scope = Gcp.narrow(&self.settings, &ask(resource_type, id, access)).unwrap();
        let end = Some(self.upstream.clock.now().plus(Duration::from_secs(7200)));
        let (ttl, who) = (Ttl::seconds(600), attribution());
        Gcp.mint(&self.upstream, &self.settings, &self.secret, end, &scope, ttl, &who).await?.minted
    }

    pub fn life(&self, minted: &Minted) -> u64 {
        minted.expires_at.since(self.upstream.clock.now()).as_secs()
    }
}

pub fn bearer(minted: &Minted) -> &str {
    let MintedShape::Bearer { token, .. } = &minted.shape else { panic!("a token is due") };
    token.reveal()
}

pub const PLAIN: Manner = |_| None;
const BUCKET: (&str, &str) = ("gcs-bucket", "gs://datasets/train");
pub const GENERIC: (&str, &str) = ("gcp-generic", "ml-prod-123456");

#[tokio::test]
async fn an_assertion_says_what_googles_own_clients_say_and_lives_for_minutes() {
    let house = House::new(PLAIN, "service-account", "").await;
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!((bearer(&minted), house.life(&minted), minted.attribution.as_str()), ("ya29.source", 3599, EMAIL));
    let (header, claims) = assertion(&house.fake.asked()[0]).unwrap();
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": KEY_IDS[0]}));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(EMAIL), &json!("https://oauth2.googleapis.com/token")));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    let other = secret(&[("service_account_json", &key_file(EMAIL, 1))]);
    let house = House { secret: other, ..house };
    assert!(matches!(house.mint(GENERIC.0, GENERIC.1).await.err(), Some(UpstreamError::CredentialRefused { .. })));
}

#[tokio::test]
async fn a_boundary_is_encoded_twice_and_the_token_dies_with_its_source() {
    let house = House::new(PLAIN, "service-account", "").await;
    let minted = house.mint(BUCKET.0, BUCKET.1).await.ok().unwrap();
    assert_eq!((bearer(&minted), house.life(&minted)), ("ya29.bounded", 3599));
    let asked = house.fake.asked();
    assert_eq!(asked[1].line, "POST /v1/token");
    assert_eq!(asked[1].field("subject_token").as_deref(), Some("ya29.source"));
    let once = asked[1].field("options").unwrap();
    assert!(once.starts_with("%7B%22accessBoundary%22%3A"), "{once}");
    let twice = percent_encoding::percent_decode_str(&once).decode_utf8().unwrap();
    assert!(serde_json::from_str::<Value>(&twice).unwrap()["accessBoundary"]["accessBoundaryRules"][0].is_object());
    let shorter: Manner = |asked| {
        let token = json!({"access_token": "ya29.bounded", "expires_in": 120});
        asked.field("options").map(|_| (200, token.to_string()))
    };
    let house = House::new(shorter, "service-account", "").await;
    assert_eq!(house.life(&house.mint(BUCKET.0, BUCKET.1).await.ok().unwrap()), 120);
    let longer: Manner = |asked| {
        let token = json!({"access_token": "ya29.bounded", "expires_in": 360_000});
        asked.field("options").map(|_| (200, token.to_string()))
    };
    let house = House::new(longer, "service-account", "").await;
    assert_eq!(house.life(&house.mint(BUCKET.0, BUCKET.1).await.ok().unwrap()), 3599);
}

#[tokio::test]
async fn a_token_that_comes_back_unbounded_never_leaves() {
    let same: Manner = |asked| {
        let token = json!({"access_token": "ya29.source", "expires_in": 3599});
        asked.field("options").map(|_| (200, token.to_string()))
    };
    let house = House::new(same, "service-account", "").await;
    assert!(matches!(house.mint(BUCKET.0, BUCKET.1).await.err(), Some(UpstreamError::BadAnswer { .. })));
}

#[tokio::test]
async fn impersonation_asks_with_the_narrowest_source_and_believes_only_what_can_be() {
    let more = format!(r#","target_principal":"{TARGET}","delegates":["hub@x.iam.gserviceaccount.com"]"#);
    let house = House::new(PLAIN, "impersonation", &more).await;
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!(bearer(&minted), "ya29.target");
    assert!((598..=602).contains(&house.life(&minted)));
    assert_eq!(minted.attribution, format!("{TARGET}, delegated by hub@x.iam.gserviceaccount.com, {EMAIL}"));
    let asked = house.fake.asked();
    assert_eq!(assertion(&asked[0]).unwrap().1["scope"], "https://www.googleapis.com/auth/iam");
    assert_eq!(asked[1].line, format!("POST /v1/projects/-/serviceAccounts/{TARGET}:generateAccessToken"));
    assert_eq!(asked[1].authorization, "Bearer ya29.source");
    assert_eq!(
        serde_json::from_str::<Value>(&asked[1].body).unwrap(),
        json!({
            "delegates": ["projects/-/serviceAccounts/hub@x.iam.gserviceaccount.com"], "lifetime": "600s",
            "scope": ["https://www.googleapis.com/auth/cloud-platform"],
        })
    );
    let lies: [Manner; 4] = [
        |asked| of_target(asked, &json!({"accessToken": "t", "expireTime": "2099-01-01T00:00:00Z"})),
        |asked| of_target(asked, &json!({"accessToken": "t", "expireTime": "2020-01-01T00:00:00Z"})),
        |asked| of_target(asked, &json!({"accessToken": "t", "expireTime": "soon"})),
        |asked| of_target(asked, &json!({"accessToken": "a b", "expireTime": "2099-01-01T00:00:00Z"})),
    ];
    for lie in lies {
        let house = House::new(lie, "impersonation", &more).await;
        assert!(matches!(house.mint(GENERIC.0, GENERIC.1).await.err(), Some(UpstreamError::BadAnswer { .. })));
    }
}

fn of_target(asked: &Asked, answer: &Value) -> Option<(u16, String)> {
    asked.line.ends_with(":generateAccessToken").then(|| (200, answer.to_string()))
}

#[tokio::test]
async fn our_own_issuer_is_believed_for_its_audience_and_its_subject_is_attributed() {
    let pool = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ml";
    let more = format!(r#","audience":"{pool}/providers/ours""#);
    let house = House { secret: secret(&[]), ..House::new(PLAIN, "external-account", &more).await };
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!(
        (bearer(&minted), minted.attribution.clone()),
        ("ya29.federated", format!("principal:{pool}/subject/default/data"))
    );
    let asked = &house.fake.asked()[0];
    assert_eq!(asked.field("audience").as_deref(), Some(format!("{pool}/providers/ours").as_str()));
    let token = asked.field("subject_token").unwrap();
    let expected = Issuer.token(
        house.upstream.subject.as_ref().unwrap(),
        &format!("https:{pool}/providers/ours"),
        Ttl::seconds(1),
    );
    assert_eq!(token, expected.ok().unwrap().reveal());
    let off = Upstream { identities: Arc::new(crate::domain::NoIssuer), ..house.upstream.clone() };
    let house = House { upstream: off, ..house };
    assert!(matches!(house.mint(GENERIC.0, GENERIC.1).await.err(), Some(UpstreamError::NotEnabled { .. })));
}

#[tokio::test]
async fn a_handed_in_token_ends_when_google_says_so() {
    let house = House { secret: secret(&[("token", "ya29.handed")]), ..House::new(PLAIN, "oauth2-token", "").await };
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!((bearer(&minted), house.life(&minted)), ("ya29.handed", 1200));
    assert_eq!(house.fake.asked()[0].line, "POST /tokeninfo", "a token in a query would be in somebody's log");
}

#[tokio::test]
async fn the_metadata_server_is_asked_only_when_named_and_believed_only_with_its_flavor() {
    let build = |manner: Manner| async move {
        let fake = Fake::start(manner).await;
        let settings = settings("implicit", &format!(r#","metadata_url":"{}""#, fake.url));
        let upstream = upstream(&fake, &["gcp:default"]);
        House { fake, upstream, settings, secret: secret(&[]) }
    };
    let house = build(PLAIN).await;
    let minted = house.mint(GENERIC.0, GENERIC.1).await.ok().unwrap();
    assert_eq!((bearer(&minted), minted.attribution.as_str()), ("ya29.machine", "daemon@x.iam.gserviceaccount.com"));
    let unnamed = House { upstream: upstream(&house.fake, &["default", "gcp:other@x.y"]), ..house };
    let before = unnamed.fake.asked().len();
    assert!(matches!(unnamed.mint(GENERIC.0, GENERIC.1).await.err(), Some(UpstreamError::NotEnabled { .. })));
    assert_eq!(unnamed.fake.asked().len(), before);
    let house =
        build(|_| Some((200, json!({"access_token": "t", "expires_in": 60, "x": "no flavor"}).to_string()))).await;
    assert!(matches!(house.mint(GENERIC.0, GENERIC.1).await.err(), Some(UpstreamError::BadAnswer { .. })));
}

#[tokio::test]
async fn a_key_makes_the_next_and_deletes_the_one_before() {
    let house = House::new(PLAIN, "service-account", "").await;
    let House { upstream, settings, .. } = &house;
    let made = Gcp.make_key(upstream, settings, &house.secret).await.ok().unwrap();
    assert_eq!((made.key_id.as_str(), made.old_key_id.as_str()), (KEY_IDS[1], KEY_IDS[0]));
    assert_eq!(Gcp.check_secret(settings, &made.secret, None, upstream.clock.now()), Ok(()));
    Gcp.delete_key(upstream, settings, &house.secret, KEY_IDS[1]).await.unwrap();
    let deleted = house.fake.asked().pop().unwrap();
    assert_eq!(deleted.line, format!("DELETE /v1/projects/-/serviceAccounts/{EMAIL}/keys/{}", KEY_IDS[1]));
    let odd = Gcp.delete_key(upstream, settings, &house.secret, "../../x").await;
    assert!(matches!(odd, Err(UpstreamError::Rejected { .. })));
    let gone: Manner = |asked| asked.line.starts_with("DELETE").then(|| (404, String::new()));
    let house = House::new(gone, "impersonation", &format!(r#","target_principal":"{TARGET}""#)).await;
    assert_eq!(Gcp.delete_key(&house.upstream, &house.settings, &house.secret, KEY_IDS[1]).await, Ok(()));
}

#[tokio::test]
async fn a_key_of_another_account_is_no_next_key_and_a_missing_right_is_named() {
    let manners: [Manner; 4] = [
        |asked| made(asked, &key_file("evil@x.iam.gserviceaccount.com", 1)),
        |asked| made(asked, &key_file(EMAIL, 0)),
        |asked| made(asked, &key_file(EMAIL, 1).replace("oauth2.googleapis.com", "evil.example.com")),
        |asked| made(asked, "hunter2"),
    ];
    for manner in manners {
        let house = House::new(manner, "service-account", "").await;
        let refused = Gcp.make_key(&house.upstream, &house.settings, &house.secret).await.err();
        assert!(matches!(refused, Some(UpstreamError::BadAnswer { .. })), "{refused:?}");
    }
    let denied: Manner = |asked| {
        let error = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "hunter2"}});
        asked.line.ends_with("/keys").then(|| (403, error.to_string()))
    };
    let house = House::new(denied, "service-account", "").await;
    let refused = Gcp.make_key(&house.upstream, &house.settings, &house.secret).await.err().unwrap();
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    let UpstreamError::Denied { missing, code, .. } = refused else { panic!("a right is missing") };
    assert_eq!((missing, code.as_str()), (vec!["iam.serviceAccountKeys.create".to_owned()], "PERMISSION_DENIED"));
    let user = settings("user-account", "");
    let unsupported = Gcp.make_key(&house.upstream, &user, &house.secret).await.err();
    assert!(matches!(unsupported, Some(UpstreamError::Rejected { code, .. }) if code == "UNSUPPORTED"));
}

fn made(asked: &Asked, file: &str) -> Option<(u16, String)> {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(file);
    asked.line.ends_with("/keys").then(|| (200, json!({"privateKeyData": data}).to_string()))
}

#[tokio::test]
async fn a_cluster_without_its_authority_is_no_cluster() {
    let manners: [(Manner, bool); 4] = [
        (
            |asked| cluster(asked, &json!({"endpoint": "34.1.2.3", "masterAuth": {"clusterCaCertificate": "bm8="}})),
            false,
        ),
        (|asked| cluster(asked, &json!({"endpoint": "evil.example/?x="})), false),
        (
            |asked| {
                cluster(
                    asked,
                    &json!({"controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": "evil.example"}}}),
                )
            },
            false,
        ),
        (
            |asked| {
                cluster(
                    asked,
                    &json!({"controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": "gke-1.us.gke.goog"}}}),
                )
            },
            true,
        ),
    ];
    for (manner, taken) in manners {
        let house = House::new(manner, "service-account", "").await;
        let minted = house.mint("kubernetes-cluster", "us-central1/train").await;
        assert_eq!(minted.is_ok(), taken);
        if let Ok(Minted { shape: MintedShape::Bearer { endpoint, certificate_authority, .. }, .. }) = minted {
            assert_eq!((endpoint.as_deref(), certificate_authority), (Some("https://gke-1.us.gke.goog"), None));
        }
    }
}

fn cluster(asked: &Asked, answer: &Value) -> Option<(u16, String)> {
    asked.line.contains("/clusters/").then(|| (200, answer.to_string()))
}

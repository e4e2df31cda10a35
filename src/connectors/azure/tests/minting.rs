//! Minting against a strict Azure on loopback.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::fake::{self, Fake, Manner, OBJECT, delegation_value, mac, taken, token_of};
use super::super::fake_cloud::{REGISTRY_HOST, REPOSITORY, for_clusters};
use super::*;
use crate::domain::{EntropyError, Minted, MintedShape, NoIssuer, Revocable, Subject, claimed_end};

/// Each draw differs: assertions are for one use.
struct Counting(std::sync::atomic::AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        buffer.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        Ok(())
    }
}

pub fn upstream(fake: &Fake, implicit: &[&str]) -> Upstream {
    Upstream {
        entropy: Arc::new(Counting(std::sync::atomic::AtomicU8::new(0))),
        identities: Arc::clone(&fake.issuer) as Arc<dyn crate::domain::IdentityTokens>,
        subject: Some(workbench::subject("prod-azure")),
        ..workbench::upstream(&fake.url, Some(&fake.root), implicit, workbench::now())
    }
}

/// Endpoints of the fake, as settings.
pub fn at(fake: &Fake) -> String {
    let all = ["authority_url", "management_url", "blob_url", "registry_url"];
    all.map(|name| format!(r#","{name}":"{}""#, fake.url)).concat() + r#","hierarchical_namespace":true"#
}

async fn mint_at(
    upstream: &Upstream,
    settings: &Settings,
    (secret, ends): (&SourceCredential, Option<Timestamp>),
    ask: &Ask,
) -> Result<Minted, UpstreamError> {
    let scope = Azure.narrow(settings, ask).unwrap();
    let outcome = Azure.mint(upstream, settings, secret, ends, &scope, Ttl::seconds(1800), &attribution()).await?;
    let minted = outcome.minted?;
    assert_eq!(minted.shape.name(), Azure.shape(settings, &scope));
    Ok(minted)
}

/// By the application's secret.
async fn mint(fake: &Fake, ask: &Ask) -> Result<Minted, UpstreamError> {
    let own = application(&at(fake));
    mint_at(&upstream(fake, &[]), &own, (&secret(&[("client_secret", fake::SECRET)]), None), ask).await
}

fn container(id: &str, access: AccessLevel) -> Ask {
    ask("blob-container", id, access)
}

fn generic(audience: &str) -> Ask {
    ask_with("azure-generic", SUBSCRIPTION, AccessLevel::Admin, &[("audience", audience)])
}

fn query(url: &str) -> BTreeMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

/// The signature that the account would make of such a URL.
fn expected_signature(query: &BTreeMap<String, String>, path: &str) -> String {
    use base64::Engine as _;
    let standard = base64::engine::general_purpose::STANDARD;
    let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let key = standard.decode(delegation_value(field("skt"), field("ske"))).unwrap();
    let text = [
        field("sp"),
        field("st"),
        field("se"),
        path,
        field("skoid"),
        field("sktid"),
        field("skt"),
        field("ske"),
        field("sks"),
        field("skv"),
        field("saoid"),
        field("suoid"),
        field("scid"),
        field("sip"),
        field("spr"),
        field("sv"),
        field("sr"),
        "",
        field("ses"),
        "",
        "",
        "",
        "",
        "",
    ]
    .join("\n");
    standard.encode(mac(&key, text.as_bytes()))
}

#[tokio::test]
async fn a_signed_url_names_its_container_level_and_end() {
    let fake = Fake::start(Manner::default()).await;
    let minted = mint(&fake, &container("az://mldata/datasets", AccessLevel::Read)).await.ok().unwrap();
    let MintedShape::SignedUrl { url } = &minted.shape else { panic!("a signed URL is due") };
    let (head, _) = url.reveal().split_once('?').unwrap();
    assert_eq!(head, format!("{}/mldata/datasets", fake.url));
    let query = query(url.reveal());
    assert_eq!((query["sr"].as_str(), query["sp"].as_str(), query["spr"].as_str()), ("c", "rl", "https"));
    assert_eq!((query["skoid"].as_str(), query["sktid"].as_str()), (OBJECT, TENANT));
    assert!(!query.contains_key("scid"), "only Azure's own endpoints take it");
    assert_eq!(query["sig"], expected_signature(&query, "/blob/mldata/datasets"));
    let end = query["se"].parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(minted.expires_at, Timestamp::from_seconds(end));
    assert_eq!((minted.revocable, minted.passthrough), (Revocable::RoleWide, false));
    assert!(minted.attribution.contains(OBJECT));
}

#[tokio::test]
async fn a_directory_is_signed_with_its_depth_and_each_level_with_its_letters() {
    let fake = Fake::start(Manner::default()).await;
    for (access, letters) in
        [(AccessLevel::Read, "rl"), (AccessLevel::Write, "racwdl"), (AccessLevel::Admin, "racwdlmeop")]
    {
        let minted = mint(&fake, &container("az://mldata/datasets/train/a b", access)).await.ok().unwrap();
        let MintedShape::SignedUrl { url } = &minted.shape else { panic!("a signed URL is due") };
        assert!(url.reveal().contains("/mldata/datasets/train/a%20b?"), "a path");
        let query = query(url.reveal());
        assert_eq!((query["sr"].as_str(), query["sdd"].as_str(), query["sp"].as_str()), ("d", "2", letters));
        assert_eq!(query["sig"], expected_signature(&query, "/blob/mldata/datasets/train/a b"));
        assert_ne!(query["sig"], expected_signature(&query, "/blob/mldata/datasets"));
    }
}

#[test]
fn azures_own_accounts_log_the_issuance() {
    let key = sas::DelegationKey {
        object: OBJECT.to_owned(),
        tenant: TENANT.to_owned(),
        start: "2026-11-24T10:00:00Z".to_owned(),
        expiry: "2026-11-24T12:00:00Z".to_owned(),
        expires_at: Timestamp::from_seconds(1_795_521_600),
        version: "2022-11-02".to_owned(),
        value: zeroize::Zeroizing::new(
            base64::Engine::decode(
                &base64::engine::general_purpose::STANDARD,
                delegation_value("2026-11-24T10:00:00Z", "2026-11-24T12:00:00Z"),
            )
            .unwrap(),
        ),
    };
    let grant = |correlation| sas::Grant {
        endpoint: "https://mldata.blob.core.windows.net",
        account: "mldata",
        container: "datasets",
        directory: None,
        permissions: "rl",
        expires_at: Timestamp::from_seconds(1_795_518_000),
        correlation,
    };
    let with = grant(Some("03030303-0303-0303-0303-030303030303")).url(&key).unwrap();
    let with = query(with.reveal());
    assert_eq!(with["sig"], expected_signature(&with, "/blob/mldata/datasets"));
    let without = query(grant(None).url(&key).unwrap().reveal());
    assert_ne!(with["sig"], without["sig"], "the correlation id is signed");
}

#[tokio::test]
async fn a_certificate_and_our_own_issuer_are_as_good_as_a_secret() {
    let fake = Fake::start(Manner::default()).await;
    let pem = fake::certificate_pem();
    let certificate = secret(&[("client_certificate", &pem)]);
    let (own, upstream) = (application(&at(&fake)), upstream(&fake, &[]));
    let federated = application(&(at(&fake) + r#","federated":true"#));
    let vault = generic("https://vault.azure.net");
    for (settings, source) in [(&own, &certificate), (&own, &certificate), (&federated, &secret(&[]))] {
        let minted = mint_at(&upstream, settings, (source, None), &vault).await.ok().unwrap();
        let MintedShape::Bearer { token, endpoint: None, certificate_authority: None } = &minted.shape else {
            panic!("a token is due");
        };
        assert!(taken(token.reveal(), &["https://vault.azure.net"]).is_some());
        assert!(taken(token.reveal(), &["https://storage.azure.com"]).is_none());
        let life = minted.expires_at.since(upstream.clock.now()).as_secs();
        assert!((3590..=3600).contains(&life), "Entra decides: {life}");
    }
    // Not by a certificate of somebody else, nor by the issuer for another connector, nor with no issuer.
    let (head, _) = pem.split_once("-----BEGIN CERTIFICATE-----").unwrap();
    let stranger = rcgen::KeyPair::from_pem(fake::stranger_key_pem()).unwrap();
    let foreign = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&stranger).unwrap().pem();
    assert_ne!(head, fake::stranger_key_pem());
    let foreign = secret(&[("client_certificate", &format!("{}{foreign}", fake::stranger_key_pem()))]);
    let error = mint_at(&upstream, &own, (&foreign, None), &vault).await.err().unwrap();
    assert_eq!(error.code(), "SOURCE_CREDENTIAL_REFUSED");
    let mut elsewhere = upstream.clone();
    let subject = Subject { connector: "other".parse().unwrap(), ..(**upstream.subject.as_ref().unwrap()).clone() };
    elsewhere.subject = Some(Arc::new(subject));
    let error = mint_at(&elsewhere, &federated, (&secret(&[]), None), &vault).await.err().unwrap();
    assert_eq!(error.code(), "UPSTREAM_REJECTED");
    elsewhere.identities = Arc::new(NoIssuer);
    let error = mint_at(&elsewhere, &federated, (&secret(&[]), None), &vault).await.err().unwrap();
    assert_eq!(error.code(), "NOT_ENABLED");
}

/// Nothing is stored that could be rotated: what is wrong is in the
/// application's federated credential, and what to compare there is named.
#[tokio::test]
async fn a_refused_assertion_of_our_own_issuer_says_what_to_compare_and_not_to_rotate() {
    let vault = generic("https://vault.azure.net");
    let strict = Fake::start(Manner::default()).await;
    let federated = |fake: &Fake| application(&(at(fake) + r#","federated":true"#));
    let mut other = upstream(&strict, &[]);
    let subject = Subject { connector: "other".parse().unwrap(), ..(**other.subject.as_ref().unwrap()).clone() };
    other.subject = Some(Arc::new(subject));
    let error = mint_at(&other, &federated(&strict), (&secret(&[]), None), &vault).await.err().unwrap();
    let compared = "issuer https://valetkey.test, subject project:default:connector:other, audience \
                    api://AzureADTokenExchange;";
    let UpstreamError::Rejected { code, remedy } = error else { panic!("{error}") };
    assert!(code == "AADSTS700213" && remedy.contains(compared), "{remedy}");

    for number in [700_024, 700_027, 700_211, 700_212, 700_213, 700_238, 70_021, 50_013, 7_000_214, 99_999] {
        let body = format!(r#"{{"error":"invalid_client","error_codes":[{number}],"error_description":"s3cr3t"}}"#);
        let fake = Fake::start(Manner { instead: vec![("oauth2/v2.0/token", 401, body)], ..Manner::default() }).await;
        let upstream = upstream(&fake, &[]);
        let error = mint_at(&upstream, &federated(&fake), (&secret(&[]), None), &vault).await.err().unwrap();
        let said = format!("{error} {error:?}");
        assert_eq!((error.code(), error.condemns_source()), ("UPSTREAM_REJECTED", false), "{number}: {said}");
        assert!(said.contains("connector:prod-azure, audience") && !said.contains("rotate"), "{number}: {said}");
        assert!(said.contains(&format!("AADSTS{number}")) && !said.contains("s3cr3t"), "{number}: {said}");
        // Its neighbour, a secret, is what to rotate.
        let source = secret(&[("client_secret", fake::SECRET)]);
        let error = mint_at(&upstream, &application(&at(&fake)), (&source, None), &vault).await.err().unwrap();
        assert_eq!(error.code(), "SOURCE_CREDENTIAL_REFUSED", "{number}");
    }
    // The application itself is not a matter of its federated credential.
    let body = r#"{"error":"unauthorized_client","error_codes":[700016]}"#.to_owned();
    let fake = Fake::start(Manner { instead: vec![("oauth2/v2.0/token", 400, body)], ..Manner::default() }).await;
    let error = mint_at(&upstream(&fake, &[]), &federated(&fake), (&secret(&[]), None), &vault).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Rejected { remedy, .. } if remedy.contains("client_id")));
}

#[tokio::test]
async fn a_registrys_token_is_for_one_repository_and_a_refusal_names_what_is_missing() {
    let fake = Fake::start(Manner::default()).await;
    let of = |repository: &str, access| ask("docker-registry", &format!("{REGISTRY_HOST}/{repository}"), access);
    let minted = mint(&fake, &of(REPOSITORY, AccessLevel::Write)).await.ok().unwrap();
    let MintedShape::Bearer { token, endpoint, .. } = &minted.shape else { panic!("a token is due") };
    let claims = taken(token.reveal(), &[REGISTRY_HOST]).unwrap();
    assert_eq!(claims["access"], json!([{"type": "repository", "name": REPOSITORY, "actions": ["pull", "push"]}]));
    assert_eq!(endpoint.as_deref(), Some("https://mlteam.azurecr.io"));
    assert_eq!(minted.expires_at, Timestamp::from_seconds(claims["exp"].as_i64().unwrap()));
    let denied = |error: UpstreamError| {
        let UpstreamError::Denied { missing, .. } = error else { panic!("{error}") };
        missing
    };
    let error = mint(&fake, &of(REPOSITORY, AccessLevel::Admin)).await.err().unwrap();
    assert_eq!(denied(error), ["Microsoft.ContainerRegistry/registries/artifacts/delete"]);
    let error = mint(&fake, &of("other", AccessLevel::Read)).await.err().unwrap();
    assert_eq!(denied(error), ["Microsoft.ContainerRegistry/registries/pull/read"]);
    let login = mint(&fake, &ask("docker-registry", REGISTRY_HOST, AccessLevel::Admin)).await.ok().unwrap();
    let MintedShape::Basic { username, password, .. } = &login.shape else { panic!("a login is due") };
    assert_eq!(username, "00000000-0000-0000-0000-000000000000");
    assert_eq!(taken(password.reveal(), &[REGISTRY_HOST]).unwrap()["use"], "refresh");
}

#[tokio::test]
async fn a_registry_that_grants_more_than_asked_is_not_believed() {
    let repository = |name: &str, actions: &[&str]| json!({"type": "repository", "name": name, "actions": actions});
    for access in [
        Value::Null,
        json!([repository(REPOSITORY, &["pull", "push"])]),
        json!([repository(REPOSITORY, &["*"])]),
        json!([repository(REPOSITORY, &["pull"]), repository("other", &["pull"])]),
        json!([{"type": "registry", "name": REPOSITORY, "actions": ["pull"]}]),
    ] {
        let fake = Fake::start(Manner { access: Some(access.clone()), ..Manner::default() }).await;
        let ask = ask("docker-registry", &format!("{REGISTRY_HOST}/{REPOSITORY}"), AccessLevel::Read);
        let error = mint(&fake, &ask).await.err().unwrap();
        assert_eq!(error.code(), "UPSTREAM_BAD_ANSWER", "{access}");
    }
}

#[tokio::test]
async fn a_cluster_comes_with_its_address_and_never_with_its_admin() {
    let fake = Fake::start(Manner::default()).await;
    let minted = mint(&fake, &ask("kubernetes-cluster", "ml/train", AccessLevel::Read)).await.ok().unwrap();
    let MintedShape::Bearer { token, endpoint, certificate_authority } = &minted.shape else {
        panic!("a token is due");
    };
    assert!(for_clusters(token.reveal()));
    assert_eq!(endpoint.as_deref(), Some("https://train-dns.hcp.westeurope.azmk8s.io:443"));
    let authority = certificate_authority.as_deref().unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----") && !authority.contains("PRIVATE"));
    assert!(fake.asked().iter().all(|(line, _)| !line.to_ascii_lowercase().contains("admin")));
    let error = mint(&fake, &ask("kubernetes-cluster", "ml/other", AccessLevel::Read)).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Denied { code, .. } if code == "AuthorizationFailed"));
}

#[tokio::test]
async fn a_handed_in_token_serves_its_own_audience_and_ends_when_it_ends() {
    let fake = Fake::start(Manner::default()).await;
    let (own, upstream) = (handed_in(&at(&fake)), upstream(&fake, &[]));
    let far = Some(upstream.clock.now().plus(Duration::from_secs(20 * 3600)));
    let storage = fake::token("https://storage.azure.com/", 900);
    let source = secret(&[("token", &storage)]);
    let blobs = container("az://mldata/datasets", AccessLevel::Read);
    let minted = mint_at(&upstream, &own, (&source, far), &blobs).await.ok().unwrap();
    let MintedShape::SignedUrl { url } = &minted.shape else { panic!("a signed URL is due") };
    assert!(!url.reveal().contains(&storage));
    let error = mint_at(&upstream, &own, (&source, far), &generic("https://vault.azure.net")).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Rejected { code, .. } if code == "AUDIENCE"));
    let whole = mint_at(&upstream, &own, (&source, far), &generic("https://storage.azure.com")).await.ok().unwrap();
    assert_eq!(Some(whole.expires_at), claimed_end(&storage), "not what was said of it");
    for (text, code) in [
        (fake::token("https://storage.azure.com", -5), "SOURCE_CREDENTIAL_EXPIRED"),
        ("not-a-token-at-all".to_owned(), "SOURCE_CREDENTIAL_REFUSED"),
        (token_of(&json!({"aud": "https://storage.azure.com"})), "SOURCE_CREDENTIAL_REFUSED"),
    ] {
        let error = mint_at(&upstream, &own, (&secret(&[("token", &text)]), far), &blobs).await.err().unwrap();
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn a_managed_identity_needs_its_name_and_its_endpoint_in_the_config() {
    let fake = Fake::start(Manner::default()).await;
    let own = |more: &str| {
        let (url, rest) = (&fake.url, at(&fake));
        settings(&format!(r#"{{"auth_method":"implicit","identity_url":"{url}"{more}{rest}}}"#))
    };
    let user_assigned = format!(r#","client_id":"{CLIENT}""#);
    let allowed = format!("azure:{CLIENT}");
    let vault = generic("https://vault.azure.net");
    for (more, names, fits) in [
        ("", &["azure:system"][..], true),
        (&*user_assigned, &[&*allowed], true),
        ("", &[&*allowed], false),
        (&*user_assigned, &["azure:system"], false),
        ("", &[], false),
    ] {
        let outcome = mint_at(&upstream(&fake, names), &own(more), (&secret(&[]), None), &vault).await;
        match outcome {
            Ok(minted) => assert!(fits && matches!(minted.shape, MintedShape::Bearer { .. })),
            Err(error) => assert!(!fits && error.code() == "NOT_ENABLED", "{error}"),
        }
    }
    // Azure's own endpoint is no host of the cloud: it must be named.
    let bare = settings(r#"{"auth_method":"implicit"}"#);
    let error = mint_at(&upstream(&fake, &["azure:system"]), &bare, (&secret(&[]), None), &vault).await.err().unwrap();
    let origin = "http://169.254.169.254".to_owned();
    assert_eq!(error, UpstreamError::AddressRefused { origin });
}

/// `expires_in` is beside the token; what Azure's services look at is in it.
#[tokio::test]
async fn a_token_of_entra_or_of_the_machine_ends_when_it_says_and_not_when_is_said_of_it() {
    let fake = Fake::start(Manner { ends_in: Some(120), ..Manner::default() }).await;
    let machine = format!(r#"{{"auth_method":"implicit","identity_url":"{}"{}}}"#, fake.url, at(&fake));
    let upstream = upstream(&fake, &["azure:system"]);
    let by_secret = secret(&[("client_secret", fake::SECRET)]);
    for (own, source) in [(application(&at(&fake)), by_secret), (settings(&machine), secret(&[]))] {
        let minted = mint_at(&upstream, &own, (&source, None), &generic("https://vault.azure.net")).await.ok().unwrap();
        let MintedShape::Bearer { token, .. } = &minted.shape else { panic!("a token is due") };
        let end = claimed_end(token.reveal()).unwrap();
        // The service's clock is no part of the test: whole minutes either side of what it was told to give.
        assert!((60..180).contains(&end.since(upstream.clock.now()).as_secs()), "{end}");
        assert_eq!(minted.expires_at, end);
    }
}

/// SECURITY J9: whatever answers, the error is ours and holds nothing of it.
#[tokio::test]
async fn hostile_answers_are_told_apart_and_not_repeated() {
    let page = "<html><body>captive portal s3cr3t</body></html>".to_owned();
    let life = |life: &str| format!(r#"{{"token_type":"Bearer","access_token":"s3cr3t","expires_in":{life}}}"#);
    let entra = "oauth2/v2.0/token";
    let refused =
        |code: u32| format!(r#"{{"error":"invalid_client","error_codes":[{code}],"error_description":"s3cr3t"}}"#);
    let key = "<UserDelegationKey><SignedOid>x</SignedOid><Value>s3cr3t</Value></UserDelegationKey>".to_owned();
    for (part, status, body, code) in [
        (entra, 200, page.clone(), "UPSTREAM_BAD_ANSWER"),
        (entra, 200, life("9223372036854775807"), "UPSTREAM_BAD_ANSWER"),
        (entra, 200, life("-1"), "UPSTREAM_BAD_ANSWER"),
        (entra, 200, life("2000000"), "UPSTREAM_BAD_ANSWER"),
        (
            entra,
            200,
            r#"{"access_token":"s3cr3t","token_type":"pop","expires_in":10}"#.to_owned(),
            "UPSTREAM_BAD_ANSWER",
        ),
        (entra, 200, "{}".to_owned(), "UPSTREAM_BAD_ANSWER"),
        (entra, 302, page.clone(), "UPSTREAM_BAD_ANSWER"),
        (entra, 500, page.clone(), "UPSTREAM_UNAVAILABLE"),
        (entra, 429, page.clone(), "UPSTREAM_THROTTLED"),
        (entra, 401, refused(7_000_222), "SOURCE_CREDENTIAL_REFUSED"),
        (entra, 400, refused(90_002), "UPSTREAM_REJECTED"),
        (entra, 400, refused(700_016), "UPSTREAM_REJECTED"),
        (entra, 400, refused(50_196), "UPSTREAM_THROTTLED"),
        ("/mldata/", 200, page.clone(), "UPSTREAM_BAD_ANSWER"),
        ("/mldata/", 200, key, "UPSTREAM_BAD_ANSWER"),
        (
            "/mldata/",
            403,
            "<Error><Code>AuthorizationFailure</Code><Message>s3cr3t</Message></Error>".to_owned(),
            "UPSTREAM_DENIED",
        ),
        ("/mldata/", 403, page.clone(), "UPSTREAM_DENIED"),
    ] {
        let fake = Fake::start(Manner { instead: vec![(part, status, body.clone())], ..Manner::default() }).await;
        let error = mint(&fake, &container("az://mldata/datasets", AccessLevel::Read)).await.err().unwrap();
        assert_eq!(error.code(), code, "{body}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        let tries = fake.asked().iter().filter(|(line, _)| line.contains(part)).count();
        assert_eq!(tries, 1, "nothing is tried again");
    }
    for (part, body) in [("oauth2/exchange", page.clone()), ("oauth2/token", r#"{"access_token":"s3cr3t"}"#.to_owned())]
    {
        let fake = Fake::start(Manner { instead: vec![(part, 200, body)], ..Manner::default() }).await;
        let ask = ask("docker-registry", &format!("{REGISTRY_HOST}/{REPOSITORY}"), AccessLevel::Read);
        let error = mint(&fake, &ask).await.err().unwrap();
        assert!(error.code() == "UPSTREAM_BAD_ANSWER" && !format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_said_to_be_wrong_and_nothing_more() {
    let fake = Fake::start(Manner::default()).await;
    let (own, upstream) = (application(&at(&fake)), upstream(&fake, &[]));
    let wrong = secret(&[("client_secret", "8Q~another-secret")]);
    let error = mint_at(&upstream, &own, (&wrong, None), &generic("https://vault.azure.net")).await.err().unwrap();
    assert_eq!(error, UpstreamError::CredentialRefused { code: "AADSTS7000215".to_owned() });
    let error = mint(&fake, &generic("https://nowhere.example")).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Rejected { code, .. } if code == "AADSTS500011"));
}

#[tokio::test]
async fn a_cloud_that_stalls_or_floods_is_left() {
    for part in ["oauth2/v2.0/token", "/mldata/"] {
        let blobs = container("az://mldata/datasets", AccessLevel::Read);
        let fake = Fake::start(Manner { stalls: Some(part), ..Manner::default() }).await;
        let (own, upstream) =
            (application(&at(&fake)), workbench::within(&upstream(&fake, &[]), Duration::from_secs(1)));
        let source = secret(&[("client_secret", fake::SECRET)]);
        let error = mint_at(&upstream, &own, (&source, None), &blobs).await.err().unwrap();
        assert_eq!(error, UpstreamError::DeadlineExceeded, "{part}");
        let flood = "x".repeat(crate::outbound::BODY_BYTES_MAX + 1);
        let fake = Fake::start(Manner { instead: vec![(part, 200, flood)], ..Manner::default() }).await;
        let error = mint(&fake, &blobs).await.err().unwrap();
        assert_eq!(error, UpstreamError::BadAnswer { what: "too long" }, "{part}");
    }
}

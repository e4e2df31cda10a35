//! Minting, verifying and listing against a strict STS on loopback.

use std::time::Duration;

use super::super::fake::{Fake, Manner, error};
use super::*;
use crate::domain::{MintedShape, Revocable};

fn source_key() -> SourceCredential {
    secret(&[("aws_access_key_id", super::super::fake::KEY.0), ("aws_secret_access_key", super::super::fake::KEY.1)])
}

pub(super) fn upstream(allowed: &str) -> Upstream {
    workbench::upstream(allowed, None, &[], workbench::now())
}

/// Mints with these settings (of this method, at the fake) for this resource.
async fn mint(
    fake: &Fake,
    method: &str,
    more: &str,
    (resource_type, id): (&str, &str),
) -> Result<Minted, UpstreamError> {
    let json = format!(r#"{{"auth_method":"{method}","region":"us-east-1","endpoint_url":"{}"{more}}}"#, fake.url);
    let settings = settings(&json);
    let access = if resource_type == "aws-generic" { AccessLevel::Admin } else { AccessLevel::Read };
    let scope = Aws.narrow(&settings, &ask(resource_type, id, access)).unwrap();
    let ttl = Ttl::seconds(3600);
    let outcome = Aws.mint(&upstream(&fake.url), &settings, &source_key(), None, &scope, ttl, &attribution()).await?;
    outcome.minted
}

fn role_at_fake() -> String {
    format!(r#","role_arn":"{ROLE}","external_id":"ours-1","session_tags":{{"team":"ml"}}"#)
}

const BUCKET: (&str, &str) = ("s3-bucket", "s3://datasets/train");

#[tokio::test]
async fn a_role_session_carries_the_whole_attribution_and_the_narrow_policy() {
    let fake = Fake::start(Manner::default()).await;
    let minted = mint(&fake, "iam-role", &role_at_fake(), BUCKET).await.ok().unwrap();
    let MintedShape::AwsSession { access_key_id, session_token, endpoint_url, .. } = &minted.shape else {
        panic!("an AWS session is due");
    };
    assert_eq!(
        (access_key_id.reveal(), session_token.reveal()),
        (super::super::fake::SESSION.0, super::super::fake::TOKEN)
    );
    assert_eq!(endpoint_url.as_deref(), Some(fake.url.as_str()));
    assert_eq!((minted.revocable, minted.passthrough), (Revocable::RoleWide, false));
    let asked = &fake.asked()[0];
    let names = super::super::attribution::Names::of(&attribution());
    assert_eq!((asked["RoleArn"].as_str(), asked["ExternalId"].as_str()), (ROLE, "ours-1"));
    assert_eq!((&asked["RoleSessionName"], &asked["SourceIdentity"]), (&names.session, &names.source_identity));
    assert_eq!(minted.attribution, names.session);
    let tags: Vec<_> = (1..=4).map(|at| asked[&format!("Tags.member.{at}.Key")].as_str()).collect();
    assert_eq!(tags, ["valetkey:project", "valetkey:principal", "valetkey:issuance", "team"]);
    assert!(
        asked["Policy"].contains("arn:aws:s3:::datasets/train/*") && !asked.contains_key("PolicyArns.member.1.arn")
    );
    assert_eq!(asked["DurationSeconds"], "3600");
}

#[tokio::test]
async fn each_hop_of_a_chain_may_do_nothing_but_the_next() {
    let fake = Fake::start(Manner::default()).await;
    let hub = "arn:aws:iam::123456789012:role/hub";
    let more = format!(r#","role_chain":["{hub}"],"max_session_duration":43200{}"#, role_at_fake());
    mint(&fake, "iam-role", &more, BUCKET).await.ok().unwrap();
    let asked = fake.asked();
    assert_eq!((asked[0]["RoleArn"].as_str(), asked[0]["key"].as_str()), (hub, super::super::fake::KEY.0));
    assert!(asked[0]["Policy"].contains("sts:AssumeRole") && asked[0]["Policy"].contains(ROLE));
    assert_eq!((asked[1]["RoleArn"].as_str(), asked[1]["key"].as_str()), (ROLE, super::super::fake::SESSION.0));
    let chained = role_settings(&format!(r#","role_chain":["{hub}"],"max_session_duration":43200"#));
    assert_eq!(Aws.ttl_range(&chained).max.as_seconds(), 3600);
}

#[tokio::test]
async fn a_secret_key_is_never_handed_out() {
    let fake = Fake::start(Manner::default()).await;
    for (resource, action) in [(BUCKET, "GetFederationToken"), (("aws-generic", "us-east-1"), "GetSessionToken")] {
        let minted = mint(&fake, "secret-key", "", resource).await.ok().unwrap();
        let MintedShape::AwsSession { access_key_id, .. } = &minted.shape else {
            panic!("an AWS session is due");
        };
        assert_eq!(access_key_id.reveal(), super::super::fake::SESSION.0);
        assert_eq!(fake.asked().last().unwrap()["Action"], action);
    }
}

#[tokio::test]
async fn a_session_is_asked_for_with_the_code_of_the_device_and_never_without() {
    let fake = Fake::start(Manner::default()).await;
    let device = "arn:aws:iam::123456789012:mfa/broker";
    let settings = settings(&format!(
        r#"{{"auth_method":"session-token","region":"us-east-1","endpoint_url":"{}","mfa_serial":"{device}"}}"#,
        fake.url
    ));
    let scope = Aws.narrow(&settings, &ask("aws-generic", "us-east-1", AccessLevel::Admin)).unwrap();
    let (upstream, ttl) = (upstream(&fake.url), Ttl::seconds(900));
    let key = [("aws_access_key_id", super::super::fake::KEY.0), ("aws_secret_access_key", super::super::fake::KEY.1)];
    let with = |seed| secret(&[key[0], key[1], ("mfa_totp_seed", seed)]);
    let minted =
        Aws.mint(&upstream, &settings, &with(SEED), None, &scope, ttl, &attribution()).await.unwrap().minted.unwrap();
    assert!(matches!(minted.shape, MintedShape::AwsSession { .. }));
    let asked = fake.asked().remove(0);
    let code = super::super::upstream_mfa::code(SEED, upstream.clock.now()).unwrap();
    assert_eq!((asked["SerialNumber"].as_str(), asked["TokenCode"].as_str()), (device, code.as_str()));
    for half in [secret(&key), with("not base32, and long enough")] {
        let refused = Aws.mint(&upstream, &settings, &half, None, &scope, ttl, &attribution()).await.err();
        assert!(matches!(refused, Some(UpstreamError::CredentialRefused { .. })));
    }
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_login_dies_with_its_session_and_a_token_before_it() {
    let fake = Fake::start(Manner::default()).await;
    let registry = ("docker-registry", "123456789012.dkr.ecr.us-east-1.amazonaws.com/team");
    let login = mint(&fake, "iam-role", &role_at_fake(), registry).await.ok().unwrap();
    let MintedShape::Basic { username, password, endpoint } = &login.shape else {
        panic!("a login is due");
    };
    assert_eq!((username.as_str(), password.reveal()), ("AWS", "pass"));
    assert_eq!(endpoint.as_deref(), Some("https://123456789012.dkr.ecr.us-east-1.amazonaws.com"));
    let now = upstream(&fake.url).clock.now();
    assert!(login.expires_at <= now.plus(Duration::from_secs(3601)), "not the twelve hours of the registry");
    let cluster =
        mint(&fake, "iam-role", &role_at_fake(), ("kubernetes-cluster", "us-east-1/train")).await.ok().unwrap();
    let MintedShape::Bearer { token, endpoint, certificate_authority } = &cluster.shape else {
        panic!("a token is due");
    };
    assert!(token.reveal().starts_with("k8s-aws-v1.") && certificate_authority.is_none());
    assert_eq!(endpoint.as_deref(), Some("https://x.eks"));
    let life = cluster.expires_at.since(now).as_secs();
    assert!((13 * 60..=14 * 60 + 5).contains(&life), "{life}");
}

#[tokio::test]
async fn an_impossible_expiry_and_an_overfull_policy_are_refused() {
    let late = Fake::start(Manner { longer_seconds: 4000, ..Manner::default() }).await;
    assert!(matches!(
        mint(&late, "iam-role", &role_at_fake(), BUCKET).await.err(),
        Some(UpstreamError::BadAnswer { .. })
    ));
    let past = Fake::start(Manner { longer_seconds: -4000, ..Manner::default() }).await;
    assert!(matches!(
        mint(&past, "iam-role", &role_at_fake(), BUCKET).await.err(),
        Some(UpstreamError::BadAnswer { .. })
    ));
    let packed = Fake::start(Manner { packed: 112, ..Manner::default() }).await;
    let error = mint(&packed, "iam-role", &role_at_fake(), BUCKET).await.err();
    assert_eq!(error, Some(UpstreamError::PolicyTooLarge { percent: 112 }));
}

/// SECURITY D2: nothing is asked for, least of all a wider session.
#[tokio::test]
async fn a_policy_that_is_too_long_is_never_sent() {
    let fake = Fake::start(Manner::default()).await;
    let id = format!("s3://datasets/{}", "long/".repeat(180) + "end");
    let error = mint(&fake, "iam-role", &role_at_fake(), ("s3-bucket", &id)).await.err();
    assert!(matches!(error, Some(UpstreamError::PolicyTooLarge { percent }) if percent > 100));
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn refusals_are_told_apart_and_pages_are_no_answer() {
    let page = "<html><body>captive portal</body></html>".to_owned();
    let weed = "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error>".to_owned();
    for (always, expected) in [
        (error(403, "AccessDenied"), "UPSTREAM_DENIED"),
        (error(403, "InvalidClientTokenId"), "SOURCE_CREDENTIAL_REFUSED"),
        ((403, weed), "SOURCE_CREDENTIAL_REFUSED"),
        (error(400, "PackedPolicyTooLarge"), "POLICY_TOO_LARGE"),
        (error(400, "Throttling"), "UPSTREAM_THROTTLED"),
        ((200, page.clone()), "UPSTREAM_BAD_ANSWER"),
        ((307, page), "UPSTREAM_BAD_ANSWER"),
        ((500, String::new()), "UPSTREAM_UNAVAILABLE"),
    ] {
        let fake = Fake::start(Manner { always: Some(always.clone()), ..Manner::default() }).await;
        let refused = mint(&fake, "iam-role", &role_at_fake(), BUCKET).await.err().unwrap();
        assert_eq!(refused.code(), expected, "{always:?}");
        assert!(fake.asked().len() <= 2, "one try and one more");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_allowed_is_told() {
    let fake = Fake::start(Manner::default()).await;
    let settings = role_settings(&format!(r#","endpoint_url":"{}""#, fake.url));
    let elsewhere = upstream("http://127.0.0.1:1");
    let all = ListAsk { resource_type: None, resource: None, limit: 10, page: None };
    let error = Aws.verify(&elsewhere, &settings, &source_key(), &all).await.err();
    assert_eq!(error, Some(UpstreamError::AddressRefused { origin: fake.url.clone() }));
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn verification_says_who_and_what_with_each_type_by_itself() {
    let fake = Fake::start(Manner::default()).await;
    let settings = role_settings(&format!(r#","endpoint_url":"{}""#, fake.url));
    let all = ListAsk { resource_type: None, resource: None, limit: 10, page: None };
    let found = Aws.verify(&upstream(&fake.url), &settings, &source_key(), &all).await.unwrap();
    assert!(found.identity.contains("assumed-role/ml-data") && found.identity.contains("user/broker"));
    let ids = |name: &str| {
        let reach = found.reach.iter().find(|reach| reach.resource_type.as_str() == name).unwrap();
        reach.resource_ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(ids("s3-bucket"), ["s3://datasets", "s3://models"]);
    assert_eq!(ids("kubernetes-cluster"), ["us-east-1/a", "us-east-1/b"]);
    let registry = &found.reach[3];
    assert_eq!(registry.missing_permissions, ["ecr:DescribeRepositories"]);
    assert!(registry.error.is_some() && registry.remedy.is_some());
}

/// A connector that is fixed to one resource needs no right to list.
#[tokio::test]
async fn one_resource_is_looked_at_by_itself() {
    let fake = Fake::start(Manner::default()).await;
    let settings = role_settings(&format!(r#","endpoint_url":"{}""#, fake.url));
    let upstream = upstream(&fake.url);
    for (resource_type, id, missing) in [
        ("aws-generic", "us-east-1", None),
        ("s3-bucket", "s3://datasets/train/a_b", None),
        ("s3-bucket", "s3://models", Some("s3:ListBucket")),
        ("kubernetes-cluster", "us-east-1/train", None),
        (
            "docker-registry",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/model",
            Some("ecr:DescribeRepositories"),
        ),
    ] {
        let resource = Some(ResourceId::canonical(id).unwrap());
        let focus = ListAsk { resource_type: Some(kind(resource_type)), resource, limit: 10, page: None };
        let found = Aws.verify(&upstream, &settings, &source_key(), &focus).await.unwrap();
        assert_eq!(found.reach.len(), 1, "{id}");
        let reach = &found.reach[0];
        assert_eq!(reach.missing_permissions, missing.into_iter().collect::<Vec<_>>(), "{id}");
        assert_eq!(reach.resource_ids.iter().any(|found| found.as_str() == id), missing.is_none(), "{id}");
        assert_eq!(reach.remedy.is_some(), missing.is_some(), "{id}");
    }
    let nowhere = Some(ResourceId::canonical("us-east-1/nowhere").unwrap());
    let focus = ListAsk { resource_type: Some(kind("kubernetes-cluster")), resource: nowhere, limit: 10, page: None };
    let found = Aws.verify(&upstream, &settings, &source_key(), &focus).await.unwrap();
    assert!(
        found.reach[0].remedy.as_deref().unwrap().contains("does not exist") && found.reach[0].resource_ids.is_empty()
    );
}

#[tokio::test]
async fn lists_go_on_where_a_page_ended() {
    let fake = Fake::start(Manner::default()).await;
    let settings = role_settings(&format!(r#","endpoint_url":"{}""#, fake.url));
    let upstream = upstream(&fake.url);
    for (resource_type, pages) in
        [("s3-bucket", ["s3://datasets", "s3://models"]), ("kubernetes-cluster", ["us-east-1/a", "us-east-1/b"])]
    {
        let mut ask = ListAsk { resource_type: Some(kind(resource_type)), resource: None, limit: 1, page: None };
        for id in pages {
            let reach = Aws.list_resources(&upstream, &settings, &source_key(), &ask).await.unwrap().remove(0);
            assert_eq!(reach.resource_ids.iter().map(ResourceId::as_str).collect::<Vec<_>>(), [id]);
            ask.page = reach.next_page;
        }
        assert_eq!(ask.page, None);
    }
}

#[tokio::test]
async fn an_implicit_identity_that_the_config_does_not_name_is_refused() {
    let fake = Fake::start(Manner::default()).await;
    let refused = mint(&fake, "implicit", &format!(r#","profile_name":"ml","role_arn":"{ROLE}""#), BUCKET).await.err();
    assert!(matches!(refused, Some(UpstreamError::NotEnabled { .. })));
    assert!(fake.asked().is_empty());
}

//! `web-identity` against the strict STS: what is sent without a signature, and
//! what each refusal says. Real tokens meet a real STS in the suite.

use std::sync::Arc;

use super::super::attribution::Names;
use super::super::fake::{Fake, Manner, SESSION, error};
use super::minting::upstream;
use super::*;
use crate::domain::{IdentityError, IdentityTokens, MintedShape, Revocable, SecretText, Subject};

/// An issuer whose tokens can be read.
struct Plain;

impl IdentityTokens for Plain {
    fn token(&self, subject: &Subject, audience: &str, ttl: Ttl) -> Result<SecretText, IdentityError> {
        Ok(SecretText::new(format!("{subject} for {audience} for {} s", ttl.as_seconds())))
    }
}

fn web(fake: &Fake, more: &str) -> Settings {
    let url = &fake.url;
    settings(&format!(
        r#"{{"auth_method":"web-identity","region":"us-east-1","role_arn":"{ROLE}","endpoint_url":"{url}"{more}}}"#
    ))
}

fn vouching(fake: &Fake) -> Upstream {
    Upstream { identities: Arc::new(Plain), subject: Some(workbench::subject("prod-s3")), ..upstream(&fake.url) }
}

async fn mint(fake: &Fake, upstream: &Upstream, more: &str) -> Result<Minted, UpstreamError> {
    let settings = web(fake, more);
    let scope = Aws.narrow(&settings, &ask("s3-bucket", "s3://datasets/train", AccessLevel::Read)).unwrap();
    let (secret, attribution) = (SourceCredential::default(), attribution());
    let minted = Aws.mint(upstream, &settings, &secret, None, &scope, Ttl::seconds(3600), &attribution).await;
    minted.and_then(|outcome| outcome.minted)
}

#[tokio::test]
async fn a_session_is_asked_for_with_a_token_and_no_key_at_all() {
    let fake = Fake::start(Manner::default()).await;
    let minted = mint(&fake, &vouching(&fake), "").await.ok().unwrap();
    let names = Names::of(&attribution());
    assert_eq!(
        (minted.revocable, minted.passthrough, minted.attribution),
        (Revocable::RoleWide, false, names.session.clone())
    );
    let MintedShape::AwsSession { access_key_id, .. } = &minted.shape else { panic!("an AWS session is due") };
    assert_eq!(access_key_id.reveal(), SESSION.0);
    let asked = &fake.asked()[0];
    assert_eq!((asked["Action"].as_str(), asked["key"].as_str()), ("AssumeRoleWithWebIdentity", ""));
    assert_eq!((asked["RoleArn"].as_str(), &asked["RoleSessionName"]), (ROLE, &names.session));
    let token = "project:default:connector:prod-s3:principal:user/anna for sts.amazonaws.com for 300 s";
    assert_eq!(asked["WebIdentityToken"], token);
    assert!(asked["Policy"].contains("arn:aws:s3:::datasets/train/*"), "{}", asked["Policy"]);
    assert_eq!(asked["DurationSeconds"], "3600");
}

#[tokio::test]
async fn the_audience_and_the_cap_of_the_connector_are_kept() {
    let fake = Fake::start(Manner::default()).await;
    let cap = r#","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::datasets/train/*"]}]}"#;
    mint(&fake, &vouching(&fake), &format!(r#","audience":"aws-prod"{cap}"#)).await.ok().unwrap();
    let asked = &fake.asked()[0];
    assert!(asked["WebIdentityToken"].contains("for aws-prod"), "{}", asked["WebIdentityToken"]);
    assert!(asked["Policy"].contains("s3:GetObject") && !asked["Policy"].contains("s3:ListBucket"));
}

#[tokio::test]
async fn verification_names_the_role_and_holds_no_secret() {
    let fake = Fake::start(Manner::default()).await;
    let focus = ListAsk { resource_type: None, resource: None, limit: 9, page: None };
    let verified = Aws.verify(&vouching(&fake), &web(&fake, ""), &SourceCredential::default(), &focus).await.unwrap();
    assert!(
        verified.identity.ends_with("assumed-role/ml-data/vk-verify assumed by web identity"),
        "{}",
        verified.identity
    );
    assert_eq!(verified.reach.len(), 4);
}

#[tokio::test]
async fn without_an_issuer_the_remedy_names_the_config_and_nothing_is_sent() {
    let fake = Fake::start(Manner::default()).await;
    for upstream in [upstream(&fake.url), Upstream { identities: Arc::new(NoIssuer), ..vouching(&fake) }] {
        let refused = mint(&fake, &upstream, "").await.err().unwrap();
        assert!(
            matches!(refused, UpstreamError::NotEnabled { .. }) && refused.to_string().contains("[issuer]"),
            "{refused}"
        );
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn each_refusal_of_an_identity_says_what_to_do_and_repeats_nothing() {
    for (status, code, said, recoverable) in [
        (400, "InvalidIdentityToken", "OIDC provider", false),
        (400, "ExpiredTokenException", "clock", false),
        (403, "IDPRejectedClaim", "trust policy", false),
        (403, "AccessDenied", "sts:AssumeRoleWithWebIdentity", false),
        (400, "IDPCommunicationError", "[issuer] url", true),
        (401, "", "OIDC provider", false),
    ] {
        let (_, body) = error(status, code);
        let fake = Fake::start(Manner { always: Some((status, body)), ..Manner::default() }).await;
        let refused = mint(&fake, &vouching(&fake), "").await.err().unwrap();
        let missing =
            if let UpstreamError::Denied { missing, .. } = &refused { missing.join(" ") } else { String::new() };
        let text = format!("{refused} {missing}");
        assert!(text.contains(said) && !text.contains("anna") && !text.contains("rotate"), "{code}: {text}");
        assert_eq!(refused.recoverable(), recoverable, "{code}");
    }
}

#[test]
fn web_identity_takes_no_secret_and_checks_its_own_settings() {
    let method = r#"{"auth_method":"web-identity","region":"us-east-1","role_arn":"arn:aws:iam::123456789012:role/a"}"#;
    let own = settings(method);
    let now = Timestamp::from_seconds(0);
    assert!(Aws.check_secret(&own, &SourceCredential::default(), None, now).is_ok());
    let handed_in = secret(&[("aws_access_key_id", "AKIATESTTESTTESTTEST")]);
    let surplus = Aws.check_secret(&own, &handed_in, None, now).unwrap_err().to_string();
    assert!(surplus.contains("secrets.aws_access_key_id"), "{surplus}");
    assert_eq!(Aws.ttl_range(&own).max.as_seconds(), 3600);
    let role = r#""region":"us-east-1","role_arn":"arn:aws:iam::123456789012:role/a""#;
    for (more, field) in [
        (r#","audience":"""#, "settings.audience"),
        (r#","audience":"a b""#, "settings.audience"),
        (r#","max_session_duration":60"#, "settings.max_session_duration"),
    ] {
        assert_eq!(refused_field("web-identity", &format!("{{{role}{more}}}")), field);
    }
    assert_eq!(refused_field("web-identity", r#"{"region":"us-east-1","role_arn":"ml"}"#), "settings.role_arn");
}

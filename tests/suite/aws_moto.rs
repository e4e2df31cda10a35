//! The AWS connector type against the breadth of AWS: STS's other calls, ECR and EKS. moto checks signatures and the
//! rights of identities, not session policies: scope is tried in `aws_weed`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use valetkey::connectors::UpstreamError;
use valetkey::domain::{AccessLevel, Minted, MintedShape};

use crate::rig::client::Key;
use crate::rig::moto::{ACCOUNT, Moto};
use crate::rig::workshop::{Workshop, now, reach, session};

const REGISTRY: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

fn role(moto: &Moto) -> Workshop {
    role_in(moto, "us-east-1")
}

fn role_in(moto: &Moto, region: &str) -> Workshop {
    let more = json!({"role_arn": moto.role_arn(), "region": region});
    Workshop::new(moto.endpoint(), "iam-role", &more, Some(&moto.broker))
}

fn method(moto: &Moto, name: &str, key: &Key) -> Workshop {
    Workshop::new(moto.endpoint(), name, &json!({}), Some(key))
}

fn lives(minted: &Minted, seconds: u64) -> bool {
    minted.expires_at.since(now()).as_secs().abs_diff(seconds) < 60
}

#[tokio::test]
async fn a_secret_key_is_answered_with_sessions_and_never_handed_out() {
    let moto = Moto::shared();
    let connector = method(&moto, "secret-key", &moto.broker);
    for (resource, access) in
        [(("aws-generic", "us-east-1"), AccessLevel::Admin), (("s3-bucket", "datasets"), AccessLevel::Read)]
    {
        let minted = connector.mint(resource, access, 7200).await.unwrap();
        let key = session(&minted);
        assert!(key.id != moto.broker.id && key.secret != moto.broker.secret && key.session_token.is_some());
        assert!(lives(&minted, 7200) && !minted.passthrough);
    }
    let own = method(&moto, "session-token", &moto.broker);
    assert!(lives(&own.mint(("aws-generic", "us-east-1"), AccessLevel::Admin, 129_600).await.unwrap(), 129_600));
}

#[tokio::test]
async fn the_missing_call_of_sts_is_named() {
    let moto = Moto::shared();
    for (name, resource, access, permission) in [
        ("secret-key", ("aws-generic", "us-east-1"), AccessLevel::Admin, "sts:GetSessionToken"),
        ("session-token", ("aws-generic", "us-east-1"), AccessLevel::Admin, "sts:GetSessionToken"),
        ("secret-key", ("s3-bucket", "datasets"), AccessLevel::Read, "sts:GetFederationToken"),
        ("federation-token", ("s3-bucket", "datasets"), AccessLevel::Read, "sts:GetFederationToken"),
    ] {
        let error = method(&moto, name, &moto.stranger).mint(resource, access, 3600).await.err().unwrap();
        let UpstreamError::Denied { missing, remedy, .. } = &error else { panic!("{name}: {error}") };
        assert!(missing == &[permission] && !remedy.is_empty(), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_registry_login_is_minted_and_dies_with_its_session() {
    let moto = Moto::shared();
    let id = format!("{REGISTRY}/team/model");
    let minted = role(&moto).mint(("docker-registry", &id), AccessLevel::Read, 3600).await.unwrap();
    let MintedShape::Basic { username, password, endpoint } = &minted.shape else { panic!("no login") };
    assert_eq!((username.as_str(), password.reveal()), ("AWS", format!("{ACCOUNT}-auth-token").as_str()));
    assert_eq!(endpoint.as_deref(), Some(format!("https://{REGISTRY}").as_str()));
    assert!(lives(&minted, 3600));
}

#[tokio::test]
async fn a_cluster_is_minted_with_its_endpoint_and_ca() {
    let moto = Moto::shared();
    let minted = role(&moto).mint(("kubernetes-cluster", "train"), AccessLevel::Read, 3600).await.unwrap();
    let MintedShape::Bearer { token, endpoint, certificate_authority } = &minted.shape else { panic!("no token") };
    assert!(token.reveal().starts_with("k8s-aws-v1."));
    let described = moto.boto(&moto.broker).expect(&["eks-cluster", "train"]);
    assert_eq!(json!(endpoint), described["endpoint"]);
    assert_eq!(certificate_authority.as_deref(), Some(moto.cluster_ca()));
    assert!(lives(&minted, 14 * 60));
    let nowhere = role(&moto).mint(("kubernetes-cluster", "nowhere"), AccessLevel::Read, 3600).await.err().unwrap();
    assert!(matches!(nowhere, UpstreamError::Rejected { .. }), "{nowhere}");
}

/// With a session whose key we know; no server here checks a presigned GetCallerIdentity as AWS does.
#[tokio::test]
async fn a_cluster_token_is_a_call_of_sts_signed_by_the_session() {
    let moto = Moto::shared();
    let assumed = moto.boto(&moto.broker).expect(&["assume-role", moto.role_arn(), "bench"]);
    let key = Key::from_json(&assumed);
    let end = now().plus(std::time::Duration::from_secs(3600));
    let connector = method(&moto, "sts-token", &key).ending(end);
    let minted = connector.mint(("kubernetes-cluster", "train"), AccessLevel::Read, 3600).await.unwrap();
    let MintedShape::Bearer { token, .. } = &minted.shape else { panic!("no token") };
    let url = URL_SAFE_NO_PAD.decode(token.reveal().strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
    let url = Url::parse(std::str::from_utf8(&url).unwrap()).unwrap();
    assert_eq!((url.scheme(), url.host_str(), url.path()), ("https", Some("sts.us-east-1.amazonaws.com"), "/"));
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(query["Action"], "GetCallerIdentity");
    assert_eq!(query["X-Amz-Expires"], "60");
    assert_eq!(Some(&query["X-Amz-Security-Token"]), key.session_token.as_ref());
    assert!(query["X-Amz-Credential"].starts_with(&key.id));
    assert_eq!(query["X-Amz-Signature"], signature(&url, &key.secret, "train"));
    assert_ne!(query["X-Amz-Signature"], signature(&url, &key.secret, "other"));
}

/// Signature version 4 of a presigned GET, made again from the URL (AWS: "Create a signed AWS API request").
fn signature(url: &Url, secret: &str, cluster: &str) -> String {
    let parts: Vec<&str> = url.query().unwrap().split('&').collect();
    let part = |name: &str| parts.iter().find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap();
    let mut signed: Vec<&str> = parts.iter().filter(|part| !part.starts_with("X-Amz-Signature=")).copied().collect();
    signed.sort_unstable();
    let headers = format!("host:{}\nx-k8s-aws-id:{cluster}\n", url.host_str().unwrap());
    let empty = hex::encode(Sha256::digest(b""));
    let request = format!("GET\n/\n{}\n{headers}\nhost;x-k8s-aws-id\n{empty}", signed.join("&"));
    let date = part("X-Amz-Date");
    let scope = format!("{}/us-east-1/sts/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(request)));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex::encode(mac(&key, &text))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test]
async fn lists_of_clusters_and_repositories_have_pages() {
    let moto = Moto::shared();
    let clusters = role_in(&moto, "eu-north-1").list_by_ones("kubernetes-cluster").await;
    let mut sorted = clusters.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["eu-north-1/one", "eu-north-1/three", "eu-north-1/two"], "{clusters:?}");
    let repositories = role(&moto).list_by_ones("docker-registry").await;
    assert_eq!(repositories, ["base", "model"].map(|name| format!("{REGISTRY}/team/{name}")));
}

#[tokio::test]
async fn verification_names_the_rights_that_are_missing() {
    let moto = Moto::shared();
    let verified = method(&moto, "secret-key", &moto.stranger).verify(None).await.unwrap();
    assert_eq!(verified.identity, format!("arn:aws:iam::{ACCOUNT}:user/stranger"));
    for (resource_type, permission) in [
        ("s3-bucket", "s3:ListAllMyBuckets"),
        ("kubernetes-cluster", "eks:ListClusters"),
        ("docker-registry", "ecr:DescribeRepositories"),
    ] {
        let found = reach(&verified, resource_type);
        assert_eq!(found.missing_permissions, [permission]);
        assert!(found.remedy.is_some() && found.resource_ids.is_empty(), "{found:?}");
    }
    let verified = role(&moto).verify(None).await.unwrap();
    assert!(verified.reach.iter().all(|found| found.error.is_none() && !found.resource_ids.is_empty()));
}

#[tokio::test]
async fn a_fixed_cluster_or_repository_is_verified_by_itself() {
    let moto = Moto::shared();
    let (model, nothing) = (format!("{REGISTRY}/team/model"), format!("{REGISTRY}/team/nothing"));
    for (resource, remedy) in [
        (("kubernetes-cluster", "us-east-1/train"), None),
        (("docker-registry", model.as_str()), None),
        (("docker-registry", REGISTRY), None),
        (("kubernetes-cluster", "us-east-1/nowhere"), Some("does not exist")),
        (("docker-registry", nothing.as_str()), Some("does not exist")),
    ] {
        let verified = role(&moto).verify(Some(resource)).await.unwrap();
        let found = reach(&verified, resource.0);
        assert_eq!(found.resource_ids.len(), usize::from(remedy.is_none()), "{found:?}");
        assert_eq!(found.remedy.is_some(), remedy.is_some(), "{found:?}");
        assert!(remedy.is_none_or(|words| found.remedy.as_deref().unwrap().contains(words)), "{found:?}");
    }
    let stranger = method(&moto, "secret-key", &moto.stranger);
    for (resource, permission) in [
        (("kubernetes-cluster", "us-east-1/train"), "eks:DescribeCluster"),
        (("docker-registry", model.as_str()), "ecr:DescribeRepositories"),
        (("s3-bucket", "s3://datasets"), "s3:ListBucket"),
    ] {
        let verified = stranger.verify(Some(resource)).await.unwrap();
        assert_eq!(reach(&verified, resource.0).missing_permissions, [permission]);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_told_apart_by_every_service() {
    let moto = Moto::shared();
    let wrong = moto.broker.with_secret("wrong/secret+wrong/secret+wrong/secret+1");
    let error = method(&moto, "secret-key", &wrong).verify(None).await.err();
    assert!(matches!(error, Some(UpstreamError::CredentialRefused { .. })), "{error:?}");
    let assumed: Value = moto.boto(&moto.broker).expect(&["assume-role", moto.role_arn(), "bench"]);
    let stale = Key::from_json(&assumed).with_secret("wrong/secret+wrong/secret+wrong/secret+1");
    let connector = method(&moto, "sts-token", &stale).ending(now().plus(std::time::Duration::from_secs(3600)));
    for resource in [("docker-registry", REGISTRY), ("kubernetes-cluster", "train")] {
        let error = connector.mint(resource, AccessLevel::Read, 900).await.err();
        assert!(matches!(error, Some(UpstreamError::CredentialRefused { .. })), "{resource:?}: {error:?}");
    }
}

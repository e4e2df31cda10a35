//! The AWS connector type against an S3 and STS that enforce: what was minted is tried with stock boto3, inside its
//! scope and next to it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use valetkey::config;
use valetkey::connectors::UpstreamError;
use valetkey::connectors::aws::profile::Profiles;
use valetkey::domain::{AccessLevel, Downscope, Revocable};
use valetkey::outbound::{Outbound, OutboundRules};

use crate::rig::account::{self, Role};
use crate::rig::client::{Boto, Key};
use crate::rig::weed::Weed;
use crate::rig::workshop::{Workshop, now, reach, rules, rules_trusting, session};

const OBJECTS: [&str; 4] = ["train/a.txt", "train/deep/b.txt", "train2/c.txt", "test/d.txt"];

fn role(role: Role) -> Value {
    json!({"role_arn": role.arn()})
}

fn data_role(weed: &Weed) -> Workshop {
    Workshop::new(weed.endpoint(), "iam-role", &role(Role::Data), Some(&account::broker()))
}

/// All of these are refused.
fn refused(boto: &Boto<'_>, commands: &[&[&str]]) {
    for command in commands {
        assert_eq!(boto.refused(command), "AccessDenied", "{command:?}");
    }
}

#[tokio::test]
async fn a_bucket_at_read_is_that_bucket_alone_and_nothing_is_written() {
    let weed = Weed::shared();
    let (bucket, other) = (weed.new_bucket("datasets", &OBJECTS), weed.new_bucket("models", &OBJECTS));
    let minted = data_role(&weed).mint(("s3-bucket", &bucket), AccessLevel::Read, 3600).await.unwrap();
    assert_eq!((minted.enforced.downscope, minted.revocable), (Downscope::Resource, Revocable::RoleWide));
    let key = session(&minted);
    let boto = weed.boto(&key);
    assert_eq!(boto.expect(&["get-object", &bucket, "test/d.txt"]), "test/d.txt");
    assert_eq!(boto.expect(&["list-objects", &bucket]).as_array().unwrap().len(), OBJECTS.len());
    refused(
        &boto,
        &[
            &["put-object", &bucket, "train/new.txt"],
            &["put-multipart", &bucket, "train/new.txt"],
            &["delete-object", &bucket, "train/a.txt"],
            &["get-object", &other, "train/a.txt"],
            &["list-objects", &other],
            &["put-object", &other, "x"],
            &["assume-role", &Role::Chained.arn(), "onwards"],
            &["assume-role", &Role::Data.arn(), "again"],
        ],
    );
}

#[tokio::test]
async fn a_prefix_at_read_is_what_lies_below_it_and_no_sibling() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let id = format!("s3://{bucket}/train");
    let minted = data_role(&weed).mint(("s3-bucket", &id), AccessLevel::Read, 3600).await.unwrap();
    assert_eq!(minted.enforced.downscope, Downscope::Prefix);
    let key = session(&minted);
    let boto = weed.boto(&key);
    assert_eq!(boto.expect(&["get-object", &bucket, "train/deep/b.txt"]), "train/deep/b.txt");
    assert_eq!(boto.expect(&["list-objects", &bucket, "train/"]), json!(["train/a.txt", "train/deep/b.txt"]));
    refused(
        &boto,
        &[
            &["get-object", &bucket, "train2/c.txt"],
            &["get-object", &bucket, "test/d.txt"],
            &["list-objects", &bucket],
            &["list-objects", &bucket, "train"],
            &["list-objects", &bucket, "train2/"],
            &["put-object", &bucket, "train/new.txt"],
        ],
    );
}

#[tokio::test]
async fn a_prefix_at_write_writes_there_and_nowhere_else() {
    let weed = Weed::shared();
    let (bucket, other) = (weed.new_bucket("datasets", &OBJECTS), weed.new_bucket("models", &OBJECTS));
    let id = format!("s3://{bucket}/train/");
    let minted = data_role(&weed).mint(("s3-bucket", &id), AccessLevel::Write, 3600).await.unwrap();
    let key = session(&minted);
    let boto = weed.boto(&key);
    boto.expect(&["put-object", &bucket, "train/new.txt", "body"]);
    boto.expect(&["put-multipart", &bucket, "train/deep/new.txt"]);
    assert_eq!(boto.expect(&["get-object", &bucket, "train/new.txt"]), "body");
    boto.expect(&["delete-object", &bucket, "train/new.txt"]);
    refused(
        &boto,
        &[
            &["put-object", &bucket, "train2/new.txt"],
            &["put-multipart", &bucket, "new.txt"],
            &["delete-object", &bucket, "test/d.txt"],
            &["put-object", &other, "train/new.txt"],
        ],
    );
}

#[tokio::test]
async fn the_connectors_own_policy_caps_what_is_minted() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let cap = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Action": ["s3:Get*", "s3:PutObject"],
        "Resource": [format!("arn:aws:s3:::{bucket}/train/*")],
    }]});
    let more = json!({"role_arn": Role::Data.arn(), "policy": cap});
    let capped = Workshop::new(weed.endpoint(), "iam-role", &more, Some(&account::broker()));
    let minted = capped.mint(("s3-bucket", &bucket), AccessLevel::Write, 3600).await.unwrap();
    let key = session(&minted);
    let boto = weed.boto(&key);
    boto.expect(&["put-object", &bucket, "train/new.txt"]);
    refused(
        &boto,
        &[
            &["delete-object", &bucket, "train/new.txt"],
            &["put-object", &bucket, "test/new.txt"],
            &["get-object", &bucket, "test/d.txt"],
            &["list-objects", &bucket],
        ],
    );
}

#[tokio::test]
async fn a_chain_ends_in_the_last_role_and_needs_each_hop() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let chain = |hop: Role| {
        let more = json!({"role_arn": Role::Chained.arn(), "role_chain": [hop.arn()]});
        Workshop::new(weed.endpoint(), "iam-role", &more, Some(&account::broker()))
    };
    let minted = chain(Role::Data).mint(("s3-bucket", &bucket), AccessLevel::Write, 3600).await.unwrap();
    let key = session(&minted);
    let arn = weed.boto(&key).expect(&["whoami"]);
    assert!(arn.as_str().unwrap().contains("assumed-role/ml-chained/vk-anna"), "{arn}");
    assert_eq!(weed.boto(&key).expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
    // The role reads only, whatever was asked for.
    refused(&weed.boto(&key), &[&["put-object", &bucket, "x"]]);
    for broken in [chain(Role::Reader), chain(Role::Foreign)] {
        let error = broken.mint(("s3-bucket", &bucket), AccessLevel::Read, 3600).await.err();
        assert!(matches!(error, Some(UpstreamError::Denied { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn a_federated_session_is_narrowed_and_named() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let id = format!("s3://{bucket}/train");
    for method in ["federation-token", "secret-key"] {
        let connector = Workshop::new(weed.endpoint(), method, &json!({}), Some(&account::federator()));
        let minted = connector.mint(("s3-bucket", &id), AccessLevel::Read, 900).await.unwrap();
        assert_eq!(minted.revocable, Revocable::No);
        let key = session(&minted);
        let boto = weed.boto(&key);
        let arn = boto.expect(&["whoami"]);
        assert!(arn.as_str().unwrap().contains(&format!("federated-user/{}", minted.attribution)), "{arn}");
        assert_eq!(boto.expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
        refused(&boto, &[&["get-object", &bucket, "train2/c.txt"], &["put-object", &bucket, "train/new.txt"]]);
    }
    let stranger = Workshop::new(weed.endpoint(), "federation-token", &json!({}), Some(&account::stranger()));
    let error = stranger.mint(("s3-bucket", &id), AccessLevel::Read, 900).await.err().unwrap();
    assert!(
        matches!(&error, UpstreamError::Denied { missing, .. } if missing == &["sts:GetFederationToken"]),
        "{error}"
    );
}

#[tokio::test]
async fn refusals_say_whether_the_key_or_a_right_is_missing() {
    let weed = Weed::shared();
    let bucket = ("s3-bucket", "datasets");
    let unknown = Key::long_lived("AKIANOBODY0000000001", "nobody/secret+nobody/secret+nobody/secr1");
    let wrong = account::broker().with_secret("wrong/secret+wrong/secret+wrong/secret+1");
    for key in [unknown, wrong] {
        let connector = Workshop::new(weed.endpoint(), "iam-role", &role(Role::Data), Some(&key));
        let error = connector.mint(bucket, AccessLevel::Read, 3600).await.err().unwrap();
        assert!(matches!(error, UpstreamError::CredentialRefused { .. }), "{error}");
        assert!(matches!(connector.verify(None).await, Err(UpstreamError::CredentialRefused { .. })));
        assert!(!error.to_string().contains(&key.secret));
    }
    let nowhere = json!({"role_arn": format!("arn:aws:iam::{}:role/no-such-role", account::ACCOUNT)});
    for more in [nowhere, role(Role::Foreign)] {
        let connector = Workshop::new(weed.endpoint(), "iam-role", &more, Some(&account::broker()));
        let error = connector.mint(bucket, AccessLevel::Read, 3600).await.err().unwrap();
        let UpstreamError::Denied { missing, remedy, .. } = &error else { panic!("{error}") };
        assert!(missing.iter().any(|name| name == "sts:AssumeRole") && remedy.contains("trust policy"), "{error}");
    }
}

#[tokio::test]
async fn the_reply_ends_when_the_session_really_does() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let minted = data_role(&weed).mint(("s3-bucket", &bucket), AccessLevel::Read, 900).await.unwrap();
    let key = session(&minted);
    let claims = key.session_token.as_deref().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap(), minted.expires_at.seconds());
    assert!(minted.expires_at.since(now()).as_secs().abs_diff(900) < 60);
    let get = ["get-object", bucket.as_str(), "train/a.txt"];
    assert!(weed.boto(&weed.aged(&key, 600)).call(&get).is_ok());
    assert_eq!(weed.boto(&weed.aged(&key, 901)).refused(&get), "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_private_endpoint_is_trusted_by_its_own_roots_only() {
    let weed = Weed::shared();
    let (endpoint, bucket) = (weed.https_endpoint(), weed.new_bucket("datasets", &OBJECTS));
    let connector = |rules: OutboundRules| {
        let outbound = Outbound::new(rules).unwrap();
        Workshop::through(outbound, endpoint, "iam-role", &role(Role::Data), Some(&account::broker()))
    };
    let trusting = connector(rules_trusting(endpoint, weed.ca()));
    let minted = trusting.mint(("s3-bucket", &bucket), AccessLevel::Read, 3600).await.unwrap();
    assert!(minted.enforced.words.contains("TLS only"), "{}", minted.enforced.words);
    let key = session(&minted);
    let boto = Boto::new(endpoint, &key).trusting(weed.ca());
    assert_eq!(boto.expect(&["get-object", &bucket, "test/d.txt"]), "test/d.txt");
    assert!(reach(&trusting.verify(None).await.unwrap(), "s3-bucket").error.is_none());
    let strange = connector(rules(endpoint)).mint(("s3-bucket", &bucket), AccessLevel::Read, 3600).await.err();
    assert!(matches!(strange, Some(UpstreamError::Unavailable { .. })), "{strange:?}");
    let other = connector(rules_trusting("https://elsewhere.example", weed.ca()));
    let refused = other.mint(("s3-bucket", &bucket), AccessLevel::Read, 3600).await.err();
    assert_eq!(refused, Some(UpstreamError::AddressRefused { origin: endpoint.to_owned() }));
}

#[tokio::test]
async fn verification_and_lists_show_what_the_role_reaches() {
    let weed = Weed::shared();
    let ours = ["datasets", "models"].map(|prefix| format!("s3://{}", weed.new_bucket(prefix, &[])));
    let foreign = format!("s3://{}", weed.new_bucket("private", &[]));
    let connector = data_role(&weed);
    let verified = connector.verify(None).await.unwrap();
    let assumed = format!("arn:aws:sts::{}:assumed-role/ml-data/", account::ACCOUNT);
    assert!(verified.identity.starts_with(&assumed), "{}", verified.identity);
    assert!(
        verified.identity.ends_with(&format!("assumed by {}", account::user_arn("broker"))),
        "{}",
        verified.identity
    );
    let found: Vec<&str> = reach(&verified, "s3-bucket").resource_ids.iter().map(|id| id.as_str()).collect();
    let listed = connector.list_by_ones("s3-bucket").await;
    for bucket in &ours {
        assert!(found.contains(&bucket.as_str()), "{found:?}");
        assert_eq!(listed.iter().filter(|id| *id == bucket).count(), 1, "{listed:?}");
    }
    assert!(listed.is_sorted() && !listed.contains(&foreign) && !found.contains(&foreign.as_str()));
}

#[tokio::test]
async fn a_fixed_bucket_is_verified_by_itself() {
    let weed = Weed::shared();
    let (bucket, foreign) = (weed.new_bucket("datasets", &OBJECTS), weed.new_bucket("private", &[]));
    let connector = data_role(&weed);
    for id in [format!("s3://{bucket}"), format!("s3://{bucket}/train"), format!("s3://{bucket}/not yet")] {
        let verified = connector.verify(Some(("s3-bucket", &id))).await.unwrap();
        let [only] = verified.reach.as_slice() else { panic!("{:?}", verified.reach) };
        assert!(
            only.error.is_none() && only.resource_ids.len() == 1 && only.resource_ids[0].as_str() == id,
            "{only:?}"
        );
    }
    let verified = connector.verify(Some(("s3-bucket", &format!("s3://{foreign}")))).await.unwrap();
    let denied = reach(&verified, "s3-bucket");
    assert_eq!(denied.missing_permissions, ["s3:ListBucket"]);
    assert!(denied.remedy.is_some() && denied.resource_ids.is_empty());
    let verified = connector.verify(Some(("s3-bucket", &format!("s3://{bucket}-gone")))).await.unwrap();
    let gone = reach(&verified, "s3-bucket");
    assert!(gone.remedy.as_deref().unwrap().contains("does not exist") && gone.resource_ids.is_empty(), "{gone:?}");
}

#[tokio::test]
async fn an_implicit_identity_is_borrowed_from_a_private_file_by_name() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let folder = tempfile::tempdir().unwrap();
    let connector = |profile: &str, mode: u32, allowed: &[&str]| {
        let file = folder.path().join(format!("credentials-{mode:o}"));
        let _ = fs::remove_file(&file);
        write_profiles(&file, mode, &account::broker()).unwrap();
        let implicit_identities = allowed.iter().map(|&name| name.to_owned()).collect();
        let outbound = Outbound::new(OutboundRules { implicit_identities, ..rules(weed.endpoint()) }).unwrap();
        let outbound = outbound.with_implicit(Arc::new(Profiles::new(move || config::credentials_file(&file))));
        let more = json!({"profile_name": profile, "role_arn": Role::Data.arn()});
        Workshop::through(outbound, weed.endpoint(), "implicit", &more, None)
    };
    let all = ["ml", "runs", "nobody"];
    let minted = connector("ml", 0o600, &all).mint(("s3-bucket", &bucket), AccessLevel::Read, 900).await.unwrap();
    let key = session(&minted);
    assert_eq!(weed.boto(&key).expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
    refused(&weed.boto(&key), &[&["put-object", &bucket, "x"]]);
    let verified = connector("ml", 0o400, &all).verify(Some(("s3-bucket", &format!("s3://{bucket}")))).await.unwrap();
    assert!(verified.identity.ends_with(&account::user_arn("broker")), "{}", verified.identity);
    for (profile, mode, allowed) in [
        ("ml", 0o600, [].as_slice()),
        ("ml", 0o600, &["default"]),
        ("ml", 0o640, &all),
        ("ml", 0o604, &all),
        ("runs", 0o600, &all),
        ("nobody", 0o600, &all),
    ] {
        let connector = connector(profile, mode, allowed);
        let error = connector.mint(("s3-bucket", &bucket), AccessLevel::Read, 900).await.err();
        assert!(matches!(error, Some(UpstreamError::NotEnabled { .. })), "{profile} {mode:o} {allowed:?}: {error:?}");
    }
}

/// A profile with static keys, and one that would run a command.
fn write_profiles(path: &Path, mode: u32, key: &Key) -> io::Result<()> {
    let keys = format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", key.id, key.secret);
    let text = format!("[ml]\n{keys}[runs]\n{keys}credential_process = /bin/false\n");
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

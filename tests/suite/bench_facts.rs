//! The bench itself: what the stories rely on the servers to allow and to refuse, asked with stock boto3 and no valetkey.
//!
//! When one of these fails, a story that "passes" proves nothing.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::account::{self, Role};
use crate::rig::client::{Boto, Key};
use crate::rig::moto::Moto;
use crate::rig::process::{Daemon, eventually};
use crate::rig::weed::Weed;

const OBJECTS: [&str; 3] = ["train/a.txt", "train/deep/b.txt", "test/c.txt"];

#[test]
fn session_policy_narrows_to_one_bucket_and_prefix() {
    let weed = Weed::shared();
    let (bucket, other) = (weed.new_bucket("datasets", &OBJECTS), weed.new_bucket("models", &OBJECTS));
    let session = weed.assume(&account::broker(), Role::Data, &read_policy(&bucket, "train/"));
    let boto = weed.boto(&session);

    assert_eq!(boto.expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(boto.expect(&["list-objects", &bucket, "train/"]), json!(["train/a.txt", "train/deep/b.txt"]));
    for refused in [
        ["get-object", &bucket, "test/c.txt"],
        ["get-object", &other, "train/a.txt"],
        ["list-objects", &bucket, "test/"],
        ["list-objects", &bucket, ""],
        ["list-objects", &other, "train/"],
        ["put-object", &bucket, "train/new.txt"],
        ["delete-object", &bucket, "train/a.txt"],
    ] {
        assert_eq!(boto.refused(&refused), "AccessDenied", "{refused:?}");
    }
}

#[test]
fn session_policy_never_widens_the_role() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let wide = policy(&[json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})]);
    let session = weed.assume(&account::broker(), Role::Reader, &wide);
    assert_eq!(weed.boto(&session).expect(&["get-object", &bucket, "test/c.txt"]), "test/c.txt");
    assert_eq!(weed.boto(&session).refused(&["put-object", &bucket, "test/new.txt"]), "AccessDenied");
}

#[test]
fn only_the_broker_assumes_the_role() {
    let weed = Weed::shared();
    let assume = |key: &Key, role: Role| weed.boto(key).call(&["assume-role", &role.arn(), "bench"]);
    assert!(assume(&account::broker(), Role::Data).is_ok());
    assert!(assume(&account::broker_second(), Role::Data).is_ok());
    for (name, key) in [("stranger", account::stranger()), ("admin", account::admin())] {
        let refusal = assume(&key, Role::Data).expect_err(name);
        assert_eq!((refusal.status, refusal.code.as_str()), (403, "AccessDenied"), "{name}");
    }
    assert_eq!(assume(&account::broker(), Role::Foreign).expect_err("foreign role").code, "AccessDenied");
}

#[test]
fn wrong_secret_is_refused_in_the_shape_of_s3() {
    let weed = Weed::shared();
    let wrong = account::broker().with_secret("wrong");
    let refusal = weed.boto(&wrong).call(&["assume-role", &Role::Data.arn(), "bench"]).expect_err("wrong secret");
    assert_eq!((refusal.status, refusal.code.as_str()), (403, "SignatureDoesNotMatch"));
    let nobody = Key::long_lived("AKIANOBODY0000000001", "wrong");
    assert_eq!(weed.boto(&nobody).refused(&["whoami"]), "InvalidAccessKeyId");
}

#[test]
fn caller_identity_names_user_session_and_federated_user() {
    let weed = Weed::shared();
    let broker = account::broker();
    assert_eq!(weed.boto(&broker).expect(&["whoami"]), json!(account::user_arn("broker")));
    let session = weed.assume(&broker, Role::Data, "");
    assert_eq!(weed.boto(&session).expect(&["whoami"]), "arn:aws:sts::000000000000:assumed-role/ml-data/bench");
    let federated = Key::from_json(&weed.boto(&account::federator()).expect(&["federate", "alice"]));
    assert_eq!(weed.boto(&federated).expect(&["whoami"]), "arn:aws:sts::000000000000:federated-user/alice");
}

#[test]
fn federation_token_is_narrowed_and_needs_its_right() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &OBJECTS);
    let narrow = read_policy(&bucket, "train/");
    let session = Key::from_json(&weed.boto(&account::federator()).expect(&["federate", "alice", &narrow, "900"]));
    assert_eq!(weed.boto(&session).expect(&["get-object", &bucket, "train/a.txt"]), "train/a.txt");
    assert_eq!(weed.boto(&session).refused(&["get-object", &bucket, "test/c.txt"]), "AccessDenied");
    assert_eq!(weed.boto(&account::broker()).refused(&["federate", "alice"]), "AccessDenied");
}

#[test]
fn list_buckets_is_filtered_never_refused() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &["train/a.txt"]);
    let seen = |key: &Key| -> Vec<Value> { weed.boto(key).expect(&["list-buckets"]).as_array().unwrap().clone() };
    let role = weed.assume(&account::broker(), Role::Reader, "");
    assert!(seen(&role).contains(&json!(bucket)));
    let narrowed = weed.assume(&account::broker(), Role::Reader, &read_policy(&bucket, "train/"));
    assert_eq!(seen(&narrowed), Vec::<Value>::new());
    assert_eq!(seen(&account::broker()), Vec::<Value>::new());
}

#[test]
fn expired_session_is_refused() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &["train/a.txt"]);
    let session = weed.assume(&account::broker(), Role::Data, "");
    let get = ["get-object", &bucket, "train/a.txt"];
    // One hour long: half an hour later it still works, one second after the hour it does not.
    assert!(weed.boto(&weed.aged(&session, 1800)).call(&get).is_ok());
    assert_eq!(weed.boto(&weed.aged(&session, 3601)).refused(&get), "InvalidAccessKeyId");
}

#[test]
fn deleted_key_is_refused_and_its_successor_works() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &["train/a.txt"]);
    let broker = weed.new_broker();
    let session = weed.assume(&broker.key, Role::Data, "");
    let successor = weed.add_key(&broker);
    weed.delete_key(&broker, &broker.key);
    assert_eq!(weed.boto(&broker.key).refused(&["whoami"]), "InvalidAccessKeyId");
    weed.assume(&successor, Role::Data, "");
    // A session outlives the key that made it, as on AWS.
    assert!(weed.boto(&session).call(&["get-object", &bucket, "train/a.txt"]).is_ok());
}

#[test]
fn role_chain_needs_a_session_of_the_first_role() {
    let weed = Weed::shared();
    let chained = ["assume-role", &Role::Chained.arn(), "bench"];
    assert!(weed.boto(&weed.assume(&account::broker(), Role::Data, "")).call(&chained).is_ok());
    assert_eq!(weed.boto(&weed.assume(&account::broker(), Role::Reader, "")).refused(&chained), "AccessDenied");
    assert_eq!(weed.boto(&account::broker()).refused(&chained), "AccessDenied");
    let denied = policy(&[json!({"Effect": "Deny", "Action": "sts:*", "Resource": "*"})]);
    assert_eq!(weed.boto(&weed.assume(&account::broker(), Role::Data, &denied)).refused(&chained), "AccessDenied");
}

#[test]
fn transport_and_region_conditions_are_inert_only_as_deny_if_exists() {
    let weed = Weed::shared();
    let bucket = weed.new_bucket("datasets", &["train/a.txt"]);
    let reach = |statements: &[Value]| {
        let session = weed.assume(&account::broker(), Role::Data, &policy(statements));
        weed.boto(&session).call(&["get-object", &bucket, "train/a.txt"]).is_ok()
    };
    let get = |condition: Value| json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": condition});
    let deny = |condition: Value| json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": condition});
    let plain = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});

    assert!(reach(&[plain.clone(), deny(json!({"Bool": {"aws:SecureTransport": "false"}}))]));
    assert!(reach(&[plain.clone(), deny(json!({"StringNotEqualsIfExists": {"aws:RequestedRegion": "us-east-1"}}))]));
    assert!(!reach(&[get(json!({"Bool": {"aws:SecureTransport": "true"}}))]));
    assert!(!reach(&[get(json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}))]));
    assert!(!reach(&[plain, deny(json!({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}))]));
}

#[test]
fn https_endpoint_answers_under_its_own_ca() {
    let weed = Weed::shared();
    let broker = account::broker();
    let boto = Boto::new(weed.https_endpoint(), &broker).trusting(weed.ca());
    assert_eq!(boto.expect(&["whoami"]), json!(account::user_arn("broker")));
}

#[test]
fn moto_serves_ecr_and_eks_to_those_with_rights() {
    let moto = Moto::shared();
    let assumed = moto.boto(&moto.broker).expect(&["assume-role", moto.role_arn(), "bench"]);
    let session = Key::from_json(&assumed);
    let boto = moto.boto(&session);
    assert_eq!(boto.expect(&["ecr-login"])["proxyEndpoint"], "https://123456789012.dkr.ecr.us-east-1.amazonaws.com");
    assert_eq!(boto.expect(&["eks-clusters"]), json!(["train"]));
    let cluster = moto.boto(&session).in_region("eu-west-1").expect(&["eks-cluster", "train"]);
    assert_eq!(cluster["arn"], "arn:aws:eks:eu-west-1:123456789012:cluster/train");
    for command in ["ecr-login", "ecr-repositories", "eks-clusters", "list-buckets"] {
        let refusal = moto.boto(&moto.stranger).call(&[command]).expect_err(command);
        assert_eq!(refusal.status, 403, "{command}");
    }
    assert_eq!(moto.boto(&moto.admin).refused(&["assume-role", moto.role_arn(), "bench"]), "AccessDenied");
}

#[test]
fn dropped_daemon_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 600 & echo $!; wait"]);
    let mut daemon = Daemon::start(&mut command, folder.path(), "sleeper");
    let limit = Duration::from_secs(10);
    let grandchild: i32 =
        daemon.wait_until("the sleeper says its id", limit, |daemon| daemon.stdout().trim().parse().ok());
    let alive = || fs::read_to_string(format!("/proc/{grandchild}/cmdline")).is_ok_and(|line| line.contains("sleep"));
    assert!(alive());
    drop(daemon);
    assert!(eventually(limit, || !alive()), "process {grandchild} survived its daemon");
}

fn read_policy(bucket: &str, prefix: &str) -> String {
    policy(&[
        json!({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("arn:aws:s3:::{bucket}/{prefix}*")]}),
        json!({
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [format!("arn:aws:s3:::{bucket}")],
            "Condition": {"StringLike": {"s3:prefix": [format!("{prefix}*")]}},
        }),
    ])
}

fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

//! The AWS account of the bench: who exists, which roles they may assume, and what those may do.
//!
//! Written as SeaweedFS wants it (`s3.json` and `iam.json`). Roles allow any bucket named `datasets*` or `models*`,
//! so that only the session policy can be what refuses a bucket or a prefix.

use serde_json::{Value, json};

use super::client::Key;

/// SeaweedFS's account id.
pub const ACCOUNT: &str = "000000000000";

/// Signs session tokens, base64; `aws.py age-session` needs it to make an expired session.
pub const SIGNING_KEY: &str = "dGVzdC1zaWduaW5nLWtleS0zMi1jaGFycy1sb25nISE=";

/// The roles of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything on the data buckets. Trusts the broker.
    Data,
    /// Get and list on the data buckets. Trusts the broker.
    Reader,
    /// As `Reader`, and trusts sessions of `Data` only: the end of a role chain.
    Chained,
    /// As `Data`, and trusts somebody else.
    Foreign,
}

impl Role {
    /// The role's ARN.
    pub fn arn(self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{}", self.name())
    }

    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "ml-data",
            Self::Reader => "ml-reader",
            Self::Chained => "ml-chained",
            Self::Foreign => "ml-foreign",
        }
    }
}

/// May do everything on S3 and IAM; assumes no role.
pub fn admin() -> Key {
    Key::long_lived("AKIAADMIN00000000001", "admin/secret+admin/secret+admin/secret+1")
}

/// valetkey's long-lived key: may assume roles and nothing else.
pub fn broker() -> Key {
    Key::long_lived("AKIABROKER0000000001", "broker/secret+broker/secret+broker/secr1")
}

/// A second key of the broker, valid at the same time.
pub fn broker_second() -> Key {
    Key::long_lived("AKIABROKER0000000002", "broker/secret+broker/secret+broker/secr2")
}

/// May call GetFederationToken and use the data buckets.
pub fn federator() -> Key {
    Key::long_lived("AKIAFEDERATOR0000001", "federator/secret+federator/secret+feder1")
}

/// Exists, and may do nothing.
pub fn stranger() -> Key {
    Key::long_lived("AKIASTRANGER00000001", "stranger/secret+stranger/secret+strange1")
}

/// `s3.json`: the static identities. They cannot be changed while the server runs.
pub fn identities() -> Value {
    let identity = |name: &str, keys: &[Key]| {
        let credentials: Vec<Value> =
            keys.iter().map(|key| json!({"accessKey": key.id, "secretKey": key.secret})).collect();
        json!({"name": name, "credentials": credentials, "policyNames": [name]})
    };
    let administrator = json!({
        "name": "admin",
        "credentials": [{"accessKey": admin().id, "secretKey": admin().secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    });
    json!({"identities": [
        administrator,
        identity("broker", &[broker(), broker_second()]),
        identity("federator", &[federator()]),
        identity("stranger", &[stranger()]),
    ]})
}

/// `iam.json`: STS settings, roles and policies.
pub fn roles_and_policies() -> Value {
    let data = json!(["arn:aws:s3:::datasets*", "arn:aws:s3:::models*"]);
    let everything = allow(&json!("s3:*"), &data);
    let reading = allow(&json!(["s3:Get*", "s3:List*"]), &data);
    let federating = allow(&json!("sts:GetFederationToken"), &json!("*"));
    let nothing = allow(&json!("s3:GetObject"), &json!("arn:aws:s3:::no-such-bucket/*"));
    json!({
        "sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "weed-sts", "signingKey": SIGNING_KEY},
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roles": [
            role(Role::Data, broker_trust(), "data"),
            role(Role::Reader, broker_trust(), "reader"),
            role(Role::Chained, json!([trust(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/ml-data/*"))]), "reader"),
            role(Role::Foreign, json!([trust(&user_arn("somebody-else"))]), "data"),
        ],
        "policies": [
            policy("broker", &[allow(&json!("sts:AssumeRole"), &json!("*"))]),
            policy("federator", &[federating, everything.clone()]),
            policy("stranger", &[nothing]),
            policy("data", &[everything, allow(&json!("s3:ListAllMyBuckets"), &json!("*"))]),
            policy("reader", &[reading, allow(&json!("s3:ListAllMyBuckets"), &json!("*"))]),
        ],
    })
}

/// The ARN of a user.
pub fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

// The static broker, and the users `broker-...` that tests make at run time to rotate their keys.
fn broker_trust() -> Value {
    json!([trust(&user_arn("broker")), trust(&user_arn("broker-*"))])
}

// A principal is compared literally, so patterns go in the one condition key that a trust policy may use.
fn trust(principal: &str) -> Value {
    json!({
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringLike": {"aws:PrincipalArn": principal}},
    })
}

fn role(role: Role, trust: Value, policy: &str) -> Value {
    json!({
        "roleName": role.name(),
        "roleArn": role.arn(),
        "trustPolicy": {"Version": "2012-10-17", "Statement": trust},
        "attachedPolicies": [policy],
    })
}

fn policy(name: &str, statements: &[Value]) -> Value {
    json!({"name": name, "document": {"Version": "2012-10-17", "Statement": statements}})
}

fn allow(actions: &Value, resources: &Value) -> Value {
    json!({"Effect": "Allow", "Action": list(actions), "Resource": list(resources)})
}

fn list(value: &Value) -> Value {
    if value.is_array() { value.clone() } else { json!([value]) }
}

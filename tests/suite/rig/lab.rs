//! A vault beside the enforcing S3 and STS: a bucket, a neighbour of it, and a user of the cloud whose key is rotated.

use serde_json::{Value, json};

use super::account::Role;
use super::cast;
use super::client::{Boto, Key};
use super::vault::{Outcome, Setup, Vault};
use super::weed::{Broker, Weed};

/// Objects of each bucket; the content of an object is its key.
pub const OBJECTS: [&str; 3] = ["train/a.txt", "train/deep/b.txt", "test/c.txt"];

/// A vault and its cloud.
pub struct Lab {
    /// The vault.
    pub vault: Vault,
    /// The cloud.
    pub weed: Weed,
    /// The user whose key is registered.
    pub broker: Broker,
    /// A bucket that roles of the cloud reach.
    pub bucket: String,
    /// Another one.
    pub neighbour: String,
    endpoint: String,
}

impl Lab {
    /// Everything made, nothing registered yet.
    pub fn new() -> Self {
        Self::with(Setup::new())
    }

    /// The same with a vault that is configured like this.
    pub fn with(setup: Setup) -> Self {
        let endpoint = Weed::shared().endpoint().to_owned();
        Self::at(setup, endpoint)
    }

    /// The same with a vault that knows the cloud at this endpoint only.
    pub fn behind(endpoint: &str) -> Self {
        Self::at(Setup::new(), endpoint.to_owned())
    }

    fn at(setup: Setup, endpoint: String) -> Self {
        let weed = Weed::shared();
        let vault = setup.reaching(&[&endpoint]).start();
        let broker = weed.new_broker();
        let (bucket, neighbour) = (weed.new_bucket("datasets", &OBJECTS), weed.new_bucket("models", &OBJECTS));
        Self { vault, weed, broker, bucket, neighbour, endpoint }
    }

    /// With the connector `prod-s3` on the bucket and the component `artifacts` linked to its prefix `train`.
    pub fn linked() -> Self {
        Self::linked_with(Setup::new())
    }

    /// The same with a vault that is configured like this.
    pub fn linked_with(setup: Setup) -> Self {
        let lab = Self::with(setup);
        let key = lab.broker.key.clone();
        lab.register("prod-s3", &key, &["--allow-resource", &lab.all_of_bucket(), "--allow-resource", &lab.id("")])
            .ok();
        lab.connect("artifacts", &lab.id("train"), "read").ok();
        lab
    }

    /// Registers a connector of the role that may use all data, as alice.
    pub fn register(&self, name: &str, key: &Key, more: &[&str]) -> Outcome {
        let role = format!("role_arn={}", Role::Data.arn());
        let mut arguments = vec!["--method", "iam-role", "--set", &role, "--resource-type", "s3-bucket"];
        arguments.extend_from_slice(more);
        self.register_as(name, &secrets(key), &arguments)
    }

    /// Registers a connector with this method and these settings, as alice.
    pub fn register_as(&self, name: &str, secrets: &str, more: &[&str]) -> Outcome {
        let endpoint = format!("endpoint_url={}", self.endpoint);
        let mut arguments = vec!["connector", "register", name, "--type", "aws"];
        arguments.extend_from_slice(&["--set", "region=us-east-1", "--set", &endpoint, "--secrets", "-", "-o", "json"]);
        arguments.extend_from_slice(more);
        self.vault.cli_with("alice", &arguments, secrets)
    }

    /// Registers a component if there is none, and links it to `prod-s3`, as bob.
    pub fn connect(&self, component: &str, resource: &str, access: &str) -> Outcome {
        if self.vault.cli("bob", &["component", "describe", component]).code != 0 {
            cast::component(&self.vault, "bob", component);
        }
        let link = [
            "component",
            "connect",
            component,
            "--connector",
            "prod-s3",
            "--resource",
            resource,
            "--access-max",
            access,
        ];
        self.vault.cli("bob", &link)
    }

    /// Mints as somebody.
    pub fn mint(&self, who: &str, more: &[&str]) -> Outcome {
        let mut arguments = vec!["mint", "-o", "json"];
        arguments.extend_from_slice(more);
        self.vault.cli(who, &arguments)
    }

    /// boto3 with a minted key.
    pub fn boto<'a>(&'a self, key: &'a Key) -> Boto<'a> {
        self.weed.boto(key)
    }

    /// The canonical id of a prefix of the bucket, or of the bucket.
    pub fn id(&self, prefix: &str) -> String {
        if prefix.is_empty() { format!("s3://{}", self.bucket) } else { format!("s3://{}/{prefix}", self.bucket) }
    }

    fn all_of_bucket(&self) -> String {
        format!("s3://{}/**", self.bucket)
    }
}

/// The key that a mint gave.
pub fn minted(outcome: &Outcome) -> Key {
    minted_key(&outcome.json())
}

/// The key in a minted credential.
pub fn minted_key(credential: &Value) -> Key {
    let session = &credential["aws_session"];
    let text = |name: &str| session[name].as_str().unwrap_or_else(|| panic!("no {name} in {credential}")).to_owned();
    let session_token = Some(text("session_token"));
    Key { id: text("access_key_id"), secret: text("secret_access_key"), session_token }
}

/// A key as `--secrets -` takes it.
pub fn secrets(key: &Key) -> String {
    let mut all = json!({"aws_access_key_id": key.id, "aws_secret_access_key": key.secret});
    if let Some(token) = &key.session_token {
        all["aws_session_token"] = json!(token);
    }
    all.to_string()
}

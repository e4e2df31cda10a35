//! Stock boto3 in a child process (`tests/clients/aws.py`): what a data scientist's program would see.

use std::process::Command;

use serde_json::Value;

use super::cache;

/// An access key, long-lived or of a session.
#[derive(Clone)]
pub struct Key {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token, of a session only.
    pub session_token: Option<String>,
}

impl Key {
    /// A long-lived key.
    pub fn long_lived(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), session_token: None }
    }

    /// From AWS's own field names, as `aws.py` prints them.
    pub fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            id: text("AccessKeyId").unwrap_or_else(|| panic!("no AccessKeyId in {value}")),
            secret: text("SecretAccessKey").unwrap_or_else(|| panic!("no SecretAccessKey in {value}")),
            session_token: text("SessionToken"),
        }
    }

    /// The same key with another secret.
    pub fn with_secret(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }
}

/// The server's "no".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u64,
    /// The error code; empty when the answer had none where boto3 looks.
    pub code: String,
}

/// boto3 against one endpoint with one key.
pub struct Boto<'a> {
    endpoint: &'a str,
    key: &'a Key,
    region: &'a str,
    ca: Option<&'a str>,
}

impl<'a> Boto<'a> {
    /// A client in us-east-1.
    pub fn new(endpoint: &'a str, key: &'a Key) -> Self {
        Self { endpoint, key, region: "us-east-1", ca: None }
    }

    /// The same in another region.
    pub fn in_region(self, region: &'a str) -> Self {
        Self { region, ..self }
    }

    /// The same, trusting this CA file.
    pub fn trusting(self, ca: &'a str) -> Self {
        Self { ca: Some(ca), ..self }
    }

    /// Runs one command of `aws.py`.
    pub fn call(&self, arguments: &[&str]) -> Result<Value, Refusal> {
        let output = self.command().args(arguments).output().expect("python starts");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("aws.py {arguments:?} broke ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr))
        });
        if answer["ok"] == true {
            return Ok(answer["value"].clone());
        }
        let status = answer["status"].as_u64().expect("a refusal has a status");
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        Err(Refusal { status, code })
    }

    /// Runs one command that must succeed.
    pub fn expect(&self, arguments: &[&str]) -> Value {
        self.call(arguments).unwrap_or_else(|refusal| panic!("aws.py {arguments:?} was refused: {refusal:?}"))
    }

    /// Runs one command that must be refused, and returns the error code.
    pub fn refused(&self, arguments: &[&str]) -> String {
        match self.call(arguments) {
            Ok(value) => panic!("aws.py {arguments:?} was not refused: {value}"),
            Err(refusal) => refusal.code,
        }
    }

    // A clean environment: nothing of the developer's own AWS configuration may help or hinder.
    fn command(&self) -> Command {
        let mut command = Command::new(cache::command("python"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_ACCESS_KEY_ID", &self.key.id).env("AWS_SECRET_ACCESS_KEY", &self.key.secret);
        if let Some(token) = &self.key.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        command.arg(cache::client_program("aws.py")).args(["--endpoint", self.endpoint, "--region", self.region]);
        if let Some(ca) = self.ca {
            command.args(["--ca", ca]);
        }
        command
    }
}

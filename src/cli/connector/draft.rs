//! A connector before it is registered, whoever put it together: the command
//! line, the questions of the wizard, or what this machine has.
//!
//! Owns the summary that is confirmed and the one call that registers. No
//! Debug: it holds the secret.

use serde_json::{Map, Value};

use crate::cli::escape::escape;
use crate::cli::failure::Failure;
use crate::cli::moment::{Moment, lifetime};
use crate::cli::pairs::access_in_words;
use crate::cli::secrets::Secrets;
use crate::cli::session::Session;
use crate::cli::settings::plain;
use crate::cli::terminal::Terminal;
use crate::proto;

/// What is about to be registered.
pub(super) struct Draft {
    /// Everything but settings and secrets.
    pub(super) ask: proto::RegisterConnectorRequest,
    /// The settings.
    pub(super) settings: Map<String, Value>,
    /// The source credential.
    pub(super) secrets: Secrets,
}

impl Draft {
    /// Says what would be registered: of secrets the names alone.
    pub(super) fn tell(&self, terminal: &dyn Terminal) {
        let ask = &self.ask;
        let line = |name: &str, value: &str| {
            if !value.is_empty() {
                terminal.tell(&format!("  {name:<14} {}", escape(value)));
            }
        };
        line("name", &ask.name);
        line("type", &format!("{}, {}", ask.connector_type, ask.auth_method));
        for (key, value) in &self.settings {
            line(key, &plain(value));
        }
        let secrets = self.secrets.names().join(", ");
        line("secret fields", if secrets.is_empty() { "none" } else { &secrets });
        let ends = Moment::from_proto(ask.secret_expires_at.as_ref());
        line("secret ends", &ends.map(Moment::whole_seconds).unwrap_or_default());
        line("resource", format!("{} {}", ask.resource_type, ask.resource_id).trim());
        line("ceiling", &ceiling(ask.mint_policy.as_ref()));
        line("verification", if ask.skip_verify { "SKIPPED" } else { "the cloud is asked first" });
    }

    /// Registers it, and shows what is stored.
    ///
    /// # Errors
    /// What the daemon answered.
    pub(super) async fn register(&self, session: &Session) -> Result<(), Failure> {
        super::register::store(session, self.ask.clone(), self.settings.clone(), &self.secrets).await
    }
}

fn ceiling(policy: Option<&proto::MintPolicy>) -> String {
    let Some(policy) = policy else { return String::new() };
    let mut words = policy.resource_patterns.clone();
    if policy.access_max != 0 {
        words.push(format!("at most {}", access_in_words(policy.access_max)));
    }
    if policy.ttl_max_seconds > 0 {
        words.push(format!("at most {}", lifetime(policy.ttl_max_seconds)));
    }
    if policy.shared {
        words.push("shared among principals".to_owned());
    }
    if policy.allow_passthrough {
        words.push("PASSTHROUGH: may hand out the long-lived secret".to_owned());
    }
    words.join(", ")
}

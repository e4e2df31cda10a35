//! The AWS connector type as the broker drives it: through the catalog, the one way out and sealed-off secrets, with
//! no daemon around it. What it mints goes to stock boto3.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use valetkey::connectors::{AnyConnectorType, Ask, ListAsk, Upstream, UpstreamError, Verified, find};
use valetkey::domain::{
    AccessLevel, Attribution, AuthMethodName, Entropy, EntropyError, IssuanceId, ManualClock, Minted, MintedShape,
    NoIssuer, Principal, PrincipalId, PrincipalKind, ProjectId, Reach, ResourceId, ResourceTypeName, SecretFieldName,
    Timestamp, Ttl,
};
use valetkey::outbound::{Detours, Outbound, OutboundRules};
use valetkey::sealing::{Plaintext, SourceCredential};

use super::client::Key;

/// A connector: settings and secret, with a way out to one endpoint.
pub struct Workshop {
    kind: &'static dyn AnyConnectorType,
    upstream: Upstream,
    settings: String,
    secret: SourceCredential,
    secret_expires_at: Option<Timestamp>,
}

impl Workshop {
    /// A connector of this method at this endpoint, with more settings; checked as at registration.
    pub fn new(endpoint: &str, method: &str, more: &Value, key: Option<&Key>) -> Self {
        Self::through(Outbound::new(rules(endpoint)).unwrap(), endpoint, method, more, key)
    }

    /// The same through another way out.
    pub fn through(outbound: Outbound, endpoint: &str, method: &str, more: &Value, key: Option<&Key>) -> Self {
        let mut settings = json!({"region": "us-east-1", "endpoint_url": endpoint});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let kind = find("aws").unwrap();
        let method = AuthMethodName::parse(method).unwrap();
        let checked = kind.parse_settings(&method, &settings.to_string()).unwrap();
        let settings = kind.complete(&checked.json, &Ones).unwrap().json;
        let secret = key.map(secret).unwrap_or_default();
        let clock = Arc::new(ManualClock::at(now()));
        let upstream = Upstream {
            outbound: Arc::new(outbound),
            clock,
            entropy: Arc::new(Ones),
            identities: Arc::new(NoIssuer),
            subject: None,
        };
        Self { kind, upstream, settings, secret, secret_expires_at: None }
    }

    /// The same, with the source credential ending then.
    pub fn ending(self, at: Timestamp) -> Self {
        Self { secret_expires_at: Some(at), ..self }
    }

    /// Mints for so many seconds.
    pub async fn mint(
        &self,
        (resource_type, id): (&str, &str),
        access: AccessLevel,
        seconds: u32,
    ) -> Result<Minted, UpstreamError> {
        let resource_type = ResourceTypeName::parse(resource_type).unwrap();
        let resource = self.kind.canonical(&self.settings, &resource_type, Some(id)).unwrap();
        let ask = Ask { resource_type, resource, access, parameters: BTreeMap::new() };
        let scope = self.kind.narrow(&self.settings, &ask).unwrap();
        let (ttl, ends) = (Ttl::seconds(seconds), self.secret_expires_at);
        let attribution = attribution();
        let asked =
            self.kind.mint(&self.upstream, &self.settings, &self.secret, ends, &scope.json, ttl, &attribution).await;
        asked.and_then(|outcome| outcome.minted)
    }

    /// Verifies; with a resource, as a connector that is fixed to it.
    pub async fn verify(&self, fixed: Option<(&str, &str)>) -> Result<Verified, UpstreamError> {
        let resource_type = fixed.map(|(name, _)| ResourceTypeName::parse(name).unwrap());
        let resource = fixed.map(|(_, id)| ResourceId::canonical(id).unwrap());
        let focus = ListAsk { resource_type, resource, limit: 1000, page: None };
        self.kind.verify(&self.upstream, &self.settings, &self.secret, &focus).await
    }

    /// Lists one type to its end, one id at a time; each page has one.
    pub async fn list_by_ones(&self, resource_type: &str) -> Vec<String> {
        let resource_type = Some(ResourceTypeName::parse(resource_type).unwrap());
        let mut ask = ListAsk { resource_type, resource: None, limit: 1, page: None };
        let mut ids = Vec::new();
        loop {
            let listed = self.kind.list_resources(&self.upstream, &self.settings, &self.secret, &ask).await.unwrap();
            let [reach] = listed.try_into().unwrap();
            assert!(reach.resource_ids.len() <= 1 && reach.error.is_none(), "{reach:?}");
            ids.extend(reach.resource_ids.iter().map(ToString::to_string));
            ask.page = reach.next_page;
            if ask.page.is_none() {
                return ids;
            }
        }
    }
}

/// What config would say for tests at this endpoint.
pub fn rules(endpoint: &str) -> OutboundRules {
    OutboundRules {
        allowed_endpoints: vec![endpoint.to_owned()],
        extra_roots_pem: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(20),
        implicit_identities: Vec::new(),
        detours: Detours::default(),
    }
}

/// The same, trusting the CA in this file.
pub fn rules_trusting(endpoint: &str, ca: &str) -> OutboundRules {
    OutboundRules { extra_roots_pem: Some(fs::read_to_string(ca).unwrap()), ..rules(endpoint) }
}

/// The real time.
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// The session that was minted, for boto3.
pub fn session(minted: &Minted) -> Key {
    let MintedShape::AwsSession { access_key_id, secret_access_key, session_token, .. } = &minted.shape else {
        panic!("no AWS session was minted");
    };
    Key {
        id: access_key_id.reveal().to_owned(),
        secret: secret_access_key.reveal().to_owned(),
        session_token: Some(session_token.reveal().to_owned()),
    }
}

/// What was found of one type.
pub fn reach<'a>(verified: &'a Verified, resource_type: &str) -> &'a Reach {
    verified.reach.iter().find(|reach| reach.resource_type.as_str() == resource_type).expect("the type was looked at")
}

fn secret(key: &Key) -> SourceCredential {
    let field =
        |name: &str, value: &str| (SecretFieldName::parse(name).unwrap(), Plaintext::new(value.as_bytes().to_vec()));
    let mut fields = vec![field("aws_access_key_id", &key.id), field("aws_secret_access_key", &key.secret)];
    fields.extend(key.session_token.as_deref().map(|token| field("aws_session_token", token)));
    SourceCredential::new(fields.into_iter().collect())
}

fn attribution() -> Attribution {
    let project = ProjectId::from_bytes([1; 16]);
    let principal = Principal {
        id: PrincipalId::from_bytes([2; 16]),
        project,
        name: "anna".parse().unwrap(),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: Timestamp::from_seconds(0),
    };
    Attribution { principal, project, run: None, issuance: IssuanceId::from_bytes([3; 16]) }
}

struct Ones;

impl Entropy for Ones {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        buffer.fill(1);
        Ok(())
    }
}

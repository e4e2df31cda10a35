//! A broker of tests, on a real store in a temporary folder: two projects,
//! and people of every role in the first.
//!
//! Compiled for tests only. Time stands still until `clock` is moved.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::audit::{Ledger, Line, LineKind, Outcome};
use crate::authn::api_token;
use crate::connectors::{Upstream, find};
use crate::domain::{
    AuthMethodName, Binding, BindingId, BindingTarget, Clock, ClockWatch, Component, ComponentId, ComponentLink,
    Conditions, Connector, ConnectorId, ConnectorTypeName, Entropy, EntropyError, Labels, ManualClock, MintPolicy,
    Name, NoIssuer, Principal, PrincipalId, PrincipalKind, Project, ProjectId, RequestId, Requirement,
    ResourceTypeName, Role, SecretFacts, SecretFieldName, Share, Timestamp, TokenDigest, TokenId, TokenRecord,
    Verification, VerificationState, Version,
};
use crate::outbound::{Detours, Outbound, OutboundRules};
use crate::sealing::{Keyring, Plaintext, Purpose, RootKey, SealContext, SourceCredential};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Transactions, Tx, Write};

use super::{Broker, Call, CallRecord, Once, Parts, Update};

/// The path that calls have when nothing else is said.
pub(crate) const METHOD: &str = "/valetkey.v1.TestService/Test";
/// 1 January 2026.
const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// The system's randomness.
struct System;

impl Entropy for System {
    // A test's own source: the daemon's is out of this room's reach.
    #[allow(clippy::disallowed_methods)]
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(buffer).map_err(|_| EntropyError)
    }
}

/// Somebody with a token.
pub(crate) struct Person {
    pub(crate) id: PrincipalId,
    pub(crate) name: Name,
    pub(crate) token: TokenId,
    /// What it puts in `authorization`.
    pub(crate) header: Vec<u8>,
}

/// A broker with its people.
pub(crate) struct House {
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) home: Project,
    pub(crate) owner: Person,
    pub(crate) engineer: Person,
    pub(crate) scientist: Person,
    pub(crate) auditor: Person,
    /// A service account without a role; tests bind it to a component.
    pub(crate) runner: Person,
    /// Another project, and its owner.
    pub(crate) abroad: Project,
    pub(crate) foreigner: Person,
    // Last: the folder goes when the store has closed its files.
    _folder: TempDir,
}

impl House {
    /// A house with two projects and their people.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let options = SqliteOptions::new(Arc::<ManualClock>::clone(&clock), Arc::new(|_| {}));
        let store = Arc::new(SqliteStore::create(&folder.path().join("store.db"), options).unwrap());
        let keyring =
            Keyring::load(RootKey::for_tests(7), &[], Arc::<ManualClock>::clone(&clock), Arc::new(System)).unwrap();
        let maker = Maker { store, clock, keyring: Arc::new(keyring) };
        let (home, abroad) = (maker.project("default").await, maker.project("abroad").await);
        let owner = maker.person(&home, "olga", Some(Role::Owner)).await;
        let engineer = maker.person(&home, "emil", Some(Role::PlatformEngineer)).await;
        let scientist = maker.person(&home, "sam", Some(Role::DataScientist)).await;
        let auditor = maker.person(&home, "anna", Some(Role::Auditor)).await;
        let runner = maker.person(&home, "robot", None).await;
        let foreigner = maker.person(&abroad, "fritz", Some(Role::Owner)).await;
        let broker = Arc::new(maker.broker());
        let Maker { store, clock, keyring } = maker;
        Self {
            broker,
            store,
            clock,
            keyring,
            home,
            owner,
            engineer,
            scientist,
            auditor,
            runner,
            abroad,
            foreigner,
            _folder: folder,
        }
    }

    /// A fresh call of `who`, authenticated as of now.
    pub(crate) async fn call(&self, who: &Person) -> Call {
        self.call_to(who, METHOD).await
    }

    /// The same, to a method.
    pub(crate) async fn call_to(&self, who: &Person, method: &'static str) -> Call {
        let caller = self.broker.authenticate(&who.header).await.unwrap();
        Call { record: Arc::new(CallRecord::new(method, None)), caller }
    }

    /// Somebody else, with a role in the whole project when one is given.
    pub(crate) async fn person(&self, project: &Project, name: &str, role: Option<Role>) -> Person {
        self.maker().person(project, name, role).await
    }

    /// Binds a role, past every rule.
    pub(crate) async fn bind(&self, who: &Person, role: Role, target: BindingTarget) -> BindingId {
        self.maker().bind(self.home.id, who.id, role, target, Conditions::default()).await
    }

    /// The same, under conditions.
    pub(crate) async fn bind_with(&self, who: &Person, role: Role, target: BindingTarget, with: Conditions) {
        self.maker().bind(self.home.id, who.id, role, target, with).await;
    }

    /// A connector of type `paper` with the default ceiling, verified.
    pub(crate) async fn connector(&self, project: &Project, name: &str) -> Connector {
        self.connector_with(project, name, |_| {}).await
    }

    /// The same, changed before it is stored.
    pub(crate) async fn connector_with(
        &self,
        project: &Project,
        name: &str,
        change: impl FnOnce(&mut Connector),
    ) -> Connector {
        self.maker().connector(project, name, change).await
    }

    /// The same, whose stamp is sent to `endpoint`.
    pub(super) async fn connector_at(
        &self,
        project: &Project,
        name: &str,
        endpoint: &str,
        change: impl FnOnce(&mut Connector),
    ) -> Connector {
        self.maker().connector_at(project, name, endpoint, change).await
    }

    /// A component that needs a shelf, linked when a link is given.
    pub(crate) async fn component(&self, project: &Project, name: &str, link: Option<ComponentLink>) -> Component {
        self.maker().component(project, name, link).await
    }

    fn maker(&self) -> Maker {
        Maker { store: self.store.clone(), clock: self.clock.clone(), keyring: self.keyring.clone() }
    }
}

/// A request id and a body, both as small as a test wants.
pub(crate) fn once(id: u8, body: u8) -> Once {
    Once { request_id: RequestId::from_bytes([id; 16]), body_digest: [body; 32] }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// An update of a connector that asks for nothing yet.
pub(crate) fn no_change(connector: &str, expected: Version) -> Update {
    Update {
        connector: connector.to_owned(),
        expected,
        name: None,
        description: None,
        labels: None,
        settings: None,
        policy: None,
        secret_expires_at: None,
        secret_skew_tolerance: None,
        secret: SourceCredential::default(),
        skip_verify: false,
        validate_only: false,
        once: None,
    }
}

struct Maker {
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    keyring: Arc<Keyring>,
}

impl Maker {
    async fn write(&self, write: Write) {
        let line = Line::about("test/set-up", LineKind::Single, Outcome::Ok);
        self.store.commit(Tx::with_line(line).write(write)).await.unwrap();
    }

    async fn project(&self, named: &str) -> Project {
        let id = ProjectId::random(&System).unwrap();
        let project = Project { id, name: name(named), created_at: self.clock.now() };
        self.write(Write::InsertProject(project.clone())).await;
        self.write(Write::InsertKek(self.keyring.make_kek(id).unwrap())).await;
        project
    }

    async fn person(&self, project: &Project, named: &str, role: Option<Role>) -> Person {
        let kind = if named == "robot" { PrincipalKind::ServiceAccount } else { PrincipalKind::User };
        let now = self.clock.now();
        let principal = Principal {
            id: PrincipalId::random(&System).unwrap(),
            project: project.id,
            name: name(named),
            kind,
            description: String::new(),
            created_by: None,
            created_at: now,
        };
        let (issued, token) = api_token::issue(kind, &System).unwrap();
        let record = TokenRecord {
            id: token.clone(),
            project: project.id,
            principal: principal.id,
            digest: TokenDigest(self.keyring.mac(Purpose::TokenPepper, issued.as_bytes())),
            description: String::new(),
            created_at: now,
            expires_at: now.plus(Duration::from_secs(30 * 24 * 3600)),
            created_by: None,
            run: None,
        };
        let person = Person {
            id: principal.id,
            name: principal.name.clone(),
            token,
            header: format!("Bearer {}", issued.into_secret().reveal()).into_bytes(),
        };
        self.write(Write::InsertPrincipal(principal)).await;
        self.write(Write::InsertToken(record)).await;
        if let Some(role) = role {
            self.bind(project.id, person.id, role, BindingTarget::Project, Conditions::default()).await;
        }
        person
    }

    async fn bind(
        &self,
        project: ProjectId,
        principal: PrincipalId,
        role: Role,
        target: BindingTarget,
        conditions: Conditions,
    ) -> BindingId {
        let id = BindingId::random(&System).unwrap();
        let created_at = self.clock.now();
        let binding = Binding { id, project, principal, role, target, conditions, created_by: None, created_at };
        self.write(Write::InsertBinding(binding)).await;
        id
    }

    async fn connector(&self, project: &Project, named: &str, change: impl FnOnce(&mut Connector)) -> Connector {
        self.connector_at(project, named, "", change).await
    }

    async fn connector_at(
        &self,
        project: &Project,
        named: &str,
        endpoint: &str,
        change: impl FnOnce(&mut Connector),
    ) -> Connector {
        let now = self.clock.now();
        let kind = find("paper").unwrap();
        let method = AuthMethodName::parse("stamp").unwrap();
        let settings = kind.parse_settings(&method, &format!(r#"{{"endpoint":"{endpoint}"}}"#)).unwrap();
        let mut connector = Connector {
            id: ConnectorId::random(&System).unwrap(),
            project: project.id,
            name: name(named),
            connector_type: ConnectorTypeName::parse("paper").unwrap(),
            auth_method: method,
            resource_type: None,
            resource_id: None,
            settings: settings.json,
            description: String::new(),
            labels: Labels::default(),
            policy: MintPolicy::default(),
            verification: Verification {
                state: VerificationState::Verified,
                checked_at: now,
                reason: String::new(),
                identity: "the postmaster".to_owned(),
                reach: Vec::new(),
            },
            secret: SecretFacts {
                lineage: 1,
                fields: vec![SecretFieldName::parse("stamp").unwrap()],
                version: 1,
                created_at: now,
                expires_at: None,
                own_end: None,
                skew_tolerance: 0,
                fingerprint: "0".repeat(16),
                key_fingerprint: None,
                rotation: None,
            },
            created_by: PrincipalId::from_bytes([1; 16]),
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        };
        change(&mut connector);
        let context = SealContext {
            project: project.id,
            connector: connector.id,
            connector_type: connector.connector_type.clone(),
            secret_version: 1,
            destination: settings.destination,
        };
        let stamp = (SecretFieldName::parse("stamp").unwrap(), Plaintext::new(b"canary-stamp".to_vec()));
        let sealed = self.keyring.seal(&context, &SourceCredential::new([stamp].into())).unwrap();
        self.write(Write::InsertConnector { connector: connector.clone(), sealed }).await;
        connector
    }

    async fn component(&self, project: &Project, named: &str, link: Option<ComponentLink>) -> Component {
        let now = self.clock.now();
        let component = Component {
            id: ComponentId::random(&System).unwrap(),
            project: project.id,
            name: name(named),
            component_type: name("artifact-store"),
            flavor: None,
            requirement: Requirement {
                connector_type: None,
                resource_type: ResourceTypeName::parse("paper-shelf").unwrap(),
                resource_id: None,
            },
            link,
            description: String::new(),
            labels: Labels::default(),
            created_by: PrincipalId::from_bytes([1; 16]),
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        };
        self.write(Write::InsertComponent(component.clone())).await;
        component
    }

    fn broker(&self) -> Broker {
        let rules = OutboundRules {
            allowed_endpoints: Vec::new(),
            extra_roots_pem: None,
            connect_timeout: Duration::from_secs(1),
            call_timeout: Duration::from_secs(1),
            implicit_identities: Vec::new(),
            detours: Detours::default(),
        };
        let watch = ClockWatch::over(self.clock.clone());
        let clock: Arc<dyn Clock> = watch.clone();
        Broker::new(Parts {
            store: self.store.clone(),
            keyring: self.keyring.clone(),
            ledger: Ledger::watched(self.store.clone(), watch.clone()),
            upstream: Upstream {
                outbound: Arc::new(Outbound::new(rules).unwrap()),
                clock,
                entropy: Arc::new(System),
                identities: Arc::new(NoIssuer),
                subject: None,
            },
            issuer: None,
            watch,
            entropy: Arc::new(System),
            share: Share::percent(25).unwrap(),
            root_provider: "file",
            root_key_id: self.keyring.root_key_id(),
        })
    }
}

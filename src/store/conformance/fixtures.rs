//! Records for tests: small, valid, each with an id made of its number.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::{Line, LineKind, Outcome};
use crate::domain::{
    AccessLevel, AuthMethodName, Binding, BindingId, BindingTarget, Component, ComponentId, ComponentLink, Conditions,
    Connector, ConnectorId, ConnectorTypeName, Downscope, EnforcedScope, Issuance, IssuanceId, IssuanceState,
    IssuerKeyFacts, IssuerKeyId, KekId, Labels, ManualClock, MintPolicy, Name, PageAsk, Principal, PrincipalId,
    PrincipalKind, Project, ProjectId, RequestId, Requirement, ResourceId, ResourceTypeName, Revocable, Role, Run,
    RunId, SecretFacts, SecretFieldName, Stack, StackId, Timestamp, TokenDigest, TokenId, TokenRecord, Verification,
    VerificationState, Version,
};
use crate::sealing::{KekState, Sealed, SealedCredential, SealedIssuerKey, WrappedKek};
use crate::store::{Committed, Remembered, Store, StoreError, Tx, Write};

use super::Subject;

/// When every test begins.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// What is in every sealed field, to look for it in files.
pub(crate) const CANARY: &[u8] = b"canary-7f3e9c-sealed-bytes";

/// A store with two projects, each with an owner.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) here: ProjectId,
    pub(crate) there: ProjectId,
    pub(crate) owner: PrincipalId,
    _keep: Box<dyn std::any::Any + Send + Sync>,
}

/// Sixteen bytes that show the noun and the number.
pub(crate) fn bytes(noun: u8, number: u64) -> [u8; 16] {
    let mut bytes = [noun; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::parse(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).unwrap()
}

pub(crate) fn first(size: u32) -> PageAsk {
    PageAsk { size, after: None }
}

pub(crate) fn line(method: &str) -> Line {
    let mut line = Line::about(method, LineKind::Single, Outcome::Ok);
    line.at = NOW;
    line
}

pub(crate) fn sealed(version: u64) -> SealedCredential {
    let field = |text: &str, byte: u8| {
        let mut bytes = CANARY.to_vec();
        bytes.push(byte);
        (SecretFieldName::parse(text).unwrap(), Sealed::from_stored(bytes))
    };
    SealedCredential { secret_version: version, fields: vec![field("z_key", 1), field("a_id", 2)] }
}

pub(crate) fn connector(project: ProjectId, number: u64, named: &str) -> Connector {
    Connector {
        id: ConnectorId::from_bytes(bytes(project.as_bytes()[0] + 1, number)),
        project,
        name: name(named),
        connector_type: ConnectorTypeName::parse("aws").unwrap(),
        auth_method: AuthMethodName::parse("iam-role").unwrap(),
        resource_type: None,
        resource_id: None,
        settings: "{\"region\":\"eu-central-1\"}".to_owned(),
        description: "for tests; it's \"quoted\" \u{1f511}".to_owned(),
        labels: Labels::default(),
        policy: MintPolicy::default(),
        verification: Verification {
            state: VerificationState::Unverified,
            checked_at: NOW,
            reason: String::new(),
            identity: String::new(),
            reach: Vec::new(),
        },
        secret: SecretFacts {
            lineage: 1,
            fields: vec![SecretFieldName::parse("z_key").unwrap()],
            version: 1,
            created_at: NOW,
            expires_at: None,
            own_end: None,
            skew_tolerance: 0,
            fingerprint: "f".to_owned(),
            key_fingerprint: None,
            rotation: None,
        },
        created_by: PrincipalId::from_bytes(bytes(3, 1)),
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    }
}

pub(crate) fn component(project: ProjectId, number: u64, named: &str, link: Option<ConnectorId>) -> Component {
    let resource_type = ResourceTypeName::parse("s3-bucket").unwrap();
    Component {
        id: ComponentId::from_bytes(bytes(project.as_bytes()[0] + 2, number)),
        project,
        name: name(named),
        component_type: name("artifact-store"),
        flavor: Some(name("s3")),
        requirement: Requirement { connector_type: None, resource_type: resource_type.clone(), resource_id: None },
        link: link.map(|connector| ComponentLink {
            connector,
            resource_type,
            resource_id: ResourceId::canonical("s3://data").unwrap(),
            access_max: AccessLevel::Write,
        }),
        description: String::new(),
        labels: Labels::default(),
        created_by: PrincipalId::from_bytes(bytes(3, 1)),
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    }
}

pub(crate) fn stack(project: ProjectId, number: u64, named: &str, components: Vec<ComponentId>) -> Stack {
    Stack {
        id: StackId::from_bytes(bytes(project.as_bytes()[0] + 4, number)),
        project,
        name: name(named),
        components,
        description: String::new(),
        labels: Labels::default(),
        created_by: PrincipalId::from_bytes(bytes(3, 1)),
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    }
}

pub(crate) fn principal(project: ProjectId, number: u64, named: &str) -> Principal {
    Principal {
        id: PrincipalId::from_bytes(bytes(project.as_bytes()[0] + 3, number)),
        project,
        name: name(named),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: NOW,
    }
}

pub(crate) fn token(project: ProjectId, principal: PrincipalId, number: u64) -> TokenRecord {
    TokenRecord {
        id: TokenId(format!("{}{number:05}xxxxxxxxxxxxxxxx", char::from(b'A' + project.as_bytes()[0] % 26))),
        project,
        principal,
        digest: TokenDigest([7; 32]),
        description: "laptop".to_owned(),
        created_at: NOW,
        expires_at: Timestamp::from_seconds(NOW.seconds() + 3600),
        created_by: Some(principal),
        run: None,
    }
}

/// A run that began now and its token, which lives for half an hour of it.
pub(crate) fn run(project: ProjectId, principal: PrincipalId, number: u64, named: &str) -> (Run, TokenRecord) {
    let after = |seconds: i64| Timestamp::from_seconds(NOW.seconds() + seconds);
    let id = RunId::from_bytes(bytes(project.as_bytes()[0] + 8, number));
    let token = TokenRecord { expires_at: after(1800), run: Some(id), ..token(project, principal, 50_000 + number) };
    let run = Run {
        id,
        project,
        name: name(named),
        stack: StackId::from_bytes(bytes(project.as_bytes()[0] + 4, 1)),
        stack_name: name("stack"),
        principal,
        principal_name: name("ada"),
        token: token.id.clone(),
        token_expires_at: token.expires_at,
        started_at: NOW,
        ends_at: after(3600),
        finished_at: None,
    };
    (run, token)
}

pub(crate) fn binding(project: ProjectId, number: u64, principal: PrincipalId, role: Role) -> Binding {
    Binding {
        id: BindingId::from_bytes(bytes(project.as_bytes()[0] + 5, number)),
        project,
        principal,
        role,
        target: BindingTarget::Project,
        conditions: Conditions::default(),
        created_by: None,
        created_at: NOW,
    }
}

pub(crate) fn issuance(project: ProjectId, number: u64, connector: ConnectorId, principal: PrincipalId) -> Issuance {
    Issuance {
        id: IssuanceId::from_bytes(bytes(project.as_bytes()[0] + 6, number)),
        project,
        connector,
        connector_name: name("c"),
        component: None,
        principal,
        principal_name: name("p"),
        run: None,
        resource_type: ResourceTypeName::parse("s3-bucket").unwrap(),
        resource_id: ResourceId::canonical("s3://data").unwrap(),
        access: AccessLevel::Read,
        enforced: EnforcedScope { words: "s3://data read".to_owned(), downscope: Downscope::Resource },
        revocable: Revocable::No,
        passthrough: false,
        destination: None,
        issued_at: NOW,
        expires_at: Timestamp::from_seconds(NOW.seconds() + 3600),
        fingerprint: "f".to_owned(),
        state: IssuanceState::Active,
        ended_at: None,
    }
}

/// A key of the issuer that waits for its turn.
pub(crate) fn issuer_key(letter: char) -> SealedIssuerKey {
    let id = IssuerKeyId::parse(&letter.to_string().repeat(43)).unwrap();
    let facts = IssuerKeyFacts { id, created_at: NOW, activated_at: None, retired_at: None };
    SealedIssuerKey { facts, sealed: Sealed::from_stored(CANARY.to_vec()) }
}

pub(crate) fn kek(project: ProjectId, number: u64) -> WrappedKek {
    WrappedKek {
        id: KekId::from_bytes(bytes(project.as_bytes()[0] + 7, number)),
        project,
        state: KekState::Active,
        created_at: NOW,
        sealed: Sealed::from_stored(vec![1, 2, 3]),
    }
}

pub(crate) fn request(number: u64) -> RequestId {
    RequestId::from_bytes(bytes(0xee, number))
}

impl World {
    pub(crate) async fn new(subject: Subject) -> Self {
        let (here, there) = (ProjectId::from_bytes([0x10; 16]), ProjectId::from_bytes([0x40; 16]));
        let owner = principal(here, 0, "owner").id;
        let world = Self { store: subject.store, clock: subject.clock, here, there, owner, _keep: subject.keep };
        for (project, named) in [(here, "here"), (there, "there")] {
            let owner = principal(project, 0, "owner");
            let crown = binding(project, 0, owner.id, Role::Owner);
            world
                .write(Write::InsertProject(Project { id: project, name: name(named), created_at: NOW }))
                .await
                .unwrap();
            world.write(Write::InsertPrincipal(owner)).await.unwrap();
            world.write(Write::InsertBinding(crown)).await.unwrap();
        }
        world
    }

    /// One write with its line.
    pub(crate) async fn write(&self, write: Write) -> Result<Committed, StoreError> {
        self.store.commit(Tx::with_line(line("/write")).write(write)).await
    }

    pub(crate) async fn add_connector(&self, connector: &Connector) {
        let write = Write::InsertConnector { connector: connector.clone(), sealed: sealed(1) };
        self.write(write).await.unwrap();
    }

    /// One of everything in a project, numbered 1.
    pub(crate) async fn furnish(&self, project: ProjectId) -> Furniture {
        let connector = connector(project, 1, "source");
        let component = component(project, 1, "store", Some(connector.id));
        let stack = stack(project, 1, "stack", vec![component.id]);
        let principal = principal(project, 1, "ada");
        let token = token(project, principal.id, 1);
        let binding = binding(project, 1, principal.id, Role::DataScientist);
        let issuance = issuance(project, 1, connector.id, principal.id);
        self.add_connector(&connector).await;
        for write in [
            Write::InsertComponent(component.clone()),
            Write::InsertStack(stack.clone()),
            Write::InsertPrincipal(principal.clone()),
            Write::InsertToken(token.clone()),
            Write::InsertBinding(binding.clone()),
            Write::InsertIssuance(issuance.clone()),
        ] {
            self.write(write).await.unwrap();
        }
        Furniture { connector, component, stack, principal, token, binding, issuance }
    }

    pub(crate) fn answer(&self, number: u64, body: u8) -> Remembered {
        Remembered {
            project: self.here,
            principal: self.owner,
            request_id: request(number),
            body_digest: [body; 32],
            response: vec![body],
            at: NOW,
        }
    }
}

pub(crate) struct Furniture {
    pub(crate) connector: Connector,
    pub(crate) component: Component,
    pub(crate) stack: Stack,
    pub(crate) principal: Principal,
    pub(crate) token: TokenRecord,
    pub(crate) binding: Binding,
    pub(crate) issuance: Issuance,
}

/// Details with every kind of character that a stored form could trip over.
pub(crate) fn rich_line() -> Line {
    let mut details = BTreeMap::new();
    details.insert("words".to_owned(), crate::audit::Detail::new("a\n\u{1b}[31m\"b\" \u{202e}"));
    Line { details, reason: crate::audit::Reason::new("SAID"), count: 3, uptime_ms: u64::MAX, ..line("/rich") }
}

//! What people are shown, in terminals of 60 and of 80 columns: no line is
//! longer, unless a word is, and what is there to be copied is whole.

use std::collections::BTreeMap;

use crate::proto;

use super::golden::{at, s};
use super::output::{Page, Record, Row};

const ID: &str = "5d1c0f8e-0000-4000-8000-000000000009";
const ARN: &str = "arn:aws:iam::123456789012:role/machine-learning/training-and-serving";
const URL: &str = "https://sts.eu-west-1.vpce-0123456789abcdef0.amazonaws.com:8443/path/of/it";
const PLACE: &str = "s3://datasets-of-the-whole-department/train/images/2026";

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(s("team"), s("machine-learning")), (s("cost-centre"), s("4711"))])
}

/// No line is longer than the terminal but for one long word, and each of
/// `whole` stands on one line, or an id's prefix does.
fn check(text: &str, columns: u16, whole: &[&str]) {
    for line in text.lines() {
        let long = line.chars().count() > usize::from(columns);
        assert!(!long || !line.trim().contains(' '), "{columns} columns:\n{text}");
    }
    for word in whole {
        let prefix = if *word == ID { &ID[..8] } else { word };
        assert!(text.lines().any(|line| line.contains(prefix)), "{word} is broken in {columns} columns:\n{text}");
    }
}

fn record(view: &impl Record, whole: &[&str]) {
    for columns in [60, 80] {
        let page = Page::default();
        page.terminal(columns).record(view).unwrap();
        check(&page.text(), columns, whole);
    }
}

fn list<V: Row>(views: &[V], whole: &[&str]) {
    for columns in [60, 80] {
        let page = Page::default();
        page.terminal(columns).list(views).unwrap();
        check(&page.text(), columns, whole);
    }
}

fn connector() -> proto::Connector {
    proto::Connector {
        id: s(ID),
        project: s("default"),
        name: s("prod-s3-of-the-department"),
        connector_type: s("aws"),
        auth_method: s("iam-role"),
        resource_type: s("s3-bucket"),
        resource_id: s(PLACE),
        settings: format!(r#"{{"endpoint_url":"{URL}","region":"eu-west-1","role_arn":"{ARN}"}}"#),
        labels: labels(),
        mint_policy: Some(proto::MintPolicy {
            resource_patterns: vec![format!("{PLACE}/**"), s("s3://other/**")],
            access_max: 1,
            ttl_max_seconds: 3600,
            ..Default::default()
        }),
        verification: Some(proto::Verification {
            state: s("verified"),
            checked_at: at(1),
            identity: s(ARN),
            reach: vec![proto::ResourceTypeReach {
                resource_type: s("s3-bucket"),
                resource_ids: vec![s(PLACE), s("s3://other")],
                missing_permissions: vec![s("s3:ListAllMyBuckets")],
                remedy: s("allow s3:ListAllMyBuckets, or name the buckets of this connector one by one"),
                ..Default::default()
            }],
            ..Default::default()
        }),
        secret_fields_set: vec![s("aws_access_key_id"), s("aws_secret_access_key")],
        secret_version: 2,
        secret_created_at: at(0),
        secret_expires_at: at(90),
        secret_fingerprint: s("9f86d081884c7d65"),
        created_by: s("carol"),
        created_at: at(0),
        updated_at: at(2),
        etag: s("\"3\""),
        warnings: vec![s("ends soon: the source credential ends in 3 days; hand in another with rotate-secret")],
        ..Default::default()
    }
}

#[test]
fn connectors_fit() {
    use super::connector::{ConnectorView, ReachView};
    let whole = [ID, ARN, URL, PLACE, "\"3\""];
    record(&ConnectorView::from(connector()), &whole);
    list(&[ConnectorView::from(connector())], &[ID, "prod-s3-of-the-department"]);
    list(&connector().verification.unwrap().reach.into_iter().map(ReachView::from).collect::<Vec<_>>(), &[PLACE]);
    let rotated = proto::RotateConnectorSecretResponse {
        connector: Some(connector()),
        made_key_id: s("AKIA0123456789ABCDEF"),
        deleted_key_ids: vec![s("AKIA0000000000000000")],
    };
    record(&super::connector::RotatedView::from(rotated), &[ID, ARN, "AKIA0123456789ABCDEF"]);
}

fn stack_component() -> proto::StackComponent {
    proto::StackComponent { id: s(ID), name: s("artifacts-of-training"), component_type: s("artifact-store") }
}

#[test]
fn components_stacks_and_runs_fit() {
    use super::{component::ComponentView, run::RunView, stack::StackView};
    let component = || proto::Component {
        id: s(ID),
        project: s("default"),
        name: s("artifacts-of-training"),
        component_type: s("artifact-store"),
        flavor: s("s3"),
        requirement: Some(proto::ConnectorRequirement { resource_type: s("s3-bucket"), ..Default::default() }),
        link: Some(proto::ComponentLink {
            connector_id: s(ID),
            connector_name: s("prod-s3-of-the-department"),
            resource_type: s("s3-bucket"),
            resource_id: s(PLACE),
            access_max: 2,
        }),
        labels: labels(),
        created_by: s("carol"),
        created_at: at(0),
        updated_at: at(1),
        etag: s("\"1\""),
        ..Default::default()
    };
    record(&ComponentView::from(component()), &[ID, PLACE]);
    list(&[ComponentView::from(component())], &[ID, PLACE]);
    let stack = || proto::Stack {
        id: s(ID),
        project: s("default"),
        name: s("prod"),
        components: vec![stack_component(), stack_component(), stack_component()],
        labels: labels(),
        created_at: at(0),
        ..Default::default()
    };
    record(&StackView::from(stack()), &[ID]);
    list(&[StackView::from(stack())], &[ID]);
    let run = || proto::Run {
        id: s(ID),
        project: s("default"),
        name: s("nightly-training-of-the-ranker"),
        stack_id: s(ID),
        stack: s("prod"),
        principal: s("bob"),
        state: s("running"),
        started_at: at(0),
        ends_at: at(86_400),
        token_expires_at: at(3600),
        finished_at: None,
    };
    record(&RunView::from(run()), &[ID]);
    list(&[RunView::from(run())], &[ID]);
}

fn binding() -> proto::Binding {
    proto::Binding {
        id: s(ID),
        project: s("default"),
        principal_id: s(ID),
        principal_name: s("training-pipeline-of-the-ranker"),
        role: s("data-scientist"),
        connector_id: s(ID),
        conditions: Some(proto::BindingConditions {
            resource_patterns: vec![format!("{PLACE}/**")],
            access_max: 1,
            ttl_max_seconds: 900,
            expires_at: at(60),
        }),
        created_by: s("owner"),
        created_at: at(0),
        ..Default::default()
    }
}

#[test]
fn people_and_rights_fit() {
    use super::{access::MintableView, binding::BindingView, principal::PrincipalView, role::RoleView};
    let principal = || proto::Principal {
        id: s(ID),
        name: s("training-pipeline-of-the-ranker"),
        kind: 2,
        description: s("what the nightly pipeline runs as, and nothing else does"),
        created_by: s("owner"),
        created_at: at(0),
    };
    record(&PrincipalView::from(principal()), &[ID]);
    list(&[PrincipalView::from(principal())], &[ID]);
    record(&BindingView::from(binding()), &[ID, PLACE]);
    list(&[BindingView::from(binding())], &[ID, PLACE]);
    let whoami = proto::WhoAmIResponse {
        principal: Some(principal()),
        bindings: vec![binding()],
        token_expires_at: at(86_400),
        run: None,
    };
    record(&super::whoami::WhoAmIView::from(whoami), &[ID]);
    let token = proto::Token {
        id: s("4f1c9a52d0b1e7c3"),
        principal: s("training-pipeline-of-the-ranker"),
        description: s("for the nightly pipeline"),
        created_at: at(0),
        expires_at: at(86_400),
        created_by: s("owner"),
    };
    list(&[super::token::TokenView::from(token)], &["4f1c9a52d0b1e7c3"]);
    let permissions = vec![s("connectors.list"), s("connectors.rotateSecret"), s("issuances.revokeAll")];
    list(&[RoleView::from(proto::Role { name: s("platform-engineer"), summary: s("Writes"), permissions })], &[]);
    let mintable = proto::Mintable {
        connector: s("prod-s3-of-the-department"),
        component: s("artifacts-of-training"),
        resource_type: s("s3-bucket"),
        resources: vec![s(PLACE)],
        access_max: 1,
        ttl_max_seconds: 3600,
        role: s("data-scientist"),
        command: s("valetkey mint --component artifacts-of-training"),
    };
    list(&[MintableView::from(mintable)], &[PLACE]);
}

#[test]
fn credentials_and_the_ledger_fit() {
    use super::{audit::AuditLineView, issuance::IssuanceView, issuance::RevokedView, mint::CredentialView};
    let scope = format!("{PLACE}/ read");
    let minted = proto::MintedCredential {
        issuance_id: s(ID),
        shape: Some(proto::minted_credential::Shape::SignedUrl(proto::SignedUrl { url: s(URL) })),
        expires_at: at(3600),
        refresh_at: at(2700),
        enforced_scope: scope.clone(),
        downscope: 3,
        revocable: 2,
        attribution: s("arn:aws:sts::123456789012:assumed-role/ml/vk-bob-5d1c0f8e-1a2b3c"),
        resource_id: s(PLACE),
        resource_type: s("s3-bucket"),
        access: 1,
        ttl_note: s("cut to 1h: the ceiling of the connector allows no more"),
        ..Default::default()
    };
    record(
        &CredentialView::from(minted),
        &[ID, PLACE, "arn:aws:sts::123456789012:assumed-role/ml/vk-bob-5d1c0f8e-1a2b3c"],
    );
    let issuance = || proto::Issuance {
        id: s(ID),
        connector_id: s(ID),
        connector_name: s("prod-s3-of-the-department"),
        principal: s("training-pipeline-of-the-ranker"),
        resource_id: s(PLACE),
        enforced_scope: scope.clone(),
        issued_at: at(0),
        expires_at: at(3600),
        state: s("active"),
        ..Default::default()
    };
    list(&[IssuanceView::from(issuance())], &[ID, PLACE]);
    let note = s("the cloud honours it until it ends; deny the role's sessions to end them all at once");
    list(&[RevokedView::from(proto::RevokedIssuance { issuance: Some(issuance()), note })], &[ID]);
    let line = proto::AuditLine {
        seq: 1_234_567,
        at: at(0),
        kind: s("result"),
        method: s("/valetkey.v1.CredentialService/MintCredential"),
        principal_name: s("training-pipeline-of-the-ranker"),
        run_id: s(ID),
        connector_id: s(ID),
        resource_id: s(PLACE),
        outcome: s("throttled"),
        reason: s("UPSTREAM_DEADLINE_EXCEEDED"),
        count: 3,
        details: labels(),
        ..Default::default()
    };
    list(&[AuditLineView::from(line)], &[ID, PLACE]);
}

#[test]
fn the_daemon_and_its_keys_fit() {
    let status = proto::GetStatusResponse {
        version: s("0.1.0"),
        started_at: at(0),
        store: s("sqlite 3.54.1"),
        clock_jump: Some(proto::ClockJump { expected: at(0), shown: at(86_400) }),
        ..Default::default()
    };
    record(&super::status::StatusView::from(status), &[]);
    let key = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let keys = proto::GetKeyStatusResponse {
        root_provider: s("passphrase"),
        algorithm: s("AES-256-GCM under HKDF-SHA-512 keys, committing"),
        root_key_id: s(ID),
        issuer_url: s(URL),
        ..Default::default()
    };
    record(&super::key::KeyStatusView::from(keys), &[ID, URL]);
    let issuer = proto::IssuerKey { id: s(key), state: s("active"), created_at: at(0), ..Default::default() };
    list(&[super::key::IssuerKeyView::from(issuer)], &[key]);
    let kek = proto::ProjectKey { id: s(ID), project: s("default"), state: s("active"), ..Default::default() };
    list(&[super::key::ProjectKeyView::from(kek)], &[ID]);
}

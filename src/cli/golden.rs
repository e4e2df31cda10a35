//! What a person reviews as a table: the help of every command and the JSON of
//! every view. `VALETKEY_BLESS=1` writes the files anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use serde::Serialize;

use crate::proto::{self, minted_credential::Shape};

use super::args::CommandLine;
use super::output::{Form, Page};

pub(super) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 1_767_225_600 + seconds, nanos: 0 })
}

pub(super) fn s(text: &str) -> String {
    text.to_owned()
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(s("team"), s("ml")), (s("tier"), s("gold"))])
}

#[allow(clippy::disallowed_methods, reason = "only config reads the environment; this is a switch of the tests")]
fn check(file: &str, text: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("VALETKEY_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{file} is out of date; look at the change, then run with VALETKEY_BLESS=1:\n{text}");
}

fn check_view<P, V: Serialize + From<P>>(file: &str, message: P) {
    let page = Page::default();
    let text = serde_json::to_value(V::from(message)).unwrap();
    page.output(Form::Json).write(&format!("{text:#}\n")).unwrap();
    check(&format!("cli_json/{file}.json"), &page.text());
}

/// The help of a command and of all below it. Global options are shown once,
/// at the top.
fn help(command: &Command, path: &str, text: &mut String) {
    let globals = |arg: clap::Arg| if arg.is_global_set() { arg.hide(true) } else { arg };
    let top = path.is_empty();
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    let mut shown = if top { command.clone() } else { command.clone().mut_args(globals) };
    text.push_str(&format!("=== {path}\n\n{}\n", shown.render_long_help().to_string().trim_end()));
    text.push('\n');
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        help(inner, &path, text);
    }
}

#[test]
fn every_command_has_the_reviewed_help() {
    let mut command = CommandLine::command().term_width(100);
    command.build();
    let mut text = String::new();
    help(&command, "", &mut text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    check("cli_help.txt", &format!("{}\n", lines.join("\n").trim_end()));
}

#[test]
fn every_verb_has_an_example() {
    fn look(command: &Command) {
        if command.get_name() == "help" {
            return;
        }
        if command.get_subcommands().next().is_some() {
            return command.get_subcommands().for_each(look);
        }
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains("Example"), "{} has no example", command.get_name());
    }
    look(&CommandLine::command());
}

#[test]
fn examples_of_the_help_parse() {
    fn look(command: &Command) {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let joined = after.replace("\\\n", " ");
        for line in joined.lines().filter_map(|line| line.strip_prefix("  valetkey ")) {
            let line = line.split(" < ").next().unwrap().split(" > ").next().unwrap();
            let line = line.split("   ").next().unwrap();
            if line.contains('\'') && line.contains(' ') && line.contains("Bob,") {
                continue; // quoting with blanks is the shell's
            }
            let words = line.split_whitespace().map(|word| word.trim_matches('\'').to_owned());
            let parsed = CommandLine::command().try_get_matches_from(std::iter::once(s("valetkey")).chain(words));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
        command.get_subcommands().for_each(look);
    }
    look(&CommandLine::command());
}

fn run() -> proto::Run {
    proto::Run {
        id: s("5d1c0f8e-0000-4000-8000-000000000009"),
        project: s("default"),
        name: s("nightly"),
        stack_id: s("5d1c0f8e-0000-4000-8000-000000000008"),
        stack: s("prod"),
        principal: s("bob"),
        state: s("running"),
        started_at: at(0),
        ends_at: at(86_400),
        token_expires_at: at(3600),
        finished_at: None,
    }
}

fn connector() -> proto::Connector {
    proto::Connector {
        id: s("5d1c0f8e-0000-4000-8000-000000000001"),
        project: s("default"),
        name: s("prod-s3"),
        connector_type: s("aws"),
        auth_method: s("iam-role"),
        resource_type: s("s3-bucket"),
        settings: s(r#"{"role_arn":"arn:aws:iam::123456789012:role/ml","region":"eu-west-1"}"#),
        labels: labels(),
        mint_policy: Some(proto::MintPolicy {
            resource_patterns: vec![s("s3://datasets/**")],
            access_max: 1,
            ttl_max_seconds: 3600,
            ..Default::default()
        }),
        verification: Some(proto::Verification {
            state: s("verified"),
            checked_at: at(1),
            identity: s("arn:aws:iam::123456789012:user/broker"),
            reach: vec![proto::ResourceTypeReach {
                resource_type: s("s3-bucket"),
                resource_ids: vec![s("s3://datasets")],
                missing_permissions: vec![s("s3:ListAllMyBuckets")],
                remedy: s("allow it"),
                ..Default::default()
            }],
            ..Default::default()
        }),
        secret_fields_set: vec![s("aws_access_key_id"), s("aws_secret_access_key")],
        secret_version: 2,
        secret_created_at: at(0),
        secret_fingerprint: s("9f86d081"),
        created_by: s("carol"),
        created_at: at(0),
        updated_at: at(2),
        etag: s("3"),
        warnings: vec![s("the source credential ends soon")],
        ..Default::default()
    }
}

fn binding() -> proto::Binding {
    proto::Binding {
        id: s("b1"),
        project: s("default"),
        principal_id: s("p1"),
        principal_name: s("bob"),
        role: s("data-scientist"),
        connector_id: s("c1"),
        conditions: Some(proto::BindingConditions {
            resource_patterns: vec![s("s3://datasets/**")],
            access_max: 1,
            ttl_max_seconds: 900,
            expires_at: at(60),
        }),
        created_by: s("owner"),
        created_at: at(0),
        ..Default::default()
    }
}

fn principal() -> proto::Principal {
    let created_by = s("owner");
    proto::Principal { id: s("p1"), name: s("bob"), kind: 1, created_by, created_at: at(0), ..Default::default() }
}

fn minted(shape: Shape) -> proto::MintedCredential {
    proto::MintedCredential {
        issuance_id: s("i1"),
        shape: Some(shape),
        expires_at: at(3600),
        refresh_at: at(2700),
        enforced_scope: s("s3://datasets/train/ read"),
        downscope: 3,
        revocable: 2,
        attribution: s("session bob"),
        resource_id: s("s3://datasets/train"),
        resource_type: s("s3-bucket"),
        access: 1,
        ttl_note: s("cut to 1h: the ceiling"),
        ..Default::default()
    }
}

#[test]
fn views_of_connectors_are_stable() {
    check_view::<_, super::connector::ConnectorView>("connector", connector());
    let reach = connector().verification.unwrap().reach.remove(0);
    check_view::<_, super::connector::ReachView>("reach", reach);
    let rotated = proto::RotateConnectorSecretResponse {
        connector: Some(connector()),
        made_key_id: s("AKIA2"),
        deleted_key_ids: vec![s("AKIA1")],
    };
    check_view::<_, super::connector::RotatedView>("connector_rotated", rotated);
    let method = proto::AuthMethod {
        name: s("iam-role"),
        summary: s("Assume a role"),
        ttl_min_seconds: 900,
        ttl_default_seconds: 3600,
        ttl_max_seconds: 43_200,
        settings_schema: s(r#"{"type":"object"}"#),
        secret_fields: vec![proto::SecretFieldSpec { name: s("key"), summary: s("The key"), required: true }],
        rotates: true,
        aliases: Vec::new(),
    };
    let resource = proto::ResourceType {
        name: s("s3-bucket"),
        summary: s("A bucket"),
        id_form: s("s3://BUCKET[/PREFIX]"),
        many: true,
        access_levels: vec![s("get"), s("put"), s("all")],
        parameters: vec![proto::ParameterSpec { name: s("audience"), summary: s("For whom") }],
    };
    let kind = proto::ConnectorType {
        name: s("aws"),
        summary: s("Amazon Web Services"),
        auth_methods: vec![method],
        resource_types: vec![resource],
    };
    check_view::<_, super::connector_type::TypeView>("connector_type", kind);
}

#[test]
fn views_of_components_and_stacks_are_stable() {
    let component = proto::Component {
        id: s("k1"),
        project: s("default"),
        name: s("artifacts"),
        component_type: s("artifact-store"),
        flavor: s("s3"),
        requirement: Some(proto::ConnectorRequirement { resource_type: s("s3-bucket"), ..Default::default() }),
        link: Some(proto::ComponentLink {
            connector_id: s("c1"),
            connector_name: s("prod-s3"),
            resource_type: s("s3-bucket"),
            resource_id: s("s3://datasets/train"),
            access_max: 2,
        }),
        labels: labels(),
        created_by: s("carol"),
        created_at: at(0),
        updated_at: at(1),
        etag: s("1"),
        ..Default::default()
    };
    check_view::<_, super::component::ComponentView>("component", component);
    let part = proto::StackComponent { id: s("k1"), name: s("artifacts"), component_type: s("artifact-store") };
    let stack = proto::Stack {
        id: s("t1"),
        project: s("default"),
        name: s("prod"),
        components: vec![part],
        created_at: at(0),
        etag: s("1"),
        ..Default::default()
    };
    check_view::<_, super::stack::StackView>("stack", stack);
}

#[test]
fn views_of_credentials_are_stable() {
    let aws = proto::AwsSession {
        access_key_id: s("ASIA1"),
        secret_access_key: s("S"),
        session_token: s("T"),
        region: s("eu-west-1"),
        endpoint_url: s("http://127.0.0.1:8333"),
    };
    check_view::<_, super::mint::CredentialView>("credential_aws_session", minted(Shape::AwsSession(aws)));
    let bearer = proto::BearerToken { token: s("k8s"), endpoint: s("https://k8s"), ..Default::default() };
    check_view::<_, super::mint::CredentialView>("credential_bearer_token", minted(Shape::BearerToken(bearer)));
    let basic = proto::BasicLogin { username: s("AWS"), password: s("p"), endpoint: s("registry") };
    check_view::<_, super::mint::CredentialView>("credential_basic_login", minted(Shape::BasicLogin(basic)));
    let session = proto::SigningSession {
        public_key: s("ssh-ed25519 AAAA"),
        username: s("trainer"),
        host: s("gpu1.example.com"),
        host_keys: vec![s("ssh-ed25519 BBBB")],
    };
    let session = minted(Shape::SigningSession(session));
    check_view::<_, super::mint::CredentialView>("credential_signing_session", session);
    let certificate = s("ssh-ed25519-cert-v01@openssh.com AAAA vk-bob-0");
    let certificate = minted(Shape::SshCertificate(proto::SshCertificate { certificate }));
    check_view::<_, super::mint::CredentialView>("credential_ssh_certificate", certificate);
    let url = s("https://mldata.blob.core.windows.net/datasets?sv=2022-11-02&sr=c&sp=rl&sig=S");
    let url = minted(Shape::SignedUrl(proto::SignedUrl { url }));
    check_view::<_, super::mint::CredentialView>("credential_signed_url", url);
    let client = proto::ClientCertificate {
        certificate: s("-----BEGIN CERTIFICATE-----"),
        private_key: s("-----BEGIN PRIVATE KEY-----"),
        certificate_authority: s("-----BEGIN CERTIFICATE-----"),
        endpoint: s("https://k8s"),
    };
    let client = minted(Shape::ClientCertificate(client));
    check_view::<_, super::mint::CredentialView>("credential_client_certificate", client);
    check_view::<_, super::issuance::IssuanceView>("issuance", issuance());
    let revoked = proto::RevokedIssuance { issuance: Some(issuance()), note: s("the cloud honours it until 1h") };
    check_view::<_, super::issuance::RevokedView>("revoked", revoked);
}

fn issuance() -> proto::Issuance {
    proto::Issuance {
        id: s("i1"),
        project: s("default"),
        connector_id: s("c1"),
        connector_name: s("prod-s3"),
        principal: s("bob"),
        resource_type: s("s3-bucket"),
        resource_id: s("s3://datasets/train"),
        access: 1,
        enforced_scope: s("s3://datasets/train/ read"),
        downscope: 3,
        revocable: 2,
        issued_at: at(0),
        expires_at: at(3600),
        fingerprint: s("9f86d081"),
        state: s("active"),
        ..Default::default()
    }
}

#[test]
fn views_of_people_and_rights_are_stable() {
    check_view::<_, super::principal::PrincipalView>("principal", principal());
    check_view::<_, super::binding::BindingView>("binding", binding());
    let whoami = proto::WhoAmIResponse {
        principal: Some(principal()),
        bindings: vec![binding()],
        token_expires_at: at(86_400),
        run: None,
    };
    check_view::<_, super::whoami::WhoAmIView>("whoami", whoami);
    check_view::<_, super::run::RunView>("run", run());
    let token = proto::Token {
        id: s("t1"),
        principal: s("bob"),
        created_at: at(0),
        expires_at: at(86_400),
        created_by: s("owner"),
        ..Default::default()
    };
    check_view::<_, super::token::TokenView>("token", token);
    let role = proto::Role { name: s("auditor"), summary: s("Reads"), permissions: vec![s("audit.read")] };
    check_view::<_, super::role::RoleView>("role", role);
    let mintable = proto::Mintable {
        connector: s("prod-s3"),
        component: s("artifacts"),
        resource_type: s("s3-bucket"),
        resources: vec![s("s3://datasets/train")],
        access_max: 1,
        ttl_max_seconds: 3600,
        role: s("data-scientist"),
        command: s("valetkey mint --component artifacts"),
    };
    check_view::<_, super::access::MintableView>("mintable", mintable);
}

#[test]
fn views_of_the_daemon_are_stable() {
    let line = proto::AuditLine {
        seq: 7,
        at: at(0),
        kind: s("result"),
        intent_seq: 6,
        method: s("valetkey.v1.CredentialService/MintCredential"),
        principal_name: s("bob"),
        outcome: s("denied"),
        reason: s("GRANT_MISSING"),
        count: 1,
        details: BTreeMap::from([(s("ttl"), s("3600"))]),
        hash: s("9f86d081"),
        ..Default::default()
    };
    check_view::<_, super::audit::AuditLineView>("audit_line", line);
    let status = proto::GetStatusResponse {
        version: s("0.1.0"),
        started_at: at(0),
        revision: 9,
        ledger_seq: 12,
        store: s("sqlite 3.54.1"),
        schema_version: 1,
        cached_credentials: 2,
        ledger_writable: true,
        clock_jump: Some(proto::ClockJump { expected: at(0), shown: at(86_400) }),
    };
    check_view::<_, super::status::StatusView>("status", status);
    let key = proto::ProjectKey {
        id: s("kek1"),
        project: s("default"),
        state: s("active"),
        created_at: at(0),
        sealed_values: 3,
    };
    let keys = proto::GetKeyStatusResponse {
        root_provider: s("file"),
        algorithm: s("AES-256-GCM"),
        root_key_id: s("root1"),
        keys: vec![key],
        issuer_url: s("https://id.example.com"),
        issuer_keys: vec![proto::IssuerKey {
            id: s("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            state: s("active"),
            created_at: at(0),
            activated_at: at(0),
            retired_at: None,
        }],
        locked_in_memory: true,
    };
    check_view::<_, super::key::KeyStatusView>("key_status", keys);
}

//! The whole matrix role x RPC x kind of binding, as a table for people:
//! `tests/golden/rbac_matrix.txt`.

use std::fmt::Write as _;

use crate::authz::{METHOD_RULES, RUN_PERMISSIONS};
use crate::domain::{PrincipalId, PrincipalKind};

use super::*;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rbac_matrix.txt");
const HEAD: &str = "\
# Who may call what. A cell says by which binding a role is allowed the RPC:
#   P  bound on the project
#   C  bound on the connector that the call is about
#   K  bound on the component that the call is about or goes through
#   .  not by this binding
# `self` is what every authenticated principal may do about itself.
# It is made with what the daemon puts before the decision, and `coverage` asks
# a real daemon about every cell, those that allow and those that do not.
# Not shown: a platform engineer mints by no project-wide binding of another
# role either, and is no owner; patterns, access levels, lifetimes and ends
# narrow a binding.
# `tokens.own` is the same, but not from within a run.
# Changed on purpose? VALETKEY_BLESS=1 cargo nextest run --lib authz::
";

const CONNECTOR: ConnectorId = ConnectorId::from_bytes([1; 16]);
const COMPONENT: ComponentId = ComponentId::from_bytes([2; 16]);
const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn allows(role: Role, target: BindingTarget, permission: Permission) -> bool {
    let (id, project) = (PrincipalId::from_bytes([3; 16]), ProjectId::from_bytes([4; 16]));
    let principal = Principal {
        id,
        project,
        name: "ada".parse().unwrap(),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: NOW,
    };
    let binding = Binding {
        id: BindingId::from_bytes([5; 16]),
        project,
        principal: id,
        role,
        target,
        conditions: Conditions::default(),
        created_by: None,
        created_at: NOW,
    };
    let subject = Subject { principal: Arc::new(principal), bindings: Arc::new([binding]), run: None };
    let resource = ResourceId::canonical("s3://data").unwrap();
    let wish = Some(MintWish { resource: &resource, access: AccessLevel::Read });
    let target = Target::about(permission, project, Some(CONNECTOR), Some(COMPONENT));
    matches!(decide(&subject, &Question { permission, target, wish }, NOW), Decision::Allow(_))
}

fn cell(role: Role, permission: Permission) -> String {
    let by = |letter, target| if allows(role, target, permission) { letter } else { '.' };
    [
        by('P', BindingTarget::Project),
        by('C', BindingTarget::Connector(CONNECTOR)),
        by('K', BindingTarget::Component(COMPONENT)),
    ]
    .iter()
    .collect()
}

fn matrix() -> String {
    let mut text = HEAD.to_owned();
    let mut line = |method: &str, permission: &str, cells: [String; 5]| {
        let [owner, engineer, scientist, runner, auditor] = cells;
        let row =
            format!("{method:<42} {permission:<24} {owner:<6} {engineer:<18} {scientist:<15} {runner:<7} {auditor}");
        writeln!(text, "{}", row.trim_end()).unwrap();
    };
    line("", "", Role::ALL.map(|role| role.as_str().to_owned()));
    for rule in METHOD_RULES {
        let permission = Permission::parse(rule.permission).unwrap();
        let method = rule.path.trim_start_matches("/valetkey.v1.");
        line(method, rule.permission, Role::ALL.map(|role| cell(role, permission)));
    }
    // Permissions that refine a reply and open no RPC by themselves.
    for permission in Permission::ALL {
        if METHOD_RULES.iter().all(|rule| rule.permission != permission.as_str()) {
            line("(inside a reply or call)", permission.as_str(), Role::ALL.map(|role| cell(role, *permission)));
        }
    }
    let words: Vec<_> = RUN_PERMISSIONS.iter().map(|permission| permission.as_str()).collect();
    writeln!(text, "# A run is allowed what its starter is, of these, about its own stack and through its").unwrap();
    writeln!(text, "# components only: {}", words.join(", ")).unwrap();
    text
}

#[test]
#[allow(clippy::disallowed_methods, reason = "VALETKEY_BLESS=1 rewrites the golden file")]
fn the_matrix_is_the_committed_one() {
    let now = matrix();
    if std::env::var_os("VALETKEY_BLESS").is_some() {
        std::fs::write(PATH, &now).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    let differs = now.lines().filter(|line| !committed.lines().any(|old| old == *line)).collect::<Vec<_>>().join("\n");
    assert!(
        now == committed,
        "the matrix changed; if that is meant, run `VALETKEY_BLESS=1 cargo nextest run --lib authz::` and review \
         tests/golden/rbac_matrix.txt. New lines:\n{differs}"
    );
}

#[test]
fn roles_keep_apart_what_must_be_apart() {
    let has = |role, permission| permissions_of(role).contains(&permission);
    for role in Role::ALL {
        let writes = [
            Permission::ConnectorsRegister,
            Permission::ConnectorsUpdate,
            Permission::ConnectorsRotateSecret,
            Permission::ConnectorsVerify,
            Permission::ConnectorsDelete,
        ];
        for write in writes {
            assert_eq!(has(role, write), role == Role::PlatformEngineer, "{role} {write}");
        }
        let mints = matches!(role, Role::DataScientist | Role::Runner);
        assert_eq!(has(role, Permission::CredentialsMint), mints, "{role}");
        assert_eq!(has(role, Permission::BindingsCreate), role == Role::Owner, "{role}");
        assert!(permissions_of(role).is_sorted(), "{role}");
    }
}

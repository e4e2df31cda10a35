//! Three tests that walk every method of every service, so that a new RPC cannot be forgotten: nobody gets in without
//! a token, nobody gets further than its role, and every call is in the ledger. `coverage_roles` has every cell of the
//! matrix.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tonic::metadata::MetadataMap;
use valetkey::authz::{METHOD_RULES, Permission, RunScope};
use valetkey::proto::DESCRIPTORS;

use crate::rig::calls::{RUN, World};
use crate::rig::cast::{empty, no_canary};
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{everything, reason};

/// The reviewed table of who may call what; `authz` keeps it true.
const MATRIX: &str = include_str!("../golden/rbac_matrix.txt");

/// The roles in the order of the table's columns, who holds them here, and by which letter of a cell.
pub const HOLDERS: [(&str, &str, usize); 5] = [
    ("owner", "owner", 0),
    ("platform-engineer", "alice", 0),
    ("data-scientist", "bob", 0),
    ("runner", "trainer", 2),
    ("auditor", "carol", 0),
];

#[test]
fn every_method_of_the_descriptors_has_a_rule_and_a_row_in_the_matrix() {
    let described = described_methods();
    let ruled: BTreeSet<String> = METHOD_RULES.iter().map(|rule| rule.path.to_owned()).collect();
    assert_eq!(described, ruled);
    let rows: BTreeSet<String> = matrix().into_keys().collect();
    assert_eq!(described, rows);
}

#[test]
fn a1_nobody_without_a_token_calls_anything_and_each_try_is_in_the_ledger() {
    let vault = Setup::new().with("limits", "failed_authentications_per_minute = 100000").start();
    let mut tokens = vec![None];
    tokens.extend(["", "Bearer ", "Bearer nonsense", "Basic b3duZXI6b3duZXI=", "bearer"].map(Some));
    let (mut said, mut calls) = (BTreeSet::new(), 0);
    for rule in METHOD_RULES {
        for token in &tokens {
            let mut metadata = MetadataMap::new();
            if let Some(token) = token {
                metadata.insert("authorization", token.parse().unwrap());
            }
            let answer = vault.run(vault.raw_with(metadata, rule.path, empty()));
            let status = answer.err().unwrap_or_else(|| panic!("{} let {token:?} in", rule.path));
            assert_eq!(status.code(), Code::Unauthenticated, "{} {token:?}: {status:?}", rule.path);
            said.insert((status.message().to_owned(), status.details().to_vec()));
            calls += 1;
        }
    }
    assert_eq!(said.len(), 1, "whoever is unknown is told one thing: {said:?}");
    vault.stop();
    let counted: BTreeMap<String, u64> = denials(&vault);
    for rule in METHOD_RULES {
        let counted = counted.get(rule.path.trim_start_matches('/')).copied().unwrap_or_default();
        assert_eq!(counted, tokens.len() as u64, "{} in the ledger", rule.path);
    }
    assert_eq!(counted.values().sum::<u64>(), calls);
}

#[test]
fn health_alone_needs_no_token() {
    let vault = Setup::new().start_empty();
    assert!(vault.run(vault.raw(None, "/grpc.health.v1.Health/Check", Vec::new())).is_ok());
    for path in ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/valetkey.v1.AccessService/Steal", "/"] {
        let status = vault.run(vault.raw(None, path, Vec::new())).unwrap_err();
        assert!(matches!(status.code(), Code::Unauthenticated | Code::Unimplemented), "{path}: {status:?}");
    }
}

#[test]
fn b2_no_role_calls_what_the_matrix_does_not_give_it_and_nothing_is_stored() {
    let vault = Setup::new().start();
    let world = World::new(&vault);
    let matrix = matrix();
    let before = vault.revision();
    let mut refusals = 0;
    for (column, (_, who, letter)) in HOLDERS.iter().enumerate() {
        for rule in METHOD_RULES {
            if matrix[rule.path][column].as_bytes()[*letter] != b'.' {
                continue;
            }
            refuse(&vault, world.request(rule.path), rule.path, who);
            refusals += 1;
        }
    }
    // Without any role there is nothing but what everyone may do about itself.
    for rule in METHOD_RULES.iter().filter(|rule| !matches!(rule.permission, "self" | "tokens.own")) {
        refuse(&vault, world.request(rule.path), rule.path, "stranger");
    }
    assert!(refusals > 60, "the matrix has more refusals than {refusals}");
    assert_eq!(vault.revision(), before, "a refused call changed something");
}

/// Case B8, for every method there is: the token of a run does what is on its list, and nothing else of what its
/// starter may.
#[test]
fn b8_a_run_calls_nothing_that_is_not_for_runs_and_nothing_is_stored() {
    let vault = Setup::new().start();
    let world = World::new(&vault);
    let before = vault.revision();
    let mut refusals = 0;
    for rule in METHOD_RULES.iter().filter(|rule| !RunScope::may(Permission::parse(rule.permission).unwrap())) {
        let answer = vault.run(vault.raw(Some(RUN), rule.path, world.request(rule.path)));
        let status = answer.err().unwrap_or_else(|| panic!("a run may call {}", rule.path));
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "OUTSIDE_RUN"), "{}", rule.path);
        no_canary(rule.path, &everything(&status));
        refusals += 1;
    }
    assert!(refusals > 30, "more is not for runs than {refusals}");
    assert_eq!(vault.revision(), before, "a refused call changed something");
    // And those of the list end with it.
    let finished = vault.run(vault.raw(Some(RUN), "/valetkey.v1.RunService/FinishRun", world.request("/FinishRun")));
    assert!(finished.is_ok(), "{finished:?}");
    for rule in METHOD_RULES {
        let answer = vault.run(vault.raw(Some(RUN), rule.path, world.request(rule.path)));
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated, "{} after the end", rule.path);
    }
}

/// This call of somebody is refused for want of a role, and tells nothing.
pub fn refuse(vault: &Vault, request: Vec<u8>, path: &'static str, who: &str) {
    let answer = vault.run(vault.raw(Some(who), path, request));
    let status = answer.err().unwrap_or_else(|| panic!("{who} may call {path}"));
    assert_eq!(status.code(), Code::PermissionDenied, "{who} {path}: {status:?}");
    assert_eq!(reason(&status), "GRANT_MISSING", "{who} {path}: {status:?}");
    no_canary(path, &everything(&status));
}

#[test]
fn g7_every_call_is_in_the_ledger_well_formed_or_not_and_the_auditor_sees_it() {
    let vault = Setup::new().start();
    let world = World::new(&vault);
    for rule in METHOD_RULES {
        let name = rule.path.trim_start_matches('/');
        for (kind, body) in [("well-formed", world.request(rule.path)), ("ill-formed", vec![0xff; 7])] {
            let before = lines_of(&vault, name).len();
            // Refused or not, done or not: all the same to the ledger.
            let answer = vault.run(vault.raw(Some("stranger"), rule.path, body));
            let mut lines = lines_of(&vault, name);
            assert!(lines.len() > before, "a {kind} call of {name} left no line");
            if kind == "ill-formed" {
                let status = answer.err().unwrap_or_else(|| panic!("{name} took bytes that are no message"));
                assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status:?}");
                let line = lines.pop().unwrap();
                assert_eq!((line.outcome.as_str(), line.reason.as_str()), ("malformed", "BODY_MALFORMED"), "{name}");
            }
        }
    }
}

/// The lines that the auditor sees of a method called by the stranger, oldest first.
fn lines_of(vault: &Vault, method: &str) -> Vec<valetkey::proto::AuditLine> {
    let ask = valetkey::proto::ListAuditLinesRequest {
        page_size: 1000,
        principal: "stranger".to_owned(),
        ..Default::default()
    };
    let mut lines = vault.run(vault.audit("carol").list_audit_lines(ask)).unwrap().into_inner().lines;
    lines.retain(|line| line.method.trim_start_matches('/') == method);
    lines.reverse();
    lines
}

/// Refused calls by method, those that were counted in one line included.
fn denials(vault: &Vault) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for line in vault.ledger().iter().filter(|line| line["outcome"] == "denied" && line["principal"].is_null()) {
        let method = line["method"].as_str().unwrap().trim_start_matches('/').to_owned();
        *counted.entry(method).or_default() += line["count"].as_u64().unwrap_or(1);
    }
    counted
}

fn described_methods() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("the descriptors decode");
    let mut methods = BTreeSet::new();
    for file in set.file.iter().filter(|file| file.package() == "valetkey.v1") {
        for service in &file.service {
            for method in &service.method {
                methods.insert(format!("/valetkey.v1.{}/{}", service.name(), method.name()));
            }
        }
    }
    methods
}

/// The cells of each RPC, in the order of the columns.
pub fn matrix() -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for line in MATRIX.lines().filter(|line| !line.starts_with('#') && line.contains("Service/")) {
        let mut words = line.split_whitespace();
        let rpc = words.next().unwrap();
        let cells: Vec<String> = words.skip(1).map(str::to_owned).collect();
        assert_eq!(cells.len(), HOLDERS.len(), "{line}");
        rows.insert(format!("/valetkey.v1.{rpc}"), cells);
    }
    rows
}

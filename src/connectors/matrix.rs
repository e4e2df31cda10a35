//! The table of what is minted: every type, method, resource type and access
//! level of the catalog, walked with the examples of the schemas.
//!
//! A golden file for a person to review, and a shorter one in the README, both
//! written by `VALETKEY_BLESS=1`. A new type is in it by its line in CATALOG.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::conformance::{EXAMPLES, example};
use super::workbench::Always;
use super::*;
use crate::domain::{AccessLevel, ResourceId, ResourceTypeName, ShapeName, Timestamp, Ttl};

const GOLDEN: &str = "tests/golden/connector_matrix.txt";
const README: &str = "README.md";
const BEGIN: &str = "<!-- connector matrix: written by VALETKEY_BLESS=1 cargo nextest run --lib matrix -->";
const END: &str = "<!-- end of the connector matrix -->";
/// When everything is asked, and when what was handed in ends.
const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);
const SOON: Timestamp = Timestamp::from_seconds(1_767_229_200);

/// Parameters that an ask may need, by name: an ask with those that a resource
/// type describes is tried where one without is refused.
const PARAMETERS: &[(&str, &str)] = &[
    ("public_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"),
    ("principals", "ml"),
    ("principal", "ml"),
    ("username", "ml"),
    ("audience", "https://management.azure.com"),
    ("scope", "read"),
    ("token", "aad"),
    ("namespace", "ml"),
    ("service_account", "trainer"),
];

/// Settings of a method under which more is served than under the required
/// ones alone: named here where the schema's examples are not enough.
const MORE_SETTINGS: &[(&str, &str, &str)] = &[
    ("azure", "service-principal", AZURE),
    ("azure", "access-token", AZURE),
    ("azure", "implicit", AZURE),
    ("kubernetes", "token", ACCOUNTS),
    ("kubernetes", "password", ACCOUNTS),
];
const AZURE: &str = r#"{"subscription_id":"0b1f6471-1bf0-4dda-aec3-cb9272f09590"}"#;
const ACCOUNTS: &str = r#"{"service_accounts":{"read":"ml/reader","write":"ml/writer","admin":"ml/admin"}}"#;

/// One row of the long table.
pub(super) struct Cell {
    pub kind: &'static str,
    pub method: &'static MethodDescription,
    pub resource: &'static str,
    pub access: AccessLevel,
    pub minted: Result<Minting, String>,
}

/// What one ask comes to.
pub(super) struct Minting {
    pub ask: Ask,
    pub shape: ShapeName,
    pub enforced: crate::domain::EnforcedScope,
    /// With what was handed in ending within the hour, and never.
    pub passthrough: (bool, bool),
    ttl: crate::domain::TtlRange,
    obeys_ttl: bool,
}

/// Settings under which a method serves as much as it can.
pub(super) fn settings_of(kind: &dyn AnyConnectorType, method: &MethodDescription) -> CheckedSettings {
    let name = AuthMethodName::parse(method.name).expect("a method is a word");
    let mut settings = example(&method.settings_schema);
    let more = MORE_SETTINGS.iter().find(|(k, m, _)| (*k, *m) == (kind.description().name, method.name));
    if let Some((_, _, json)) = more {
        let more: Map<String, Value> = serde_json::from_str(json).expect("more settings are a JSON object");
        settings.as_object_mut().expect("settings are an object").extend(more);
    }
    let checked = kind.parse_settings(&name, &settings.to_string()).expect("the schema's own examples are taken");
    kind.complete(&checked.json, &Always(7)).expect("they can be completed")
}

fn ask(resource: &ResourceDescription, id: &str, access: AccessLevel, parameters: BTreeMap<String, String>) -> Ask {
    let resource_type = ResourceTypeName::parse(resource.name).expect("a resource type is a word");
    let resource = ResourceId::canonical(id).expect("an example is canonical");
    Ask { resource_type, resource, access, parameters }
}

/// The most that is narrowed for any of the example ids: the longest one that
/// is served.
fn minting(
    kind: &dyn AnyConnectorType,
    settings: &CheckedSettings,
    resource: &ResourceDescription,
    access: AccessLevel,
) -> Result<Minting, String> {
    let row = EXAMPLES.iter().find(|(k, r, _)| (*k, *r) == (kind.description().name, resource.name));
    let (_, _, ids) = row.unwrap_or_else(|| panic!("{} {} has no example", kind.description().name, resource.name));
    let known = |name: &str| PARAMETERS.iter().find(|(known, _)| *known == name);
    let all: BTreeMap<String, String> = resource
        .parameters
        .iter()
        .filter_map(|one| known(one.name).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        .collect();
    let mut refused = "no example id".to_owned();
    for id in ids.iter().rev() {
        for parameters in [BTreeMap::new(), all.clone()] {
            let ask = ask(resource, id, access, parameters);
            match kind.narrow(&settings.json, &ask) {
                Ok(scope) => {
                    let passthrough = |end| kind.passthrough(&settings.json, &scope.json, end, NOW).unwrap();
                    return Ok(Minting {
                        ask,
                        shape: scope.shape,
                        passthrough: (passthrough(Some(SOON)), passthrough(None)),
                        enforced: scope.enforced,
                        ttl: settings.ttl,
                        obeys_ttl: scope.obeys_ttl,
                    });
                }
                Err(error) => refused = error.problem,
            }
        }
    }
    Err(refused)
}

/// The long table.
pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for kind in CATALOG {
        for method in &kind.description().methods {
            let settings = settings_of(*kind, method);
            for resource in &kind.description().resources {
                for access in [AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin] {
                    let minted = minting(*kind, &settings, resource, access);
                    cells.push(Cell { kind: kind.description().name, method, resource: resource.name, access, minted });
                }
            }
        }
    }
    cells
}

fn seconds(ttl: Ttl) -> u32 {
    ttl.as_seconds()
}

fn life(seconds: u32) -> String {
    match seconds {
        s if s >= 3600 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The long table: a block for each type and method.
fn long(cells: &[Cell]) -> String {
    let mut text = String::new();
    let mut last = ("", "");
    for cell in cells {
        if last != (cell.kind, cell.method.name) {
            last = (cell.kind, cell.method.name);
            let fields: Vec<&str> = cell.method.secrets.iter().map(|field| field.name).collect();
            let stored = if fields.is_empty() { "nothing stored".to_owned() } else { fields.join(" ") };
            let rotates = if cell.method.rotates { "rotates at the cloud" } else { "rotated by hand" };
            writeln!(text, "=== {} {}: {stored}; {rotates}", cell.kind, cell.method.name).unwrap();
        }
        write!(text, "{} {}: ", cell.resource, cell.access).unwrap();
        match &cell.minted {
            Err(problem) => writeln!(text, "refused: {problem}").unwrap(),
            Ok(minted) => {
                let ttl = minted.ttl;
                let life = [ttl.min, ttl.default, ttl.max].map(|ttl| seconds(ttl).to_string()).join("/");
                let whose = if minted.obeys_ttl { "" } else { ", as a wish alone" };
                let passthrough = match minted.passthrough {
                    (false, false) => "",
                    (false, true) => " | passthrough unless it ends soon",
                    (true, _) => " | PASSTHROUGH",
                };
                let (shape, enforced) = (minted.shape.as_str(), &minted.enforced);
                let words = enforced.words.replace('\n', " ");
                writeln!(text, "{shape} | {} | {life} s{whose}{passthrough} | {words}", enforced.downscope).unwrap();
            }
        }
    }
    text
}

/// A row of the short table: what of a type is minted alike for a resource.
struct Row<'a> {
    kind: &'a str,
    resource: &'a str,
    shape: &'static str,
    narrowed: String,
    /// What is said of a group of methods, and the group.
    methods: Vec<(String, Vec<&'a str>)>,
}

/// The short table: one row for each type and resource type, its methods by
/// how long what they mint lives.
fn short(cells: &[Cell]) -> String {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for levels in cells.chunks(3) {
        let Some(first) = levels.first() else { continue };
        let served: Vec<(AccessLevel, &Minting)> =
            levels.iter().filter_map(|cell| Some((cell.access, cell.minted.as_ref().ok()?))).collect();
        let Some((_, minted)) = served.first() else { continue };
        let narrowed = match served.iter().map(|(_, minted)| minted.enforced.downscope).min() {
            Some(crate::domain::Downscope::None) | None => "nothing".to_owned(),
            Some(downscope) => downscope.to_string(),
        };
        let (passthrough, shape) = (minted.passthrough.0, minted.shape.as_str());
        // What hands out what it has is told beside those that mint, if any do.
        let alike = |row: &&mut Row<'_>| {
            let same = (row.kind, row.resource, row.shape) == (first.kind, first.resource, shape);
            same && (passthrough || row.narrowed == narrowed)
        };
        let group = (group_of(&served, minted), first.method.name);
        match rows.iter_mut().find(alike) {
            Some(row) => match row.methods.iter_mut().find(|(said, _)| *said == group.0) {
                Some((_, methods)) => methods.push(group.1),
                None => row.methods.push((group.0, vec![group.1])),
            },
            None => {
                let methods = vec![(group.0, vec![group.1])];
                rows.push(Row { kind: first.kind, resource: first.resource, shape, narrowed, methods });
            }
        }
    }
    let mut text =
        "| type | resource type | minted | narrowed to | methods: lifetime by default, at most |\n".to_owned();
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for Row { kind, resource, shape, narrowed, methods } in rows {
        let methods: Vec<String> =
            methods.iter().map(|(said, methods)| format!("{}: {said}", methods.join(", "))).collect();
        writeln!(text, "| {kind} | {resource} | {shape} | {narrowed} | {} |", methods.join("; ")).unwrap();
    }
    text
}

/// How long what a method mints lives, and which access levels it has.
fn group_of(served: &[(AccessLevel, &Minting)], minted: &Minting) -> String {
    if minted.passthrough.0 {
        return "refused unless `allow_passthrough`".to_owned();
    }
    let (default, max) = (life(seconds(minted.ttl.default)), life(seconds(minted.ttl.max)));
    let life = if minted.obeys_ttl { format!("{default}, {max}") } else { "the provider's own".to_owned() };
    let only: Vec<String> = served.iter().map(|(access, _)| access.to_string()).collect();
    if served.len() == 3 { life } else { format!("{life} ({} only)", only.join(", ")) }
}

#[allow(clippy::disallowed_methods, reason = "only config reads the environment; this is a switch of the tests")]
fn blessing() -> bool {
    std::env::var_os("VALETKEY_BLESS").is_some()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_default()
}

fn write(file: &str, text: &str) {
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), text).unwrap();
}

#[test]
fn what_is_minted_narrowed_how_and_for_how_long_is_the_reviewed_table() {
    let text = long(&cells());
    if blessing() {
        write(GOLDEN, &text);
    }
    assert!(read(GOLDEN) == text, "{GOLDEN} is out of date; look at it, then run with VALETKEY_BLESS=1:\n{text}");
}

#[test]
fn the_readme_has_the_table_of_this_catalog() {
    let table = short(&cells());
    let readme = read(README);
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the beginning of the block");
    let (_, after) = rest.split_once(END).expect("the README has the end of the block");
    let wanted = format!("{before}{BEGIN}\n{table}{END}{after}");
    if blessing() {
        write(README, &wanted);
    }
    assert!(read(README) == wanted, "README.md is out of date; run with VALETKEY_BLESS=1:\n{table}");
}

#[test]
fn a_passthrough_is_never_told_to_be_narrowed() {
    for cell in cells() {
        let Ok(minted) = &cell.minted else { continue };
        let narrowed = minted.enforced.downscope != crate::domain::Downscope::None;
        let what = format!("{} {} {} {}", cell.kind, cell.method.name, cell.resource, cell.access);
        assert!(!(minted.passthrough.0 && narrowed), "{what} hands out what it has, and says that it is narrowed");
        assert!(!minted.passthrough.0 || minted.passthrough.1, "{what}: what lives longer is no less of a passthrough");
    }
}

#[test]
fn every_parameter_that_a_type_describes_has_an_example_here() {
    for kind in CATALOG {
        for resource in &kind.description().resources {
            for parameter in resource.parameters {
                let known = PARAMETERS.iter().any(|(name, _)| *name == parameter.name);
                assert!(known, "{} {}: give {} an example", kind.description().name, resource.name, parameter.name);
            }
        }
    }
}

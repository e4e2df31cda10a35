//! SECURITY.md case B5 for every method of the descriptors: a request names the project that it is about, and one that
//! is not the caller's is not found. No field of that kind is ignored, no method lacks it.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use valetkey::authz::METHOD_RULES;
use valetkey::proto::DESCRIPTORS;

use crate::rig::calls::World;
use crate::rig::vault::Setup;

#[test]
fn b5_every_method_names_the_callers_project_or_is_not_found() {
    let vault = Setup::new().start();
    let world = World::new(&vault);
    let before = vault.revision();
    for rule in METHOD_RULES {
        for project in ["other", "no-such-project"] {
            for who in ["owner", "alice", "bob", "carol"] {
                // What comes last of a field is what counts.
                let request = [world.request(rule.path), in_project(rule.path, project)].concat();
                let answer = vault.run(vault.raw(Some(who), rule.path, request));
                let status = answer.err().unwrap_or_else(|| panic!("{} went on in {project} for {who}", rule.path));
                assert_eq!(status.code(), Code::NotFound, "{} {who}: {status:?}", rule.path);
                assert!(status.message().contains("project"), "{} {who}: {status:?}", rule.path);
            }
        }
    }
    assert_eq!(vault.revision(), before);
    vault.cli("owner", &["--project", "nope", "user", "create", "zz"]).fails(4, "no such project");
    // One's own is named by its name.
    for rule in METHOD_RULES.iter().filter(|rule| rule.audit == 1) {
        let request = [world.request(rule.path), in_project(rule.path, "default")].concat();
        let answer = vault.run(vault.raw(Some("owner"), rule.path, request));
        assert!(answer.as_ref().err().is_none_or(|status| !status.message().contains("project")), "{answer:?}");
    }
}

/// The end of a request that is about this project; of a mint it is the ask that says so.
fn in_project(path: &str, project: &str) -> Vec<u8> {
    let method = path.rsplit('/').next().unwrap();
    let field = |message: &str, name: &str| -> Option<i32> {
        let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let messages = set.file.into_iter().flat_map(|file| file.message_type);
        let found = messages.filter(|found| found.name() == message).flat_map(|found| found.field);
        found.filter(|field| field.name() == name).map(|field| field.number()).next()
    };
    let text = |number: i32, bytes: &[u8]| -> Vec<u8> {
        let head = [u8::try_from((number << 3) | 2).unwrap(), u8::try_from(bytes.len()).unwrap()];
        [&head[..], bytes].concat()
    };
    let request = format!("{method}Request");
    match (field(&request, "project"), field(&request, "ask")) {
        (Some(number), _) => text(number, project.as_bytes()),
        (None, Some(ask)) => text(ask, &text(field("MintAsk", "project").unwrap(), project.as_bytes())),
        (None, None) => panic!("{method} says of no project that it is about: give its request the field"),
    }
}

//! The matrix of roles against the real daemon: each cell, with somebody who holds that role in that place and nothing
//! else. What it gives is let in, what it does not give is refused. And whatever changes something takes a request id.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use valetkey::authz::{METHOD_RULES, MethodRule};
use valetkey::proto::{self, DESCRIPTORS};

use crate::coverage::{HOLDERS, matrix, refuse};
use crate::rig::calls::World;
use crate::rig::cast;
use crate::rig::granted::{Granted, Place};
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{fields, reason, refused_with};

/// Everybody, with their role's column and their place's letter.
struct Somebody {
    name: String,
    column: usize,
    letter: usize,
    place: Place,
}

impl Somebody {
    fn may(&self, matrix: &BTreeMap<String, Vec<String>>, rule: &MethodRule) -> bool {
        matrix[rule.path][self.column].as_bytes()[self.letter] != b'.'
    }
}

fn everybody(vault: &Vault, granted: &Granted) -> Vec<Somebody> {
    let mut all = Vec::new();
    for (column, (role, _, _)) in HOLDERS.iter().enumerate() {
        for (letter, place) in Place::ALL.into_iter().enumerate() {
            if *role == "runner" && place != Place::Component {
                // The matrix has dots there, and the daemon gives no such binding.
                let answer = vault.run(vault.access("owner").create_binding(granted.binding("stranger", role, place)));
                assert_eq!(fields(&refused_with(answer, Code::InvalidArgument)), ["component"]);
                continue;
            }
            all.push(Somebody { name: granted.somebody(vault, role, place), column, letter, place });
        }
    }
    all
}

#[test]
fn b2_every_cell_of_the_matrix_is_what_the_daemon_does() {
    let vault = Setup::new().start();
    let granted = Granted::new(&vault);
    let everybody = everybody(&vault, &granted);
    let matrix = matrix();
    let before = vault.revision();
    let mut refusals = 0;
    for who in &everybody {
        for rule in METHOD_RULES.iter().filter(|rule| !who.may(&matrix, rule)) {
            refuse(&vault, granted.request(rule.path, who.place), rule.path, &who.name);
            refusals += 1;
        }
    }
    assert!(refusals > 250, "the matrix has more refusals than {refusals}");
    assert_eq!(vault.revision(), before, "a refused call changed something");

    // Last what takes away what the others are about; by then others have kept it from going.
    let mut rules: Vec<&MethodRule> = METHOD_RULES.iter().collect();
    let last = ["/DeletePrincipal", "/DeleteStack"];
    rules.sort_by_key(|rule| (rule.path.contains("/Delete"), last.iter().any(|name| rule.path.ends_with(name))));
    let mut undone: BTreeSet<&str> = BTreeSet::new();
    for rule in rules {
        let mut done = false;
        for who in everybody.iter().filter(|who| who.may(&matrix, rule)) {
            let answer = vault.run(vault.raw(Some(&who.name), rule.path, request(&vault, &granted, who, rule.path)));
            done |= answer.is_ok();
            let Err(status) = answer else { continue };
            // It was let in, and then something was in the way.
            let way = [Code::NotFound, Code::FailedPrecondition, Code::AlreadyExists, Code::Aborted];
            assert!(way.contains(&status.code()), "{} {}: {status:?}", who.name, rule.path);
        }
        if !done {
            undone.insert(rule.path.rsplit('/').next().unwrap());
        }
    }
    // In use by a stack and by a component; of a run and an issuance that are somebody else's; no issuer; no doubt.
    let in_the_way = ["DeleteComponent", "DeleteConnector", "RenewRun", "SignChallenge"];
    let in_the_way = in_the_way.into_iter().chain(["RotateIssuerKey", "AcceptClock"]).collect::<BTreeSet<_>>();
    assert_eq!(undone, in_the_way, "for whom is this, when nobody whom the matrix lets in gets it done?");
}

/// About the places; of tokens, about one of their own.
fn request(vault: &Vault, granted: &Granted, who: &Somebody, path: &str) -> Vec<u8> {
    if !path.ends_with("/RevokeToken") {
        return granted.request(path, who.place);
    }
    let made = vault.run(vault.access(&who.name).create_token(proto::CreateTokenRequest::default())).unwrap();
    let token = made.into_inner().token.unwrap().id;
    proto::RevokeTokenRequest { token, ..Default::default() }.encode_to_vec()
}

/// What changes nothing that a second call would change again: the exceptions to the rule below, each for a reason.
const WITHOUT_REQUEST_ID: [&str; 5] = [
    // They look at the cloud again, and say again what is there.
    "/valetkey.v1.ConnectorService/VerifyConnector",
    "/valetkey.v1.ConnectorService/ListConnectorResources",
    // What they hand out is never kept, and a line of the ledger says each time that it was.
    "/valetkey.v1.CredentialService/MintCredential",
    "/valetkey.v1.CredentialService/WatchCredential",
    "/valetkey.v1.CredentialService/SignChallenge",
];

/// The methods that change something, with the number of the field that makes them happen once.
fn changing() -> BTreeMap<&'static str, Option<i32>> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("the descriptors decode");
    let numbers: BTreeMap<String, i32> = set
        .file
        .iter()
        .flat_map(|file| file.message_type.iter().map(move |message| (file.package(), message)))
        .filter_map(|(package, message)| {
            let field = message.field.iter().find(|field| field.name() == "request_id")?;
            Some((format!(".{package}.{}", message.name()), field.number()))
        })
        .collect();
    let services = set.file.iter().flat_map(|file| file.service.iter());
    let inputs: BTreeMap<String, &str> = services
        .flat_map(|service| service.method.iter().map(move |method| (service, method)))
        .map(|(service, method)| (format!("/valetkey.v1.{}/{}", service.name(), method.name()), method.input_type()))
        .collect();
    let changes = METHOD_RULES.iter().filter(|rule| rule.audit > 1);
    changes.map(|rule| (rule.path, numbers.get(inputs[rule.path]).copied())).collect()
}

#[test]
fn i5_every_method_that_changes_something_takes_a_request_id() {
    let without: BTreeSet<&str> =
        changing().into_iter().filter(|(_, number)| number.is_none()).map(|(path, _)| path).collect();
    assert_eq!(without, WITHOUT_REQUEST_ID.into(), "give it a request_id, or say here why it needs none");
}

#[test]
fn i5_every_request_id_is_looked_at_and_another_request_under_it_changes_nothing() {
    let vault = Setup::new().start();
    let world = World::new(&vault);
    let matrix = matrix();
    let request_id = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
    for who in ["owner", "alice", "bob"] {
        let ask = proto::CreateTokenRequest { request_id: request_id.clone(), ..Default::default() };
        vault.run(vault.access(who).create_token(ask)).unwrap();
    }
    let before = vault.revision();
    let mut tried = 0;
    for (path, number) in changing().into_iter().filter_map(|(path, number)| Some((path, number?))) {
        // The run is bob's.
        let holders = HOLDERS[..3].iter().enumerate().rev();
        let holder = holders.into_iter().find(|(column, _)| matrix[path][*column].starts_with('P'));
        let (_, (_, who, _)) = holder.unwrap_or_else(|| panic!("nobody calls {path}"));
        let mut body = world.request(path);
        prost::encoding::string::encode(u32::try_from(number).unwrap(), &request_id, &mut body);
        let status = refused_with(vault.run(vault.raw(Some(who), path, body)), Code::FailedPrecondition);
        assert_eq!(reason(&status), "REQUEST_ID_REUSED", "{who} {path}: {status:?}");
        let mut body = world.request(path);
        prost::encoding::string::encode(u32::try_from(number).unwrap(), &"no-uuid".to_owned(), &mut body);
        let status = refused_with(vault.run(vault.raw(Some(who), path, body)), Code::InvalidArgument);
        assert_eq!(fields(&status), ["request_id"], "{path}");
        tried += 1;
    }
    assert!(tried > 20, "more takes a request id than {tried}");
    assert_eq!(vault.revision(), before, "a refused call changed something");
}

#[test]
fn i5_a_token_is_made_once_and_its_secret_shown_once_also_after_a_restart() {
    let vault = Setup::new().start();
    let request_id = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
    let ask = proto::CreateTokenRequest { principal: "trainer".to_owned(), request_id, ..Default::default() };
    let make = || vault.run(vault.access("owner").create_token(ask.clone())).unwrap().into_inner();
    let first = make();
    assert!(first.secret.starts_with("vk1_s_"));
    vault.restart();
    let again = make();
    assert_eq!((again.token, again.secret.as_str()), (first.token, ""));
    let ask = proto::ListTokensRequest { principal: "trainer".to_owned(), ..Default::default() };
    let tokens = vault.run(vault.access("owner").list_tokens(ask)).unwrap().into_inner().tokens;
    assert_eq!(tokens.len(), 2, "its first one, and this");
}

/// Case B4: neither by the door nor past it. What becomes of a pair that a store has from before is in `authz`.
#[test]
fn b4_nobody_is_made_owner_and_engineer_by_the_door_or_in_the_file() {
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("prod"));
    cast::principal(&vault, "owner", "olga", proto::PrincipalKind::User);
    cast::bind(&vault, "owner", cast::binding("olga", "owner"));
    for on in ["", "prod"] {
        let on = |ask| proto::CreateBindingRequest { connector: on.to_owned(), ..ask };
        for (principal, role) in [("olga", "platform-engineer"), ("alice", "owner")] {
            let answer = vault.run(vault.access("owner").create_binding(on(cast::binding(principal, role))));
            assert_eq!(fields(&refused_with(answer, Code::InvalidArgument)), ["role"], "{principal} {role}");
        }
    }
    let said = vault.cli("owner", &["binding", "create", "--principal", "olga", "--role", "platform-engineer"]);
    said.fails(1, "take that binding away first");
    // A file that somebody wrote to: the record's seal does not fit, and she is let do nothing.
    let made = cast::bind(&vault, "owner", cast::binding("olga", "auditor"));
    vault.stop();
    let database = rusqlite::Connection::open(vault.data().join("valetkey.db")).unwrap();
    let edit = r#"UPDATE bindings SET body = replace(body, '"auditor"', '"platform-engineer"') WHERE hex(id) = ?1"#;
    let id = made.id.replace('-', "").to_uppercase();
    assert_eq!(database.execute(edit, [&id]).unwrap(), 1);
    drop(database);
    vault.start();
    let hers = vault.run(vault.connectors("olga").register_connector(cast::unverified("hers")));
    refused_with(hers, Code::DataLoss);
    cast::connector(&vault, cast::unverified("others-go-on"));
}

#[test]
fn what_may_be_minted_is_listed_by_pages_and_the_command_line_says_that_there_is_more() {
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("prod"));
    for name in ["a", "b", "c"] {
        cast::component(&vault, "bob", name);
        cast::link(&vault, name, "prod", "s3://datasets");
    }
    let page = |who: &str, token: &str| {
        let ask = proto::ListMintableRequest { page_size: 3, page_token: token.to_owned(), ..Default::default() };
        vault.run(vault.access(who).list_mintable(ask)).map(tonic::Response::into_inner)
    };
    let first = page("bob", "").unwrap();
    assert_eq!(first.mintable.iter().map(|way| way.component.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let rest = page("bob", &first.next_page_token).unwrap();
    assert_eq!((rest.mintable.len(), rest.next_page_token.as_str()), (1, ""));
    // Nobody else's page.
    let status = refused_with(page("trainer", &first.next_page_token), Code::InvalidArgument);
    assert_eq!(fields(&status), ["page_token"]);
    let cut = vault.cli("bob", &["access", "can", "--limit", "3"]).ok();
    assert!(cut.stderr.contains("there is more; this list ends at 3"), "{cut}");
    let whole = vault.cli("bob", &["access", "can", "--limit", "4"]).ok();
    assert!(
        !whole.stderr.contains("there is more") && whole.stdout.contains("valetkey mint --connector prod"),
        "{whole}"
    );
}

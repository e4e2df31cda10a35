//! SECURITY.md group B, authorization, confused deputies and the walls between projects, through the real daemon.
//! B2 is in `coverage`.

use prost::Message as _;
use tonic::Code;
use valetkey::authz::{METHOD_RULES, MethodRule};
use valetkey::proto;

use crate::rig::calls::World;
use crate::rig::cast::{self, no_canary};
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{everything, fields, reason, refused_with};

#[test]
fn b3_nobody_gets_a_stored_secret_back_by_any_method() {
    let vault = Setup::new().start();
    let world = World::new(&vault);
    // Those that change last, so that there is something to answer about.
    let (changes, reads): (Vec<&MethodRule>, Vec<&MethodRule>) = METHOD_RULES.iter().partition(|rule| rule.audit > 1);
    for rule in reads.into_iter().chain(changes) {
        for who in ["owner", "alice", "bob", "carol", "trainer", "stranger"] {
            match vault.run(vault.raw(Some(who), rule.path, world.request(rule.path))) {
                Ok(answer) => no_canary(&format!("{who} {}", rule.path), &answer),
                Err(status) => no_canary(&format!("{who} {}", rule.path), &everything(&status)),
            }
        }
    }
    no_canary("the log", vault.logs().as_bytes());
    for line in vault.ledger() {
        no_canary("the ledger", line.to_string().as_bytes());
    }
}

#[test]
fn b3_no_field_mask_asks_for_a_secret() {
    let vault = Setup::new().start();
    let connector = cast::connector(&vault, cast::unverified("masked"));
    for path in ["secrets", "secret", "*", "connector.secrets", "settings.aws_secret_access_key"] {
        let mask = prost_types::FieldMask { paths: vec![path.to_owned()] };
        let (name, etag) = (connector.name.clone(), connector.etag.clone());
        let ask =
            proto::UpdateConnectorRequest { connector: name, etag, update_mask: Some(mask), ..Default::default() };
        let status = refused_with(vault.run(vault.connectors("alice").update_connector(ask)), Code::InvalidArgument);
        assert!(fields(&status).iter().any(|field| field.starts_with("update_mask")), "{path}: {status:?}");
    }
}

#[test]
fn b4_an_engineer_gets_nothing_for_itself() {
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("own"));
    let by_connector = proto::MintAsk {
        source: Some(proto::mint_ask::Source::Connector("own".to_owned())),
        resource_type: "s3-bucket".to_owned(),
        resource_id: "s3://datasets".to_owned(),
        ..Default::default()
    };
    let ask = proto::MintCredentialRequest { ask: Some(by_connector) };
    let status = refused_with(vault.run(vault.credentials("alice").mint_credential(ask)), Code::PermissionDenied);
    assert_eq!(reason(&status), "GRANT_MISSING");
    for role in ["owner", "data-scientist", "auditor"] {
        let ask = cast::binding("alice", role);
        refused_with(vault.run(vault.access("alice").create_binding(ask)), Code::PermissionDenied);
    }
    let ask = proto::CreateTokenRequest { principal: "owner".to_owned(), ..Default::default() };
    refused_with(vault.run(vault.access("alice").create_token(ask)), Code::PermissionDenied);
}

#[test]
fn b4_an_owner_gives_itself_nothing_and_the_last_one_stays() {
    let vault = Setup::new().start();
    for role in ["platform-engineer", "data-scientist", "auditor", "owner"] {
        let answer = vault.run(vault.access("owner").create_binding(cast::binding("owner", role)));
        assert_eq!(reason(&refused_with(answer, Code::PermissionDenied)), "SELF_GRANT");
    }
    // Nor by a second self under another name while holding both roles: an owner writes no connector.
    let answer = vault.run(vault.connectors("owner").register_connector(cast::unverified("mine")));
    refused_with(answer, Code::PermissionDenied);
    let bindings = vault.run(vault.access("owner").list_bindings(proto::ListBindingsRequest::default())).unwrap();
    let own = bindings.into_inner().bindings.into_iter().find(|binding| binding.role == "owner").unwrap();
    let ask = proto::DeleteBindingRequest { binding: own.id, ..Default::default() };
    let status = refused_with(vault.run(vault.access("owner").delete_binding(ask)), Code::FailedPrecondition);
    assert_eq!(reason(&status), "LAST_OWNER");
    let ask = proto::DeletePrincipalRequest { principal: "owner".to_owned(), ..Default::default() };
    let status = refused_with(vault.run(vault.access("owner").delete_principal(ask)), Code::PermissionDenied);
    assert_eq!(reason(&status), "SELF_DELETE");
}

#[test]
fn b4_a_token_for_a_minute_makes_none_for_a_quarter() {
    let vault = Setup::new().start();
    let short = cast::token(&vault, "owner", "bob", 60).secret;
    vault.keep_token("found", &short);
    let said = vault.cli("found", &["token", "create", "--ttl", "90d"]);
    said.fails(1, "outlives none that it was made with");
    let ends = |said: serde_json::Value| said["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let left = vault.cli("found", &["token", "create", "-o", "json"]).json();
    assert!(ends(left).as_second() <= jiff::Timestamp::now().as_second() + 60);
    // An owner makes tokens for everybody, and so may renew their own.
    let short = cast::token(&vault, "owner", "owner", 60).secret;
    vault.keep_token("owner-for-a-minute", &short);
    let renewed = vault.cli("owner-for-a-minute", &["token", "create", "--ttl", "90d", "-o", "json"]).json();
    assert!(ends(renewed).as_second() > jiff::Timestamp::now().as_second() + 80 * 24 * 3600);
}

/// The people of the project `other`.
fn with_others(vault: &Vault) {
    for (name, role) in [("eve", "platform-engineer"), ("mallory", "data-scientist"), ("trent", "auditor")] {
        cast::principal(vault, "other-owner", name, proto::PrincipalKind::User);
        cast::bind(vault, "other-owner", cast::binding(name, role));
    }
}

#[test]
fn b5_what_belongs_to_another_project_is_what_never_existed() {
    let vault = Setup::new().start();
    with_others(&vault);
    let world = World::new(&vault);
    let connector = cast::connector(&vault, cast::unverified("secret-plan"));
    let id = connector.id.clone();
    let never = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
    let same = |what: &str, ask: &dyn Fn(&str) -> Result<(), tonic::Status>| {
        let (foreign, random) = (ask(&id).unwrap_err(), ask(&never).unwrap_err());
        assert_eq!(foreign.code(), Code::NotFound, "{what}: {foreign:?}");
        assert_eq!((foreign.message(), foreign.details()), (random.message(), random.details()), "{what}");
        let by_name = ask("secret-plan").unwrap_err();
        assert_eq!((by_name.code(), by_name.message()), (random.code(), random.message()), "{what} by name");
    };
    let describe = |connector: &str| {
        let ask = proto::DescribeConnectorRequest { connector: connector.to_owned(), ..Default::default() };
        vault.run(vault.connectors("eve").describe_connector(ask)).map(drop)
    };
    same("describe", &describe);
    let update = |connector: &str| {
        let (connector, etag) = (connector.to_owned(), connector_etag());
        let ask =
            proto::UpdateConnectorRequest { connector, etag, name: "taken-over".to_owned(), ..Default::default() };
        vault.run(vault.connectors("eve").update_connector(ask)).map(drop)
    };
    same("update", &update);
    let delete = |connector: &str| {
        let ask = proto::DeleteConnectorRequest { connector: connector.to_owned(), ..Default::default() };
        vault.run(vault.connectors("eve").delete_connector(ask)).map(drop)
    };
    same("delete", &delete);
    let mint = |connector: &str| {
        let source = Some(proto::mint_ask::Source::Connector(connector.to_owned()));
        let (resource_type, resource_id) = ("s3-bucket".to_owned(), "s3://datasets".to_owned());
        let ask = proto::MintAsk { source, resource_type, resource_id, ..Default::default() };
        vault
            .run(vault.credentials("mallory").mint_credential(proto::MintCredentialRequest { ask: Some(ask) }))
            .map(drop)
    };
    same("mint", &mint);
    let lines = |connector: &str| {
        let ask = proto::ListAuditLinesRequest { connector: connector.to_owned(), ..Default::default() };
        vault.run(vault.audit("trent").list_audit_lines(ask)).map(|found| assert!(found.into_inner().lines.is_empty()))
    };
    assert!(lines(&id).is_ok() && lines(&never).is_ok());
    drop(world);
}

fn connector_etag() -> String {
    "\"1\"".to_owned()
}

#[test]
fn b5_another_projects_name_is_not_found_for_every_method_that_takes_one() {
    let vault = Setup::new().start();
    with_others(&vault);
    for project in ["default", "no-such-project"] {
        let project = project.to_owned();
        let list = proto::ListConnectorsRequest { project: project.clone(), ..Default::default() };
        refused_with(vault.run(vault.connectors("eve").list_connectors(list)), Code::NotFound);
        let register = proto::RegisterConnectorRequest { project: project.clone(), ..cast::unverified("planted") };
        refused_with(vault.run(vault.connectors("eve").register_connector(register)), Code::NotFound);
        let lines = proto::ListAuditLinesRequest { project: project.clone(), ..Default::default() };
        refused_with(vault.run(vault.audit("trent").list_audit_lines(lines)), Code::NotFound);
        let issued = proto::ListIssuancesRequest { project: project.clone(), ..Default::default() };
        refused_with(vault.run(vault.credentials("mallory").list_issuances(issued)), Code::NotFound);
        let bindings = proto::CreateBindingRequest { project, ..cast::binding("eve", "owner") };
        refused_with(vault.run(vault.access("other-owner").create_binding(bindings)), Code::NotFound);
    }
}

#[test]
fn b5_page_tokens_etags_and_request_ids_do_not_cross_projects() {
    let vault = Setup::new().start();
    with_others(&vault);
    for name in ["one", "two"] {
        let request_id = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
        let request_id = if name == "one" { request_id } else { String::new() };
        cast::connector(&vault, proto::RegisterConnectorRequest { request_id, ..cast::unverified(name) });
    }
    let page = |who: &str, token: &str| {
        let ask = proto::ListConnectorsRequest { page_size: 1, page_token: token.to_owned(), ..Default::default() };
        vault.run(vault.connectors(who).list_connectors(ask)).map(tonic::Response::into_inner)
    };
    let first = page("alice", "").unwrap();
    assert_eq!(page("alice", &first.next_page_token).unwrap().connectors[0].name, "two");
    let status = refused_with(page("eve", &first.next_page_token), Code::InvalidArgument);
    assert_eq!(fields(&status), ["page_token"]);
    // The same request id in another project is another request.
    let request_id = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
    let ask = proto::RegisterConnectorRequest { request_id, ..cast::unverified("mine") };
    let made = vault.run(vault.connectors("eve").register_connector(ask)).unwrap().into_inner().connector.unwrap();
    assert_eq!((made.project.as_str(), made.name.as_str()), ("other", "mine"));
}

#[test]
fn b7_only_exact_role_names_are_roles() {
    let vault = Setup::new().start();
    let before = vault.revision();
    for role in [
        "Platform Engineer ",
        "PLATFORM_ENGINEER",
        "platform_engineer",
        "root",
        "owner ",
        "owner\u{200b}",
        "\u{202e}renwo",
        "",
        "Owner",
        "owner\0",
    ] {
        let answer = vault.run(vault.access("owner").create_binding(cast::binding("bob", role)));
        let status = refused_with(answer, Code::InvalidArgument);
        assert_eq!(fields(&status), ["role"], "{role:?}");
    }
    assert_eq!(vault.revision(), before);
}

#[test]
fn b8_a_runner_reaches_its_own_component_and_nothing_else() {
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("prod"));
    cast::link(&vault, "pipeline", "prod", "s3://datasets/train");
    cast::component(&vault, "bob", "elsewhere");
    cast::link(&vault, "elsewhere", "prod", "s3://datasets/test");
    let mint = |ask: proto::MintAsk| {
        vault.run(vault.credentials("trainer").mint_credential(proto::MintCredentialRequest { ask: Some(ask) }))
    };
    let own = cast::mint("pipeline").ask.unwrap();
    let other = cast::mint("elsewhere").ask.unwrap();
    refused_with(mint(other), Code::PermissionDenied);
    refused_with(mint(cast::mint("no-such-component").ask.unwrap()), Code::PermissionDenied);
    let source = Some(proto::mint_ask::Source::Connector("prod".to_owned()));
    let (resource_type, resource_id) = ("s3-bucket".to_owned(), "s3://datasets/train".to_owned());
    refused_with(
        mint(proto::MintAsk { source, resource_type, resource_id, ..Default::default() }),
        Code::PermissionDenied,
    );
    let wider = proto::MintAsk { resource_id: "s3://datasets".to_owned(), ..own.clone() };
    refused_with(mint(wider), Code::InvalidArgument);
    let stronger = proto::MintAsk { access: proto::AccessLevel::Write.into(), ..own.clone() };
    assert_eq!(reason(&refused_with(mint(stronger), Code::PermissionDenied)), "ACCESS_BEYOND_CEILING");
    let longer = proto::MintAsk { ttl_seconds: 60, ..own };
    refused_with(mint(longer), Code::InvalidArgument);
    // A runner is bound to components only.
    for ask in [
        cast::binding("trainer", "runner"),
        proto::CreateBindingRequest { connector: "prod".to_owned(), ..cast::binding("trainer", "runner") },
    ] {
        let status = refused_with(vault.run(vault.access("owner").create_binding(ask)), Code::InvalidArgument);
        assert_eq!(fields(&status), ["component"]);
    }
}

#[test]
fn b9_a_runner_whose_binding_or_token_went_is_refused_at_once() {
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("prod"));
    cast::link(&vault, "pipeline", "prod", "s3://datasets/train");
    let ask = proto::ListBindingsRequest { principal: "trainer".to_owned(), ..Default::default() };
    let held = vault.run(vault.access("owner").list_bindings(ask)).unwrap().into_inner().bindings;
    let ask = proto::DeleteBindingRequest { binding: held[0].id.clone(), ..Default::default() };
    vault.run(vault.access("owner").delete_binding(ask)).unwrap();
    refused_with(
        vault.run(vault.credentials("trainer").mint_credential(cast::mint("pipeline"))),
        Code::PermissionDenied,
    );
    let ask = proto::ListTokensRequest { principal: "trainer".to_owned(), ..Default::default() };
    let tokens = vault.run(vault.access("owner").list_tokens(ask)).unwrap().into_inner().tokens;
    let ask = proto::RevokeTokenRequest { token: tokens[0].id.clone(), ..Default::default() };
    vault.run(vault.access("owner").revoke_token(ask)).unwrap();
    refused_with(
        vault.run(vault.credentials("trainer").mint_credential(cast::mint("pipeline"))),
        Code::Unauthenticated,
    );
}

#[test]
fn b15_a_component_is_not_linked_to_another_projects_connector() {
    let vault = Setup::new().start();
    with_others(&vault);
    let connector = cast::connector(&vault, cast::unverified("prod"));
    let component = cast::component(&vault, "mallory", "mine");
    for guess in [connector.id.as_str(), &connector.id[..8], "prod"] {
        let ask = proto::ConnectComponentRequest {
            component: component.name.clone(),
            connector: guess.to_owned(),
            resource_id: "s3://datasets".to_owned(),
            ..Default::default()
        };
        refused_with(vault.run(vault.components("mallory").connect_component(ask)), Code::NotFound);
    }
}

#[test]
fn b19_lists_and_counts_of_one_project_do_not_change_with_another() {
    let vault = Setup::new().start();
    with_others(&vault);
    let seen = || {
        let connectors = vault
            .run(vault.connectors("eve").list_connectors(proto::ListConnectorsRequest::default()))
            .unwrap()
            .into_inner();
        let components = vault
            .run(vault.components("eve").list_components(proto::ListComponentsRequest::default()))
            .unwrap()
            .into_inner();
        let principals = vault
            .run(vault.access("other-owner").list_principals(proto::ListPrincipalsRequest::default()))
            .unwrap()
            .into_inner();
        let keys = vault
            .run(vault.operator("eve").get_key_status(proto::GetKeyStatusRequest::default()))
            .unwrap()
            .into_inner();
        (connectors.encode_to_vec(), components.encode_to_vec(), principals.encode_to_vec(), keys.encode_to_vec())
    };
    let before = seen();
    for name in ["one", "two", "three"] {
        cast::connector(&vault, cast::unverified(name));
        cast::component(&vault, "bob", name);
    }
    assert_eq!(seen(), before);
    let lines = cast::lines(&vault, "trent");
    let text = format!("{lines:?}");
    assert!(!text.contains("alice") && !text.contains("bob"), "{text}");
}

#[test]
fn b24_what_a_client_says_of_itself_is_not_believed() {
    let vault = Setup::new().start();
    let forged = [
        ("x-principal", "owner"),
        ("x-forwarded-user", "owner"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-client-cert", "Subject=\"CN=owner\""),
        ("x-valetkey-project", "other"),
        ("x-role", "platform-engineer"),
    ];
    let path = "/valetkey.v1.ConnectorService/RegisterConnector";
    for who in [None, Some("bob")] {
        let mut head = vault.head("bob", path);
        if who.is_none() {
            head.headers_mut().unwrap().remove("authorization");
        }
        let head = forged.iter().fold(head, |head, (name, value)| head.header(*name, *value));
        let body = crate::rig::http::frame(&cast::bytes(&cast::unverified("forged")));
        let answer = vault.send(head.body(body).unwrap()).unwrap();
        let due = if who.is_none() { Code::Unauthenticated } else { Code::PermissionDenied };
        assert_eq!(answer.grpc.as_ref().map(tonic::Status::code), Some(due), "{answer:?}");
    }
    let sources: std::collections::BTreeSet<String> =
        vault.ledger().iter().filter_map(|line| line["source"].as_str().map(str::to_owned)).collect();
    assert_eq!(sources.len(), 1, "an address was taken from a header: {sources:?}");
}

#[test]
fn b26_an_auditor_reads_its_own_project_and_writes_nothing() {
    let vault = Setup::new().start();
    with_others(&vault);
    let ask = proto::CreateTokenRequest { principal: "bob".to_owned(), ..Default::default() };
    refused_with(vault.run(vault.access("carol").create_token(ask)), Code::PermissionDenied);
    refused_with(
        vault.run(vault.access("carol").create_binding(cast::binding("bob", "owner"))),
        Code::PermissionDenied,
    );
    refused_with(
        vault.run(vault.connectors("carol").register_connector(cast::unverified("x"))),
        Code::PermissionDenied,
    );
    let theirs = cast::lines(&vault, "trent");
    assert!(!theirs.is_empty() && theirs.iter().all(|line| line.project == "other"), "{theirs:?}");
    let ours = cast::lines(&vault, "carol");
    assert!(!ours.is_empty() && ours.iter().all(|line| line.project == "default"), "{ours:?}");
}

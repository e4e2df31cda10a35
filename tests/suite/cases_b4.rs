//! SECURITY.md case B4 where an engineer holds a grant: nobody widens what a grant of their own is worth, neither by
//! the connector's ceiling nor by its settings, neither directly nor through a component.

use tonic::Code;
use valetkey::proto;

use crate::rig::cast;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{reason, refused_with};

type Answer = Result<tonic::Response<proto::UpdateConnectorResponse>, tonic::Status>;

/// A second engineer, who holds no grant.
fn with_colleague(vault: &Vault) {
    cast::principal(vault, "owner", "erin", proto::PrincipalKind::User);
    cast::bind(vault, "owner", cast::binding("erin", "platform-engineer"));
}

fn change(vault: &Vault, who: &str, change: impl FnOnce(&mut proto::UpdateConnectorRequest)) -> Answer {
    let ask = proto::DescribeConnectorRequest { connector: "prod".to_owned(), ..Default::default() };
    let found = vault.run(vault.connectors("alice").describe_connector(ask)).unwrap().into_inner();
    let (connector, etag) = ("prod".to_owned(), found.connector.unwrap().etag);
    let mut ask = proto::UpdateConnectorRequest { connector, etag, skip_verify: true, ..Default::default() };
    change(&mut ask);
    vault.run(vault.connectors(who).update_connector(ask))
}

fn wider(ask: &mut proto::UpdateConnectorRequest) {
    ask.mint_policy = Some(proto::MintPolicy { access_max: proto::AccessLevel::Admin.into(), ..Default::default() });
    ask.update_mask = Some(prost_types::FieldMask { paths: vec!["mint_policy".to_owned()] });
}

fn as_before(ask: &mut proto::UpdateConnectorRequest) {
    wider(ask);
    ask.mint_policy = Some(proto::MintPolicy::default());
}

fn other_settings(ask: &mut proto::UpdateConnectorRequest) {
    ask.settings = r#"{"region": "eu-west-1"}"#.to_owned();
    ask.secrets = cast::canary_secrets();
}

fn unbind(vault: &Vault, binding: proto::Binding) {
    let ask = proto::DeleteBindingRequest { binding: binding.id, ..Default::default() };
    vault.run(vault.access("owner").delete_binding(ask)).unwrap();
}

#[track_caller]
fn is_own_grant(vault: &Vault, answer: Answer) {
    assert_eq!(reason(&refused_with(answer, Code::PermissionDenied)), "SELF_GRANT");
    let line = cast::lines(vault, "carol").into_iter().find(|line| line.method.ends_with("/UpdateConnector")).unwrap();
    assert_eq!((line.reason.as_str(), line.connector_id.is_empty()), ("SELF_GRANT", false));
}

#[test]
fn b4_an_engineer_with_a_grant_on_a_connector_changes_neither_its_ceiling_nor_its_settings() {
    let vault = Setup::new().start();
    with_colleague(&vault);
    cast::connector(&vault, cast::unverified("prod"));
    cast::connector(&vault, cast::unverified("elsewhere"));
    change(&vault, "alice", wider).unwrap();
    let ask = cast::binding("alice", "data-scientist");
    let grant = cast::bind(&vault, "owner", proto::CreateBindingRequest { connector: "prod".to_owned(), ..ask });
    change(&vault, "erin", as_before).unwrap();
    is_own_grant(&vault, change(&vault, "alice", wider));
    is_own_grant(&vault, change(&vault, "alice", other_settings));
    is_own_grant(
        &vault,
        change(&vault, "alice", |ask| {
            wider(ask);
            ask.validate_only = true;
        }),
    );
    // What gives nobody more stays hers, and so does a connector without a grant of hers.
    change(&vault, "alice", |ask| ask.description = "ours".to_owned()).unwrap();
    change(&vault, "alice", |ask| {
        wider(ask);
        ask.connector = "elsewhere".to_owned();
        ask.etag = "\"1\"".to_owned();
    })
    .unwrap();
    // A colleague may, and she too once the grant is gone.
    change(&vault, "erin", wider).unwrap();
    unbind(&vault, grant);
    change(&vault, "alice", other_settings).unwrap();
}

#[test]
fn b4_nor_does_one_with_a_grant_on_a_component_that_is_linked_to_it() {
    let vault = Setup::new().start();
    with_colleague(&vault);
    cast::connector(&vault, cast::unverified("prod"));
    for role in ["data-scientist", "runner"] {
        cast::link(&vault, "pipeline", "prod", "s3://datasets/train");
        let ask = proto::CreateBindingRequest { component: "pipeline".to_owned(), ..cast::binding("alice", role) };
        let grant = cast::bind(&vault, "owner", ask);
        is_own_grant(&vault, change(&vault, "alice", wider));
        is_own_grant(&vault, change(&vault, "alice", other_settings));
        // Unlinked, it reaches nothing; and she is not the one who links it again.
        let unlink = proto::ConnectComponentRequest { component: "pipeline".to_owned(), ..Default::default() };
        vault.run(vault.components("bob").connect_component(unlink)).unwrap();
        change(&vault, "alice", wider).unwrap();
        let link = proto::ConnectComponentRequest {
            component: "pipeline".to_owned(),
            connector: "prod".to_owned(),
            resource_id: "s3://datasets/train".to_owned(),
            ..Default::default()
        };
        let refused =
            refused_with(vault.run(vault.components("alice").connect_component(link)), Code::PermissionDenied);
        assert_eq!(reason(&refused), "SELF_GRANT");
        unbind(&vault, grant);
        change(&vault, "alice", as_before).unwrap();
    }
}

#[test]
fn bindings_that_go_with_what_they_are_on_are_told_one_by_one() {
    let vault = Setup::new().start();
    let connector = cast::connector(&vault, cast::unverified("prod"));
    let mut given = Vec::new();
    for (who, role) in [("bob", "data-scientist"), ("carol", "auditor")] {
        let ask = proto::CreateBindingRequest { connector: "prod".to_owned(), ..cast::binding(who, role) };
        given.push((cast::bind(&vault, "owner", ask).id, who, role));
    }
    let elsewhere = cast::bind(&vault, "owner", cast::binding("stranger", "auditor"));
    let said = vault.cli("alice", &["connector", "delete", "prod"]).ok();
    assert!(said.all().contains("2 role bindings"), "{said}");
    let lines = cast::lines(&vault, "carol");
    for (id, who, role) in &given {
        let told =
            lines.iter().filter(|line| line.reason == "GONE_WITH_CONNECTOR" && line.subject.contains(id.as_str()));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1, "{who}: {lines:?}");
        assert_eq!((told[0].connector_id.as_str(), told[0].principal_name.as_str()), (connector.id.as_str(), "alice"));
        assert_eq!((told[0].details["principal"].as_str(), told[0].details["role"].as_str()), (*who, *role));
    }
    assert!(!lines.iter().any(|line| line.reason.starts_with("GONE") && line.subject.contains(&elsewhere.id)));
    // A component takes its own along, and says so too.
    let ask = proto::ListBindingsRequest { principal: "trainer".to_owned(), ..Default::default() };
    let runner = vault.run(vault.access("owner").list_bindings(ask)).unwrap().into_inner().bindings.remove(0);
    vault.cli("bob", &["component", "delete", "pipeline"]).ok();
    let lines = cast::lines(&vault, "carol");
    let told = lines.iter().find(|line| line.reason == "GONE_WITH_COMPONENT").expect("it is told");
    assert!(told.subject.contains(&runner.id) && told.details["principal"] == "trainer", "{told:?}");
}

//! SECURITY.md B5 by noun: an id of another project, one that was deleted and one that never was get one answer, to the
//! byte: code, message and details. Whoever asks belongs to the project `other` and may do it to records of its own.

use tonic::{Code, Status};
use valetkey::proto;

use crate::faults::asks;
use crate::faults::sts::Sts;
use crate::rig::calls::World;
use crate::rig::cast;
use crate::rig::vault::{Setup, Vault};

const NEVER: &str = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11";

/// The ids of one noun that are all nobody's to the caller.
struct Ids {
    noun: &'static str,
    foreign: String,
    /// None of a noun that is never deleted.
    deleted: Option<String>,
    never: String,
}

impl Ids {
    fn new(noun: &'static str, foreign: &str, deleted: Option<&str>) -> Self {
        let (foreign, deleted) = (foreign.to_owned(), deleted.map(str::to_owned));
        Self { noun, foreign, deleted, never: NEVER.to_owned() }
    }

    /// The answer to each is NOT_FOUND, and the same.
    #[track_caller]
    fn same<T>(&self, method: &str, ask: impl Fn(&str) -> Result<T, Status>) {
        let answer = |what: &str, id: &str| match ask(id) {
            Ok(_) => panic!("{method} of a {what} {} was answered", self.noun),
            Err(status) => status,
        };
        let never = answer("never existing", &self.never);
        assert_eq!(never.code(), Code::NotFound, "{method} of a {}: {never:?}", self.noun);
        let others = [("foreign", Some(&self.foreign)), ("deleted", self.deleted.as_ref())];
        for (what, id) in others.into_iter().filter_map(|(what, id)| Some((what, id?))) {
            let status = answer(what, id);
            let told = |status: &Status| (status.code(), status.message().to_owned(), status.details().to_vec());
            assert_eq!(told(&status), told(&never), "{method} of a {what} {}", self.noun);
        }
    }
}

/// The people of `other`, beside its owner.
fn with_others(vault: &Vault) {
    for (name, role) in [("eve", "platform-engineer"), ("mallory", "data-scientist")] {
        cast::principal(vault, "other-owner", name, proto::PrincipalKind::User);
        cast::bind(vault, "other-owner", cast::binding(name, role));
    }
}

#[test]
fn b5_connectors_that_are_foreign_deleted_or_never_were_are_one() {
    let vault = Setup::new().start();
    with_others(&vault);
    let foreign = cast::connector(&vault, cast::unverified("theirs")).id;
    let own = vault.run(vault.connectors("eve").register_connector(cast::unverified("mine"))).unwrap();
    let own = own.into_inner().connector.unwrap().id;
    let component = cast::component(&vault, "mallory", "own-store").name;
    let describe = |id: &str| {
        let ask = proto::DescribeConnectorRequest { connector: id.to_owned(), ..Default::default() };
        vault.run(vault.connectors("eve").describe_connector(ask))
    };
    let delete = |id: &str| {
        let ask = proto::DeleteConnectorRequest { connector: id.to_owned(), ..Default::default() };
        vault.run(vault.connectors("eve").delete_connector(ask))
    };
    describe(&own).expect("by its id it is found");
    delete(&own).expect("by its id it is deleted");
    let ids = Ids::new("connector", &foreign, Some(&own));
    ids.same("describe", describe);
    ids.same("delete", delete);
    ids.same("update", |id| {
        let (connector, description, etag) = (id.to_owned(), "changed".to_owned(), "\"1\"".to_owned());
        let ask = proto::UpdateConnectorRequest { connector, description, etag, ..Default::default() };
        vault.run(vault.connectors("eve").update_connector(ask))
    });
    ids.same("rotate", |id| {
        let (connector, secrets) = (id.to_owned(), cast::canary_secrets());
        let ask = proto::RotateConnectorSecretRequest { connector, secrets, skip_verify: true, ..Default::default() };
        vault.run(vault.connectors("eve").rotate_connector_secret(ask))
    });
    ids.same("verify", |id| {
        let ask = proto::VerifyConnectorRequest { connector: id.to_owned(), ..Default::default() };
        vault.run(vault.connectors("eve").verify_connector(ask))
    });
    ids.same("list-resources", |id| {
        let (connector, resource_type) = (id.to_owned(), "s3-bucket".to_owned());
        let ask = proto::ListConnectorResourcesRequest { connector, resource_type, ..Default::default() };
        vault.run(vault.connectors("eve").list_connector_resources(ask))
    });
    ids.same("mint", |id| vault.run(vault.credentials("mallory").mint_credential(asks::bucket(id, "data"))));
    ids.same("revoke", |id| {
        let ask = proto::RevokeIssuancesRequest { connector: id.to_owned(), ..Default::default() };
        vault.run(vault.credentials("eve").revoke_issuances(ask))
    });
    ids.same("link", |id| {
        let (component, connector, resource_id) = (component.clone(), id.to_owned(), "s3://data".to_owned());
        let ask = proto::ConnectComponentRequest { component, connector, resource_id, ..Default::default() };
        vault.run(vault.components("mallory").connect_component(ask))
    });
    ids.same("bind", |id| {
        let ask = cast::binding("mallory", "data-scientist");
        let ask = proto::CreateBindingRequest { connector: id.to_owned(), ..ask };
        vault.run(vault.access("other-owner").create_binding(ask))
    });
}

#[test]
fn b5_components_that_are_foreign_deleted_or_never_were_are_one() {
    let vault = Setup::new().start();
    with_others(&vault);
    let foreign = cast::component(&vault, "bob", "theirs").id;
    let own = cast::component(&vault, "mallory", "mine").id;
    let describe = |id: &str| {
        let ask = proto::DescribeComponentRequest { component: id.to_owned(), ..Default::default() };
        vault.run(vault.components("mallory").describe_component(ask))
    };
    let delete = |id: &str| {
        let ask = proto::DeleteComponentRequest { component: id.to_owned(), ..Default::default() };
        vault.run(vault.components("mallory").delete_component(ask))
    };
    describe(&own).expect("by its id it is found");
    delete(&own).expect("by its id it is deleted");
    let ids = Ids::new("component", &foreign, Some(&own));
    ids.same("describe", describe);
    ids.same("delete", delete);
    ids.same("mint", |id| vault.run(vault.credentials("mallory").mint_credential(cast::mint(id))));
    ids.same("unlink", |id| {
        let ask = proto::ConnectComponentRequest { component: id.to_owned(), ..Default::default() };
        vault.run(vault.components("mallory").connect_component(ask))
    });
    ids.same("stack", |id| {
        let (name, components) = ("pile".to_owned(), vec![id.to_owned()]);
        let ask = proto::RegisterStackRequest { name, components, ..Default::default() };
        vault.run(vault.stacks("mallory").register_stack(ask))
    });
    ids.same("bind", |id| {
        let ask = cast::binding("mallory", "data-scientist");
        let ask = proto::CreateBindingRequest { component: id.to_owned(), ..ask };
        vault.run(vault.access("other-owner").create_binding(ask))
    });
}

#[test]
fn b5_stacks_and_runs_that_are_foreign_deleted_or_never_were_are_one() {
    let vault = Setup::new().start();
    with_others(&vault);
    let world = World::new(&vault);
    let component = cast::component(&vault, "mallory", "mine").name;
    let stack = |name: &str| {
        let components = vec![component.clone()];
        let ask = proto::RegisterStackRequest { name: name.to_owned(), components, ..Default::default() };
        vault.run(vault.stacks("mallory").register_stack(ask)).unwrap().into_inner().stack.unwrap()
    };
    let own = stack("mine").id;
    let describe = |id: &str| {
        let ask = proto::DescribeStackRequest { stack: id.to_owned(), ..Default::default() };
        vault.run(vault.stacks("mallory").describe_stack(ask))
    };
    let delete = |id: &str| {
        let ask = proto::DeleteStackRequest { stack: id.to_owned(), ..Default::default() };
        vault.run(vault.stacks("mallory").delete_stack(ask))
    };
    describe(&own).expect("by its id it is found");
    delete(&own).expect("by its id it is deleted");
    let ids = Ids::new("stack", world.stack_id(), Some(&own));
    ids.same("describe", describe);
    ids.same("delete", delete);
    ids.same("update", |id| {
        let (stack, components, etag) = (id.to_owned(), vec![component.clone()], "\"1\"".to_owned());
        let ask = proto::UpdateStackRequest { stack, components, etag, ..Default::default() };
        vault.run(vault.stacks("mallory").update_stack(ask))
    });
    ids.same("start a run", |id| {
        let ask = proto::StartRunRequest { stack: id.to_owned(), ..Default::default() };
        vault.run(vault.runs("mallory").start_run(ask))
    });

    // Runs are kept for the ledger: none is deleted.
    let own = proto::StartRunRequest { stack: stack("running").name, ..Default::default() };
    let own = vault.run(vault.runs("mallory").start_run(own)).unwrap().into_inner().run.unwrap().id;
    let describe = |id: &str| {
        let ask = proto::DescribeRunRequest { run: id.to_owned(), ..Default::default() };
        vault.run(vault.runs("mallory").describe_run(ask))
    };
    describe(&own).expect("by its id it is found");
    let ids = Ids::new("run", world.run_id(), None);
    ids.same("describe", describe);
    ids.same("renew", |id| {
        let ask = proto::RenewRunRequest { run: id.to_owned(), ..Default::default() };
        vault.run(vault.runs("mallory").renew_run(ask))
    });
    ids.same("finish", |id| {
        let ask = proto::FinishRunRequest { run: id.to_owned(), ..Default::default() };
        vault.run(vault.runs("mallory").finish_run(ask))
    });
}

#[test]
fn b5_principals_tokens_and_bindings_that_are_foreign_deleted_or_never_were_are_one() {
    let vault = Setup::new().start();
    with_others(&vault);
    let delete = |id: &str| {
        let ask = proto::DeletePrincipalRequest { principal: id.to_owned(), ..Default::default() };
        vault.run(vault.access("other-owner").delete_principal(ask))
    };
    let revoke = |id: &str| {
        let ask = proto::RevokeTokenRequest { token: id.to_owned(), ..Default::default() };
        vault.run(vault.access("other-owner").revoke_token(ask))
    };
    let unbind = |id: &str| {
        let ask = proto::DeleteBindingRequest { binding: id.to_owned(), ..Default::default() };
        vault.run(vault.access("other-owner").delete_binding(ask))
    };
    let foreign = cast::principal(&vault, "owner", "theirs", proto::PrincipalKind::User).id;
    let foreign_token = cast::token(&vault, "owner", "theirs", 3600).token.unwrap().id;
    let foreign_binding = cast::bind(&vault, "owner", cast::binding("theirs", "auditor")).id;
    let own = cast::principal(&vault, "other-owner", "mine", proto::PrincipalKind::User).id;
    let own_token = cast::token(&vault, "other-owner", "mine", 3600).token.unwrap().id;
    let own_binding = cast::bind(&vault, "other-owner", cast::binding("mine", "auditor")).id;
    revoke(&own_token).expect("by its id it is revoked");
    unbind(&own_binding).expect("by its id it is deleted");
    delete(&own).expect("by its id it is deleted");

    Ids::new("binding", &foreign_binding, Some(&own_binding)).same("delete", unbind);
    let never = own_token.chars().rev().collect();
    Ids { never, ..Ids::new("token", &foreign_token, Some(&own_token)) }.same("revoke", revoke);
    let ids = Ids::new("principal", &foreign, Some(&own));
    ids.same("delete", delete);
    ids.same("make a token", |id| {
        let ask = proto::CreateTokenRequest { principal: id.to_owned(), ttl_seconds: 60, ..Default::default() };
        vault.run(vault.access("other-owner").create_token(ask))
    });
    ids.same("list tokens", |id| {
        let ask = proto::ListTokensRequest { principal: id.to_owned(), ..Default::default() };
        vault.run(vault.access("other-owner").list_tokens(ask))
    });
    ids.same("bind", |id| vault.run(vault.access("other-owner").create_binding(cast::binding(id, "auditor"))));
}

#[test]
fn b5_issuances_that_are_foreign_or_never_were_are_one() {
    let sts = Sts::constant();
    let vault = asks::reaching(&sts.url()).start();
    with_others(&vault);
    let key = [cast::CANARY_ID.as_bytes(), cast::CANARY.as_bytes()];
    let connector = asks::role_connector("data", &sts.url(), key);
    cast::connector(&vault, connector.clone());
    vault.run(vault.connectors("eve").register_connector(connector)).expect("another project's");
    let minted = |who: &str| {
        let minted = vault.run(vault.credentials(who).mint_credential(asks::bucket("data", "models")));
        minted.unwrap().into_inner().credential.unwrap().issuance_id
    };
    let (foreign, own) = (minted("bob"), minted("mallory"));
    let revoke = |id: &str| {
        let ask = proto::RevokeIssuancesRequest { issuances: vec![id.to_owned()], ..Default::default() };
        vault.run(vault.credentials("eve").revoke_issuances(ask))
    };
    let ids = Ids::new("issuance", &foreign, None);
    ids.same("revoke", revoke);
    revoke(&own).expect("by its id it is revoked");
    ids.same("sign", |id| {
        let ask = proto::SignChallengeRequest { issuance_id: id.to_owned(), data: vec![1], ..Default::default() };
        vault.run(vault.credentials("mallory").sign_challenge(ask))
    });
}

//! Somebody for each role and each place that it can be bound to, and the requests that are about these places.
//!
//! The connector is a certificate authority for SSH: whatever is allowed happens, and no cloud is asked.

use prost::Message as _;
use valetkey::proto;

use super::calls::{World, about_connector, about_stack};
use super::cast;
use super::sshd::Pair;
use super::vault::Vault;

const HOST: &str = "gpu.example";

/// Where a role is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the whole project.
    Project,
    /// On the connector.
    Connector,
    /// On the component that is linked to it.
    Component,
}

impl Place {
    /// Every place, in the order of the letters of a cell of the matrix.
    pub const ALL: [Self; 3] = [Self::Project, Self::Connector, Self::Component];
}

/// The places, and what is there.
pub struct Granted {
    world: World,
    connector: proto::Connector,
    component: proto::Component,
    stack: proto::Stack,
    authority: Pair,
    issuance: String,
}

impl Granted {
    /// Makes the records.
    pub fn new(vault: &Vault) -> Self {
        let world = World::new(vault);
        let authority = Pair::new(&vault.beside(""), "authority", &["-t", "ed25519"]);
        let ask = proto::RegisterConnectorRequest {
            name: "granted".to_owned(),
            connector_type: "ssh".to_owned(),
            auth_method: "ca-key".to_owned(),
            settings: format!(r#"{{"hosts": ["{HOST}"], "principals": {{"read": ["view@{{host}}"]}}}}"#),
            secrets: secrets(&authority),
            skip_verify: true,
            ..Default::default()
        };
        let connector = cast::connector(vault, ask);
        let requirement = proto::ConnectorRequirement { resource_type: "ssh-host".to_owned(), ..Default::default() };
        let ask = proto::RegisterComponentRequest {
            name: "granted-store".to_owned(),
            component_type: "step-operator".to_owned(),
            requirement: Some(requirement),
            ..Default::default()
        };
        vault.run(vault.components("bob").register_component(ask)).expect("a component is registered");
        let component = cast::link(vault, "granted-store", "granted", HOST);
        let (name, components) = ("granted-stack".to_owned(), vec!["granted-store".to_owned()]);
        let stack = proto::RegisterStackRequest { name, components, ..Default::default() };
        let stack = vault.run(vault.stacks("bob").register_stack(stack)).unwrap().into_inner().stack.unwrap();
        let mut granted = Self { world, connector, component, stack, authority, issuance: String::new() };
        let ask = proto::MintCredentialRequest { ask: Some(granted.mint()) };
        let minted = vault.run(vault.credentials("bob").mint_credential(ask)).expect("it mints").into_inner();
        granted.issuance = minted.credential.expect("the reply has the credential").issuance_id;
        granted
    }

    /// Lets somebody in who holds one role in one place.
    pub fn somebody(&self, vault: &Vault, role: &str, place: Place) -> String {
        let name = format!("{role}-{}", format!("{place:?}").to_lowercase());
        cast::principal(vault, "owner", &name, proto::PrincipalKind::User);
        cast::bind(vault, "owner", self.binding(&name, role, place));
        name
    }

    /// A request to give a role in a place.
    pub fn binding(&self, principal: &str, role: &str, place: Place) -> proto::CreateBindingRequest {
        let ask = cast::binding(principal, role);
        match place {
            Place::Project => ask,
            Place::Connector => proto::CreateBindingRequest { connector: self.connector.name.clone(), ..ask },
            Place::Component => proto::CreateBindingRequest { component: self.component.name.clone(), ..ask },
        }
    }

    /// The request of the method at this path, about the places.
    pub fn request(&self, path: &str, place: Place) -> Vec<u8> {
        let name = path.rsplit('/').next().unwrap();
        let found = about_connector(name, &self.connector, secrets(&self.authority));
        let found = found.or_else(|| about_stack(name, &self.stack, &self.component.name));
        let found = found.or_else(|| self.about_minting(name, place));
        found.unwrap_or_else(|| self.world.request(path))
    }

    /// What may be minted through the component, and what was.
    fn about_minting(&self, name: &str, place: Place) -> Option<Vec<u8>> {
        let (component, connector) = (self.component.name.clone(), self.connector.name.clone());
        let bytes = match name {
            "ConnectComponent" => {
                let (resource_id, access_max) = (HOST.to_owned(), proto::AccessLevel::Read.into());
                let ask = proto::ConnectComponentRequest {
                    component,
                    connector,
                    resource_id,
                    access_max,
                    ..Default::default()
                };
                ask.encode_to_vec()
            }
            "MintCredential" => proto::MintCredentialRequest { ask: Some(self.mint()) }.encode_to_vec(),
            "WatchCredential" => proto::WatchCredentialRequest { ask: Some(self.mint()) }.encode_to_vec(),
            // What was minted through the component is all that a role on it is about.
            "RevokeIssuances" if place == Place::Component => {
                let issuances = vec![self.issuance.clone()];
                proto::RevokeIssuancesRequest { issuances, ..Default::default() }.encode_to_vec()
            }
            "RevokeIssuances" => proto::RevokeIssuancesRequest { connector, ..Default::default() }.encode_to_vec(),
            _ => return None,
        };
        Some(bytes)
    }

    fn mint(&self) -> proto::MintAsk {
        let parameters = [("public_key".to_owned(), self.authority.line())].into();
        proto::MintAsk { parameters, ..cast::mint(&self.component.name).ask.unwrap() }
    }
}

fn secrets(authority: &Pair) -> Vec<proto::SecretField> {
    vec![proto::SecretField { name: "ca_private_key".to_owned(), value: authority.secret().into_bytes() }]
}

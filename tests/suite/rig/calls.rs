//! One well-formed request for every method there is, about records that exist.
//!
//! A method that is not here panics: whoever adds an RPC adds its request, and the coverage tests then cover it.

use prost::Message as _;
use valetkey::proto;

use super::cast;
use super::vault::Vault;

/// Who has the token of bob's run on the stack that the requests are about.
pub const RUN: &str = "bobs-run";

/// Records that the requests are about.
pub struct World {
    connector: proto::Connector,
    component: proto::Component,
    stack: proto::Stack,
    victim: proto::Principal,
    token: proto::Token,
    binding: proto::Binding,
    run: proto::Run,
}

impl World {
    /// Makes the records.
    pub fn new(vault: &Vault) -> Self {
        let connector = cast::connector(vault, cast::unverified("covered"));
        cast::component(vault, "bob", "covered-store");
        let component = cast::link(vault, "covered-store", "covered", "s3://datasets");
        let stack = proto::RegisterStackRequest { name: "covered-stack".to_owned(), ..stack_of() };
        let stack = vault.run(vault.stacks("bob").register_stack(stack)).unwrap().into_inner().stack.unwrap();
        let victim = cast::principal(vault, "owner", "victim", proto::PrincipalKind::User);
        let token = cast::token(vault, "owner", "victim", 3600).token.unwrap();
        let binding = cast::bind(vault, "owner", cast::binding("victim", "auditor"));
        let run = proto::StartRunRequest { stack: stack.name.clone(), ..Default::default() };
        let run = vault.run(vault.runs("bob").start_run(run)).unwrap().into_inner();
        vault.keep_token(RUN, &run.secret);
        let run = run.run.unwrap();
        Self { connector, component, stack, victim, token, binding, run }
    }

    /// The stack's id.
    pub fn stack_id(&self) -> &str {
        &self.stack.id
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        &self.run.id
    }

    /// The request of the method at this path.
    pub fn request(&self, path: &str) -> Vec<u8> {
        let name = path.rsplit('/').next().unwrap();
        let found = self.of_access(name).or_else(|| self.of_connectors(name));
        let found = found.or_else(|| self.of_stacks(name)).or_else(|| self.of_runs_and_credentials(name));
        found.unwrap_or_else(|| panic!("{path} is new: give it a well-formed request here"))
    }

    fn of_access(&self, name: &str) -> Option<Vec<u8>> {
        let (victim, new) = (self.victim.name.clone(), "newcomer".to_owned());
        let bytes = match name {
            "WhoAmI" => proto::WhoAmIRequest::default().encode_to_vec(),
            "ListMintable" => proto::ListMintableRequest::default().encode_to_vec(),
            "CreatePrincipal" => {
                let kind = proto::PrincipalKind::User.into();
                proto::CreatePrincipalRequest { name: new, kind, ..Default::default() }.encode_to_vec()
            }
            "ListPrincipals" => proto::ListPrincipalsRequest::default().encode_to_vec(),
            "DeletePrincipal" => {
                proto::DeletePrincipalRequest { principal: victim, ..Default::default() }.encode_to_vec()
            }
            "CreateToken" => proto::CreateTokenRequest { ttl_seconds: 60, ..Default::default() }.encode_to_vec(),
            "ListTokens" => proto::ListTokensRequest::default().encode_to_vec(),
            "RevokeToken" => {
                proto::RevokeTokenRequest { token: self.token.id.clone(), ..Default::default() }.encode_to_vec()
            }
            "ListRoles" => proto::ListRolesRequest::default().encode_to_vec(),
            "CreateBinding" => cast::binding(&victim, "data-scientist").encode_to_vec(),
            "ListBindings" => proto::ListBindingsRequest::default().encode_to_vec(),
            "DeleteBinding" => {
                proto::DeleteBindingRequest { binding: self.binding.id.clone(), ..Default::default() }.encode_to_vec()
            }
            "ListAuditLines" => proto::ListAuditLinesRequest::default().encode_to_vec(),
            "TailAuditLines" => proto::TailAuditLinesRequest::default().encode_to_vec(),
            "GetStatus" => proto::GetStatusRequest::default().encode_to_vec(),
            "GetKeyStatus" => proto::GetKeyStatusRequest::default().encode_to_vec(),
            "AcceptClock" => proto::AcceptClockRequest::default().encode_to_vec(),
            "RotateIssuerKey" => proto::RotateIssuerKeyRequest::default().encode_to_vec(),
            _ => return None,
        };
        Some(bytes)
    }

    fn of_connectors(&self, name: &str) -> Option<Vec<u8>> {
        let bytes = match name {
            "ListConnectorTypes" => proto::ListConnectorTypesRequest::default().encode_to_vec(),
            "DescribeConnectorType" => {
                proto::DescribeConnectorTypeRequest { name: "aws".to_owned(), ..Default::default() }.encode_to_vec()
            }
            "RegisterConnector" => cast::unverified("another").encode_to_vec(),
            "ListConnectors" => proto::ListConnectorsRequest::default().encode_to_vec(),
            _ => return about_connector(name, &self.connector, cast::canary_secrets()),
        };
        Some(bytes)
    }

    fn of_stacks(&self, name: &str) -> Option<Vec<u8>> {
        let component = self.component.name.clone();
        let bytes = match name {
            "RegisterComponent" => {
                let requirement =
                    proto::ConnectorRequirement { resource_type: "s3-bucket".to_owned(), ..Default::default() };
                let (name, component_type) = ("another".to_owned(), "artifact-store".to_owned());
                let requirement = Some(requirement);
                let ask = proto::RegisterComponentRequest { name, component_type, requirement, ..Default::default() };
                ask.encode_to_vec()
            }
            "ListComponents" => proto::ListComponentsRequest::default().encode_to_vec(),
            "ConnectComponent" => proto::ConnectComponentRequest { component, ..Default::default() }.encode_to_vec(),
            "RegisterStack" => proto::RegisterStackRequest { name: "another".to_owned(), ..stack_of() }.encode_to_vec(),
            "ListStacks" => proto::ListStacksRequest::default().encode_to_vec(),
            _ => return about_stack(name, &self.stack, &component),
        };
        Some(bytes)
    }

    fn of_runs_and_credentials(&self, name: &str) -> Option<Vec<u8>> {
        let component = self.component.name.clone();
        let bytes = match name {
            "RenewRun" => proto::RenewRunRequest { run: self.run.id.clone(), ..Default::default() }.encode_to_vec(),
            "FinishRun" => proto::FinishRunRequest { run: self.run.id.clone(), ..Default::default() }.encode_to_vec(),
            "ListRuns" => proto::ListRunsRequest::default().encode_to_vec(),
            "DescribeRun" => {
                proto::DescribeRunRequest { run: self.run.id.clone(), ..Default::default() }.encode_to_vec()
            }
            "MintCredential" => cast::mint(&component).encode_to_vec(),
            "WatchCredential" => proto::WatchCredentialRequest { ask: cast::mint(&component).ask }.encode_to_vec(),
            "SignChallenge" => {
                // Of nobody: whoever may mint is told that there is none.
                let issuance_id = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
                proto::SignChallengeRequest { issuance_id, data: vec![1], ..Default::default() }.encode_to_vec()
            }
            "ListIssuances" => proto::ListIssuancesRequest::default().encode_to_vec(),
            "RevokeIssuances" => {
                proto::RevokeIssuancesRequest { connector: self.connector.name.clone(), ..Default::default() }
                    .encode_to_vec()
            }
            _ => return None,
        };
        Some(bytes)
    }
}

fn stack_of() -> proto::RegisterStackRequest {
    proto::RegisterStackRequest { components: vec!["pipeline".to_owned()], ..Default::default() }
}

/// A request about this one stack, or about the component that it names.
pub fn about_stack(name: &str, about: &proto::Stack, component: &str) -> Option<Vec<u8>> {
    let (stack, component) = (about.name.clone(), component.to_owned());
    let bytes = match name {
        "DescribeComponent" => proto::DescribeComponentRequest { component, ..Default::default() }.encode_to_vec(),
        "DeleteComponent" => proto::DeleteComponentRequest { component, ..Default::default() }.encode_to_vec(),
        "DescribeStack" => proto::DescribeStackRequest { stack, ..Default::default() }.encode_to_vec(),
        "UpdateStack" => {
            let (components, etag) = (vec![component], about.etag.clone());
            proto::UpdateStackRequest { stack, components, etag, ..Default::default() }.encode_to_vec()
        }
        "DeleteStack" => proto::DeleteStackRequest { stack, ..Default::default() }.encode_to_vec(),
        "StartRun" => proto::StartRunRequest { stack, ..Default::default() }.encode_to_vec(),
        _ => return None,
    };
    Some(bytes)
}

/// A request about this one connector, with the secret that a rotation hands in.
pub fn about_connector(name: &str, about: &proto::Connector, secrets: Vec<proto::SecretField>) -> Option<Vec<u8>> {
    let (connector, etag) = (about.name.clone(), about.etag.clone());
    let bytes = match name {
        "DescribeConnector" => proto::DescribeConnectorRequest { connector, ..Default::default() }.encode_to_vec(),
        "UpdateConnector" => {
            let description = "changed".to_owned();
            proto::UpdateConnectorRequest { connector, etag, description, ..Default::default() }.encode_to_vec()
        }
        "RotateConnectorSecret" => {
            let ask =
                proto::RotateConnectorSecretRequest { connector, secrets, skip_verify: true, ..Default::default() };
            ask.encode_to_vec()
        }
        "VerifyConnector" => proto::VerifyConnectorRequest { connector, ..Default::default() }.encode_to_vec(),
        "ListConnectorResources" => {
            proto::ListConnectorResourcesRequest { connector, ..Default::default() }.encode_to_vec()
        }
        "DeleteConnector" => proto::DeleteConnectorRequest { connector, ..Default::default() }.encode_to_vec(),
        _ => return None,
    };
    Some(bytes)
}

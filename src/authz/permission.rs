//! Every permission there is, by the word that the proto files use.
//!
//! Owns the words; which role has which is `roles`' to say. A word that is
//! not here is no permission: parsing is exact.

use std::fmt;

macro_rules! permissions {
    ($($variant:ident = $word:literal: $doc:literal,)*) => {
        /// What a role may allow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $(#[doc = $doc] $variant,)*
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The permission with this word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|p| p.as_str() == word)
            }
        }
    };
}

permissions! {
    Own = "self": "What every authenticated principal may do about itself.",
    TokensOwn = "tokens.own": "Create, list and revoke tokens of one's own; not from within a run.",
    ConnectorTypesRead = "connectorTypes.read": "List and describe connector types.",
    ConnectorsRegister = "connectors.register": "Register a connector.",
    ConnectorsList = "connectors.list": "List connectors.",
    ConnectorsDescribe = "connectors.describe": "Describe a connector.",
    ConnectorsReadSettings = "connectors.readSettings": "See account ids, roles and identities of a connector.",
    ConnectorsUpdate = "connectors.update": "Change a connector.",
    ConnectorsRotateSecret = "connectors.rotateSecret": "Replace a source credential.",
    ConnectorsVerify = "connectors.verify": "Verify a connector against its cloud.",
    ConnectorsListResources = "connectors.listResources": "Enumerate the cloud through a connector.",
    ConnectorsDelete = "connectors.delete": "Delete a connector.",
    ComponentsRegister = "components.register": "Register a component.",
    ComponentsList = "components.list": "List and describe components.",
    ComponentsConnect = "components.connect": "Link a component to a connector.",
    ComponentsDelete = "components.delete": "Delete a component.",
    StacksRegister = "stacks.register": "Register a stack.",
    StacksList = "stacks.list": "List and describe stacks.",
    StacksUpdate = "stacks.update": "Change a stack.",
    StacksDelete = "stacks.delete": "Delete a stack.",
    RunsStart = "runs.start": "Start a run on a stack.",
    RunsList = "runs.list": "List and describe runs of one's own.",
    RunsListAll = "runs.listAll": "List and describe every run of the project.",
    RunsFinish = "runs.finish": "Finish runs of others.",
    CredentialsMint = "credentials.mint": "Mint a credential.",
    IssuancesList = "issuances.list": "List issuances of one's own.",
    IssuancesListAll = "issuances.listAll": "List every issuance of the project.",
    IssuancesRevoke = "issuances.revoke": "Revoke issuances.",
    PrincipalsCreate = "principals.create": "Create users and service accounts.",
    PrincipalsList = "principals.list": "List users and service accounts.",
    PrincipalsDelete = "principals.delete": "Delete users and service accounts.",
    TokensManage = "tokens.manage": "Create, list and revoke tokens of others.",
    RolesList = "roles.list": "List roles.",
    BindingsCreate = "bindings.create": "Give roles to others.",
    BindingsList = "bindings.list": "List bindings.",
    BindingsDelete = "bindings.delete": "Take roles away.",
    AuditRead = "audit.read": "Read the ledger.",
    OperatorStatus = "operator.status": "See how the daemon is.",
    OperatorKeys = "operator.keys": "See which keys there are.",
    OperatorAcceptClock = "operator.acceptClock": "Say that the server's clock is right.",
    OperatorRotateIssuerKey = "operator.rotateIssuerKey": "Let the issuer's next key sign.",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What a connector type says of itself, for people and for the wizard.

use crate::domain::TtlRange;

/// A connector type.
#[derive(Debug, Clone)]
pub struct TypeDescription {
    /// For example `aws`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Ways to authenticate to the cloud.
    pub methods: Vec<MethodDescription>,
    /// What it can give credentials for.
    pub resources: Vec<ResourceDescription>,
    /// How a person ends what it mints before its time, where the cloud ends
    /// no single one but all at once (`Revocable::RoleWide`): words that go on
    /// after "the cloud honours it until ...; ". Nothing where there is no such.
    pub ends_widely: Option<&'static str>,
}

/// A way to authenticate.
#[derive(Debug, Clone)]
pub struct MethodDescription {
    /// For example `iam-role`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Shortest, default and longest lifetime.
    pub ttl: TtlRange,
    /// JSON schema of the settings of this method.
    pub settings_schema: String,
    /// The fields of the source credential; none when nothing is stored.
    pub secrets: Vec<SecretFieldDescription>,
    /// `connector rotate-secret --auto` can make the next source credential
    /// at the cloud; see [`super::ConnectorType::make_key`].
    pub rotates: bool,
}

/// A field of a source credential.
#[derive(Debug, Clone, Copy)]
pub struct SecretFieldDescription {
    /// The field's name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Must be given.
    pub required: bool,
}

/// What each access level means for a resource type.
#[derive(Debug, Clone, Copy)]
pub struct AccessMeaning {
    /// `read`.
    pub read: &'static str,
    /// `write`.
    pub write: &'static str,
    /// `admin`.
    pub admin: &'static str,
}

/// What a type can give credentials for.
#[derive(Debug, Clone, Copy)]
pub struct ResourceDescription {
    /// For example `s3-bucket`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// For example `s3://BUCKET[/PREFIX]`.
    pub id_form: &'static str,
    /// One connector may reach many.
    pub many: bool,
    /// What each access level means.
    pub access: AccessMeaning,
    /// What an ask may say beyond resource and access level.
    pub parameters: &'static [ParameterDescription],
}

/// Something that an ask may say beyond resource and access level, for
/// example the public key that is to be certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterDescription {
    /// The parameter's name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
}

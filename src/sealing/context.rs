//! Where a sealed value belongs: authenticated, never secret.
//!
//! Owns the encoding of a context. It is binary, each part with its length
//! before it, so that two contexts never encode alike; nothing is joined as
//! text.

use crate::domain::{ConnectorId, ConnectorTypeName, IssuerKeyId, KekId, ProjectId, SecretFieldName};

use super::envelope::{Algorithm, KeyId};

/// The domain of every encoding, apart from anything else we ever sign.
const DOMAIN: &[u8] = b"valetkey/sealed";
/// The list of parts; another list is another schema.
const SCHEMA: u8 = 1;

/// What a sealed credential is bound to. A record opens in no other context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealContext {
    /// The project.
    pub project: ProjectId,
    /// The connector.
    pub connector: ConnectorId,
    /// The connector's type.
    pub connector_type: ConnectorTypeName,
    /// Grows by one with each rotation: an older record does not open.
    pub secret_version: u64,
    /// SHA-256 of the settings that decide where the secret is sent.
    pub destination: [u8; 32],
}

/// The place of one sealed value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// A field of a source credential.
    SourceField {
        /// Where the credential belongs.
        context: &'a SealContext,
        /// The field.
        field: &'a SecretFieldName,
        /// All fields of the credential, ascending: none can be dropped.
        names: &'a [&'a SecretFieldName],
    },
    /// A project key under the root key.
    ProjectKey {
        /// Whose key.
        project: ProjectId,
        /// Which.
        id: KekId,
    },
    /// A signing key of the issuer under the root key.
    IssuerKey {
        /// Which: the thumbprint of its public half.
        id: &'a IssuerKeyId,
    },
}

impl Place<'_> {
    /// The encoding, for a value sealed by `algorithm` under key `key`.
    pub(super) fn encode(&self, key: &KeyId, algorithm: Algorithm) -> Vec<u8> {
        let mut parts = Parts::default();
        parts.add(DOMAIN);
        parts.add(&[SCHEMA]);
        parts.add(&[algorithm.byte()]);
        parts.add(&key.0);
        match self {
            Self::SourceField { context, field, names } => {
                parts.add(b"source-field");
                parts.add(context.project.as_bytes());
                parts.add(context.connector.as_bytes());
                parts.add(context.connector_type.as_str().as_bytes());
                parts.add(field.as_str().as_bytes());
                parts.add(&context.secret_version.to_be_bytes());
                parts.add(&context.destination);
                parts.add(&encode_names(names));
            }
            Self::ProjectKey { project, id } => {
                parts.add(b"project-key");
                parts.add(project.as_bytes());
                parts.add(id.as_bytes());
            }
            Self::IssuerKey { id } => {
                parts.add(b"issuer-key");
                parts.add(id.as_str().as_bytes());
            }
        }
        parts.0
    }
}

fn encode_names(names: &[&SecretFieldName]) -> Vec<u8> {
    let mut parts = Parts::default();
    for name in names {
        parts.add(name.as_str().as_bytes());
    }
    parts.0
}

/// Parts, each with its length as eight bytes, big-endian.
#[derive(Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All that an encoding must keep apart.
    type Whole = (KeyId, SealContext, SecretFieldName, Vec<SecretFieldName>);

    fn encode((key, context, field, names): &Whole) -> Vec<u8> {
        let names: Vec<_> = names.iter().collect();
        Place::SourceField { context, field, names: &names }.encode(key, Algorithm::HkdfSha512Aes256Gcm)
    }

    /// Few letters and short names, so that parts meet at their borders.
    fn word() -> impl Strategy<Value = SecretFieldName> {
        "[ab]{1,3}".prop_map(|text| SecretFieldName::parse(&text).unwrap())
    }

    fn whole() -> impl Strategy<Value = Whole> {
        let ids = (0..2_u8, 0..2_u8, 0..2_u8, 0..2_u64, 0..2_u8);
        (ids, word(), word(), proptest::collection::vec(word(), 0..3)).prop_map(
            |((key, project, connector, secret_version, destination), kind, field, names)| {
                let context = SealContext {
                    project: ProjectId::from_bytes([project; 16]),
                    connector: ConnectorId::from_bytes([connector; 16]),
                    connector_type: ConnectorTypeName::parse(kind.as_str()).unwrap(),
                    secret_version,
                    destination: [destination; 32],
                };
                (KeyId([key; 16]), context, field, names)
            },
        )
    }

    /// The parts again: an encoding that can be read back is injective.
    fn parts_of(mut encoded: &[u8]) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        while let Some((length, rest)) = encoded.split_first_chunk::<8>() {
            let (part, rest) = rest.split_at(usize::try_from(u64::from_be_bytes(*length)).unwrap());
            parts.push(part.to_vec());
            encoded = rest;
        }
        assert!(encoded.is_empty());
        parts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn two_contexts_never_encode_alike(one in whole(), two in whole()) {
            prop_assert_eq!(encode(&one) == encode(&two), one == two);
        }

        #[test]
        fn a_context_can_be_read_back_from_its_encoding(one in whole()) {
            let parts = parts_of(&encode(&one));
            let names: Vec<Vec<u8>> = one.3.iter().map(|n| n.as_str().as_bytes().to_vec()).collect();
            prop_assert_eq!(&parts[3], &one.0.0.to_vec());
            prop_assert_eq!(&parts[5], &one.1.project.as_bytes().to_vec());
            prop_assert_eq!(&parts[6], &one.1.connector.as_bytes().to_vec());
            prop_assert_eq!(&parts[7], &one.1.connector_type.as_str().as_bytes().to_vec());
            prop_assert_eq!(&parts[8], &one.2.as_str().as_bytes().to_vec());
            prop_assert_eq!(&parts[9], &one.1.secret_version.to_be_bytes().to_vec());
            prop_assert_eq!(&parts[10], &one.1.destination.to_vec());
            prop_assert_eq!(parts_of(&parts[11]), names);
            prop_assert_eq!(parts.len(), 12);
        }
    }

    #[test]
    fn a_project_key_never_encodes_like_a_source_field() {
        let place = Place::ProjectKey { project: ProjectId::from_bytes([1; 16]), id: KekId::from_bytes([2; 16]) };
        let parts = parts_of(&place.encode(&KeyId([3; 16]), Algorithm::HkdfSha512Aes256Gcm));
        assert_eq!(parts[4], b"project-key");
        assert_eq!(parts.len(), 7);
    }

    #[test]
    fn an_issuer_key_encodes_like_nothing_else() {
        let id = IssuerKeyId::parse(&"k".repeat(43)).unwrap();
        let parts = parts_of(&Place::IssuerKey { id: &id }.encode(&KeyId([3; 16]), Algorithm::HkdfSha512Aes256Gcm));
        assert_eq!((parts[4].as_slice(), parts[5].as_slice()), (&b"issuer-key"[..], id.as_str().as_bytes()));
        assert_eq!(parts.len(), 6);
    }
}

//! Identifiers: random UUIDs, one newtype for each noun.
//!
//! An id says nothing of what it names, and is never a secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::{Entropy, EntropyError};

/// A string that is not a UUID where an id is due.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: a UUID such as 6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11 is due")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh random id.
            ///
            /// # Errors
            /// When the random source fails.
            pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes)?;
                Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
            }

            /// The id with these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                // Hyphenated only: one id has one spelling.
                if text.len() != 36 {
                    return Err(IdError);
                }
                let id = Uuid::try_parse(text).map_err(|_| IdError)?;
                if id.hyphenated().to_string() == text { Ok(Self(id)) } else { Err(IdError) }
            }
        }
    };
}

id!(/// Names a project.
    ProjectId);
id!(/// Names a connector.
    ConnectorId);
id!(/// Names a component.
    ComponentId);
id!(/// Names a stack.
    StackId);
id!(/// Names a run.
    RunId);
id!(/// Names a principal.
    PrincipalId);
id!(/// Names a role binding.
    BindingId);
id!(/// Names an issuance.
    IssuanceId);
id!(/// Names a key-encryption key.
    KekId);
id!(/// Chosen by a client to make a request idempotent.
    RequestId);

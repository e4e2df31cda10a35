//! The keys as they are stored, opened: what is published, and what signs.
//!
//! What is published is derived from the sealed private halves, never read
//! from the store: whoever can write to its files cannot have clouds trust a
//! key of his own. Only the key that signs stays opened.

use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::domain::jws::SigningKey;
use crate::domain::{Entropy, IssuerKeyFacts, IssuerKeyId, IssuerKeyState, IssuerUrl};
use crate::sealing::{Keyring, SealedIssuerKey, SealingError};

use super::documents::Documents;
use super::rsa::{GenerateError, generate};

/// All keys at one moment. No Debug: it holds the one that signs.
pub struct Keys {
    facts: Vec<IssuerKeyFacts>,
    signing: Option<(IssuerKeyId, SigningKey)>,
    documents: Documents,
}

impl Keys {
    /// Opens what is stored.
    pub fn open(
        stored: &[SealedIssuerKey],
        keyring: &Keyring,
        url: &IssuerUrl,
        max_age: Duration,
    ) -> Result<Self, SealingError> {
        let (mut published, mut signing) = (Vec::new(), None);
        for SealedIssuerKey { facts, sealed } in stored {
            let private = keyring.open_issuer_key(&facts.id, sealed)?;
            let key = SigningKey::from_pkcs1(&private).map_err(|_| SealingError::DoesNotOpen)?;
            if thumbprint(&key) != Some(facts.id.clone()) {
                return Err(SealingError::DoesNotOpen);
            }
            published.push(jwk(&facts.id, &key));
            if facts.state() == IssuerKeyState::Active {
                signing = Some((facts.id.clone(), key));
            }
        }
        let facts = stored.iter().map(|key| key.facts.clone()).collect();
        Ok(Self { facts, signing, documents: Documents::new(url, max_age, &published) })
    }

    /// What is known of them.
    pub fn facts(&self) -> &[IssuerKeyFacts] {
        &self.facts
    }

    /// The one that signs.
    pub fn signing(&self) -> Option<(&IssuerKeyId, &SigningKey)> {
        self.signing.as_ref().map(|(id, key)| (id, key))
    }

    /// What the world may read.
    pub const fn documents(&self) -> &Documents {
        &self.documents
    }
}

/// Makes a key on a thread of its own: it takes long, and calls go on.
pub async fn make(entropy: Arc<dyn Entropy>) -> Result<Zeroizing<Vec<u8>>, GenerateError> {
    let (answer, answered) = oneshot::channel();
    let work = move || {
        // Whoever went away is not told; the key is wiped.
        let _ = answer.send(generate(&*entropy));
    };
    Builder::new().name("issuer-key".to_owned()).spawn(work).map_err(|_| GenerateError::Thread)?;
    answered.await.unwrap_or(Err(GenerateError::Thread))
}

/// The name of a key in PKCS#1.
pub fn name_of(private: &[u8]) -> Result<IssuerKeyId, GenerateError> {
    let key = SigningKey::from_pkcs1(private).map_err(|_| GenerateError::Unsound)?;
    thumbprint(&key).ok_or(GenerateError::Unsound)
}

/// RFC 7638: SHA-256 over the required members, in order, without a blank.
fn thumbprint(key: &SigningKey) -> Option<IssuerKeyId> {
    let public = key.public_jwk();
    let (n, e) = (public.get("n")?.as_str()?, public.get("e")?.as_str()?);
    let text = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    IssuerKeyId::parse(&URL_SAFE_NO_PAD.encode(Sha256::digest(text)))
}

fn jwk(id: &IssuerKeyId, key: &SigningKey) -> Value {
    let mut public = key.public_jwk();
    if let Some(members) = public.as_object_mut() {
        members.insert("kid".to_owned(), json!(id.as_str()));
    }
    public
}

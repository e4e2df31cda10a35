//! Signed tokens: the compact form of RFC 7515 with the keys that clouds and
//! OAuth servers take, signed by ring.
//!
//! Owns the reading of private keys and the signing. It makes no claims up:
//! who signs says what. It verifies nothing but its own parsing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::secret_text::SecretText;

/// The shortest RSA modulus, in bytes: 2,048 bits.
const RSA_BYTES_MIN: usize = 256;
/// The longest, in bytes: 4,096 bits. Beyond it one signature takes long.
const RSA_BYTES_MAX: usize = 512;
/// Before the point of an uncompressed EC key.
const UNCOMPRESSED: u8 = 4;

/// Why there is no key or no signature. Holds nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not a private key in PEM, or damaged.
    #[error("must be a private key in PEM (PKCS#8, or PKCS#1 for RSA), not encrypted")]
    NoKey,
    /// An EC key as `BEGIN EC PRIVATE KEY`: it may be one of ours in another
    /// form.
    #[error("is an EC key in SEC1, which is not read: write it as PKCS#8 with openssl pkcs8 -topk8 -nocrypt -in KEY")]
    Sec1,
    /// A key of another kind or size.
    #[error("must be an RSA key of 2,048 to 4,096 bits, an EC key on P-256 or P-384, or an Ed25519 key")]
    KeyKind,
    /// Signing failed; a fault of ours or of the random source.
    #[error("cannot be signed")]
    Unsigned,
}

/// A private key that signs tokens. No Debug, no Clone.
pub enum SigningKey {
    /// RS256.
    Rsa(Box<RsaKeyPair>),
    /// ES256 (P-256).
    P256(EcdsaKeyPair),
    /// ES384 (P-384).
    P384(EcdsaKeyPair),
    /// EdDSA.
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads the first private key of a PEM text.
    ///
    /// # Errors
    /// `NoKey`, also for an encrypted key; `Sec1`; `KeyKind`.
    pub fn from_pem(pem: &[u8]) -> Result<Self, JwsError> {
        match PrivateKeyDer::from_pem_slice(pem).map_err(|_| JwsError::NoKey)? {
            PrivateKeyDer::Pkcs8(der) => Self::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => Self::from_pkcs1(der.secret_pkcs1_der()),
            // ring reads EC keys as PKCS#8 only.
            PrivateKeyDer::Sec1(_) => Err(JwsError::Sec1),
            _ => Err(JwsError::NoKey),
        }
    }

    /// Reads an RSA key in PKCS#1.
    ///
    /// # Errors
    /// `KeyKind` when it is none of ours, or its parts do not fit together.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, JwsError> {
        RsaKeyPair::from_der(der).map_or(Err(JwsError::KeyKind), rsa)
    }

    /// Reads a PKCS#8 key.
    ///
    /// # Errors
    /// `KeyKind` when it is none of ours, or damaged.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, JwsError> {
        let random = SystemRandom::new();
        if let Ok(key) = RsaKeyPair::from_pkcs8(der) {
            return rsa(key);
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random) {
            return Ok(Self::P256(key));
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random) {
            return Ok(Self::P384(key));
        }
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519).map_err(|_| JwsError::KeyKind)
    }

    /// The `alg` of its tokens.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// A compact token: `header` with `alg` and `typ` filled in, over `claims`.
    ///
    /// # Errors
    /// `Unsigned`.
    pub fn sign(&self, header: Map<String, Value>, claims: &Value) -> Result<SecretText, JwsError> {
        let mut whole = Map::from_iter([("alg".to_owned(), self.algorithm().into()), ("typ".to_owned(), "JWT".into())]);
        whole.extend(header);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(Zeroizing::new(value.to_string()).as_bytes());
        let mut token = Zeroizing::new(format!("{}.{}", part(&Value::Object(whole)), part(claims)));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(SecretText::new(std::mem::take(&mut *token)))
    }

    /// The public half as a JWK (RFC 7517), without `kid`.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let alg = self.algorithm();
        match self {
            Self::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "use": "sig", "alg": alg, "n": text(&parts.n), "e": text(&parts.e)})
            }
            Self::P256(key) | Self::P384(key) => {
                let crv = if matches!(self, Self::P256(_)) { "P-256" } else { "P-384" };
                let point = key.public_key().as_ref();
                let point = point.strip_prefix(&[UNCOMPRESSED]).unwrap_or(point);
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "use": "sig", "alg": alg, "crv": crv, "x": text(x), "y": text(y)})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "use": "sig", "alg": alg, "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
        }
    }

    /// The bare signature of `message`, as JWS wants it.
    ///
    /// # Errors
    /// `Unsigned`.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, JwsError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| JwsError::Unsigned)?;
                Ok(signature)
            }
            Self::P256(key) | Self::P384(key) => {
                Ok(key.sign(&random, message).map_err(|_| JwsError::Unsigned)?.as_ref().to_vec())
            }
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

fn rsa(key: RsaKeyPair) -> Result<SigningKey, JwsError> {
    let fits = (RSA_BYTES_MIN..=RSA_BYTES_MAX).contains(&key.public().modulus_len());
    if fits { Ok(SigningKey::Rsa(Box::new(key))) } else { Err(JwsError::KeyKind) }
}

#[cfg(test)]
mod tests {
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
    };

    use super::*;

    fn pem(der: &[u8], label: &str) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    fn verifies(algorithm: &'static dyn VerificationAlgorithm, public: &[u8], token: &SecretText) -> bool {
        let (message, signature) = token.reveal().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(algorithm, public).verify(message.as_bytes(), &signature).is_ok()
    }

    #[test]
    fn a_token_verifies_under_the_published_key_and_no_other() {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = SigningKey::from_pem(pem(der.as_ref(), "PRIVATE KEY").as_bytes()).unwrap();
        let token = key.sign(Map::from_iter([("kid".to_owned(), "k1".into())]), &json!({"sub": "a"})).unwrap();
        let jwk = key.public_jwk();
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let public = [vec![UNCOMPRESSED], coordinate("x"), coordinate("y")].concat();
        assert!(verifies(&ECDSA_P256_SHA256_FIXED, &public, &token));
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.reveal().split('.').next().unwrap()).unwrap())
                .unwrap();
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
        let other = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let other = SigningKey::from_pkcs8(other.as_ref()).unwrap();
        let token = other.sign(Map::new(), &json!({})).unwrap();
        let x = URL_SAFE_NO_PAD.decode(other.public_jwk()["x"].as_str().unwrap()).unwrap();
        assert!(verifies(&ED25519, &x, &token));
        assert!(!verifies(&ECDSA_P256_SHA256_FIXED, &public, &token));
    }

    #[test]
    fn what_is_no_key_of_ours_is_refused_without_a_word_of_it() {
        for text in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            let Err(error) = SigningKey::from_pem(text.as_bytes()) else { panic!("{text} is no key") };
            assert!(!error.to_string().contains("AAAA"));
        }
        let encrypted = pem(b"x", "ENCRYPTED PRIVATE KEY");
        assert_eq!(SigningKey::from_pem(encrypted.as_bytes()).err(), Some(JwsError::NoKey));
        let sec1 = pem(b"x", "EC PRIVATE KEY");
        assert_eq!(SigningKey::from_pem(sec1.as_bytes()).err(), Some(JwsError::Sec1));
    }
}

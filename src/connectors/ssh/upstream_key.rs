//! The source key, opened for one call: read from what was handed in, held as
//! ring holds keys, and made to sign. No Debug, no Clone.
//!
//! Reads OpenSSH's own files, also encrypted ones, and PKCS#8 and PKCS#1 in
//! PEM. What is wrong is said in our own words, with nothing of the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use ssh_encoding::{Encode as _, Error};
use ssh_key::Mpint;
use ssh_key::private::{EcdsaKeypair, KeypairData, PrivateKey, RsaKeypair};
use zeroize::Zeroizing;

use crate::domain::alias::DSA_REFUSED;

use super::challenge::Algorithm;
use super::crt::modulo_one_less;

/// ssh-keygen takes 16 or 24 rounds, careful people 100. More would hold up
/// a server that opens the key for each signature.
const ROUNDS_MAX: u32 = 128;

/// A private key.
pub enum SourceKey {
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
    /// ECDSA on P-256.
    P256(EcdsaKeyPair),
    /// ECDSA on P-384.
    P384(EcdsaKeyPair),
    /// RSA of 2,048 to 4,096 bits.
    Rsa(Box<RsaKeyPair>),
}

/// Why there is no key.
pub type Problem = &'static str;

const P521_NAME: &[u8] = b"ecdsa-sha2-nistp521";
/// 1.3.132.0.35 in DER.
const P521_OID: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
/// Where a key says its kind at the latest: behind the salt of OpenSSH's form.
const KIND_WITHIN: usize = 128;

const NO_KEY: Problem = "must be a private key in OpenSSH's form or PEM, as it is or in base64";
const KEY_KIND: Problem =
    "must be an ed25519 key, an ecdsa key on P-256 or P-384, or an rsa key of 2,048 to 4,096 bits";
const CURVE: Problem = "is an ecdsa key on P-521, with which this server does not sign; use another, for example one of \
                        ssh-keygen -t ed25519 or -t ecdsa -b 384";
const CONVERT: Problem = "is in an old form; write it anew with ssh-keygen -p -f FILE";
const DAMAGED: Problem = "is damaged: its parts do not go together";
/// What is wrong with a passphrase, which is a field of its own.
pub const PASSPHRASE_MISSING: Problem = "is needed: the key is encrypted";
/// The same.
pub const PASSPHRASE_WRONG: Problem = "does not open the key";
const TOO_MANY_ROUNDS: Problem =
    "is encrypted with more than 128 rounds; write it anew with ssh-keygen -p -a 24 -f FILE";

impl SourceKey {
    /// Reads a key from the text of its file, or that text in base64.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, Problem> {
        if text.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Self::of_file(text, passphrase);
        }
        let mut compact = Zeroizing::new(text.to_vec());
        compact.retain(|byte| !byte.is_ascii_whitespace());
        let file = Zeroizing::new(STANDARD.decode(&*compact).map_err(|_| NO_KEY)?);
        if file.starts_with(b"-----BEGIN ") { Self::of_file(&file, passphrase) } else { Err(NO_KEY) }
    }

    fn of_file(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, Problem> {
        let text = std::str::from_utf8(text).map_err(|_| NO_KEY)?.trim();
        let label = text.lines().next().unwrap_or_default();
        if label.contains("DSA PRIVATE") && !label.contains("ECDSA") {
            return Err(DSA_REFUSED);
        }
        if on_p521(text) {
            return Err(CURVE);
        }
        if label.contains("OPENSSH") {
            return Self::of_openssh(text, passphrase);
        }
        if label.contains("ENCRYPTED") || text.contains("Proc-Type:") {
            return Err(CONVERT);
        }
        match PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| NO_KEY)? {
            PrivateKeyDer::Pkcs1(der) => of_rsa(RsaKeyPair::from_der(der.secret_pkcs1_der()).ok()),
            PrivateKeyDer::Pkcs8(der) => Self::of_pkcs8(der.secret_pkcs8_der()),
            // ring reads EC keys as PKCS#8 only.
            PrivateKeyDer::Sec1(_) => Err(CONVERT),
            _ => Err(NO_KEY),
        }
    }

    fn of_pkcs8(der: &[u8]) -> Result<Self, Problem> {
        let random = SystemRandom::new();
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random) {
            return Ok(Self::P256(key));
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random) {
            return Ok(Self::P384(key));
        }
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(key));
        }
        of_rsa(RsaKeyPair::from_pkcs8(der).ok())
    }

    fn of_openssh(text: &str, passphrase: Option<&[u8]>) -> Result<Self, Problem> {
        let mut key = PrivateKey::from_openssh(text).map_err(|_| NO_KEY)?;
        if key.is_encrypted() {
            if let ssh_key::Kdf::Bcrypt { rounds, .. } = key.kdf()
                && *rounds > ROUNDS_MAX
            {
                return Err(TOO_MANY_ROUNDS);
            }
            key = key.decrypt(passphrase.ok_or(PASSPHRASE_MISSING)?).map_err(|_| PASSPHRASE_WRONG)?;
        }
        let random = SystemRandom::new();
        match key.key_data() {
            KeypairData::Ed25519(pair) => {
                let seed = Zeroizing::new(pair.private.to_bytes());
                let made = Ed25519KeyPair::from_seed_and_public_key(&*seed, &pair.public.0);
                made.map(Self::Ed25519).map_err(|_| DAMAGED)
            }
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private }) => {
                let (private, public) = (private.as_slice(), public.as_bytes());
                let with = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let made = EcdsaKeyPair::from_private_key_and_public_key(with, private, public, &random);
                made.map(Self::P256).map_err(|_| DAMAGED)
            }
            KeypairData::Ecdsa(EcdsaKeypair::NistP384 { public, private }) => {
                let (private, public) = (private.as_slice(), public.as_bytes());
                let with = &ECDSA_P384_SHA384_FIXED_SIGNING;
                let made = EcdsaKeyPair::from_private_key_and_public_key(with, private, public, &random);
                made.map(Self::P384).map_err(|_| DAMAGED)
            }
            KeypairData::Rsa(pair) => of_components(pair),
            KeypairData::Dsa(_) => Err(DSA_REFUSED),
            // The enum may grow.
            KeypairData::Ecdsa(_)
            | KeypairData::Encrypted(_)
            | KeypairData::SkEcdsaSha2NistP256(_)
            | KeypairData::SkEd25519(_)
            | KeypairData::Other(_)
            | _ => Err(KEY_KIND),
        }
    }

    /// The name of its kind, for example `ssh-ed25519`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ssh-ed25519",
            Self::P256(_) => "ecdsa-sha2-nistp256",
            Self::P384(_) => "ecdsa-sha2-nistp384",
            Self::Rsa(_) => "ssh-rsa",
        }
    }

    /// The public key, encoded.
    ///
    /// # Errors
    /// Never, for a key that was read.
    pub fn public(&self) -> Result<Vec<u8>, Error> {
        let mut blob = Vec::new();
        self.kind().encode(&mut blob)?;
        match self {
            Self::Ed25519(key) => key.public_key().as_ref().encode(&mut blob)?,
            Self::P256(key) => {
                "nistp256".encode(&mut blob)?;
                key.public_key().as_ref().encode(&mut blob)?;
            }
            Self::P384(key) => {
                "nistp384".encode(&mut blob)?;
                key.public_key().as_ref().encode(&mut blob)?;
            }
            Self::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public());
                positive(&parts.e)?.encode(&mut blob)?;
                positive(&parts.n)?.encode(&mut blob)?;
            }
        }
        Ok(blob)
    }

    /// A signature as SSH encodes it; RSA never with SHA-1. None when the
    /// algorithm is not one of this key, or ring fails.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let (name, signature) = match (self, algorithm) {
            (Self::Ed25519(key), Algorithm::OfKey) => (self.kind(), key.sign(message).as_ref().to_vec()),
            (Self::P256(key) | Self::P384(key), Algorithm::OfKey) => {
                (self.kind(), numbers(key.sign(&random, message).ok()?.as_ref()).ok()?)
            }
            (Self::Rsa(key), Algorithm::RsaSha256 | Algorithm::RsaSha512) => {
                let sha256 = algorithm == Algorithm::RsaSha256;
                let with = if sha256 { &RSA_PKCS1_SHA256 } else { &RSA_PKCS1_SHA512 };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(with, &random, message, &mut signature).ok()?;
                (if sha256 { "rsa-sha2-256" } else { "rsa-sha2-512" }, signature)
            }
            (Self::Ed25519(_) | Self::P256(_) | Self::P384(_), Algorithm::RsaSha256 | Algorithm::RsaSha512)
            | (Self::Rsa(_), Algorithm::OfKey) => return None,
        };
        let mut blob = Vec::new();
        name.encode(&mut blob).ok()?;
        signature.encode(&mut blob).ok()?;
        Some(blob)
    }

    /// The algorithm with which it signs certificates.
    pub const fn best(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) | Self::P256(_) | Self::P384(_) => Algorithm::OfKey,
            Self::Rsa(_) => Algorithm::RsaSha512,
        }
    }
}

/// Whether this is a key on P-521, by the name of its kind or the OID of its
/// curve: the parsers say of some that they are no keys.
fn on_p521(text: &str) -> bool {
    let body: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let Ok(bytes) = STANDARD.decode(Zeroizing::new(body).as_bytes()).map(Zeroizing::new) else { return false };
    // Behind it there are the numbers of the key, and comments of people.
    let head = bytes.get(..bytes.len().min(KIND_WITHIN)).unwrap_or_default();
    let has = |word: &[u8]| head.windows(word.len()).any(|part| part == word);
    has(P521_NAME) || has(P521_OID)
}

fn of_rsa(key: Option<RsaKeyPair>) -> Result<SourceKey, Problem> {
    key.map(|key| SourceKey::Rsa(Box::new(key))).ok_or(KEY_KIND)
}

/// ring checks that the parts go together, except that `d` does; it never
/// uses `d`, and it checks each signature before it gives it away.
fn of_components(pair: &RsaKeypair) -> Result<SourceKey, Problem> {
    let bytes = |number: &'_ Mpint| number.as_positive_bytes().map(|bytes| Zeroizing::new(bytes.to_vec()));
    let part = |number: &Mpint| bytes(number).ok_or(DAMAGED);
    let (d, p, q) = (part(&pair.private.d)?, part(&pair.private.p)?, part(&pair.private.q)?);
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: part(&pair.public.n)?, e: part(&pair.public.e)? },
        dP: modulo_one_less(&d, &p).ok_or(DAMAGED)?,
        dQ: modulo_one_less(&d, &q).ok_or(DAMAGED)?,
        qInv: part(&pair.private.iqmp)?,
        d,
        p,
        q,
    };
    let borrowed = KeyPairComponents {
        public_key: PublicKeyComponents { n: &**components.public_key.n, e: &**components.public_key.e },
        d: &**components.d,
        p: &**components.p,
        q: &**components.q,
        dP: &**components.dP,
        dQ: &**components.dQ,
        qInv: &**components.qInv,
    };
    of_rsa(RsaKeyPair::from_components(&borrowed).ok())
}

fn positive(bytes: &[u8]) -> Result<Mpint, Error> {
    Mpint::from_positive_bytes(bytes).map_err(|_| Error::Length)
}

/// `r` and `s`, each a number of SSH, from their fixed form.
fn numbers(fixed: &[u8]) -> Result<Vec<u8>, Error> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let mut blob = Vec::new();
    positive(r)?.encode(&mut blob)?;
    positive(s)?.encode(&mut blob)?;
    Ok(blob)
}

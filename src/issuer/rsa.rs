//! Makes an RSA key: RS256 is the one algorithm that every cloud takes, Entra
//! takes nothing else, and ring signs with RSA keys but makes none.
//!
//! The primes are crypto-primes', the arithmetic is crypto-bigint's; what is
//! ours is how they make a key (FIPS 186-5 A.1) and its PKCS#1 form. Nothing
//! is believed: ring checks the finished key, and it signs once and the
//! signature is verified before the key is anybody's.

use std::convert::Infallible;

use crypto_bigint::rand_core::{TryCryptoRng, TryRng};
use crypto_bigint::{BoxedUint, ConcatenatingMul as _, Gcd as _, NonZero, Resize as _};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use zeroize::Zeroizing;

use crate::domain::Entropy;
use crate::domain::jws::SigningKey;

/// 112 bits of strength (NIST SP 800-57), for keys that live for weeks; a
/// longer one costs each token three times the work and every cloud its space.
const MODULUS_BITS: u32 = 2048;
const PRIME_BITS: u32 = MODULUS_BITS / 2;
/// The public exponent of everybody's keys; a prime.
const EXPONENT: u32 = 65_537;
/// FIPS 186-5 A.1.3: the primes differ in their first hundred bits.
const CLOSENESS_BITS: u32 = PRIME_BITS - 100;
/// What one key may cost in draws; each but the first is a chance of one in
/// thousands.
const ATTEMPTS_MAX: u32 = 16;

/// Why no key was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The random source failed or stands still.
    #[error("the system's random source failed")]
    Entropy,
    /// A key was made that is none: a fault of ours, noticed in time.
    #[error("the key that was made does not sign")]
    Unsound,
    /// No thread to make it on.
    #[error("no thread could be started to make a key")]
    Thread,
}

/// A number that is part of a key: wiped when dropped.
type Number = Zeroizing<BoxedUint>;

/// A fresh key, as PKCS#1 (RFC 8017 A.1.2). Takes up to seconds: not for a
/// thread that serves.
///
/// # Errors
/// `Entropy`; `Unsound`.
pub fn generate(entropy: &dyn Entropy) -> Result<Zeroizing<Vec<u8>>, GenerateError> {
    let mut drawn = Drawn { entropy, failed: false };
    for _ in 0..ATTEMPTS_MAX {
        let (one, two) = (prime(&mut drawn)?, prime(&mut drawn)?);
        if *one == *two {
            // By chance never: the source repeats itself.
            return Err(GenerateError::Entropy);
        }
        if let Some(key) = key_of(&one, &two) {
            return if signs(&key) { Ok(key) } else { Err(GenerateError::Unsound) };
        }
    }
    Err(GenerateError::Unsound)
}

fn prime(drawn: &mut Drawn<'_>) -> Result<Number, GenerateError> {
    // With the two highest bits set a product of two primes has all its bits.
    let sieve = SmallFactorsSieveFactory::<BoxedUint>::new(Flavor::Any, PRIME_BITS, SetBits::TwoMsb);
    let sieve = sieve.map_err(|_| GenerateError::Unsound)?;
    let found = sieve_and_find(drawn, sieve, |_, candidate| is_prime(Flavor::Any, candidate));
    if drawn.failed {
        return Err(GenerateError::Entropy);
    }
    found.ok().flatten().map(Zeroizing::new).ok_or(GenerateError::Entropy)
}

/// The key of two primes; nothing when they do not make a good one.
fn key_of(one: &Number, two: &Number) -> Option<Zeroizing<Vec<u8>>> {
    // The larger one first, as everybody has it.
    let (p, q) = if **one > **two { (one, two) } else { (two, one) };
    let apart = Zeroizing::new(p.wrapping_sub(&**q));
    if apart.bit_width() <= CLOSENESS_BITS {
        return None;
    }
    let unit = BoxedUint::one_with_precision(PRIME_BITS);
    let below_p = nonzero(p.wrapping_sub(&unit))?;
    let below_q = nonzero(q.wrapping_sub(&unit))?;
    // The least common multiple: the shortest private exponent.
    let shared = Zeroizing::new(below_p.gcd(&**below_q));
    let rest = Zeroizing::new(below_q.wrapping_div(&*shared));
    let order = nonzero(below_p.concatenating_mul(&*rest))?;
    // Not invertible when the exponent divides one of the two: draw again.
    let exponent = BoxedUint::from(EXPONENT).resize(MODULUS_BITS);
    let private = Zeroizing::new(Option::<BoxedUint>::from(exponent.invert_mod(&order))?);
    if private.bit_width() <= PRIME_BITS {
        return None;
    }
    let modulus = Zeroizing::new(p.concatenating_mul(&**q));
    let private_p = Zeroizing::new(private.rem(&*below_p));
    let private_q = Zeroizing::new(private.rem(&*below_q));
    let odd_p = Option::from(p.to_odd())?;
    let coefficient = Zeroizing::new(Option::<BoxedUint>::from(q.invert_odd_mod(&odd_p))?);
    Some(pkcs1(&[&modulus, &Zeroizing::new(exponent), &private, p, q, &private_p, &private_q, &coefficient]))
}

fn nonzero(number: BoxedUint) -> Option<Zeroizing<NonZero<BoxedUint>>> {
    Option::from(number.into_nz()).map(Zeroizing::new)
}

/// Whether ring takes the key and its signature is one under the public half.
fn signs(key: &[u8]) -> bool {
    const MESSAGE: &[u8] = b"valetkey/issuer/pairwise-consistency";
    let Ok(pair) = ring::signature::RsaKeyPair::from_der(key) else { return false };
    let Ok(signature) = SigningKey::from_pkcs1(key).and_then(|key| key.signature(MESSAGE)) else { return false };
    let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
    public.verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, MESSAGE, &signature).is_ok()
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// The version of a key of two primes, in DER.
const TWO_PRIMES: [u8; 3] = [INTEGER, 1, 0];
/// No number of a key is longer in DER, its head included.
const PART_LENGTH_MAX: usize = MODULUS_BITS as usize / 8 + 8;

/// RSAPrivateKey of modulus, exponents, primes, their exponents and the
/// coefficient, in this order.
fn pkcs1(numbers: &[&Number; 8]) -> Zeroizing<Vec<u8>> {
    // With room for all of it: a vector that grows leaves copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(TWO_PRIMES.len() + numbers.len() * PART_LENGTH_MAX));
    body.extend_from_slice(&TWO_PRIMES);
    for number in numbers {
        let bytes = Zeroizing::new(number.to_be_bytes());
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = bytes.get(zeros..).unwrap_or_default();
        // An integer whose first bit is set would be a negative one.
        let sign: &[u8] = if bytes.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
        head(&mut body, INTEGER, sign.len() + bytes.len());
        body.extend_from_slice(sign);
        body.extend_from_slice(bytes);
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(body.len() + 8));
    head(&mut whole, SEQUENCE, body.len());
    whole.extend_from_slice(&body);
    whole
}

/// A tag and a length in DER, which has one form for each length.
fn head(to: &mut Vec<u8>, tag: u8, length: usize) {
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    to.push(tag);
    match digits {
        [] => to.push(0),
        [short] if *short < 0x80 => to.push(*short),
        long => {
            to.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            to.extend_from_slice(long);
        }
    }
}

/// Our source of randomness as these crates want one: it cannot fail, so a
/// failure is remembered, and what came of the zeros is thrown away.
struct Drawn<'a> {
    entropy: &'a dyn Entropy,
    failed: bool,
}

impl Drawn<'_> {
    fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, to: &mut [u8]) {
        if self.entropy.fill(to).is_err() {
            to.fill(0);
            self.failed = true;
        }
    }
}

impl TryRng for Drawn<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.draw()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.draw()))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.fill(to);
        Ok(())
    }
}

impl TryCryptoRng for Drawn<'_> {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::domain::EntropyError;

    struct System;

    impl Entropy for System {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            getrandom::fill(buffer).map_err(|_| EntropyError)
        }
    }

    /// Fails from the draw with this number on.
    struct Failing(AtomicU64);

    impl Entropy for Failing {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            if self.0.load(Ordering::SeqCst) == 0 {
                return Err(EntropyError);
            }
            self.0.fetch_sub(1, Ordering::SeqCst);
            System.fill(buffer)
        }
    }

    struct Standing;

    impl Entropy for Standing {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            buffer.fill(0x5a);
            Ok(())
        }
    }

    fn small(number: u64) -> Number {
        Zeroizing::new(BoxedUint::from(number).resize(PRIME_BITS))
    }

    #[test]
    fn a_key_has_its_size_signs_and_is_another_each_time() {
        let keys = [generate(&System).unwrap(), generate(&System).unwrap()];
        assert_ne!(*keys[0], *keys[1]);
        for key in &keys {
            let jwk = SigningKey::from_pkcs1(key).unwrap().public_jwk();
            assert_eq!((jwk["alg"].as_str(), jwk["e"].as_str()), (Some("RS256"), Some("AQAB")));
            // 256 bytes without padding: the first bit of the modulus is set.
            assert_eq!(jwk["n"].as_str().unwrap().len(), 342);
        }
    }

    #[test]
    fn a_source_that_fails_or_stands_still_makes_no_key() {
        assert_eq!(generate(&Failing(AtomicU64::new(0))).err(), Some(GenerateError::Entropy));
        assert_eq!(generate(&Failing(AtomicU64::new(1))).err(), Some(GenerateError::Entropy));
        assert_eq!(generate(&Standing).err(), Some(GenerateError::Entropy));
    }

    #[test]
    fn a_key_with_one_byte_changed_is_found_out() {
        let key = generate(&System).unwrap();
        assert!(signs(&key));
        for at in [10, key.len() / 2, key.len() - 1] {
            let mut bad = key.clone();
            bad[at] ^= 1;
            assert!(!signs(&bad), "{at}");
        }
    }

    #[test]
    fn primes_too_close_to_each_other_make_no_key() {
        assert!(key_of(&small(65_539), &small(65_543)).is_none());
    }

    #[test]
    fn lengths_have_their_one_form() {
        let of = |length| {
            let mut bytes = Vec::new();
            head(&mut bytes, SEQUENCE, length);
            bytes
        };
        assert_eq!(of(0), [0x30, 0]);
        assert_eq!(of(0x7f), [0x30, 0x7f]);
        assert_eq!(of(0x80), [0x30, 0x81, 0x80]);
        assert_eq!(of(0x1234), [0x30, 0x82, 0x12, 0x34]);
    }
}

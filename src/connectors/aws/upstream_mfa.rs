//! The codes of a virtual MFA device: RFC 6238 with HMAC-SHA-1, 6 digits and
//! steps of 30 seconds, as AWS has it. The seed is plaintext here, for one
//! call; must never keep or print it, nor a code.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::domain::Timestamp;

/// How long a code is the device's code.
const STEP_SECONDS: u64 = 30;
/// Six digits.
const MODULUS: u32 = 1_000_000;
/// A base32 letter has five bits.
const LETTER_BITS: u32 = 5;

/// A device and its code of now. No Debug.
pub struct MfaCode<'a> {
    /// Its ARN or serial number.
    pub serial: &'a str,
    /// Six digits.
    pub code: Zeroizing<String>,
}

/// The code of the device with this base32 seed; none when it is no base32.
pub fn code(seed: &str, now: Timestamp) -> Option<Zeroizing<String>> {
    let key = base32(seed)?;
    let step = u64::try_from(now.seconds()).ok()? / STEP_SECONDS;
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    // RFC 4226, 5.3: the last four bits say where the number begins.
    let offset = usize::from(digest.last()? & 0x0f);
    let four: [u8; 4] = digest.get(offset..offset + 4)?.try_into().ok()?;
    let number = u32::from_be_bytes(four) & 0x7fff_ffff;
    Some(Zeroizing::new(format!("{:06}", number % MODULUS)))
}

/// RFC 4648 base32, in either case; padding and the bits left over are dropped.
fn base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter.to_ascii_uppercase() {
            upper @ b'A'..=b'Z' => upper - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        held = (held << LETTER_BITS | u32::from(value)) & 0xfff;
        bits += LETTER_BITS;
        if bits >= u8::BITS {
            bits -= u8::BITS;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, for SHA-1; the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for (seconds, digits) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(seed, Timestamp::from_seconds(seconds)).unwrap().as_str(), digits);
        }
        let (last, next) = (Timestamp::from_seconds(59), Timestamp::from_seconds(60));
        assert_ne!(code(seed, last), code(seed, next));
        assert_eq!(code(&seed.to_lowercase(), last), code(seed, last));
    }

    #[test]
    fn base32_is_that_of_the_rfc_and_nothing_else_passes() {
        for (text, plain) in [
            ("MY======", "f"),
            ("MZXQ====", "fo"),
            ("MZXW6", "foo"),
            ("MZXW6YQ", "foob"),
            ("MZXW6YTBOI======", "foobar"),
        ] {
            assert_eq!(base32(text).unwrap().as_slice(), plain.as_bytes());
        }
        for bad in ["", "====", "MZXW 6", "MZXW1", "MZXW\u{e9}", "="] {
            assert!(base32(bad).is_none(), "{bad}");
        }
    }
}

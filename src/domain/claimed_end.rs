//! What a JSON Web Token says, and when it says that it ends.
//!
//! Read without its issuer's keys: nothing is decided in anybody's favour on
//! it, it only shortens, warns or refuses. A copy of no claim but the time is
//! made, so that reading leaves nothing of a secret behind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::clock::Timestamp;

/// The longest payload that is looked at, encoded.
const PAYLOAD_LENGTH_MAX: usize = 32 * 1024;
/// The last second of the year 9999.
const MOMENT_MAX: i64 = 253_402_300_799;

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

/// The `exp` of a compact token (RFC 7519 section 4.1.4: seconds, maybe with a
/// fraction, which is cut off). Nothing of an opaque token, nor of one that
/// names no end: some servers say so with a zero.
#[must_use]
pub fn claimed_end(token: &str) -> Option<Timestamp> {
    let claims: Claims = serde_json::from_slice(&claims_text(token.trim())?).ok()?;
    // Out of range saturates, and a NaN is zero: neither is within the bounds.
    #[allow(clippy::cast_possible_truncation, reason = "`as` saturates, and the bounds are checked right after")]
    let seconds = claims.exp? as i64;
    (1..=MOMENT_MAX).contains(&seconds).then(|| Timestamp::from_seconds(seconds))
}

/// The payload of a compact token, decoded and wiped when it is dropped;
/// nothing when it is none, or longer than one is.
#[must_use]
pub fn claims_text(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || payload.len() > PAYLOAD_LENGTH_MAX {
        return None;
    }
    URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_token_that_names_its_end_is_believed_to_the_second() {
        for (payload, end) in [
            (r#"{"exp":1700000000,"sub":"a"}"#, 1_700_000_000),
            (r#"{"exp":1700000000.9}"#, 1_700_000_000),
            (r#"{"exp":253402300799}"#, MOMENT_MAX),
        ] {
            assert_eq!(claimed_end(&token(payload)), Some(Timestamp::from_seconds(end)), "{payload}");
        }
        assert!(claimed_end(&format!("{}\n", token(r#"{"exp":5}"#))).is_some(), "files end in a line");
    }

    #[test]
    fn what_is_opaque_or_names_no_end_that_can_be_has_none() {
        for payload in [
            "{}",
            "[]",
            r#"{"exp":0}"#,
            r#"{"exp":-5}"#,
            r#"{"exp":null}"#,
            r#"{"exp":"1700000000"}"#,
            r#"{"exp":1e300}"#,
            r#"{"exp":253402300800}"#,
            r#"{"exp":1,"exp":2}"#,
        ] {
            assert_eq!(claimed_end(&token(payload)), None, "{payload}");
        }
        let long = token(&format!(r#"{{"exp":5,"x":"{}"}}"#, "x".repeat(PAYLOAD_LENGTH_MAX)));
        let whole = token(r#"{"exp":5}"#);
        for text in ["", "a.b", "hunter2", "e30.!!.c2ln", &format!("{whole}.x"), &long] {
            assert_eq!(claimed_end(text), None, "{text}");
        }
    }
}

//! The shapes in which a secret could come out.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// A canary's length: 190 bits of base 62.
pub const LENGTH: usize = 32;
/// What a log that cuts values would leave.
const PREFIX_LENGTH: usize = 16;

/// A secret that is found nowhere but where somebody put it.
#[derive(Clone)]
pub struct Canary {
    /// Of which field, in which story.
    pub name: String,
    /// The secret.
    pub text: String,
}

impl Canary {
    /// A new one for a field.
    pub fn new(name: &str) -> Self {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        let text = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
        Self { name: name.to_owned(), text }
    }

    /// A secret that somebody else made.
    pub fn of(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Every encoding of some bytes, with its name.
pub fn all(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![
        ("raw".to_owned(), bytes.to_vec()),
        ("prefix".to_owned(), bytes[..PREFIX_LENGTH.min(bytes.len())].to_vec()),
        ("reversed".to_owned(), bytes.iter().rev().copied().collect()),
        ("hex".to_owned(), joined(bytes, "", |byte| format!("{byte:02x}"))),
        ("HEX".to_owned(), joined(bytes, "", |byte| format!("{byte:02X}"))),
        ("decimal array".to_owned(), joined(bytes, ", ", |byte| byte.to_string())),
        ("decimal array, tight".to_owned(), joined(bytes, ",", |byte| byte.to_string())),
        ("JSON escapes".to_owned(), joined(bytes, "", |byte| format!("\\u{byte:04x}"))),
        ("JSON ESCAPES".to_owned(), joined(bytes, "", |byte| format!("\\u{byte:04X}"))),
        ("percent".to_owned(), joined(bytes, "", |byte| format!("%{byte:02X}"))),
        ("percent, lower".to_owned(), joined(bytes, "", |byte| format!("%{byte:02x}"))),
        ("UTF-16LE".to_owned(), bytes.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("UTF-16BE".to_owned(), bytes.iter().flat_map(|byte| [0, *byte]).collect()),
    ];
    let as_needed = percent_encode(bytes, NON_ALPHANUMERIC).to_string().into_bytes();
    if as_needed != bytes {
        all.push(("percent, as needed".to_owned(), as_needed));
    }
    for (name, letters) in [("base64", &alphabet::STANDARD), ("base64url", &alphabet::URL_SAFE)] {
        let engine = GeneralPurpose::new(letters, GeneralPurposeConfig::new().with_encode_padding(true));
        all.push((format!("{name} with padding"), engine.encode(bytes).into_bytes()));
        for alignment in 0..3 {
            all.push((format!("{name} at {alignment}"), base64_core(&engine, bytes, alignment)));
        }
    }
    all
}

/// The characters that the bytes alone decide, when this many bytes stand before them: with any neighbours, padded or
/// not, they are there.
fn base64_core(engine: &GeneralPurpose, bytes: &[u8], alignment: usize) -> Vec<u8> {
    let mut padded = vec![0; alignment];
    padded.extend_from_slice(bytes);
    let encoded = engine.encode(&padded);
    let first = (alignment * 8).div_ceil(6);
    let whole = padded.len() * 8 / 6;
    encoded.as_bytes()[first..whole].to_vec()
}

fn joined(bytes: &[u8], between: &str, one: impl Fn(u8) -> String) -> Vec<u8> {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let before = if at == 0 { "" } else { between };
        write!(text, "{before}{}", one(*byte)).expect("a string can be written to");
    }
    text.into_bytes()
}

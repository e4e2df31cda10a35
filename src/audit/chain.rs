//! The hash chain over the stored form of lines.

use sha2::{Digest, Sha256};

use super::line::{Line, Seq};

/// The hash of a line, or of nothing before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first line.
    pub const GENESIS: Self = Self([0; 32]);

    /// `SHA-256(0x00 || seq || previous || body)`.
    #[must_use]
    pub fn of(seq: Seq, previous: &Self, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update([0]);
        hash.update(seq.0.to_be_bytes());
        hash.update(previous.0);
        hash.update(body);
        Self(hash.finalize().into())
    }
}

/// A line with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLine {
    /// Its place.
    pub seq: Seq,
    /// The hash of the line before.
    pub previous: Hash,
    /// Its own hash.
    pub hash: Hash,
    /// What it says.
    pub line: Line,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out elsewhere: SHA-256 of a zero byte, the place as eight bytes,
    /// the hash before and the body.
    #[test]
    fn a_hash_is_of_the_place_the_line_before_and_the_body() {
        let of = |seq, previous, body: &[u8]| hex::encode(Hash::of(Seq(seq), &Hash([previous; 32]), body).0);
        let known = "dff353983dfd8de5a3a7b0596b6f1d1deb5b399ce3503150a3d08999f18dc8e4";
        assert_eq!(of(7, 9, br#"{"a":1}"#), known);
        for other in [of(8, 9, br#"{"a":1}"#), of(7, 8, br#"{"a":1}"#), of(7, 9, br#"{"a":2}"#)] {
            assert_ne!(other, known);
        }
    }
}

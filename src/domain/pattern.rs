//! Globs of canonical resource ids, parsed to a type: no user regex, nothing
//! glued to anchors. `*` stands for any characters but `/`, `**` for any.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::field_error::FieldError;
use super::resource::ResourceId;

/// The longest glob, in bytes.
pub const PATTERN_LENGTH_MAX: usize = 512;
/// The most wildcards in one glob: matching stays cheap.
pub const PATTERN_WILDCARDS_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// `*`
    WithinSegment,
    /// `**`
    Anything,
}

/// A parsed glob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    source: String,
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Parses a glob.
    ///
    /// # Errors
    /// Names the field `resource_patterns`.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let refuse = |problem: &str| Err(FieldError::new("resource_patterns", problem));
        if text.is_empty() || text.len() > PATTERN_LENGTH_MAX {
            return refuse("a pattern is 1 to 512 bytes");
        }
        if text.chars().any(|c| c.is_control() || "?[]{}$\\".contains(c)) {
            return refuse("only * and ** are wildcards; ?[]{}$\\ and control characters are not taken");
        }
        let pieces = split(text);
        let wildcards = pieces.iter().filter(|p| !matches!(p, Piece::Literal(_))).count();
        if wildcards > PATTERN_WILDCARDS_MAX {
            return refuse("at most 8 wildcards");
        }
        Ok(Self { source: text.to_owned(), pieces })
    }

    /// Whether the whole id matches.
    #[must_use]
    pub fn matches(&self, id: &ResourceId) -> bool {
        matches_from(&self.pieces, id.as_str())
    }

    /// The glob as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

fn split(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('*') {
        let (literal, tail) = rest.split_at(at);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        let stars = tail.len() - tail.trim_start_matches('*').len();
        pieces.push(if stars >= 2 { Piece::Anything } else { Piece::WithinSegment });
        rest = tail.trim_start_matches('*');
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    pieces
}

/// The set of positions that are reachable after each piece; linear in pieces
/// times length, so no glob is slow.
fn matches_from(pieces: &[Piece], text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut reachable = vec![false; bytes.len() + 1];
    if let Some(first) = reachable.first_mut() {
        *first = true;
    }
    for piece in pieces {
        reachable = step(piece, bytes, &reachable);
    }
    reachable.last().copied().unwrap_or(false)
}

fn step(piece: &Piece, bytes: &[u8], before: &[bool]) -> Vec<bool> {
    let mut after = vec![false; before.len()];
    let mut running = false;
    for (at, slot) in after.iter_mut().enumerate() {
        *slot = match piece {
            Piece::Literal(literal) => at.checked_sub(literal.len()).is_some_and(|start| {
                before.get(start) == Some(&true) && bytes.get(start..at) == Some(literal.as_bytes())
            }),
            Piece::WithinSegment | Piece::Anything => {
                let crossed = at.checked_sub(1).and_then(|last| bytes.get(last)) == Some(&b'/');
                if crossed && *piece == Piece::WithinSegment {
                    running = false;
                }
                running |= before.get(at) == Some(&true);
                running
            }
        };
    }
    after
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl TryFrom<String> for Pattern {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pattern: &str, id: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&ResourceId::canonical(id).unwrap())
    }

    #[test]
    fn a_star_stays_within_a_segment_and_two_cross_it() {
        assert!(hit("s3://data-*", "s3://data-train"));
        assert!(!hit("s3://data-*", "s3://data-train/secret"));
        assert!(hit("s3://data/**", "s3://data/a/b"));
        assert!(!hit("s3://data/**", "s3://data"));
        assert!(!hit("s3://data", "s3://data2"));
        assert!(!hit("s3://data", "xs3://data"));
        assert!(hit("**", "anything/at/all"));
        assert!(!hit("*", "a/b"));
        assert!(hit("a*b*c", "aXbYbZc"));
    }

    #[test]
    fn wildcards_of_other_languages_are_refused() {
        for bad in ["", "a?b", "a[bc]", "${aws:username}", "a\nb", "*a*a*a*a*a*a*a*a*a"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}

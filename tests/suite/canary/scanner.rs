//! Searches bytes for many canaries in all of their encodings at once.

use std::fmt;

use aho_corasick::AhoCorasick;

use super::encodings::{self, Canary};

/// A search.
pub struct Scanner {
    automaton: AhoCorasick,
    /// What each pattern of the automaton is.
    patterns: Vec<(String, String)>,
}

/// A canary that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Hit {
    /// Where.
    pub place: String,
    /// At which byte.
    pub at: usize,
    /// Which one.
    pub canary: String,
    /// In which shape.
    pub encoding: String,
    /// The bytes around it, control characters as dots.
    pub around: String,
}

impl Scanner {
    /// A search for these.
    pub fn new<'a>(canaries: impl IntoIterator<Item = &'a Canary>) -> Self {
        let mut patterns = Vec::new();
        let mut needles = Vec::new();
        for canary in canaries {
            for (encoding, needle) in encodings::all(canary.bytes()) {
                patterns.push((canary.name.clone(), encoding));
                needles.push(needle);
            }
        }
        let automaton = AhoCorasick::new(&needles).expect("the patterns fit an automaton");
        Self { automaton, patterns }
    }

    /// Everything that is found in these bytes.
    pub fn scan(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        let found = self.automaton.find_overlapping_iter(bytes);
        found
            .map(|found| {
                let (canary, encoding) = self.patterns[found.pattern().as_usize()].clone();
                let around = around(bytes, found.start(), found.end());
                Hit { place: place.to_owned(), at: found.start(), canary, encoding, around }
            })
            .collect()
    }
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, at, canary, encoding, around } = self;
        write!(f, "{canary} as {encoding} in {place} at {at}: {around}")
    }
}

fn around(bytes: &[u8], start: usize, end: usize) -> String {
    let context = &bytes[start.saturating_sub(CONTEXT)..(end + CONTEXT).min(bytes.len())];
    context.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' }).collect()
}

/// Bytes shown before and after a hit: enough to see whose buffer it is.
const CONTEXT: usize = 48;

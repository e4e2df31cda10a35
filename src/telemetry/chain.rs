//! An error with its causes on one line.

use std::error::Error;
use std::fmt;

/// Causes of causes; a chain longer than this says nothing more.
const CAUSES_MAX: usize = 8;

/// Shows an error and its causes, joined by `: `.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        for _ in 0..CAUSES_MAX {
            let Some(error) = cause else { break };
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_their_error() {
        assert_eq!(Chain(&Outer(std::io::Error::other("inner"))).to_string(), "outer: inner");
    }
}

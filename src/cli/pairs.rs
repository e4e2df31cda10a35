//! `key=value` pairs and access levels, on the command line and in messages.
//!
//! Owns labels and `--set`. Secrets never come this way: `secrets` takes them,
//! and refuses a value on the command line.

use std::collections::BTreeMap;
use std::convert::Infallible;

use clap::ValueEnum;

use crate::proto;

/// A `key=value` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// Before the first `=`.
    pub(super) key: String,
    /// After it.
    pub(super) value: String,
}

/// Parses `key=value`.
///
/// # Errors
/// A line for people.
pub(super) fn parse_pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Pair { key: key.to_owned(), value: value.to_owned() }),
        Some(_) | None => Err("must be KEY=VALUE".to_owned()),
    }
}

/// Takes an etag as tables show it, and as a shell leaves it: without quotes.
///
/// # Errors
/// Never: the daemon says what is no etag.
pub(super) fn parse_etag(text: &str) -> Result<String, Infallible> {
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(if bare { format!("\"{text}\"") } else { text.to_owned() })
}

/// The labels of a message.
pub(super) fn labels_of(pairs: &[Pair]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect()
}

/// Labels in a table.
pub(super) fn labels_in_words(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Access {
    /// Read.
    Read,
    /// Read and write.
    Write,
    /// Everything the connector's ceiling allows.
    Admin,
}

impl Access {
    /// For a message.
    pub(super) fn to_proto(self) -> i32 {
        i32::from(match self {
            Self::Read => proto::AccessLevel::Read,
            Self::Write => proto::AccessLevel::Write,
            Self::Admin => proto::AccessLevel::Admin,
        })
    }
}

/// The level with this word, for a message.
pub(super) fn access_named(word: &str) -> Option<i32> {
    Access::from_str(word, false).ok().map(Access::to_proto)
}

/// The level of a message, in words; empty when it says none.
pub(super) fn access_in_words(level: i32) -> String {
    let word = match proto::AccessLevel::try_from(level) {
        Ok(proto::AccessLevel::Read) => "read",
        Ok(proto::AccessLevel::Write) => "write",
        Ok(proto::AccessLevel::Admin) => "admin",
        Ok(proto::AccessLevel::Unspecified) => "",
        Err(_) => "unknown",
    };
    word.to_owned()
}

/// Text that may be absent: nothing when it is empty.
pub(super) fn given(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// A length of time that may be absent: nothing when it is zero.
pub(super) fn given_seconds(seconds: u32) -> Option<u32> {
    (seconds > 0).then_some(seconds)
}

/// Text that may be absent, in a table.
pub(super) fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_splits_at_the_first_equals_sign() {
        let pair = parse_pair("a=b=c").unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("a", "b=c"));
        assert_eq!(parse_pair("a=").unwrap().value, "");
        assert!(parse_pair("a").is_err());
        assert!(parse_pair("=a").is_err());
    }

    #[test]
    fn levels_of_newer_servers_are_unknown_and_not_none() {
        assert_eq!(access_in_words(Access::Write.to_proto()), "write");
        assert_eq!(access_in_words(0), "");
        assert_eq!(access_in_words(99), "unknown");
    }

    #[test]
    fn an_etag_may_have_lost_its_quotes_to_the_shell() {
        for (given, meant) in [("2", "\"2\""), ("\"2\"", "\"2\""), ("", ""), ("x", "x"), ("-2", "-2")] {
            assert_eq!(parse_etag(given).unwrap(), meant);
        }
    }
}

//! A line of the ledger: an allow-list of typed fields, none of them a secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{
    AccessLevel, BindingId, ComponentId, ConnectorId, IssuanceId, Name, PrincipalId, ProjectId, ResourceId, RunId,
    StackId, Timestamp, TokenId,
};

/// The longest text of a detail, in characters, after escaping.
pub const DETAIL_LENGTH_MAX: usize = 256;

/// The place of a line: gapless, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "intent")]
pub enum LineKind {
    /// Something is about to be done.
    Intent,
    /// What became of the intent at this place.
    Result(Seq),
    /// Done and over in one line.
    Single,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Not known yet: an intent.
    Pending,
    /// Done.
    Ok,
    /// Refused by authentication or authorization.
    Denied,
    /// Refused as ill-formed.
    Malformed,
    /// Refused by a limit.
    Throttled,
    /// Tried, not done.
    Failed,
    /// The daemon stopped between intent and result.
    Unknown,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Ok, Self::Denied, Self::Malformed, Self::Throttled, Self::Failed, Self::Unknown];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The outcome with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// A reason code such as `GRANT_MISSING`; empty when there is nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// Keeps `A-Z`, `0-9` and `_`, at most 63 of them.
    #[must_use]
    pub fn new(code: &str) -> Self {
        let kept = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_';
        Self(code.chars().filter(kept).take(63).collect())
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What else a call was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "noun", content = "id")]
pub enum Subject {
    /// A principal.
    Principal(PrincipalId),
    /// A token, by its public part.
    Token(TokenId),
    /// A binding.
    Binding(BindingId),
    /// A stack.
    Stack(StackId),
    /// A run.
    Run(RunId),
}

/// Text for people in a line: control characters escaped, cut to 256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Detail(String);

impl Detail {
    /// Escapes what could forge a line or move a terminal's cursor, and cuts.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut escaped = String::new();
        for c in text.chars() {
            let piece: String = if c.is_control() || is_invisible(c) { c.escape_unicode().collect() } else { c.into() };
            if escaped.chars().count() + piece.chars().count() > DETAIL_LENGTH_MAX {
                break;
            }
            escaped.push_str(&piece);
        }
        Self(escaped)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Zero-width and direction-changing characters.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A line before it has a place. Field order is the order of its stored form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Wall clock; the order is the place, never this.
    pub at: Timestamp,
    /// Milliseconds since the daemon started.
    pub uptime_ms: u64,
    /// Intent, result or single.
    #[serde(flatten)]
    pub kind: LineKind,
    /// The gRPC path, or the daemon's own act such as `daemon/start`.
    pub method: String,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal: Option<PrincipalId>,
    /// Who, by name at that time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal_name: Option<Name>,
    /// In which run of that principal's. Not in lines from before there were
    /// runs, whose stored form is as it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<RunId>,
    /// In which project.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub project: Option<ProjectId>,
    /// About which connector.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connector: Option<ConnectorId>,
    /// About or through which component.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub component: Option<ComponentId>,
    /// About what else.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<Subject>,
    /// Canonical.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource: Option<ResourceId>,
    /// The access level.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access: Option<AccessLevel>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    #[serde(default)]
    pub reason: Reason,
    /// Which issuance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issuance: Option<IssuanceId>,
    /// When the minted credential ends.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
    /// Keyed digest of the peer's address, in hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// How many calls this line stands for.
    pub count: u32,
    /// The store's revision when it was written, set by a store whose records
    /// have seals: one whose records are of an earlier time is known by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub store_revision: Option<u64>,
    /// Typed details in words.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub details: BTreeMap<String, Detail>,
}

impl Line {
    /// A line about `method` with everything else empty.
    #[must_use]
    pub fn about(method: impl Into<String>, kind: LineKind, outcome: Outcome) -> Self {
        Self {
            at: Timestamp::from_millis(0),
            uptime_ms: 0,
            kind,
            method: method.into(),
            principal: None,
            principal_name: None,
            run: None,
            project: None,
            connector: None,
            component: None,
            subject: None,
            resource: None,
            access: None,
            outcome,
            reason: Reason::default(),
            issuance: None,
            expires_at: None,
            source: None,
            count: 1,
            store_revision: None,
            details: BTreeMap::new(),
        }
    }

    /// The run that it was done in, and the run that it was done to.
    #[must_use]
    pub const fn runs(&self) -> [Option<RunId>; 2] {
        let about = match self.subject {
            Some(Subject::Run(id)) => Some(id),
            Some(Subject::Principal(_) | Subject::Token(_) | Subject::Binding(_) | Subject::Stack(_)) | None => None,
        };
        [self.run, about]
    }

    /// With a detail in words.
    #[must_use]
    pub fn with_detail(mut self, key: &'static str, text: &str) -> Self {
        self.details.insert(key.to_owned(), Detail::new(text));
        self
    }
}

/// Which lines are wished for. Every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFilter {
    /// Of this project; always set for callers.
    pub project: Option<ProjectId>,
    /// Of this principal.
    pub principal: Option<PrincipalId>,
    /// About this connector.
    pub connector: Option<ConnectorId>,
    /// In this run, or about it.
    pub run: Option<RunId>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_one_escaped_word_of_bounded_length() {
        for (text, kept) in [
            ("plain, with spaces", "plain, with spaces"),
            ("a\nb", "a\\u{a}b"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
            ("\u{7f}", "\\u{7f}"),
        ] {
            assert_eq!(Detail::new(text).as_str(), kept);
        }
        assert_eq!(Detail::new(&"x".repeat(DETAIL_LENGTH_MAX)).as_str().len(), DETAIL_LENGTH_MAX);
        assert_eq!(Detail::new(&"x".repeat(DETAIL_LENGTH_MAX + 1)).as_str().len(), DETAIL_LENGTH_MAX);
        let cut = Detail::new(&format!("{}\n", "x".repeat(DETAIL_LENGTH_MAX - 1)));
        assert_eq!(cut.as_str().len(), DETAIL_LENGTH_MAX - 1, "no escape is cut in two");
    }

    #[test]
    fn a_reason_is_a_code_and_nothing_else() {
        assert_eq!(Reason::new("GRANT_MISSING_2").as_str(), "GRANT_MISSING_2");
        assert_eq!(Reason::new("it's a\nsecret-X").as_str(), "X");
        assert_eq!(Reason::new(&"A".repeat(64)).as_str().len(), 63);
    }
}

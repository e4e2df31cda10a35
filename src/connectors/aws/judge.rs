//! A judge of session policies by AWS's documented rules, written apart from
//! the code that writes them: for the tests and the fuzz target.
//!
//! Reads the document as it is sent. What it does not know counts in favour of
//! the session, so that it finds what is too wide, and never misses it.

use std::slice;

use serde_json::Value;

/// A request of a session.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// For example `s3:GetObject`.
    pub action: &'a str,
    /// An ARN.
    pub resource: &'a str,
    /// Condition keys, and what they are for this request.
    pub context: &'a [(&'a str, &'a str)],
}

/// Whether a session under this policy alone may do this: some statement
/// allows it, and none denies it.
pub fn allows(policy: &str, request: Request<'_>) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(policy) else { return false };
    let statements = document.get("Statement").map(many).unwrap_or_default();
    let any = |effect: &str| {
        let of_effect = |statement: &&Value| statement.get("Effect").is_some_and(|own| own == effect);
        statements.iter().filter(of_effect).any(|statement| request.falls_under(statement, effect == "Allow"))
    };
    any("Allow") && !any("Deny")
}

impl Request<'_> {
    fn falls_under(&self, statement: &Value, unknown: bool) -> bool {
        let named = |name: &str, text: &str| {
            let wild = |pattern: &Value| pattern.as_str().is_some_and(|pattern| matches(pattern, text));
            statement.get(name).map(|patterns| many(patterns).iter().any(wild))
        };
        // Actions are compared without case; those of a policy are ours or the engineer's.
        let action = |name: &str| {
            let lower = |pattern: &Value| pattern.as_str().map(str::to_ascii_lowercase).unwrap_or_default();
            let own = self.action.to_ascii_lowercase();
            statement.get(name).map(|all| many(all).iter().any(|pattern| matches(&lower(pattern), &own)))
        };
        let either = |named: Option<bool>, not: Option<bool>| named.or(not.map(|not| !not)).unwrap_or(unknown);
        either(action("Action"), action("NotAction"))
            && either(named("Resource", self.resource), named("NotResource", self.resource))
            && statement.get("Condition").and_then(Value::as_object).is_none_or(|operators| {
                let keys = |(operator, keys): (&String, &Value)| {
                    let keys = keys.as_object();
                    keys.is_some_and(|keys| keys.iter().all(|(key, values)| self.meets(operator, key, values, unknown)))
                };
                operators.iter().all(keys)
            })
    }

    fn meets(&self, operator: &str, key: &str, values: &Value, unknown: bool) -> bool {
        let own = self.context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value);
        let texts = || many(values).iter().filter_map(Value::as_str);
        match (operator, own) {
            ("StringLike", own) => own.is_some_and(|own| texts().any(|pattern| matches(pattern, own))),
            ("StringEquals" | "Bool", own) => own.is_some_and(|own| texts().any(|text| text == own)),
            ("StringNotEqualsIfExists", own) => own.is_none_or(|own| texts().all(|text| text != own)),
            _ => unknown,
        }
    }
}

/// One or a list.
fn many(value: &Value) -> &[Value] {
    value.as_array().map_or(slice::from_ref(value), Vec::as_slice)
}

/// IAM's wildcards, by going back to the last star.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read, mut star) = (0, 0, None);
    while let Some(letter) = text.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(own) if *own == '?' || own == letter => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((last, from)) = star else { return false };
                star = Some((last, from + 1));
                (at, read) = (last + 1, from + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|letter| *letter == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_iam_says() {
        for (pattern, text) in [("*", ""), ("a*c", "abc"), ("a?c", "abc"), ("*b*b", "abab"), ("a**", "a")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a?", "a"), ("a*c", "abd"), ("?", ""), ("a/*", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn deny_wins_conditions_count_and_what_is_no_policy_allows_nothing() {
        let read = |resource| Request { action: "s3:GetObject", resource, context: &[("k", "v")] };
        let policy = |statements: &str| format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
        let all = r#"{"Effect":"Allow","Action":"S3:get*","Resource":["a/*"]}"#;
        assert!(allows(&policy(all), read("a/b")) && !allows(&policy(all), read("b")));
        let denied = r#"{"Effect":"Deny","NotAction":"s3:PutObject","NotResource":"a/c"}"#;
        assert!(!allows(&policy(&format!("[{all},{denied}]")), read("a/b")));
        assert!(allows(&policy(&format!("[{all},{denied}]")), read("a/c")));
        for (operator, value, holds) in [
            ("StringLike", "v*", true),
            ("StringEquals", "w", false),
            ("StringNotEqualsIfExists", "v", false),
            ("DateLessThan", "w", true),
        ] {
            let condition = format!(r#""Condition":{{"{operator}":{{"K":"{value}"}}}}"#);
            let text = all.replace(r#""Resource""#, &format!(r#"{condition},"Resource""#));
            assert_eq!(allows(&policy(&text), read("a/b")), holds, "{operator}");
        }
        assert!(!allows("", read("a/b")) && !allows("{}", read("a/b")) && !allows("[]", read("a/b")));
    }
}

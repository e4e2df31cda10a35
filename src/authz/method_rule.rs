//! The rule of each RPC, as the proto files state it.
//!
//! `build.rs` writes the table. The server calls [`check_rules`] before it
//! listens: a method without a rule stops it, so none can be forgotten.

use super::permission::Permission;

/// What must be known of a method before it may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodRule {
    /// The gRPC path, such as `/valetkey.v1.AccessService/WhoAmI`.
    pub path: &'static str,
    /// The permission's word.
    pub permission: &'static str,
    /// The number of the audit class; 0 is none.
    pub audit: i32,
    /// The largest request message, in bytes.
    pub max_request_bytes: u32,
    /// Whether the server streams.
    pub streaming: bool,
}

/// Every method of the package.
pub static METHOD_RULES: &[MethodRule] = include!(concat!(env!("OUT_DIR"), "/method_rules.rs"));

/// The audit classes of `annotations.proto`: read, change, sensitive.
const AUDIT_CLASSES: std::ops::RangeInclusive<i32> = 1..=3;

/// The rule of the method at `path`.
#[must_use]
pub fn rule_of(path: &str) -> Option<&'static MethodRule> {
    METHOD_RULES.iter().find(|rule| rule.path == path)
}

/// Checks that every method has a whole rule.
///
/// # Errors
/// In words for the operator, naming each method that lacks something.
pub fn check_rules(rules: &[MethodRule]) -> Result<(), String> {
    let mut problems: Vec<String> = rules.iter().filter_map(problem_of).collect();
    for (position, rule) in rules.iter().enumerate() {
        if rules.iter().take(position).any(|earlier| earlier.path == rule.path) {
            problems.push(format!("{}: has two rules", rule.path));
        }
    }
    if rules.is_empty() {
        problems.push("there is no method at all".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

fn problem_of(rule: &MethodRule) -> Option<String> {
    let lacks = if Permission::parse(rule.permission).is_none() {
        "names no known permission"
    } else if !AUDIT_CLASSES.contains(&rule.audit) {
        "has no audit class"
    } else if rule.max_request_bytes == 0 {
        "has no size limit"
    } else {
        return None;
    };
    Some(format!("{}: {lacks}", rule.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: MethodRule =
        MethodRule { path: "/p.S/M", permission: "self", audit: 1, max_request_bytes: 1, streaming: false };

    #[test]
    fn every_method_of_the_package_has_a_whole_rule() {
        assert_eq!(check_rules(METHOD_RULES), Ok(()));
        assert!(METHOD_RULES.len() > 30);
    }

    #[test]
    fn a_broken_rule_stops_the_server_and_is_named() {
        assert_eq!(check_rules(&[WHOLE]), Ok(()));
        for (broken, problem) in [
            (MethodRule { permission: "", ..WHOLE }, "permission"),
            (MethodRule { permission: "connectors.steal", ..WHOLE }, "permission"),
            (MethodRule { permission: "Self", ..WHOLE }, "permission"),
            (MethodRule { audit: 0, ..WHOLE }, "audit"),
            (MethodRule { audit: 4, ..WHOLE }, "audit"),
            (MethodRule { max_request_bytes: 0, ..WHOLE }, "size"),
        ] {
            let said = check_rules(&[WHOLE, MethodRule { path: "/p.S/Broken", ..broken }]).unwrap_err();
            assert!(said.contains("/p.S/Broken") && said.contains(problem), "{said}");
        }
        assert_eq!(check_rules(&[WHOLE, WHOLE]), Err("/p.S/M: has two rules".to_owned()));
        assert_eq!(check_rules(&[]), Err("there is no method at all".to_owned()));
    }

    #[test]
    fn a_path_is_known_exactly_or_not_at_all() {
        let path = "/valetkey.v1.AccessService/WhoAmI";
        assert_eq!(rule_of(path).map(|rule| rule.permission), Some("self"));
        for unknown in ["", "/valetkey.v1.AccessService/whoami", "/valetkey.v1.AccessService/WhoAmI/"] {
            assert_eq!(rule_of(unknown), None);
        }
    }
}

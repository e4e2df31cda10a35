//! IAM policy documents: the session policies that we write, and the caps that
//! connectors name, read in a grammar small enough to intersect.
//!
//! A session gets one inline policy, and AWS unites it with managed ones; so
//! the cap is intersected here, statement by statement, and what cannot be
//! intersected exactly is refused. Nothing here may ever widen.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::glob;

/// The longest session policy that AWS takes, in characters.
pub const POLICY_LENGTH_MAX: usize = 2048;
/// Statements in a cap; more would not fit the length anyway.
const STATEMENTS_MAX: usize = 32;
/// The one version with policy variables.
const VERSION: &str = "2012-10-17";

/// Operator, then key, then values.
pub type Conditions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Allow or Deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Grants, within what the identity may do.
    Allow,
    /// Refuses, whatever else grants.
    Deny,
}

/// One statement. The `Not` forms are only ever written by us, and only with
/// Deny.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// Allow or Deny.
    pub effect: Effect,
    /// Actions; empty with `not_action`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub action: Vec<String>,
    /// Every action but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_action: Vec<String>,
    /// Resources; empty with `not_resource`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// Every resource but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_resource: Vec<String>,
    /// All must hold.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: Conditions,
}

impl Statement {
    /// Allows these actions on these resources.
    pub fn allow(actions: &[&str], resources: &[String]) -> Self {
        Self::new(Effect::Allow, actions, resources)
    }

    /// Denies these actions on these resources.
    pub fn deny(actions: &[&str], resources: &[String]) -> Self {
        Self::new(Effect::Deny, actions, resources)
    }

    /// Denies every action but these, everywhere.
    pub fn deny_others(actions: &[&str]) -> Self {
        let not_action = owned(actions);
        Self { action: Vec::new(), not_action, ..Self::new(Effect::Deny, &[], &["*".to_owned()]) }
    }

    /// Denies these actions on every resource but these.
    pub fn deny_elsewhere(actions: &[&str], resources: &[String]) -> Self {
        Self { not_resource: resources.to_vec(), ..Self::new(Effect::Deny, actions, &[]) }
    }

    /// The same under one more condition.
    pub fn when(mut self, operator: &str, key: &str, values: &[String]) -> Self {
        self.condition.entry(operator.to_owned()).or_default().insert(key.to_owned(), values.to_vec());
        self
    }

    fn new(effect: Effect, actions: &[&str], resources: &[String]) -> Self {
        Self {
            effect,
            action: owned(actions),
            not_action: Vec::new(),
            resource: resources.to_vec(),
            not_resource: Vec::new(),
            condition: Conditions::new(),
        }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: String,
    statement: Vec<Statement>,
}

/// A cap and a narrow policy that cannot be intersected exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Uncut {
    /// Neither pattern covers the other.
    #[error("its resource patterns overlap the asked resource without covering it or lying inside it")]
    Overlap,
    /// The same condition key with different values.
    #[error("it sets a condition that the narrowed session sets to other values")]
    Condition,
    /// Nothing is left.
    #[error("it allows nothing of what was asked for")]
    Nothing,
}

impl Policy {
    /// A policy of these statements. One without any grants nothing: AWS takes
    /// an empty policy for none at all, and none means full rights.
    pub fn new(mut statements: Vec<Statement>) -> Self {
        if statements.is_empty() {
            statements.push(Statement::deny(&["*"], &["*".to_owned()]));
        }
        Self { version: VERSION.to_owned(), statement: statements }
    }

    /// The document as it is sent.
    pub fn json(&self) -> String {
        // Strings and maps of strings: this cannot fail. An empty text would
        // be refused by AWS, never taken for "no policy".
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The statements.
    pub fn statements(&self) -> &[Statement] {
        &self.statement
    }

    /// What both this narrow policy and `cap` allow.
    ///
    /// # Errors
    /// When that cannot be said exactly in one policy, or is nothing.
    pub fn within(&self, cap: &Self) -> Result<Self, Uncut> {
        let (denied, allowed): (Vec<_>, Vec<_>) = self.statement.iter().partition(|s| s.effect == Effect::Deny);
        let mut kept = Vec::new();
        for own in allowed {
            for other in cap.statement.iter().filter(|s| s.effect == Effect::Allow) {
                kept.extend(meet(own, other)?);
            }
        }
        if kept.is_empty() {
            return Err(Uncut::Nothing);
        }
        kept.extend(denied.into_iter().cloned());
        kept.extend(cap.statement.iter().filter(|s| s.effect == Effect::Deny).cloned());
        Ok(Self::new(kept))
    }
}

/// What two Allow statements both allow.
fn meet(own: &Statement, cap: &Statement) -> Result<Option<Statement>, Uncut> {
    let action: Vec<String> = own
        .action
        .iter()
        .filter(|action| cap.action.iter().any(|cap| glob::covers(&lower(cap), &lower(action))))
        .cloned()
        .collect();
    if action.is_empty() {
        return Ok(None);
    }
    let mut resource = Vec::new();
    for mine in &own.resource {
        for theirs in &cap.resource {
            resource.extend(glob::meet(mine, theirs).map_err(|glob::Overlap| Uncut::Overlap)?);
        }
    }
    resource.sort_unstable();
    resource.dedup();
    if resource.is_empty() {
        return Ok(None);
    }
    let condition = both(&own.condition, &cap.condition)?;
    Ok(Some(Statement { action, resource, condition, ..own.clone() }))
}

fn lower(action: &str) -> String {
    action.to_ascii_lowercase()
}

/// Different operators and keys are all required anyway; the same key twice
/// under one operator would need its values intersected.
fn both(own: &Conditions, cap: &Conditions) -> Result<Conditions, Uncut> {
    let mut merged = own.clone();
    for (operator, keys) in cap {
        let slot = merged.entry(operator.clone()).or_default();
        for (key, values) in keys {
            let clash = slot.iter().any(|(other, set)| other.eq_ignore_ascii_case(key) && set != values);
            if clash {
                return Err(Uncut::Condition);
            }
            slot.insert(key.clone(), values.clone());
        }
    }
    Ok(merged)
}

/// One text or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Many {
    One(String),
    List(Vec<String>),
}

impl From<Many> for Vec<String> {
    fn from(many: Many) -> Self {
        match many {
            Many::One(text) => vec![text],
            Many::List(texts) => texts,
        }
    }
}

/// A statement as somebody hands it in. `NotAction`, `NotResource` and the
/// principals are unknown here: a cap with them cannot be intersected.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GivenStatement {
    #[serde(default)]
    #[allow(dead_code, reason = "a comment for people; accepted and dropped")]
    sid: Option<String>,
    effect: Effect,
    action: Many,
    resource: Many,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Many>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Statements {
    One(Box<GivenStatement>),
    List(Vec<GivenStatement>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GivenPolicy {
    version: String,
    #[serde(default)]
    #[allow(dead_code, reason = "a comment for people; accepted and dropped")]
    id: Option<String>,
    statement: serde_json::Value,
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Self::given(value).map_err(serde::de::Error::custom)
    }
}

impl Policy {
    fn given(value: serde_json::Value) -> Result<Self, &'static str> {
        let value = if let serde_json::Value::String(text) = value {
            serde_json::from_str(&text).map_err(|_| NOT_A_POLICY)?
        } else {
            value
        };
        let given: GivenPolicy = serde_json::from_value(value).map_err(|_| NOT_A_POLICY)?;
        if given.version != VERSION {
            return Err("`policy` must have the Version 2012-10-17");
        }
        let statements: Statements = serde_json::from_value(given.statement).map_err(|_| NOT_A_STATEMENT)?;
        let statements = match statements {
            Statements::One(one) => vec![*one],
            Statements::List(list) => list,
        };
        let fits = (1..=STATEMENTS_MAX).contains(&statements.len());
        if !fits {
            return Err("`policy` must have 1 to 32 statements");
        }
        let statement = statements.into_iter().map(GivenStatement::checked).collect::<Result<_, _>>()?;
        Ok(Self { version: VERSION.to_owned(), statement })
    }
}

impl GivenStatement {
    fn checked(self) -> Result<Statement, &'static str> {
        let (action, resource): (Vec<String>, Vec<String>) = (self.action.into(), self.resource.into());
        // A policy variable stands for text that only AWS knows.
        let variables = resource.iter().any(|text| text.contains("${"));
        let empty = action.is_empty() || resource.is_empty() || action.iter().chain(&resource).any(String::is_empty);
        if variables || empty {
            return Err("`policy` must name Action and Resource in each statement, without policy variables");
        }
        let keys = |keys: BTreeMap<String, Many>| keys.into_iter().map(|(key, many)| (key, many.into())).collect();
        let condition = self.condition.into_iter().map(|(operator, inner)| (operator, keys(inner))).collect();
        let effect = self.effect;
        Ok(Statement { effect, action, not_action: Vec::new(), resource, not_resource: Vec::new(), condition })
    }
}

const NOT_A_POLICY: &str = "`policy` must be a policy document with Version and Statement, as JSON";
const NOT_A_STATEMENT: &str = "each statement of `policy` must have Effect, Action, Resource and perhaps Condition; \
     turn NotAction, NotResource and NotPrincipal around, because a cap with them cannot be intersected";

impl JsonSchema for Policy {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["object", "string"],
            "description": "A policy document, as an object or as JSON text.",
            "examples": [{"Version": VERSION, "Statement": [
                {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::datasets", "arn:aws:s3:::datasets/*"]}
            ]}],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        serde_json::from_str(text).unwrap()
    }

    fn narrow() -> Policy {
        Policy::new(vec![
            Statement::allow(&["s3:GetObject", "s3:PutObject"], &["arn:aws:s3:::datasets/train/*".to_owned()]),
            Statement::deny_others(&["s3:*"]),
        ])
    }

    #[test]
    fn no_statement_is_an_explicit_deny_and_never_full_rights() {
        let json = Policy::new(Vec::new()).json();
        assert_eq!(json, r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"]}]}"#);
    }

    #[test]
    fn a_wider_cap_leaves_the_narrow_policy_and_adds_its_denials() {
        let cap = policy(
            r#"{"Version":"2012-10-17","Statement":[
                {"Effect":"Allow","Action":"S3:Get*","Resource":"arn:aws:s3:::datasets/*"},
                {"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::datasets/train/secret/*"}]}"#,
        );
        let both = narrow().within(&cap).unwrap();
        assert_eq!(both.statements()[0].action, ["s3:GetObject"]);
        assert_eq!(both.statements()[0].resource, ["arn:aws:s3:::datasets/train/*"]);
        assert_eq!(both.statements()[1], Statement::deny_others(&["s3:*"]));
        assert_eq!(both.statements()[2].effect, Effect::Deny);
    }

    #[test]
    fn a_narrower_cap_wins() {
        let cap = policy(
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",
                "Resource":"arn:aws:s3:::datasets/train/a/*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}}"#,
        );
        let both = narrow().within(&cap).unwrap();
        assert_eq!(both.statements()[0].resource, ["arn:aws:s3:::datasets/train/a/*"]);
        assert!(both.statements()[0].condition.contains_key("Bool"));
    }

    #[test]
    fn a_cap_that_overlaps_or_allows_nothing_is_refused() {
        let overlap = r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::*/train/a*b"}]}"#;
        assert_eq!(narrow().within(&policy(overlap)), Err(Uncut::Overlap));
        let nothing = r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::models/*"},
            {"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;
        assert_eq!(narrow().within(&policy(nothing)), Err(Uncut::Nothing));
    }

    #[test]
    fn the_same_condition_with_other_values_is_refused() {
        let own = Policy::new(vec![Statement::allow(&["s3:ListBucket"], &["arn:aws:s3:::b".to_owned()]).when(
            "StringLike",
            "s3:prefix",
            &["train/*".to_owned()],
        )]);
        let cap = policy(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*",
                "Condition":{"StringLike":{"S3:Prefix":"test/*"}}}]}"#,
        );
        assert_eq!(own.within(&cap), Err(Uncut::Condition));
    }

    #[test]
    fn a_cap_outside_the_grammar_is_refused() {
        for text in [
            r#"{"Version":"2008-10-17","Statement":[]}"#,
            r#"{"Version":"2012-10-17","Statement":[]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","NotResource":"x"}]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"x","Principal":"*"}]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}"}]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[],"Resource":"*"}]}"#,
            r#""not json""#,
            "7",
        ] {
            assert!(serde_json::from_str::<Policy>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cap_given_as_text_or_object_is_kept_the_same() {
        let object = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["*"]}]}"#;
        let text = serde_json::to_string(object).unwrap();
        assert_eq!(policy(object), policy(&text));
        assert_eq!(policy(object).json(), object);
    }
}

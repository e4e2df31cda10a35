//! What Google's own client asks for, sent on through the one way out: the
//! secrets take the places of their stand-ins, and the real answer is read
//! here. It ends when the cloud says, is bounded, and its errors are ours.
//!
//! The client (google-cloud-auth) is not ours and may change. An ask with a
//! field that nobody knows, with another scope, or with a stand-in anywhere but
//! in its place is sent to nobody.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::connectors::token_endpoint::{self, TokenAsk};
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::domain::SecretText;

use super::client::{self, Asked, StandIn, Wish};
use super::place::Place;
use super::settings::Implicit;
use super::upstream_metadata::{self, FLAVOR};
use super::upstream_secret::UserLogin;
use super::upstream_source::Access;
use super::upstream_tokens::an_hour_at_most;

const REFRESHING: Doing =
    Doing { permissions: &[], remedy: "log in again with gcloud auth application-default login, and hand in the file" };
/// What an exchange is refused for.
pub const EXCHANGING: Doing = Doing {
    permissions: &[],
    remedy: "check the provider's issuer, allowed audiences and attribute mapping, and its conditions",
};

/// A token for a refresh token.
pub async fn refreshed(
    upstream: &Upstream,
    place: &Place<'_>,
    login: &UserLogin,
    scopes: &[&str],
) -> Result<Access, UpstreamError> {
    let draw = |of| StandIn::draw(&*upstream.entropy, of);
    let (client_secret, refresh_token) = (draw("client-secret")?, draw("refresh-token")?);
    let wish = Wish::Login {
        client_id: login.client_id.clone(),
        client_secret: client_secret.clone(),
        refresh_token: refresh_token.clone(),
        scopes: owned(scopes),
    };
    let asked = client::ask(upstream, wish).await?;
    let form = of_json(&asked).ok_or(ODD)?;
    let scope = scopes.join(" ");
    let wished = [("client_id", login.client_id.as_str()), ("scope", scope.as_str())];
    let secrets = [
        ("client_secret", &client_secret, &login.client_secret),
        ("refresh_token", &refresh_token, &login.refresh_token),
    ];
    // Without a scope, a token has all that the login was granted.
    let wished = if scope.is_empty() { &wished[..1] } else { &wished[..] };
    let form = filled(&form, &["grant_type"], wished, &secrets).ok_or(ODD)?;
    sent(upstream, &place.token_url(), form, REFRESHING).await
}

/// A token exchange.
pub struct Exchange<'a> {
    /// The provider.
    pub audience: &'a str,
    /// The token that it is to believe.
    pub subject: &'a SecretText,
    /// Of which kind that is.
    pub subject_type: &'a str,
    /// The OAuth scopes.
    pub scopes: &'a [&'a str],
}

/// A federated token.
pub async fn exchanged(
    upstream: &Upstream,
    place: &Place<'_>,
    exchange: Exchange<'_>,
) -> Result<Access, UpstreamError> {
    let subject = StandIn::draw(&*upstream.entropy, "subject-token")?;
    let wish = Wish::Federation {
        audience: exchange.audience.to_owned(),
        subject: subject.clone(),
        subject_type: exchange.subject_type.to_owned(),
        scopes: owned(exchange.scopes),
    };
    let asked = client::ask(upstream, wish).await?;
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    let scope = exchange.scopes.join(" ");
    let wished =
        [("audience", exchange.audience), ("scope", scope.as_str()), ("subject_token_type", exchange.subject_type)];
    let secrets = [("subject_token", &subject, exchange.subject)];
    let form = filled(&form, &["grant_type", "requested_token_type"], &wished, &secrets).ok_or(ODD)?;
    sent(upstream, &place.sts_url(), form, EXCHANGING).await
}

/// The machine's token.
pub async fn machine(upstream: &Upstream, own: &Implicit) -> Result<Access, UpstreamError> {
    upstream_metadata::allowed(upstream, own)?;
    let asked = client::ask(upstream, Wish::Machine).await?;
    if asked.flavor.as_deref() != Some(FLAVOR.1) || !asked.body.is_empty() {
        return Err(ODD);
    }
    // The client asks for the default account's; here it is the named one's.
    upstream_metadata::token(upstream, own).await
}

async fn sent(upstream: &Upstream, url: &str, form: Vec<(&str, &str)>, doing: Doing) -> Result<Access, UpstreamError> {
    let now = upstream.clock.now();
    let answer = token_endpoint::ask(upstream, TokenAsk { url, headers: Vec::new(), form }, doing).await?;
    an_hour_at_most(answer, now)
}

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|&scope| scope.to_owned()).collect()
}

/// The client asks for a login's token in JSON, and names the scopes as the
/// token endpoint does not (RFC 6749 section 6): there, all that the login was
/// granted would be in the token.
fn of_json(asked: &Asked) -> Option<Vec<(String, String)>> {
    let object: Map<String, Value> = serde_json::from_slice(&asked.body).ok()?;
    let mut form = Vec::new();
    for (name, value) in object {
        let name = if name == "scopes" { "scope".to_owned() } else { name };
        match value {
            Value::Null => {}
            Value::String(text) => form.push((name, text)),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return None,
        }
    }
    Some(form)
}

/// A form of the client's with every secret where its stand-in was; nothing
/// when it has another field than these, one twice or one too few, says
/// otherwise than was wished, or has a stand-in in another place.
fn filled<'a>(
    form: &'a [(String, String)],
    names: &[&str],
    wished: &[(&str, &str)],
    secrets: &[(&str, &StandIn, &'a SecretText)],
) -> Option<Vec<(&'a str, &'a str)>> {
    let mut seen = BTreeSet::new();
    let mut whole = Vec::new();
    for (name, value) in form {
        let secret = secrets.iter().find(|(secret, _, _)| secret == name);
        let said = wished.iter().find(|(said, _)| said == name);
        let value = match (secret, said) {
            (Some((_, stand_in, secret)), _) if value == stand_in.word() => secret.reveal(),
            (None, Some((_, text))) if value == text => value.as_str(),
            (None, None) if names.contains(&name.as_str()) => value.as_str(),
            (Some(_) | None, Some(_) | None) => return None,
        };
        whole.push((name.as_str(), value));
        if !seen.insert(name.as_str()) {
            return None;
        }
    }
    let all = seen.len() == names.len() + wished.len() + secrets.len();
    // The client's own order is another one each time.
    whole.sort_unstable_by_key(|(name, _)| *name);
    all.then_some(whole)
}

const ODD: UpstreamError = UpstreamError::Unavailable { what: "google-cloud-auth asks for something else" };

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_secret_goes_where_its_stand_in_is_and_any_other_ask_is_nobodys() {
        let entropy = crate::connectors::workbench::Always(1);
        let (one, two) = (StandIn::draw(&entropy, "one").unwrap(), StandIn::draw(&entropy, "two").unwrap());
        let (first, second) = (SecretText::new("hunter2".to_owned()), SecretText::new("hunter3".to_owned()));
        let taken = |asked: &[(&str, &str)]| {
            let form = form(asked);
            let secrets = [("a", &one, &first), ("b", &two, &second)];
            let whole = filled(&form, &["grant_type"], &[("scope", "s t")], &secrets)?;
            Some(whole.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
        };
        let (one, two) = (one.word(), two.word());
        let right = [("scope", "s t"), ("b", two), ("grant_type", "g"), ("a", one)];
        assert_eq!(taken(&right).as_deref(), Some("a=hunter2&b=hunter3&grant_type=g&scope=s t"));
        for (what, asked) in [
            ("two secrets exchanged", vec![("scope", "s t"), ("b", one), ("grant_type", "g"), ("a", two)]),
            ("a secret elsewhere", vec![("scope", one), ("b", two), ("grant_type", "g"), ("a", one)]),
            ("a stranger's word", vec![("scope", "s t"), ("b", two), ("grant_type", "g"), ("a", "one.00")]),
            ("another scope", vec![("scope", "s t u"), ("b", two), ("grant_type", "g"), ("a", one)]),
            ("no scope", vec![("b", two), ("grant_type", "g"), ("a", one)]),
            ("no secret", vec![("scope", "s t"), ("grant_type", "g"), ("a", one)]),
            ("no grant", vec![("scope", "s t"), ("b", two), ("a", one)]),
            ("a field more", [&right[..], &[("resource", "x")]].concat()),
            ("a field twice", [&right[..], &[("a", one)]].concat()),
            ("nothing", vec![]),
        ] {
            assert_eq!(taken(&asked), None, "{what}");
        }
    }

    #[test]
    fn the_scopes_of_a_login_go_by_their_registered_name_and_none_is_left_out() {
        let read = |body: &str| of_json(&Asked { flavor: None, body: body.into() });
        assert_eq!(read(r#"{"grant_type":"g","scopes":"a b"}"#), Some(form(&[("grant_type", "g"), ("scope", "a b")])));
        assert_eq!(read(r#"{"grant_type":"g","scopes":null}"#), Some(form(&[("grant_type", "g")])));
        for odd in ["", "[]", "{", r#"{"scopes":["a"]}"#, r#"{"expires_in":1}"#, r#"{"x":true}"#, r#"{"x":{}}"#] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}

//! Minting by TokenRequest, and ending what was minted.
//!
//! An answer is believed about the end of the token, and about nothing that
//! makes it more than was asked for: another account, another audience, a
//! longer life or a missing bond are refused (SECURITY D11). A bound token
//! ends with the Secret that was made for it; its name is the issuance's, so
//! that a revoke needs nothing but the issuance.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::connectors::UpstreamError;
use crate::connectors::answer::{self, SecretWire};
use crate::domain::{
    Attribution, Issuance, IssuanceId, Minted, MintedShape, Revocable, SecretText, Timestamp, Ttl, claims_text,
};
use crate::outbound::Response;

use super::ids::Account;
use super::scope::{self, Scope};
use super::upstream::{Api, Asking};

/// The longest token that is believed, in bytes.
const TOKEN_LENGTH_MAX: usize = 32 * 1024;
/// How far the API server's clock may be ahead of ours. Its own two times are
/// held against each other with no such room.
const CLOCK_SLACK: Duration = Duration::from_secs(300);
/// Between the two moments at which the API server looks at its clock.
const ROUNDING_SECONDS: i64 = 5;
/// A token's id in audit logs is a UUID.
const TOKEN_ID_LENGTH_MAX: usize = 64;

/// A Secret that a token is bound to.
struct Bond {
    name: String,
    uid: String,
}

/// Mints; see `ConnectorType::mint`.
pub async fn mint(api: &Api<'_>, scope: &Scope, ttl: Ttl, who: &Attribution) -> Result<Minted, UpstreamError> {
    let account = scope.account().ok_or(UpstreamError::StoredSettings)?;
    let bond = match api.cluster.bind_to_secret {
        true => Some(bind(api, &account, ttl, who).await?),
        false => None,
    };
    let asked = Asked { api, account: &account, scope, ttl, bond: bond.as_ref() };
    match asked.run().await {
        Ok(minted) => Ok(minted),
        Err(error) => {
            if let Some(bond) = &bond {
                // The refusal is what the caller needs to hear; the Secret is
                // empty, and labelled for whoever tidies up.
                let _ = unbind(api, &account.namespace, &bond.name).await;
            }
            Err(error)
        }
    }
}

/// See `ConnectorType::revoke`. An API server remembers for ten seconds whom
/// it let in (its token cache): so long a revoked token may still do.
pub async fn revoke(api: &Api<'_>, issuance: &Issuance) -> Result<bool, UpstreamError> {
    if issuance.revocable != Revocable::Single {
        return Ok(false);
    }
    let account = scope::account_in(&issuance.enforced.words).ok_or(UpstreamError::StoredSettings)?;
    unbind(api, &account.namespace, &bond_name(issuance.id)).await
}

fn bond_name(issuance: IssuanceId) -> String {
    format!("vk-{issuance}")
}

/// What `create` or `delete` on secrets of a namespace needs.
pub fn on_secrets(verb: &str, namespace: &str) -> Asking {
    Asking {
        permission: format!("{verb} secrets {namespace}"),
        grant: format!(
            "allow it: kubectl -n {namespace} create role valetkey-bonds --verb=create,delete --resource=secrets, and \
             bind that role to the source identity; or turn bind_to_secret off"
        ),
        absent: "the namespace does not exist; see settings.service_accounts",
    }
}

/// What minting a token of this account needs.
pub fn on_tokens(account: &Account) -> Asking {
    let Account { namespace, name } = account;
    Asking {
        permission: format!("create serviceaccounts/token {account}"),
        grant: format!(
            "allow it: kubectl -n {namespace} create role valetkey-{name} --verb=create \
             --resource=serviceaccounts/token --resource-name={name}, and bind that role to the source identity"
        ),
        absent: "the service account does not exist; see settings.service_accounts",
    }
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    uid: String,
}

/// Makes the Secret whose end is the token's. It holds nothing.
async fn bind(api: &Api<'_>, account: &Account, ttl: Ttl, who: &Attribution) -> Result<Bond, UpstreamError> {
    let (name, namespace) = (bond_name(who.issuance), &account.namespace);
    let ends = api.upstream.clock.now().plus(ttl.as_duration()).to_string();
    let day: String = ends.chars().take("2026-01-01".len()).collect();
    let mut annotations = json!({
        "valetkey/issuance": who.issuance.to_string(),
        "valetkey/principal": who.principal.name.as_str(),
        "valetkey/service-account": account.name,
        "valetkey/ends-at": ends,
    });
    if let (Some(run), Some(annotations)) = (who.run, annotations.as_object_mut()) {
        annotations.insert("valetkey/run".to_owned(), run.to_string().into());
    }
    let body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            // By these, what ended unrevoked can be tidied up in one command.
            "labels": { "app.kubernetes.io/managed-by": "valetkey", "valetkey/ends-on": day },
            "annotations": annotations,
        },
        "type": "Opaque",
    });
    let answer = api.ask("POST", &format!("/api/v1/namespaces/{namespace}/secrets"), Some(&body)).await?;
    let made: Object = answer::json(&on_secrets("create", namespace).done(answer)?)?;
    let uid = made.metadata.uid;
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if made.metadata.name != name || uid.is_empty() || uid.len() > TOKEN_ID_LENGTH_MAX || !uid.bytes().all(word) {
        return Err(UpstreamError::BadAnswer { what: "another Secret than was asked for" });
    }
    Ok(Bond { name, uid })
}

/// Deletes it. True when it is gone: a Secret that waits for somebody's
/// finalizer is not.
async fn unbind(api: &Api<'_>, namespace: &str, name: &str) -> Result<bool, UpstreamError> {
    let answer = api.ask("DELETE", &format!("/api/v1/namespaces/{namespace}/secrets/{name}"), None).await?;
    if answer.status == 404 {
        // A 404 of something else than an API server gives no such reason.
        return Ok(says(&answer, "reason", "NotFound"));
    }
    let answer = on_secrets("delete", namespace).done(answer)?;
    Ok(says(&answer, "status", "Success"))
}

/// Whether it is a `Status` with this word in this field.
fn says(answer: &Response, field: &str, word: &str) -> bool {
    let said: Result<Value, _> = answer::json(answer);
    said.is_ok_and(|said| {
        said.get("kind").is_some_and(|kind| kind == "Status") && said.get(field).is_some_and(|is| is == word)
    })
}

/// A TokenRequest.
struct Asked<'a> {
    api: &'a Api<'a>,
    account: &'a Account,
    scope: &'a Scope,
    ttl: Ttl,
    bond: Option<&'a Bond>,
}

#[derive(Deserialize)]
struct Answer {
    spec: Spec,
    status: TokenStatus,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    audiences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenStatus {
    token: SecretWire,
    expiration_timestamp: String,
}

/// What a service account token says of itself.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audiences,
    iat: i64,
    exp: i64,
    jti: Option<String>,
    #[serde(rename = "kubernetes.io", default)]
    bound: Bound,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, Default)]
struct Bound {
    secret: Option<BoundSecret>,
}

#[derive(Deserialize)]
struct BoundSecret {
    uid: String,
}

impl Asked<'_> {
    async fn run(&self) -> Result<Minted, UpstreamError> {
        let Account { namespace, name } = self.account;
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let answer = self.api.ask("POST", &path, Some(&self.body())).await?;
        let wanted = Wanted {
            account: self.account,
            audience: self.scope.audience.as_ref(),
            ttl: self.ttl,
            bond: self.bond.map(|bond| bond.uid.as_str()),
            now: self.api.upstream.clock.now(),
        };
        let given = wanted.read(&on_tokens(self.account).done(answer)?)?;
        if self.api.is_own_token(given.token.reveal()) {
            return Err(bad("the source credential itself"));
        }
        let cluster = self.api.cluster;
        Ok(Minted {
            attribution: self.attribution(&given),
            shape: MintedShape::Bearer {
                token: given.token,
                endpoint: Some(cluster.address().to_owned()),
                certificate_authority: cluster.certificate_authority.clone(),
            },
            expires_at: given.expires_at,
            enforced: scope::enforced(cluster, self.scope),
            revocable: if self.bond.is_some() { Revocable::Single } else { Revocable::No },
            passthrough: false,
        })
    }

    fn body(&self) -> Value {
        let mut spec = json!({ "expirationSeconds": self.ttl.as_seconds() });
        if let Some(fields) = spec.as_object_mut() {
            fields.insert("audiences".to_owned(), json!(self.scope.audience.iter().collect::<Vec<_>>()));
            if let Some(Bond { name, uid }) = self.bond {
                let bond = json!({ "kind": "Secret", "apiVersion": "v1", "name": name, "uid": uid });
                fields.insert("boundObjectRef".to_owned(), bond);
            }
        }
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec })
    }

    /// What the API server's audit log shows: the account, and from 1.32 on
    /// the token's id.
    fn attribution(&self, given: &Given) -> String {
        let user = self.account.user();
        match (&given.id, self.bond) {
            (Some(id), _) => format!("{user}, credential-id JTI={id}"),
            (None, Some(bond)) => format!("{user}, Secret {}", bond.name),
            (None, None) => user,
        }
    }
}

/// What a TokenRequest asked for.
pub struct Wanted<'a> {
    /// Of this account.
    pub account: &'a Account,
    /// For this audience, or the API server's own.
    pub audience: Option<&'a String>,
    /// For so long.
    pub ttl: Ttl,
    /// Bound to the Secret with this uid.
    pub bond: Option<&'a str>,
    /// At this time.
    pub now: Timestamp,
}

/// What came of it. No Debug.
pub struct Given {
    /// The token.
    pub token: SecretText,
    /// The earlier of the two ends that the API server names.
    pub expires_at: Timestamp,
    /// The token's id, where it has a readable one.
    pub id: Option<String>,
}

impl Wanted<'_> {
    /// The token of an answer, when it is what was asked for and no more.
    pub fn read(&self, answer: &Response) -> Result<Given, UpstreamError> {
        let answer: Answer = answer::json(answer)?;
        let claims = claims(&answer.status.token.0).ok_or(bad("a token that is no service account token"))?;
        self.check(&answer, &claims)?;
        let expires_at = self.end(&answer, &claims)?;
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let id = claims.jti.filter(|id| id.len() <= TOKEN_ID_LENGTH_MAX && id.bytes().all(word));
        Ok(Given { token: answer.status.token.0, expires_at, id })
    }

    /// Nothing more than was asked for.
    fn check(&self, answer: &Answer, claims: &Claims) -> Result<(), UpstreamError> {
        if claims.sub != self.account.user() {
            return Err(bad("a token of another service account than was asked for"));
        }
        let audiences = match &claims.aud {
            Audiences::One(one) => std::slice::from_ref(one),
            Audiences::Many(many) => many.as_slice(),
        };
        if let Some(wanted) = self.audience {
            let wanted = std::slice::from_ref(wanted);
            if audiences != wanted || answer.spec.audiences != wanted {
                return Err(bad("a token for another audience than was asked for"));
            }
        }
        let bound = claims.bound.secret.as_ref().map(|secret| secret.uid.as_str());
        if bound != self.bond {
            return Err(bad("a token that is not bound as was asked for"));
        }
        Ok(())
    }

    /// The end that the API server names, in its answer and in the token: the
    /// earlier counts, and neither may be later than was asked for.
    fn end(&self, answer: &Answer, claims: &Claims) -> Result<Timestamp, UpstreamError> {
        let named: jiff::Timestamp =
            answer.status.expiration_timestamp.parse().map_err(|_| bad("an end that is no time"))?;
        let (named, claimed) = (Timestamp::from_millis(named.as_millisecond()), Timestamp::from_seconds(claims.exp));
        let latest = self.now.plus(self.ttl.as_duration()).plus(CLOCK_SLACK);
        let life = claims.exp.saturating_sub(claims.iat);
        let longer = life > i64::from(self.ttl.as_seconds()).saturating_add(ROUNDING_SECONDS);
        if longer || named.max(claimed) > latest {
            return Err(bad("a longer life than was asked for"));
        }
        let end = named.min(claimed);
        if end > self.now { Ok(end) } else { Err(bad("a token that has ended already; do the clocks agree?")) }
    }
}

/// The claims of a token, unverified: it came from its issuer, over TLS.
fn claims(token: &SecretText) -> Option<Claims> {
    let text = token.reveal();
    let fits = text.len() <= TOKEN_LENGTH_MAX && text.bytes().all(|b| b.is_ascii_graphic() && b != b'=');
    let json = claims_text(text).filter(|_| fits)?;
    // Of what is skipped, too: others who read it must read the same.
    serde_json::from_str(std::str::from_utf8(&json).ok()?).ok()
}

const fn bad(what: &'static str) -> UpstreamError {
    UpstreamError::BadAnswer { what }
}

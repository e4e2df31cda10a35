//! STS through its SDK, on the shared HTTP client. Sees session keys and, for
//! one call, the source key. The SDK's errors print bodies: they are taken
//! apart here and never formatted.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::{Credentials as Answered, PolicyDescriptorType, Tag};
use aws_sdk_sts::{Client, Config};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::{SecretText, Timestamp, Ttl};

use super::attribution::Names;
use super::errors::{self, Doing, Refusal};
use super::place::{Place, Service};
use super::policy::POLICY_LENGTH_MAX;
use super::upstream_mfa::MfaCode;

/// One try and one more, when STS throttles or fails.
const ATTEMPTS_MAX: u32 = 2;
/// Before the second try.
const BACKOFF: Duration = Duration::from_millis(50);
/// How far the clocks may differ before an expiry is taken for nonsense.
const SKEW_MAX: Duration = Duration::from_secs(300);
/// From here on the packed policy is near its limit, in percent.
const PACKED_WARNING: i32 = 80;

/// A session as STS gave it. No Debug.
pub struct Session {
    /// Wiped on drop.
    pub credentials: Credentials,
    /// As the cloud said.
    pub expires_at: Timestamp,
}

/// What a session is asked for with.
#[derive(Clone, Copy)]
pub struct SessionAsk<'a> {
    /// Inline session policy.
    pub policy: Option<&'a str>,
    /// Managed session policies.
    pub policy_arns: &'a [String],
    /// How long.
    pub ttl: Ttl,
    /// For whom.
    pub names: &'a Names,
}

/// One hop of a chain.
#[derive(Clone, Copy)]
pub struct Hop<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// Sent with every hop.
    pub external_id: Option<&'a str>,
    /// All of them; only the last hop has any.
    pub tags: &'a [(String, String)],
}

const ASSUMING: Doing = Doing {
    permissions: &["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    remedy: "let the source identity do all three on the role, and let the role's trust policy allow all three to it, \
             with the connector's external_id if it asks for one",
};
const VOUCHED: Doing = Doing {
    permissions: &["sts:AssumeRoleWithWebIdentity"],
    remedy: "let the role's trust policy allow sts:AssumeRoleWithWebIdentity to the OIDC provider of this server's \
             issuer, for the connector's audience and for subjects that begin with project:PROJECT:connector:CONNECTOR",
};
const IDENTITY_REFUSED: &str = "STS does not take this server's identity token: the account needs an OIDC provider with \
                                exactly the [issuer] url, the connector's audience among its client ids, and keys that \
                                it can fetch";
const IDENTITY_ENDED: &str = "it takes the identity token for an old one: set this server's clock";
const FEDERATING: Doing = Doing {
    permissions: &["sts:GetFederationToken"],
    remedy: "allow sts:GetFederationToken to the user whose key this is; sessions cannot call it",
};
const SESSIONS: Doing = Doing {
    permissions: &["sts:GetSessionToken"],
    remedy: "use the long-lived key of a user, with mfa_serial when the user's rights ask for MFA; sessions cannot call \
             GetSessionToken",
};
const ASKING_WHO: Doing =
    Doing { permissions: &["sts:GetCallerIdentity"], remedy: "the endpoint must serve GetCallerIdentity" };

/// STS with one credential.
pub struct Sts<'a> {
    upstream: &'a Upstream,
    client: Client,
}

impl<'a> Sts<'a> {
    /// A client; it connects when it is used.
    pub fn new(upstream: &'a Upstream, place: &Place<'_>, credentials: &Credentials) -> Self {
        Self::with(upstream, place, Some(credentials))
    }

    /// A client without a key, for the one call that is not signed.
    pub fn unsigned(upstream: &'a Upstream, place: &Place<'_>) -> Self {
        Self::with(upstream, place, None)
    }

    fn with(upstream: &'a Upstream, place: &Place<'_>, credentials: Option<&Credentials>) -> Self {
        let rules = upstream.outbound.rules();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(rules.connect_timeout)
            .operation_timeout(rules.call_timeout)
            .build();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(place.region.to_owned()))
            .endpoint_url(place.endpoint(Service::Sts))
            .http_client(upstream.outbound.http_client())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX).with_initial_backoff(BACKOFF))
            .timeout_config(timeouts);
        let config = match credentials {
            Some(credentials) => config.credentials_provider(credentials.clone()),
            None => config,
        };
        Self { upstream, client: Client::from_conf(config.build()) }
    }

    /// Who the credential is: an ARN.
    pub async fn caller(&self) -> Result<String, UpstreamError> {
        let answer =
            self.client.get_caller_identity().send().await.map_err(|error| self.explain(&error, ASKING_WHO))?;
        let arn = answer.arn().unwrap_or_default();
        let fits = arn.starts_with("arn:") && arn.len() <= ARN_LENGTH_MAX && arn.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(arn.to_owned()) } else { Err(UpstreamError::BadAnswer { what: "no identity" }) }
    }

    /// AssumeRole, with the whole attribution or not at all.
    pub async fn assume_role(&self, hop: Hop<'_>, ask: SessionAsk<'_>) -> Result<Session, UpstreamError> {
        fits(ask.policy)?;
        let answer = self
            .client
            .assume_role()
            .role_arn(hop.role_arn)
            .role_session_name(&ask.names.session)
            .source_identity(&ask.names.source_identity)
            .set_external_id(hop.external_id.map(str::to_owned))
            .set_tags(tags(hop.tags)?)
            .set_policy(ask.policy.map(str::to_owned))
            .set_policy_arns(descriptors(ask.policy_arns))
            .duration_seconds(seconds(ask.ttl))
            .send()
            .await
            .map_err(|error| self.explain(&error, ASSUMING))?;
        #[allow(deprecated, reason = "the successor counts the token, not the policy")]
        packed(answer.packed_policy_size())?;
        self.session(answer.credentials(), ask.ttl)
    }

    /// AssumeRoleWithWebIdentity. It takes neither tags nor a source identity:
    /// the session's name and the token's own subject say who it is.
    pub async fn assume_with_identity(
        &self,
        role_arn: &str,
        token: &SecretText,
        ask: SessionAsk<'_>,
    ) -> Result<Session, UpstreamError> {
        fits(ask.policy)?;
        let answer = self
            .client
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(&ask.names.session)
            .web_identity_token(token.reveal())
            .set_policy(ask.policy.map(str::to_owned))
            .set_policy_arns(descriptors(ask.policy_arns))
            .duration_seconds(seconds(ask.ttl))
            .send()
            .await
            .map_err(|error| of_identity(self.explain(&error, VOUCHED)))?;
        #[allow(deprecated, reason = "the successor counts the token, not the policy")]
        packed(answer.packed_policy_size())?;
        self.session(answer.credentials(), ask.ttl)
    }

    /// GetFederationToken; only ever with a policy, because some
    /// implementations give full rights without one.
    pub async fn federate(&self, ask: SessionAsk<'_>) -> Result<Session, UpstreamError> {
        fits(ask.policy)?;
        if ask.policy.is_none() && ask.policy_arns.is_empty() {
            return Err(UpstreamError::StoredSettings);
        }
        let answer = self
            .client
            .get_federation_token()
            .name(&ask.names.federated)
            .set_policy(ask.policy.map(str::to_owned))
            .set_policy_arns(descriptors(ask.policy_arns))
            .duration_seconds(seconds(ask.ttl))
            .send()
            .await
            .map_err(|error| self.explain(&error, FEDERATING))?;
        #[allow(deprecated, reason = "the successor counts the token, not the policy")]
        packed(answer.packed_policy_size())?;
        self.session(answer.credentials(), ask.ttl)
    }

    /// GetSessionToken, with the code of an MFA device where there is one.
    pub async fn session_token(&self, ttl: Ttl, mfa: Option<MfaCode<'_>>) -> Result<Session, UpstreamError> {
        let ask = self.client.get_session_token().duration_seconds(seconds(ttl));
        let ask = match &mfa {
            Some(mfa) => ask.serial_number(mfa.serial).token_code(mfa.code.as_str()),
            None => ask,
        };
        let answer = ask.send().await.map_err(|error| self.explain(&error, SESSIONS))?;
        self.session(answer.credentials(), ttl)
    }

    /// Hostile input: a session is whole and ends within what was asked for.
    fn session(&self, answered: Option<&Answered>, asked: Ttl) -> Result<Session, UpstreamError> {
        let answered = answered.ok_or(UpstreamError::BadAnswer { what: "no session" })?;
        let parts = [answered.access_key_id(), answered.secret_access_key(), answered.session_token()];
        if parts.iter().any(|part| part.is_empty() || part.len() > PART_LENGTH_MAX) {
            return Err(UpstreamError::BadAnswer { what: "half a session" });
        }
        let expires_at = Timestamp::from_seconds(answered.expiration().secs());
        believable(self.upstream.clock.now(), expires_at, asked.as_duration())?;
        let [id, key, token] = parts.map(str::to_owned);
        Ok(Session { credentials: Credentials::new(id, key, Some(token), None, "valetkey"), expires_at })
    }

    fn explain<E: ProvideErrorMetadata>(&self, error: &SdkError<E, HttpResponse>, doing: Doing) -> UpstreamError {
        if let SdkError::DispatchFailure(failure) = error {
            let cause = failure.as_connector_error().map(|error| self.upstream.outbound.cause(error));
            return cause.map_or(UpstreamError::Unavailable { what: "no connection" }, errors::unanswered);
        }
        if matches!(error, SdkError::TimeoutError(_)) {
            return UpstreamError::DeadlineExceeded;
        }
        let Some(raw) = error.raw_response() else {
            return UpstreamError::BadAnswer { what: "unsendable request" };
        };
        // Some implementations answer STS calls in the shape of S3's errors.
        let (found, text) = errors::xml_error(raw.body().bytes().unwrap_or_default());
        let meta = error.as_service_error();
        let code = meta.and_then(ProvideErrorMetadata::code).or(found.as_deref());
        let status = raw.status().as_u16();
        if (200..300).contains(&status) {
            return UpstreamError::BadAnswer { what: "not an answer of STS" };
        }
        let retry_after = raw.headers().get("retry-after").and_then(crate::outbound::retry_after);
        Refusal { status, code, message: &text, retry_after }.explain(doing)
    }
}

/// What is said of a source credential, said of the token: nothing is stored
/// that could be rotated.
fn of_identity(error: UpstreamError) -> UpstreamError {
    let rejected =
        |code: &str, remedy: &str| UpstreamError::Rejected { code: code.to_owned(), remedy: remedy.to_owned() };
    if error == UpstreamError::Expired {
        return rejected("ExpiredTokenException", IDENTITY_ENDED);
    }
    if let UpstreamError::CredentialRefused { code } = &error {
        return rejected(code, IDENTITY_REFUSED);
    }
    error
}

/// The longest ARN that is repeated.
const ARN_LENGTH_MAX: usize = 256;
/// The longest part of a session; tokens have some 1,500 letters.
const PART_LENGTH_MAX: usize = 16 * 1024;

/// Whether an expiry may be true: in the future, and not after what was asked.
pub fn believable(now: Timestamp, expires_at: Timestamp, asked: Duration) -> Result<(), UpstreamError> {
    if expires_at > now && expires_at <= now.plus(asked).plus(SKEW_MAX) {
        Ok(())
    } else {
        Err(UpstreamError::BadAnswer { what: "an impossible expiry" })
    }
}

/// AWS counts characters before it packs: refused before anything is sent.
fn fits(policy: Option<&str>) -> Result<(), UpstreamError> {
    let length = policy.map_or(0, |policy| policy.chars().count());
    if length > POLICY_LENGTH_MAX {
        let percent = u32::try_from(length * 100 / POLICY_LENGTH_MAX).unwrap_or(u32::MAX);
        return Err(UpstreamError::PolicyTooLarge { percent });
    }
    Ok(())
}

fn packed(percent: Option<i32>) -> Result<(), UpstreamError> {
    let percent = percent.unwrap_or(0);
    if percent > 100 {
        return Err(UpstreamError::PolicyTooLarge { percent: u32::try_from(percent).unwrap_or(u32::MAX) });
    }
    if percent >= PACKED_WARNING {
        tracing::warn!(percent, "the packed session policy is near the limit of AWS");
    }
    Ok(())
}

fn tags(pairs: &[(String, String)]) -> Result<Option<Vec<Tag>>, UpstreamError> {
    let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build();
    let tags: Vec<Tag> = pairs.iter().map(tag).collect::<Result<_, _>>().map_err(|_| UpstreamError::StoredSettings)?;
    Ok((!tags.is_empty()).then_some(tags))
}

fn descriptors(arns: &[String]) -> Option<Vec<PolicyDescriptorType>> {
    let all: Vec<_> = arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build()).collect();
    (!all.is_empty()).then_some(all)
}

fn seconds(ttl: Ttl) -> i32 {
    i32::try_from(ttl.as_seconds()).unwrap_or(i32::MAX)
}

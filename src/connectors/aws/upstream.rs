//! Minting: the source key becomes a session, and the session the shape that
//! was asked for. Source credentials are plaintext here, for one call.

use aws_credential_types::Credentials;

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::{Attribution, Minted, MintedShape, Revocable, Timestamp, Ttl};
use crate::sealing::SourceCredential;

use super::attribution::{Names, secret};
use super::grants;
use super::ids::Target;
use super::place::Service;
use super::scope::{Scope, enforced};
use super::settings::{RoleWay, Settings, Way, WebWay};
use super::settings_check::{ACCESS_KEY_ID, MFA_TOTP_SEED, SECRET_ACCESS_KEY, SESSION_TOKEN};
use super::upstream_mfa::{self, MfaCode};
use super::upstream_sts::{Hop, Session, SessionAsk, Sts};
use super::{upstream_ecr, upstream_eks};

/// The shortest session of AWS; enough for what never leaves the broker.
const SHORTEST: Ttl = Ttl::seconds(900);

/// For one exchange, clocks that differ included.
const IDENTITY_TTL: Ttl = Ttl::seconds(300);

/// How a session of some settings is made for some target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made<'a> {
    /// AssumeRole.
    Role(RoleWay<'a>),
    /// AssumeRoleWithWebIdentity.
    WebIdentity(WebWay<'a>),
    /// GetFederationToken.
    Federated,
    /// GetSessionToken: the user's own session, with no name of ours.
    Own,
    /// As it was handed in.
    HandedIn,
}

impl<'a> Made<'a> {
    /// How the session for this target is made.
    pub fn for_target(settings: &'a Settings, target: &Target) -> Self {
        match (settings.way(), target) {
            (Way::Role(way), _) => Self::Role(way),
            (Way::WebIdentity(way), _) => Self::WebIdentity(way),
            (Way::Federation, _) | (Way::Key, Target::Bucket { .. } | Target::Registry { .. }) => Self::Federated,
            (Way::Session, _) | (Way::Key, Target::Generic { .. } | Target::Cluster { .. }) => Self::Own,
            (Way::HandedIn, _) => Self::HandedIn,
        }
    }

    const fn revocable(self) -> Revocable {
        match self {
            Self::Role(_) | Self::WebIdentity(_) => Revocable::RoleWide,
            Self::Federated | Self::Own | Self::HandedIn => Revocable::No,
        }
    }

    fn attribution(self, names: &Names) -> String {
        match self {
            Self::Role(_) | Self::WebIdentity(_) => names.session.clone(),
            Self::Federated => names.federated.clone(),
            Self::Own => "the source user: GetSessionToken takes no name".to_owned(),
            Self::HandedIn => "whoever made the handed-in session".to_owned(),
        }
    }
}

/// A mint, with all that each step needs.
pub struct Mint<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// The connector's.
    pub settings: &'a Settings,
    /// The source credential.
    pub secret: &'a SourceCredential,
    /// When the source credential ends.
    pub secret_expires_at: Option<Timestamp>,
    /// What was narrowed.
    pub scope: &'a Scope,
    /// Granted.
    pub ttl: Ttl,
}

impl Mint<'_> {
    /// Mints; see `ConnectorType::mint`.
    pub async fn run(&self, attribution: &Attribution, passthrough: bool) -> Result<Minted, UpstreamError> {
        let names = Names::of(attribution);
        let target = self.scope.target().ok_or(UpstreamError::StoredSettings)?;
        let made = Made::for_target(self.settings, &target);
        let ttl = if matches!(target, Target::Cluster { .. }) { SHORTEST } else { self.ttl };
        let session = self.session(made, ttl, &names).await?;
        let (shape, expires_at) = self.shape(&target, &session).await?;
        Ok(Minted {
            shape,
            expires_at,
            enforced: enforced(self.settings, self.scope),
            revocable: made.revocable(),
            attribution: made.attribution(&names),
            passthrough,
        })
    }

    async fn session(&self, made: Made<'_>, ttl: Ttl, names: &Names) -> Result<Session, UpstreamError> {
        let policy = self.scope.policy.as_deref();
        let ask = SessionAsk { policy, policy_arns: &self.scope.policy_arns, ttl, names };
        let source = || source(self.upstream, self.settings, self.secret);
        match made {
            Made::Role(way) => assume(self.upstream, self.settings, &source()?, way, ask).await,
            Made::WebIdentity(way) => vouched(self.upstream, self.settings, way, ask).await,
            Made::Federated => Sts::new(self.upstream, &self.settings.place(), &source()?).federate(ask).await,
            Made::Own => own(self.upstream, self.settings, self.secret, &source()?, ttl).await,
            Made::HandedIn => {
                let expires_at = self.secret_expires_at.ok_or(UpstreamError::StoredSettings)?;
                if expires_at <= self.upstream.clock.now() {
                    return Err(UpstreamError::Expired);
                }
                Ok(Session { credentials: source()?, expires_at })
            }
        }
    }

    async fn shape(&self, target: &Target, session: &Session) -> Result<(MintedShape, Timestamp), UpstreamError> {
        let place = self.settings.place();
        let Session { credentials, expires_at } = session;
        match target {
            Target::Generic { .. } | Target::Bucket { .. } => {
                let shape = MintedShape::AwsSession {
                    access_key_id: secret(credentials.access_key_id()),
                    secret_access_key: secret(credentials.secret_access_key()),
                    session_token: secret(credentials.session_token().unwrap_or_default()),
                    region: place.region.to_owned(),
                    endpoint_url: place.endpoint_url.map(|_| place.endpoint(Service::S3)),
                };
                Ok((shape, *expires_at))
            }
            Target::Registry { .. } => {
                let login = upstream_ecr::login(self.upstream, &place, credentials).await?;
                let host = self.scope.resource.split('/').next().unwrap_or_default();
                let endpoint = Some(format!("https://{host}"));
                let shape = MintedShape::Basic { username: login.username, password: login.password, endpoint };
                Ok((shape, login.expires_at.min(*expires_at)))
            }
            Target::Cluster { cluster, .. } => {
                let address = upstream_eks::address(self.upstream, &place, credentials, cluster).await?;
                let now = self.upstream.clock.now();
                let token = upstream_eks::token(&place, credentials, cluster, now)?;
                let slack = i64::try_from(upstream_eks::SESSION_SLACK.as_millis()).unwrap_or(i64::MAX);
                let session_end = Timestamp::from_millis(expires_at.millis().saturating_sub(slack));
                let expires_at = now.plus(upstream_eks::TOKEN_LIFE).min(session_end);
                if expires_at <= now {
                    return Err(UpstreamError::Expired);
                }
                let certificate_authority = address.certificate_authority;
                Ok((MintedShape::Bearer { token, endpoint: Some(address.endpoint), certificate_authority }, expires_at))
            }
        }
    }
}

/// Assumes each role of the chain, then the role. Sessions in between may do
/// nothing but assume the next.
pub async fn assume(
    upstream: &Upstream,
    settings: &Settings,
    source: &Credentials,
    way: RoleWay<'_>,
    ask: SessionAsk<'_>,
) -> Result<Session, UpstreamError> {
    let place = settings.place();
    let external_id = way.external_id;
    let mut held = source.clone();
    let nexts = way.chain.iter().skip(1).map(String::as_str).chain([way.role_arn]);
    for (role_arn, next) in way.chain.iter().zip(nexts) {
        let policy = grants::next_hop(next).json();
        let between = SessionAsk { policy: Some(&policy), policy_arns: &[], ttl: SHORTEST, names: ask.names };
        let hop = Hop { role_arn, external_id, tags: &[] };
        held = Sts::new(upstream, &place, &held).assume_role(hop, between).await?.credentials;
    }
    let mut tags = ask.names.tags.clone();
    tags.extend(way.tags.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    let hop = Hop { role_arn: way.role_arn, external_id, tags: &tags };
    Sts::new(upstream, &place, &held).assume_role(hop, ask).await
}

/// A session of a role that trusts this server's issuer. The token is used
/// once, at once: it names who asked and lives for minutes.
pub async fn vouched(
    upstream: &Upstream,
    settings: &Settings,
    way: WebWay<'_>,
    ask: SessionAsk<'_>,
) -> Result<Session, UpstreamError> {
    let token = upstream.identity_token(way.audience, IDENTITY_TTL)?;
    Sts::unsigned(upstream, &settings.place()).assume_with_identity(way.role_arn, &token, ask).await
}

/// The user's own session. A code of its MFA device works once: whoever asks
/// twice within its 30 seconds is told to wait.
pub async fn own(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    source: &Credentials,
    ttl: Ttl,
) -> Result<Session, UpstreamError> {
    let code = match settings.mfa_serial() {
        Some(serial) => {
            let missing = || UpstreamError::CredentialRefused { code: "no readable seed".to_owned() };
            let seed = secret.field(MFA_TOTP_SEED).and_then(|field| field.expose_text()).ok_or_else(missing)?;
            Some(MfaCode { serial, code: upstream_mfa::code(seed, upstream.clock.now()).ok_or_else(missing)? })
        }
        None => None,
    };
    Sts::new(upstream, &settings.place(), source).session_token(ttl, code).await
}

/// The source credential as the SDK wants it: wiped on drop.
pub fn source(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
) -> Result<Credentials, UpstreamError> {
    if let Settings::Implicit(own) = settings {
        return implicit(upstream, &own.profile_name);
    }
    let field = |name: &str| secret.field(name).and_then(|field| field.expose_text()).map(str::to_owned);
    let missing = || UpstreamError::CredentialRefused { code: "incomplete".to_owned() };
    let id = field(ACCESS_KEY_ID).ok_or_else(missing)?;
    let key = field(SECRET_ACCESS_KEY).ok_or_else(missing)?;
    let token = match settings.way() {
        Way::HandedIn => Some(field(SESSION_TOKEN).ok_or_else(missing)?),
        Way::Role(_) | Way::WebIdentity(_) | Way::Key | Way::Session | Way::Federation => None,
    };
    Ok(Credentials::new(id, key, token, None, "valetkey"))
}

/// See `ConnectorType::key_id`.
pub fn key_id(secret: &SourceCredential) -> Option<String> {
    Some(secret.field(ACCESS_KEY_ID)?.expose_text()?.to_owned())
}

fn implicit(upstream: &Upstream, name: &str) -> Result<Credentials, UpstreamError> {
    let identity = upstream.outbound.implicit(name).ok_or(UpstreamError::NotEnabled {
        remedy: "name the identity in [outbound] implicit_identities, with static keys in that profile of \
                 aws_credentials_file; the server's log says why a profile is not used",
    })?;
    let token = identity.session_token.map(|token| token.reveal().to_owned());
    let (id, key) = (identity.access_key_id.reveal(), identity.secret_access_key.reveal());
    Ok(Credentials::new(id, key, token, None, "valetkey"))
}

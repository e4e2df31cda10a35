//! Create a token: for oneself, or, with the permission for it, for another
//! principal of the project. The secret is shown this once and not kept: the
//! same request again answers with the token, and without its secret.

use std::time::Duration;

use crate::audit::{Line, Outcome, Subject};
use crate::authn::api_token;
use crate::authz::Permission;
use crate::domain::{FieldError, Principal, SecretText, Timestamp, TokenDigest, TokenRecord};
use crate::sealing::Purpose;
use crate::store::{Guard, Tx, Write};

use super::super::gate::Known;
use super::super::{Broker, BrokerError, Call, Once};
use super::TokenSeen;

/// Days that a token lives when nothing is said.
pub const TOKEN_DAYS_DEFAULT: u32 = 30;
/// The longest: a leaked token that nobody noticed ends within a quarter.
pub const TOKEN_DAYS_MAX: u32 = 90;
const SECONDS_PER_DAY: u32 = 24 * 60 * 60;

/// What token is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// For whom: name, id or unique prefix of the id; oneself when unsaid.
    pub principal: Option<String>,
    /// For people.
    pub description: String,
    /// Lifetime in seconds; 30 days when unsaid, or what is left of the token
    /// that is presented.
    pub ttl_seconds: Option<u32>,
}

/// A token that was just made. Not Debug: it holds the secret.
pub struct NewTokenSecret {
    /// What is stored of it.
    pub token: TokenSeen,
    /// The token itself; none when the same request was answered before.
    pub secret: Option<SecretText>,
}

impl Broker {
    /// Creates a token.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` for a lifetime beyond 90 days, or, of
    /// one's own token, beyond the presented one's;
    /// `Exhausted` when the principal has too many.
    pub async fn create_token(
        &self,
        call: &Call,
        ask: NewToken,
        once: Option<&Once>,
    ) -> Result<NewTokenSecret, BrokerError> {
        let principal = self.token_holder(call, ask.principal.as_deref()).await?;
        if let Some(token) = self.recall(call, once).await? {
            return Ok(NewTokenSecret { token, secret: None });
        }
        self.sure_of_the_time()?;
        let now = self.clock.now();
        let lifetime = lifetime(ask.ttl_seconds, self.left_of_own(call, &principal, now))?;
        let (issued, id) = api_token::issue(principal.kind, self.entropy.as_ref())?;
        let record = TokenRecord {
            id,
            project: call.project(),
            principal: principal.id,
            digest: TokenDigest(self.keyring.mac(Purpose::TokenPepper, issued.as_bytes())),
            description: ask.description,
            created_at: now,
            expires_at: now.plus(lifetime),
            created_by: Some(call.principal().id),
            run: None,
        };
        let token = TokenSeen::of(&record, principal.name.clone());
        let line = Line { subject: Some(Subject::Token(record.id.clone())), ..call.line(Outcome::Ok, "") };
        let line = Line { expires_at: Some(record.expires_at), ..line };
        let tx = Tx::with_line(line.with_detail("for", principal.name.as_str()))
            .guard(Guard::PrincipalExists { project: call.project(), id: principal.id })
            .write(Write::InsertToken(record))
            .remember(self.remember(call, once, &token)?);
        match self.commit(call, "token", tx).await {
            Ok(_) => Ok(NewTokenSecret { token, secret: Some(issued.into_secret()) }),
            // Another call with the same request id was quicker: it has the secret.
            failed => {
                let token = self.settled(call, once, token, failed).await?;
                Ok(NewTokenSecret { token, secret: None })
            }
        }
    }

    /// How long a token of the caller's own may live: no longer than the one
    /// it is asked for with. Who found a token for a minute would have it for
    /// a quarter, and whoever revoked the found one would not see the other.
    /// Who manages tokens makes those of everybody, and so any of their own.
    fn left_of_own(&self, call: &Call, principal: &Principal, now: Timestamp) -> Option<Duration> {
        let manages = self.allowed(call, Permission::TokensManage, Known::default());
        let own = principal.id == call.principal().id && !manages;
        own.then(|| call.caller.token_expires_at.since(now))
    }

    /// Whose tokens a call is about: one's own, or another's with the
    /// permission for it.
    pub(super) async fn token_holder(&self, call: &Call, text: Option<&str>) -> Result<Principal, BrokerError> {
        self.permit(call, Permission::TokensOwn).await?;
        let own = call.principal();
        match text {
            None => Ok(own.clone()),
            Some(text) if call.names_caller(text) => Ok(own.clone()),
            Some(text) => {
                self.permit(call, Permission::TokensManage).await?;
                self.principal_named(call, text).await
            }
        }
    }
}

/// Refused rather than cut: a token that ends earlier than its holder thinks
/// stops a program at night. Cut to what is left when nothing is said.
fn lifetime(seconds: Option<u32>, left: Option<Duration>) -> Result<Duration, FieldError> {
    let wished = seconds.unwrap_or(TOKEN_DAYS_DEFAULT * SECONDS_PER_DAY);
    if wished == 0 || wished > TOKEN_DAYS_MAX * SECONDS_PER_DAY {
        return Err(FieldError::new("ttl_seconds", format!("at most {TOKEN_DAYS_MAX} days")));
    }
    let wished = Duration::from_secs(wished.into());
    match left {
        Some(left) if left < wished && seconds.is_some() => {
            let left = left.as_secs();
            let problem = format!("at most {left} s: a token of your own outlives none that it was made with");
            Err(FieldError::new("ttl_seconds", problem))
        }
        Some(left) => Ok(wished.min(left)),
        None => Ok(wished),
    }
}

//! Start a run. Its token is shown this once and not kept: the same request
//! again answers with the run, and without the token.

use std::time::Duration;

use crate::audit::{Line, Outcome, Subject};
use crate::authn::TokenKind;
use crate::authn::api_token;
use crate::authz::{Permission, visible_scope};
use crate::domain::run::{RUN_DURATION_DEFAULT, RUN_DURATION_MAX, RUN_TOKEN_TTL_MAX};
use crate::domain::{FieldError, Name, Run, RunId, SecretText, Stack, TokenDigest, TokenId, TokenRecord, Ttl};
use crate::sealing::Purpose;
use crate::store::{Guard, Tx, Write};

use super::super::{Broker, BrokerError, Call, Once};

/// The shortest run: below it nothing could be minted.
const RUN_DURATION_MIN: Duration = Duration::from_secs(60);
const SECONDS_PER_HOUR: u64 = 60 * 60;

/// What run is to be started.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// On which stack: name, id or unique prefix of the id.
    pub stack: String,
    /// A label for people; made from the id when unsaid.
    pub name: Option<Name>,
    /// How long it lasts at the longest; a day when unsaid.
    pub duration: Option<Ttl>,
    /// How long its token lives without a renewal; an hour when unsaid.
    pub token_ttl: Option<Ttl>,
}

/// A run that goes on from now. Not Debug: it holds the secret.
pub struct Started {
    /// As stored.
    pub run: Run,
    /// Its token; none when the same request was answered before.
    pub secret: Option<SecretText>,
}

impl Broker {
    /// Starts a run.
    ///
    /// # Errors
    /// `Denied`; `NotFound` for the stack; `Invalid` for a length beyond the
    /// limits; `Exhausted` when the principal has too many live ones.
    pub async fn start_run(&self, call: &Call, ask: NewRun, once: Option<&Once>) -> Result<Started, BrokerError> {
        self.permit(call, Permission::RunsStart).await?;
        if let Some(run) = self.recall(call, once).await? {
            return Ok(Started { run, secret: None });
        }
        let scope = visible_scope(&call.caller.subject, Permission::RunsStart, self.clock.now());
        let stack = self.stack_within(call, &ask.stack, Permission::RunsStart, &scope).await?;
        self.sure_of_the_time()?;
        let (issued, token) = api_token::issue(TokenKind::Run, self.entropy.as_ref())?;
        let run = self.new_run(call, ask, &stack, token)?;
        let record = TokenRecord {
            id: run.token.clone(),
            project: run.project,
            principal: run.principal,
            digest: TokenDigest(self.keyring.mac(Purpose::TokenPepper, issued.as_bytes())),
            description: format!("run {}", run.name),
            created_at: run.started_at,
            expires_at: run.token_expires_at,
            created_by: Some(run.principal),
            run: Some(run.id),
        };
        let line =
            Line { subject: Some(Subject::Run(run.id)), expires_at: Some(run.ends_at), ..call.line(Outcome::Ok, "") };
        let tx = Tx::with_line(line.with_detail("name", run.name.as_str()).with_detail("stack", stack.name.as_str()))
            .guard(Guard::PrincipalExists { project: run.project, id: run.principal })
            .write(Write::InsertRun { run: run.clone(), token: record })
            .remember(self.remember(call, once, &run)?);
        match self.commit(call, "run", tx).await {
            Ok(_) => Ok(Started { run, secret: Some(issued.into_secret()) }),
            // Another call with the same request id was quicker: it has the token.
            failed => self.settled(call, once, run, failed).await.map(|run| Started { run, secret: None }),
        }
    }

    fn new_run(&self, call: &Call, ask: NewRun, stack: &Stack, token: TokenId) -> Result<Run, BrokerError> {
        let id = RunId::random(self.entropy.as_ref())?;
        let now = self.clock.now();
        let ends_at = now.plus(duration(ask.duration)?);
        let name = match ask.name {
            Some(name) => name,
            None => made_name(id)?,
        };
        let run = Run {
            id,
            project: call.project(),
            name,
            stack: stack.id,
            stack_name: stack.name.clone(),
            principal: call.principal().id,
            principal_name: call.principal().name.clone(),
            token,
            token_expires_at: now,
            started_at: now,
            ends_at,
            finished_at: None,
        };
        Ok(run.renewed(now, token_ttl(ask.token_ttl)?))
    }
}

fn made_name(id: RunId) -> Result<Name, BrokerError> {
    let digits: String = id.to_string().chars().take(8).collect();
    format!("run-{digits}").parse().map_err(|_| BrokerError::Internal { what: "a made-up name is none" })
}

/// Refused rather than cut: a run that ends earlier than its starter thinks
/// loses a training at night.
fn duration(asked: Option<Ttl>) -> Result<Duration, FieldError> {
    let duration = asked.map_or(RUN_DURATION_DEFAULT, Ttl::as_duration);
    if duration < RUN_DURATION_MIN || duration > RUN_DURATION_MAX {
        let hours = RUN_DURATION_MAX.as_secs() / SECONDS_PER_HOUR;
        return Err(FieldError::new("max_duration_seconds", format!("between a minute and {hours} hours")));
    }
    Ok(duration)
}

/// How long a token is to live from now on.
pub(super) fn token_ttl(asked: Option<Ttl>) -> Result<Ttl, FieldError> {
    match asked {
        None => Ok(RUN_TOKEN_TTL_MAX),
        Some(ttl) if ttl <= RUN_TOKEN_TTL_MAX => Ok(ttl),
        Some(_) => Err(FieldError::new("ttl_seconds", "at most an hour; renew the run to go on")),
    }
}

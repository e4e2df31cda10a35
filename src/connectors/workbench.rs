//! What the tests of every workshop stand on: somebody to mint for, a way out
//! to a fake, a source credential, and dice that fall as they are told.

use std::sync::Arc;
use std::time::Duration;

use super::Upstream;
use crate::domain::{
    Attribution, Entropy, EntropyError, IssuanceId, ManualClock, NoIssuer, Principal, PrincipalId, PrincipalKind,
    ProjectId, SecretFieldName, Subject, SubjectForm, Timestamp,
};
use crate::outbound::{Detours, Outbound, OutboundRules};
use crate::sealing::{Plaintext, SourceCredential};

/// For one call to a fake. A machine with much to do is no reason to fail.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// This byte for whatever is drawn.
pub struct Always(pub u8);

impl Entropy for Always {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        buffer.fill(self.0);
        Ok(())
    }
}

/// The machine's own time, for fakes that live by it.
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// Anna mints, outside of a run.
pub fn attribution() -> Attribution {
    attribution_of("anna", 2, 3)
}

/// This principal mints, with this byte all through its id, and through the
/// issuance's.
pub fn attribution_of(name: &str, principal: u8, issuance: u8) -> Attribution {
    let project = ProjectId::from_bytes([1; 16]);
    let principal = Principal {
        id: PrincipalId::from_bytes([principal; 16]),
        project,
        name: name.parse().unwrap(),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: Timestamp::from_seconds(0),
    };
    Attribution { principal, project, run: None, issuance: IssuanceId::from_bytes([issuance; 16]) }
}

/// Anna, as a connector of the default project vouches for her.
pub fn subject(connector: &str) -> Arc<Subject> {
    Arc::new(Subject {
        project: "default".parse().unwrap(),
        connector: connector.parse().unwrap(),
        principal: (PrincipalKind::User, "anna".parse().unwrap()),
        run: None,
        issuance: None,
        form: SubjectForm::default(),
    })
}

/// A source credential of these fields.
pub fn secret(fields: &[(&str, &str)]) -> SourceCredential {
    let field =
        |(name, text): &(&str, &str)| (SecretFieldName::parse(name).unwrap(), Plaintext::new(text.as_bytes().to_vec()));
    SourceCredential::new(fields.iter().map(field).collect())
}

/// The way to a fake at `url`, with no issuer and no subject.
pub fn upstream(url: &str, root: Option<&str>, implicit: &[&str], now: Timestamp) -> Upstream {
    let rules = OutboundRules {
        allowed_endpoints: vec![url.to_owned()],
        extra_roots_pem: root.map(str::to_owned),
        connect_timeout: CALL_TIMEOUT,
        call_timeout: CALL_TIMEOUT,
        implicit_identities: implicit.iter().map(|&name| name.to_owned()).collect(),
        detours: Detours::default(),
    };
    Upstream {
        outbound: Arc::new(Outbound::new(rules).unwrap()),
        clock: Arc::new(ManualClock::at(now)),
        entropy: Arc::new(Always(7)),
        identities: Arc::new(NoIssuer),
        subject: None,
    }
}

/// The same way, where no call may take longer than this.
pub fn within(upstream: &Upstream, call_timeout: Duration) -> Upstream {
    Upstream { outbound: Arc::new(upstream.outbound.within(call_timeout)), ..upstream.clone() }
}

//! What a new store begins with: projects, a key for each, and the people
//! that `init` and `serve --dev` let in.
//!
//! The one place where a token is made that nobody's grant allowed; it works
//! on a store that has nobody in it, and on no other.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Ledger, Line, LineKind, Outcome};
use crate::authn::api_token;
use crate::domain::{
    Binding, BindingId, BindingTarget, Clock, Conditions, Entropy, Name, Principal, PrincipalId, PrincipalKind,
    Project, ProjectId, Role, SecretText, TokenDigest, TokenRecord,
};
use crate::sealing::{Keyring, Purpose};
use crate::store::{Store, Tx, Write};

use super::error::DaemonError;

/// The first tokens are for setting up; people then make their own.
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Somebody to let in.
pub(super) struct Person {
    pub(super) name: Name,
    pub(super) role: Role,
}

/// Somebody who was let in.
pub(super) struct Founder {
    pub(super) project: Name,
    pub(super) name: Name,
    pub(super) role: Role,
    pub(super) token: SecretText,
}

/// Founds a store.
pub(super) struct Founding {
    pub(super) store: Arc<dyn Store>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Founding {
    /// Makes a project with its key and these people, in one transaction.
    pub(super) async fn project(&self, name: &Name, people: &[Person]) -> Result<Vec<Founder>, DaemonError> {
        let project =
            Project { id: ProjectId::random(&*self.entropy)?, name: name.clone(), created_at: self.clock.now() };
        let kek = self.keyring.make_kek(project.id)?;
        let line = Line {
            project: Some(project.id),
            ..Line::about("daemon/init", LineKind::Single, Outcome::Ok).with_detail("project", name.as_str())
        };
        let mut tx = Tx::with_line(self.ledger.stamp(line));
        tx = tx.write(Write::InsertProject(project.clone())).write(Write::InsertKek(kek));
        let mut founders = Vec::new();
        for person in people {
            let (writes, token) = self.let_in(&project, person)?;
            tx = writes.into_iter().fold(tx, Tx::write);
            founders.push(Founder { project: name.clone(), name: person.name.clone(), role: person.role, token });
        }
        self.store.commit(tx).await?;
        Ok(founders)
    }

    fn let_in(&self, project: &Project, person: &Person) -> Result<(Vec<Write>, SecretText), DaemonError> {
        let now = self.clock.now();
        let principal = Principal {
            id: PrincipalId::random(&*self.entropy)?,
            project: project.id,
            name: person.name.clone(),
            kind: PrincipalKind::User,
            description: format!("made by the daemon as the first {}", person.role),
            created_by: None,
            created_at: now,
        };
        let binding = Binding {
            id: BindingId::random(&*self.entropy)?,
            project: project.id,
            principal: principal.id,
            role: person.role,
            target: BindingTarget::Project,
            conditions: Conditions::default(),
            created_by: None,
            created_at: now,
        };
        let (token, id) = api_token::issue(PrincipalKind::User, &*self.entropy)?;
        let record = TokenRecord {
            id,
            project: project.id,
            principal: principal.id,
            digest: TokenDigest(self.keyring.mac(Purpose::TokenPepper, token.as_bytes())),
            description: "the first token".to_owned(),
            created_at: now,
            expires_at: now.plus(TOKEN_LIFETIME),
            created_by: None,
            run: None,
        };
        let writes = vec![Write::InsertPrincipal(principal), Write::InsertBinding(binding), Write::InsertToken(record)];
        Ok((writes, token.into_secret()))
    }
}

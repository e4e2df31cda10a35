//! Who else holds a source credential: the key that a rotation deletes is gone
//! for every connector that was registered with it.
//!
//! Owns what tells source credentials apart, and the look through the project.
//! It compares fingerprints and opens nothing; what another project or a
//! program of somebody's holds it cannot see.

use crate::authz::{Permission, visible_scope};
use crate::domain::{Connector, Labels, PageAsk, SecretFacts, SecretFieldName};
use crate::sealing::{Plaintext, SourceCredential};

use super::super::{Broker, BrokerError, Call};
use super::source::type_of;

/// Connectors that are read at a time.
const PAGE: u32 = 1_000;
/// The most names that are told.
const NAMES_MAX: usize = 10;

impl Broker {
    /// Keeps on a connector what tells its source credential from others.
    pub(in crate::broker) fn mark(
        &self,
        connector: &mut Connector,
        secret: &SourceCredential,
    ) -> Result<(), BrokerError> {
        let key_id = type_of(connector)?.key_id(&connector.settings, secret);
        let alone = |id: String| -> Result<String, BrokerError> {
            let field = (SecretFieldName::parse("key_id")?, Plaintext::new(id.into_bytes()));
            Ok(self.keyring.fingerprint(connector.project, &SourceCredential::new([field].into()))?)
        };
        connector.secret.key_fingerprint = key_id.map(alone).transpose()?;
        connector.secret.fields = secret.names();
        connector.secret.fingerprint = self.keyring.fingerprint(connector.project, secret)?;
        Ok(())
    }

    /// Refuses to go on when other connectors of the project hold the source
    /// credential of this one.
    pub(super) async fn holds_it_alone(&self, call: &Call, own: &Connector) -> Result<(), BrokerError> {
        let others = self.others_with(own).await?;
        if others.is_empty() {
            return Ok(());
        }
        // Names are for those who may list them; that there are some is for all
        // who are refused.
        let visible = visible_scope(&call.caller.subject, Permission::ConnectorsList, self.clock.now());
        let shown = others.iter().filter(|other| visible.shows(None, Some(other.id)));
        let names: Vec<_> = shown.take(NAMES_MAX).map(|other| other.name.as_str()).collect();
        Err(shared(&names, others.len() - names.len()))
    }

    async fn others_with(&self, own: &Connector) -> Result<Vec<Connector>, BrokerError> {
        let mut others = Vec::new();
        let mut page = PageAsk { size: PAGE, after: None };
        loop {
            // Of its type alone: a key is of one cloud.
            let kind = Some(&own.connector_type);
            let found = self.store.connectors(own.project, kind, &Labels::default(), &page).await;
            let found = found.map_err(|error| BrokerError::of("connector", &error))?;
            let other = |one: &Connector| one.id != own.id && same(&one.secret, &own.secret);
            others.extend(found.items.into_iter().filter(other));
            if found.next.is_none() {
                return Ok(others);
            }
            page.after = found.next;
        }
    }
}

/// The same credential, or the same key in another form: a file with other
/// blanks, or with a field more beside it.
fn same(one: &SecretFacts, other: &SecretFacts) -> bool {
    one.fingerprint == other.fingerprint
        || (one.key_fingerprint.is_some() && one.key_fingerprint == other.key_fingerprint)
}

fn shared(names: &[&str], more: usize) -> BrokerError {
    let mut who = names.join(", ");
    if more > 0 {
        let joint = if names.is_empty() { "" } else { " and " };
        who = format!("{who}{joint}{more} more");
    }
    BrokerError::Precondition {
        code: "SECRET_IS_SHARED",
        message: format!("other connectors hold the same source credential, which this would delete: {who}"),
        hint: "give each a key of its own first, with rotate-secret without --auto; nothing has changed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::fixture::House;

    #[tokio::test]
    async fn a_key_in_another_form_is_the_same_key() {
        let house = House::new().await;
        let secret = |stamp: &str| {
            let field = (SecretFieldName::parse("stamp").unwrap(), Plaintext::new(stamp.as_bytes().to_vec()));
            SourceCredential::new([field].into())
        };
        let connector = house.connector(&house.home, "prod").await;
        let marked = |stamp: &str| {
            let mut connector = connector.clone();
            house.broker.mark(&mut connector, &secret(stamp)).unwrap();
            connector.secret
        };
        let (one, blank, other) = (marked("stamp-a"), marked(" stamp-a"), marked("stamp-b"));
        assert_ne!(one.fingerprint, blank.fingerprint);
        assert!(same(&one, &one) && same(&one, &blank) && !same(&one, &other));
        let old = |facts: &SecretFacts| SecretFacts { key_fingerprint: None, ..facts.clone() };
        assert!(same(&old(&one), &one) && !same(&old(&one), &old(&blank)) && !same(&old(&one), &old(&other)));
    }

    #[test]
    fn those_who_cannot_be_named_are_counted() {
        for (names, more, wanted) in
            [(&["a", "b"][..], 0, "delete: a, b"), (&["a"], 2, "delete: a and 2 more"), (&[], 1, "delete: 1 more")]
        {
            let said = shared(names, more).to_string();
            assert!(said.ends_with(wanted), "{said}");
        }
    }
}

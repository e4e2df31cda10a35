//! Issuances and those who hold a role on one connector or one component:
//! they see and revoke what was minted there, and learn of nothing else.

use crate::domain::{BindingTarget, ComponentLink, IssuanceId, IssuanceState, PageAsk, ResourceId, Role};

use super::super::fixture::{House, Person, once};
use super::super::{BrokerError, IssuanceAsk, MintAsk, MintSource, Revoke, Revoked};
use super::tests::{ask, code, house_at, mint};

const PAGE: PageAsk = PageAsk { size: 100, after: None };
const NOBODYS: &str = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11";

/// Two connectors, a component linked to each, and what was minted through them.
struct Works {
    house: House,
    /// Bound as engineer to the connector `vault`.
    of_vault: Person,
    /// Bound as engineer to the component `store`, which is linked to it.
    of_store: Person,
    /// By `vault` itself, through `store`, and by the connector `other`.
    minted: [IssuanceId; 3],
}

impl Works {
    async fn new(endpoint: &str) -> Self {
        let (house, vault) = house_at(endpoint, |_| {}).await;
        let home = house.home.clone();
        house.connector_at(&home, "other", &format!("{endpoint}-other"), |_| {}).await;
        let link = ComponentLink {
            connector: vault.id,
            resource_type: ask().resource_type.unwrap(),
            resource_id: ResourceId::canonical("paper://shelf/store").unwrap(),
            access_max: ask().access,
        };
        let store = house.component(&home, "store", Some(link)).await;
        let of_vault = house.person(&home, "vera", None).await;
        house.bind(&of_vault, Role::PlatformEngineer, BindingTarget::Connector(vault.id)).await;
        let of_store = house.person(&home, "stan", None).await;
        house.bind(&of_store, Role::PlatformEngineer, BindingTarget::Component(store.id)).await;
        let through_store = MintAsk { source: MintSource::Component("store".to_owned()), resource: None, ..ask() };
        let by_other = MintAsk { source: MintSource::Connector("other".to_owned()), ..ask() };
        let mut minted = Vec::new();
        for ask in [ask(), through_store, by_other] {
            minted.push(mint(&house, &house.scientist, &ask).await.ok().unwrap().issuance());
        }
        Self { house, of_vault, of_store, minted: minted.try_into().unwrap() }
    }

    async fn revoke(&self, who: &Person, ids: &[IssuanceId]) -> Result<Vec<Revoked>, BrokerError> {
        let issuances = ids.iter().map(ToString::to_string).collect();
        let ask = Revoke { issuances, ..Revoke::default() };
        self.house.broker.revoke_issuances(&self.house.call(who).await, &ask).await
    }

    async fn revoke_all(&self, who: &Person, connector: &str) -> Result<Vec<Revoked>, BrokerError> {
        let ask = Revoke { connector: Some(connector.to_owned()), ..Revoke::default() };
        self.house.broker.revoke_issuances(&self.house.call(who).await, &ask).await
    }

    async fn list(&self, who: &Person, ask: IssuanceAsk) -> Result<Vec<IssuanceId>, BrokerError> {
        let listed = self.house.broker.list_issuances(&self.house.call(who).await, &ask, &PAGE).await?;
        let mut ids: Vec<_> = listed.items.into_iter().map(|issuance| issuance.id).collect();
        ids.sort();
        Ok(ids)
    }
}

fn of(connector: &str) -> IssuanceAsk {
    IssuanceAsk { connector: Some(connector.to_owned()), ..IssuanceAsk::default() }
}

#[tokio::test]
async fn an_engineer_of_one_connector_revokes_what_it_minted_and_nothing_else() {
    let works = Works::new("scoped-connector").await;
    let [by_vault, through_store, by_other] = works.minted;
    let who = &works.of_vault;
    // One that is not its own spoils the whole: nothing is touched.
    assert_eq!(code(works.revoke(who, &[by_vault, by_other]).await), "GRANT_MISSING");
    assert_eq!(code(works.revoke_all(who, "other").await), "GRANT_MISSING");
    assert_eq!(code(works.revoke_all(who, "no-such").await), "GRANT_MISSING");
    assert_eq!(code(works.revoke(who, &[NOBODYS.parse().unwrap()]).await), "GRANT_MISSING");
    let listed = works.list(&works.house.engineer, IssuanceAsk { active_only: true, ..IssuanceAsk::default() }).await;
    assert_eq!(listed.unwrap().len(), 3, "a refused call ended something");
    let done = works.revoke(who, &[by_vault]).await.unwrap();
    assert_eq!(done[0].issuance.state, IssuanceState::Withdrawn);
    let rest = works.revoke_all(who, "vault").await.unwrap();
    assert!(
        rest.iter().any(|one| one.issuance.id == through_store) && rest.iter().all(|one| one.issuance.id != by_other)
    );
}

#[tokio::test]
async fn an_engineer_of_one_component_revokes_what_was_minted_through_it_and_nothing_else() {
    let works = Works::new("scoped-component").await;
    let [by_vault, through_store, by_other] = works.minted;
    let who = &works.of_store;
    for refused in [&[by_vault][..], &[by_other], &[through_store, by_vault]] {
        assert_eq!(code(works.revoke(who, refused).await), "GRANT_MISSING");
    }
    assert_eq!(code(works.revoke_all(who, "vault").await), "GRANT_MISSING");
    assert_eq!(code(works.revoke(who, &[through_store]).await), "OK");
}

#[tokio::test]
async fn those_who_may_revoke_in_the_whole_project_are_told_what_is_not_there() {
    let works = Works::new("scoped-wide").await;
    for who in [&works.house.engineer, &works.house.owner] {
        assert_eq!(code(works.revoke(who, &[NOBODYS.parse().unwrap()]).await), "NOT_FOUND");
        assert_eq!(code(works.revoke_all(who, "no-such").await), "NOT_FOUND");
    }
    for who in [&works.house.scientist, &works.house.auditor, &works.house.runner] {
        assert_eq!(code(works.revoke(who, &works.minted).await), "GRANT_MISSING");
        assert_eq!(code(works.revoke(who, &[NOBODYS.parse().unwrap()]).await), "GRANT_MISSING");
        assert_eq!(code(works.revoke_all(who, "vault").await), "GRANT_MISSING");
    }
}

#[tokio::test]
async fn the_same_request_to_revoke_is_answered_as_it_was_also_when_the_connector_is_gone() {
    let works = Works::new("scoped-again").await;
    let call = works.house.call(&works.house.engineer).await;
    let ask = Revoke { connector: Some("other".to_owned()), once: Some(once(1, 1)), ..Revoke::default() };
    let first = works.house.broker.revoke_issuances(&call, &ask).await.unwrap();
    works.house.broker.delete_connector(&call, "other", None, None).await.unwrap();
    assert_eq!(works.house.broker.revoke_issuances(&call, &ask).await.unwrap(), first);
    let without = Revoke { once: None, ..ask };
    assert_eq!(code(works.house.broker.revoke_issuances(&call, &without).await), "NOT_FOUND");
}

#[tokio::test]
async fn who_sees_one_connectors_issuances_sees_them_when_asking_for_that_connector_only() {
    let works = Works::new("scoped-list").await;
    let [by_vault, through_store, _] = works.minted;
    let mut of_vault = vec![by_vault, through_store];
    of_vault.sort();
    let by_sam = |connector: &str| IssuanceAsk { principal: Some("sam".to_owned()), ..of(connector) };
    let who = &works.of_vault;
    assert_eq!(works.list(who, of("vault")).await.unwrap(), of_vault);
    assert_eq!(works.list(who, by_sam("vault")).await.unwrap(), of_vault);
    // Without it, of another one, of nobody: their own, which are none.
    assert_eq!(works.list(who, IssuanceAsk::default()).await.unwrap(), []);
    for connector in ["other", "no-such"] {
        assert_eq!(works.list(who, of(connector)).await.unwrap(), [], "{connector}");
    }
    assert_eq!(code(works.list(who, by_sam("other")).await), "GRANT_MISSING");
    let of_nobody = IssuanceAsk { principal: Some("nobody".to_owned()), ..of("vault") };
    assert_eq!(works.list(who, of_nobody).await.unwrap(), [], "whether there is such a principal is not told");
    // A component is none of it.
    assert_eq!(works.list(&works.of_store, of("vault")).await.unwrap(), []);
    assert_eq!(code(works.list(&works.of_store, by_sam("vault")).await), "GRANT_MISSING");
    // One's own by name and by id.
    for own in ["sam".to_owned(), works.house.scientist.id.to_string()] {
        let ask = IssuanceAsk { principal: Some(own), ..IssuanceAsk::default() };
        assert_eq!(works.list(&works.house.scientist, ask).await.unwrap().len(), 3);
    }
}

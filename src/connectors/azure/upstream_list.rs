//! What each resource type is looked at and listed by: the resource manager,
//! or the storage account itself where the settings name the only one.
//!
//! Without it containers are listed account by account, and every page of
//! each: a page token of ours says how far a list is. An account that cannot
//! be looked into hides none of the others, and is named beside them.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::connectors::search::{Listed, Search};
use crate::connectors::{Doing, UpstreamError};
use crate::domain::{ResourceId, ResourceTypeName};

use super::ids::{self, Target};
use super::place::{REGISTRY, STORAGE};
use super::settings_check::guid;
use super::upstream::tenant;
use super::upstream_acr::Registry;
use super::upstream_arm::{Item, Manager};
use super::upstream_entra::{Asker, Token};
use super::{upstream_aks, upstream_blob};

/// Versions of the resource manager's APIs.
const SUBSCRIPTIONS_VERSION: &str = "2022-12-01";
const STORAGE_VERSION: &str = "2023-05-01";
const REGISTRIES_VERSION: &str = "2023-07-01";
/// Storage accounts that are looked into for one page: each is a call, and the
/// answer is due soon.
const ACCOUNTS_MAX: usize = 8;

const SUBSCRIPTIONS: Doing =
    Doing { permissions: &["Microsoft.Resources/subscriptions/read"], remedy: "assign Reader on the subscription" };
const ACCOUNTS: Doing = Doing {
    permissions: &["Microsoft.Storage/storageAccounts/read"],
    remedy: "assign Reader on the subscription, or set storage_account",
};
const CONTAINERS: Doing = Doing {
    permissions: &["Microsoft.Storage/storageAccounts/blobServices/containers/read"],
    remedy: "assign Reader on the storage account",
};
const CLUSTERS: Doing = Doing {
    permissions: &["Microsoft.ContainerService/managedClusters/read"],
    remedy: "assign Reader on the subscription or resource group",
};
const REGISTRIES: Doing = Doing {
    permissions: &["Microsoft.ContainerRegistry/registries/read"],
    remedy: "assign Reader on the subscription",
};

/// A search for resources of one type.
pub struct Sought<'a> {
    /// Who asks.
    pub asker: &'a Asker<'a>,
    /// For what.
    pub resource_type: &'a ResourceTypeName,
    /// Accounts that could not be looked into.
    pub left_out: LeftOut,
}

/// What a list goes on without: the first of them, why, and how many there are.
#[derive(Default)]
pub struct LeftOut(Mutex<Option<(String, UpstreamError, usize)>>);

impl LeftOut {
    fn add(&self, account: &str, error: UpstreamError) {
        let mut left_out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match left_out.as_mut() {
            Some((_, _, count)) => *count += 1,
            None => *left_out = Some((account.to_owned(), error, 1)),
        }
    }

    /// In words, with the error of the first.
    pub fn into_words(self) -> Option<(String, UpstreamError)> {
        let (account, error, count) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        let others = match count {
            1 => String::new(),
            2 => " and one more".to_owned(),
            _ => format!(" and {} more", count - 1),
        };
        Some((format!("the containers of the storage account {account}{others} are not listed"), error))
    }
}

/// How far a list of containers is: in which page of the accounts, at which of
/// them, and in which page of its containers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Spot {
    accounts: Option<String>,
    account: usize,
    containers: Option<String>,
}

impl Spot {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let account = parts.next()?.parse().ok()?;
        let mut page = || Some(Some(parts.next()?).filter(|page| !page.is_empty()).map(str::to_owned));
        Some(Self { account, accounts: page()?, containers: page()? })
    }

    /// Pages are paths with a query, and have no blanks.
    fn text(&self) -> String {
        let page = |page: &Option<String>| page.clone().unwrap_or_default();
        format!("{} {} {}", self.account, page(&self.accounts), page(&self.containers))
    }
}

#[async_trait]
impl Search for Sought<'_> {
    async fn look(&self, resource: &ResourceId) -> Result<(), UpstreamError> {
        let (asker, place) = (self.asker, self.asker.settings.place());
        let target = Target::parse(self.resource_type.as_str(), resource.as_str());
        match target.ok_or(UpstreamError::StoredSettings)? {
            Target::Generic { subscription } => {
                let token = self.manager_token().await?;
                let path = format!("/subscriptions/{subscription}");
                let found: Item = self.manager(&token).get(&path, SUBSCRIPTIONS_VERSION, SUBSCRIPTIONS).await?;
                let same = found.subscription_id.eq_ignore_ascii_case(&subscription);
                if same { Ok(()) } else { Err(UpstreamError::BadAnswer { what: "another subscription" }) }
            }
            Target::Container { account, container, directory } => {
                let token = asker.token(STORAGE).await?;
                // What minting needs, and then whether there is anything to read.
                let soon = asker.upstream.clock.now().plus(KEY_LIFE);
                upstream_blob::delegation_key(asker.upstream, &place, &account, &token, soon).await?;
                let which = (account.as_str(), container.as_str(), directory.as_deref());
                upstream_blob::look(asker.upstream, &place, which, &token).await
            }
            Target::Cluster { group, cluster } => {
                let token = self.manager_token().await?;
                let path = upstream_aks::path(self.subscription()?, &group, &cluster);
                upstream_aks::address(&self.manager(&token), &path).await.map(drop)
            }
            Target::Registry { host, repository } => {
                let token = asker.token_of(&[REGISTRY, place.cloud.management()]).await?;
                let tenant = tenant(asker.settings, &token).ok_or(UpstreamError::StoredSettings)?;
                let registry = Registry { upstream: asker.upstream, place, host: &host, tenant: &tenant };
                let refresh = registry.exchange(&token).await?;
                match repository {
                    Some(repository) => registry.scoped(&refresh, &repository, &["pull"]).await.map(drop),
                    None => Ok(()),
                }
            }
        }
    }

    async fn page(&self, room: usize, page: Option<&str>) -> Result<Listed, UpstreamError> {
        match self.resource_type.as_str() {
            ids::BLOB_CONTAINER => match self.asker.settings.common().storage_account {
                Some(account) => self.containers_of(account, room, page).await,
                None => self.containers(room, page).await,
            },
            ids::KUBERNETES_CLUSTER => self.clusters(page).await,
            ids::DOCKER_REGISTRY => self.registries(page).await,
            _ => self.subscriptions(page).await,
        }
    }
}

impl Sought<'_> {
    async fn subscriptions(&self, page: Option<&str>) -> Result<Listed, UpstreamError> {
        if let Some(own) = self.asker.settings.common().subscription_id {
            let id = ResourceId::canonical(own).map_err(|_| UpstreamError::StoredSettings)?;
            self.look(&id).await?;
            return Ok((vec![id], None));
        }
        let token = self.manager_token().await?;
        let manager = self.manager(&token);
        let (items, next) = manager.page("/subscriptions", SUBSCRIPTIONS_VERSION, page, SUBSCRIPTIONS).await?;
        Ok((self.canonical(items.iter().map(|item| item.subscription_id.as_str())), next))
    }

    async fn containers_of(&self, account: &str, room: usize, page: Option<&str>) -> Result<Listed, UpstreamError> {
        let (asker, place) = (self.asker, self.asker.settings.place());
        let token = asker.token(STORAGE).await?;
        let (names, next) = upstream_blob::containers(asker.upstream, &place, account, &token, room, page).await?;
        let named: Vec<String> = names.iter().map(|name| format!("az://{account}/{name}")).collect();
        Ok((self.canonical(named.iter().map(String::as_str)), next))
    }

    /// The containers of some accounts of the subscription, one after the
    /// other, and where the next of them begin.
    async fn containers(&self, room: usize, page: Option<&str>) -> Result<Listed, UpstreamError> {
        let spot = page.map_or(Some(Spot::default()), Spot::parse);
        let mut spot = spot.ok_or(UpstreamError::StoredSettings)?;
        let token = self.manager_token().await?;
        let manager = self.manager(&token);
        let path = self.provider("Microsoft.Storage/storageAccounts")?;
        let (accounts, more) = manager.page(&path, STORAGE_VERSION, spot.accounts.as_deref(), ACCOUNTS).await?;
        let mut ids = Vec::new();
        for account in accounts.iter().skip(spot.account).take(ACCOUNTS_MAX) {
            if resource(&account.id, &path) {
                let page = spot.containers.take();
                match self.containers_in(&manager, account, page.as_deref()).await {
                    Ok((found, next)) => {
                        ids.extend(found);
                        spot.containers = next;
                    }
                    Err(error) => self.left_out.add(word(&account.name), error),
                }
            }
            if spot.containers.is_none() {
                spot.account += 1;
            }
            if spot.containers.is_some() || ids.len() >= room {
                break;
            }
        }
        if spot.account >= accounts.len() {
            let next = more.map(|more| Spot { accounts: Some(more), ..Spot::default() });
            return Ok((ids, next.map(|next| next.text())));
        }
        Ok((ids, Some(spot.text())))
    }

    /// A page of the containers of an account, as the resource manager has it.
    async fn containers_in(
        &self,
        manager: &Manager<'_>,
        account: &Item,
        page: Option<&str>,
    ) -> Result<Listed, UpstreamError> {
        let path = format!("{}/blobServices/default/containers", account.id);
        let (containers, next) = manager.page(&path, STORAGE_VERSION, page, CONTAINERS).await?;
        let named: Vec<String> = containers.iter().map(|one| format!("az://{}/{}", account.name, one.name)).collect();
        Ok((self.canonical(named.iter().map(String::as_str)), next))
    }

    async fn clusters(&self, page: Option<&str>) -> Result<Listed, UpstreamError> {
        let token = self.manager_token().await?;
        let path = self.provider("Microsoft.ContainerService/managedClusters")?;
        let (items, next) = self.manager(&token).page(&path, upstream_aks::VERSION, page, CLUSTERS).await?;
        Ok((self.canonical(items.iter().map(|item| item.id.as_str())), next))
    }

    async fn registries(&self, page: Option<&str>) -> Result<Listed, UpstreamError> {
        let token = self.manager_token().await?;
        let path = self.provider("Microsoft.ContainerRegistry/registries")?;
        let (items, next) = self.manager(&token).page(&path, REGISTRIES_VERSION, page, REGISTRIES).await?;
        Ok((self.canonical(items.iter().map(Item::login_server)), next))
    }

    async fn manager_token(&self) -> Result<Token, UpstreamError> {
        self.asker.token(self.asker.settings.place().cloud.management()).await
    }

    fn manager<'b>(&'b self, token: &'b Token) -> Manager<'b> {
        Manager { upstream: self.asker.upstream, place: self.asker.settings.place(), token }
    }

    fn subscription(&self) -> Result<&str, UpstreamError> {
        let remedy = "set subscription_id";
        let missing = || UpstreamError::Rejected { code: "NO_SUBSCRIPTION".to_owned(), remedy: remedy.to_owned() };
        self.asker.settings.common().subscription_id.ok_or_else(missing)
    }

    fn provider(&self, kind: &str) -> Result<String, UpstreamError> {
        Ok(format!("/subscriptions/{}/providers/{kind}", self.subscription()?))
    }

    /// A cloud's name that is no id of ours is left out: nobody could ask for
    /// it either.
    fn canonical<'b>(&self, names: impl Iterator<Item = &'b str>) -> Vec<ResourceId> {
        let settings = self.asker.settings;
        names.filter_map(|name| ids::canonical(settings, self.resource_type, Some(name)).ok()).collect()
    }
}

/// How long the key lives that is made to see whether one can be.
const KEY_LIFE: std::time::Duration = std::time::Duration::from_secs(900);

/// The name of an account, where it can be one: it is repeated to people.
fn word(name: &str) -> &str {
    if ids::account(name) { name } else { "of no name that can be" }
}

/// Whether an id that the manager answered is a resource of this list, so that
/// it may be asked for.
fn resource(id: &str, list: &str) -> bool {
    let parts: Vec<&str> = id.split('/').collect();
    let letters =
        |part: &&str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.()-".contains(&b)) && !part.contains("..");
    let same =
        |one: Option<&&str>, two: Option<&str>| one.zip(two).is_some_and(|(one, two)| one.eq_ignore_ascii_case(two));
    let mut wanted = list.split('/').skip(1);
    let (_, subscription) = (wanted.next(), wanted.next());
    parts.len() == 9 && parts.iter().all(letters) && same(parts.get(2), subscription) && subscription.is_some_and(guid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_read_as_it_was_written_and_nothing_else_is() {
        let page = |text: &str| Some(text.to_owned());
        for spot in [
            Spot::default(),
            Spot { accounts: page("/subscriptions/x?$skiptoken=a%20b"), account: 7, containers: None },
            Spot { accounts: None, account: 1, containers: page("/c?y") },
            Spot { accounts: page("/a?x"), account: 0, containers: page("/c?y") },
        ] {
            assert_eq!(Spot::parse(&spot.text()), Some(spot));
        }
        for other in ["", "1", "1 /a?x", "x /a?x ", "-1  "] {
            assert_eq!(Spot::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_resources_of_the_own_subscription_are_asked_for() {
        let list = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/providers/Microsoft.Storage/storageAccounts";
        let own = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/ml/providers/Microsoft.Storage/storageAccounts/acct";
        assert!(resource(own, list));
        for other in [
            "",
            "/subscriptions/1b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/ml/providers/Microsoft.Storage/storageAccounts/acct",
            &own.replace("acct", "acct?x=y"),
            &own.replace("acct", ".."),
            &format!("{own}/more"),
        ] {
            assert!(!resource(other, list), "{other}");
        }
    }
}

//! What each resource type is looked at and listed by: the resource manager,
//! or the storage account itself where the settings name the only one.

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
/// Storage accounts whose containers are listed for one answer.
const ACCOUNTS_MAX: usize = 20;

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

/// A page token of ours: the cloud's own, or the last id of an answer that we
/// cut.
pub enum Page<'a> {
    /// The cloud's.
    Token(&'a str),
    /// Ours.
    After(&'a str),
}

impl<'a> Page<'a> {
    /// Reads one.
    pub fn parse(text: &'a str) -> Option<Self> {
        text.strip_prefix("t:").map(Self::Token).or_else(|| text.strip_prefix("a:").map(Self::After))
    }
}

type Listed = (Vec<ResourceId>, Option<String>);

/// A search for resources of one type.
pub struct Search<'a> {
    /// Who asks.
    pub asker: &'a Asker<'a>,
    /// For what.
    pub resource_type: &'a ResourceTypeName,
}

impl Search<'_> {
    /// Whether one resource is there and may be used.
    pub async fn look(&self, resource: &ResourceId) -> Result<(), UpstreamError> {
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

    /// One page of ids, and where the next begins.
    pub async fn page(&self, room: usize, page: Option<&str>) -> Result<Listed, UpstreamError> {
        match self.resource_type.as_str() {
            ids::BLOB_CONTAINER => match self.asker.settings.common().storage_account {
                Some(account) => self.containers_of(account, room, page).await,
                None => Ok((self.containers().await?, None)),
            },
            ids::KUBERNETES_CLUSTER => self.clusters(page).await,
            ids::DOCKER_REGISTRY => self.registries(page).await,
            _ => self.subscriptions(page).await,
        }
    }

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

    /// The containers of the first accounts of the subscription; an account
    /// that cannot be looked into hides none of the others.
    async fn containers(&self) -> Result<Vec<ResourceId>, UpstreamError> {
        let token = self.manager_token().await?;
        let manager = self.manager(&token);
        let path = self.provider("Microsoft.Storage/storageAccounts")?;
        let (accounts, _) = manager.page(&path, STORAGE_VERSION, None, ACCOUNTS).await?;
        let (mut ids, mut refused) = (Vec::new(), None);
        for account in accounts.iter().take(ACCOUNTS_MAX).filter(|account| resource(&account.id, &path)) {
            let path = format!("{}/blobServices/default/containers", account.id);
            match manager.page(&path, STORAGE_VERSION, None, CONTAINERS).await {
                Ok((containers, _)) => {
                    let named: Vec<String> =
                        containers.iter().map(|one| format!("az://{}/{}", account.name, one.name)).collect();
                    ids.extend(self.canonical(named.iter().map(String::as_str)));
                }
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if ids.is_empty() => Err(error),
            Some(_) | None => Ok(ids),
        }
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

//! What a source credential reaches of one resource type: one resource looked
//! at by itself, or the cloud's list, page by page, bounded and in order.
//!
//! Owns our page tokens, the deadline of a type, and what its error says. How
//! a cloud is asked is the type's own.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{Reach, ResourceId, ResourceTypeName};

use super::typed::ListAsk;
use super::upstream_error::UpstreamError;

/// Ids of one type in one answer.
pub const IDS_MAX: usize = 1000;
/// For all pages of one type: a slow one hides no quick one.
const LIST_DEADLINE: Duration = Duration::from_secs(15);

/// Some canonical ids, and where the cloud's own next page begins.
pub type Listed = (Vec<ResourceId>, Option<String>);

/// How a cloud is asked about one resource type.
#[async_trait]
pub trait Search: Send + Sync {
    /// Whether one resource is there and may be used. A connector that is for
    /// it alone needs no right to list its neighbours.
    async fn look(&self, resource: &ResourceId) -> Result<(), UpstreamError>;

    /// A page of about `room` ids, in any order.
    async fn page(&self, room: usize, page: Option<&str>) -> Result<Listed, UpstreamError>;
}

/// What is reached of a type, asked in at most `pages_max` pages. What was
/// found stands beside the error that ended the search.
pub async fn reach_of(search: &dyn Search, resource_type: ResourceTypeName, ask: &ListAsk, pages_max: usize) -> Reach {
    let mut found = Found::default();
    let outcome = tokio::time::timeout(LIST_DEADLINE, run(search, ask, pages_max, &mut found)).await;
    let error = outcome.unwrap_or(Err(UpstreamError::DeadlineExceeded)).err();
    let (missing_permissions, remedy) = match &error {
        Some(UpstreamError::Denied { missing, remedy, .. }) => (missing.clone(), Some(remedy.clone())),
        Some(UpstreamError::Rejected { remedy, .. }) => (Vec::new(), Some(remedy.clone())),
        Some(_) | None => (Vec::new(), None),
    };
    Reach {
        resource_type,
        resource_ids: found.ids,
        error: error.map(|error| error.to_string()),
        missing_permissions,
        remedy,
        next_page: found.next,
    }
}

/// What was found so far, whatever ends the search.
#[derive(Default)]
struct Found {
    ids: Vec<ResourceId>,
    next: Option<String>,
}

/// A page token of ours: the cloud's own, or the last id of an answer that we
/// cut because it was more than was asked for.
enum Page<'a> {
    Token(&'a str),
    After(&'a str),
}

impl<'a> Page<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        text.strip_prefix("t:").map(Self::Token).or_else(|| text.strip_prefix("a:").map(Self::After))
    }
}

async fn run(search: &dyn Search, ask: &ListAsk, pages_max: usize, found: &mut Found) -> Result<(), UpstreamError> {
    if let Some(resource) = &ask.resource {
        search.look(resource).await?;
        found.ids.push(resource.clone());
        return Ok(());
    }
    let limit = usize::try_from(ask.limit).unwrap_or(IDS_MAX).clamp(1, IDS_MAX);
    let (mut token, after) = match ask.page.as_deref().and_then(Page::parse) {
        Some(Page::Token(token)) => (Some(token.to_owned()), None),
        Some(Page::After(id)) => (None, Some(id)),
        None => (None, None),
    };
    for _ in 0..pages_max {
        let room = limit.saturating_sub(found.ids.len());
        let (mut ids, next) = search.page(room, token.as_deref()).await?;
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| after.is_none_or(|after| id.as_str() > after));
        let cut = ids.len() > room;
        ids.truncate(room);
        found.ids.extend(ids);
        found.next = match found.ids.last() {
            Some(last) if cut => Some(format!("a:{last}")),
            Some(_) | None => next.as_ref().map(|token| format!("t:{token}")),
        };
        if cut || next.is_none() || found.ids.len() >= limit {
            return Ok(());
        }
        token = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cloud that lists everything at once, or ten at a time.
    struct Shelf {
        paged: bool,
        refused: bool,
    }

    fn ids(range: std::ops::Range<u32>) -> Vec<ResourceId> {
        range.map(|number| ResourceId::canonical(format!("r{number:02}")).unwrap()).collect()
    }

    #[async_trait]
    impl Search for Shelf {
        async fn look(&self, resource: &ResourceId) -> Result<(), UpstreamError> {
            if resource.as_str() == "r07" { Ok(()) } else { Err(UpstreamError::Expired) }
        }

        async fn page(&self, _: usize, page: Option<&str>) -> Result<Listed, UpstreamError> {
            if self.refused && page.is_some() {
                let missing = vec!["list".to_owned()];
                return Err(UpstreamError::Denied { code: "NO".to_owned(), missing, remedy: "grant it".to_owned() });
            }
            if !self.paged {
                return Ok((ids(0..30).into_iter().rev().collect(), None));
            }
            let from: u32 = page.map_or(0, |page| page.parse().unwrap());
            Ok((ids(from..from + 10), (from < 20).then(|| (from + 10).to_string())))
        }
    }

    async fn reach(shelf: &Shelf, limit: u32, page: Option<String>, resource: Option<&str>) -> Reach {
        let resource = resource.map(|id| ResourceId::canonical(id).unwrap());
        let ask = ListAsk { resource_type: None, resource, limit, page };
        reach_of(shelf, ResourceTypeName::parse("paper-shelf").unwrap(), &ask, 20).await
    }

    #[tokio::test]
    async fn pages_show_every_id_once_whether_the_cloud_knows_pages_or_not() {
        for paged in [true, false] {
            let (mut seen, mut page) = (Vec::new(), None);
            loop {
                let reach = reach(&Shelf { paged, refused: false }, 7, page, None).await;
                assert!(reach.resource_ids.len() <= 10);
                seen.extend(reach.resource_ids);
                page = reach.next_page;
                if page.is_none() {
                    break;
                }
            }
            seen.dedup();
            let all = if paged { seen.len() >= 21 } else { seen == ids(0..30) };
            assert!(all, "{paged}: {seen:?}");
        }
    }

    #[tokio::test]
    async fn one_resource_is_looked_at_with_no_list_around_it() {
        let shelf = Shelf { paged: true, refused: false };
        assert_eq!(reach(&shelf, 9, None, Some("r07")).await.resource_ids, ids(7..8));
        assert!(reach(&shelf, 9, None, Some("r08")).await.error.is_some());
    }

    #[tokio::test]
    async fn what_was_found_stands_beside_the_error_with_what_is_missing() {
        let reach = reach(&Shelf { paged: true, refused: true }, 100, None, None).await;
        assert_eq!(reach.resource_ids, ids(0..10));
        assert_eq!((reach.missing_permissions, reach.remedy.as_deref()), (vec!["list".to_owned()], Some("grant it")));
    }
}

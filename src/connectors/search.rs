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

/// Says beside what was found what a search went on without, unless something
/// ended it altogether.
pub fn beside(mut reach: Reach, left_out: Option<(String, UpstreamError)>) -> Reach {
    if let Some((what, error)) = left_out.filter(|_| reach.error.is_none()) {
        (reach.missing_permissions, reach.remedy) = missing(&error);
        reach.error = Some(format!("{what}: {error}"));
    }
    reach
}

fn missing(error: &UpstreamError) -> (Vec<String>, Option<String>) {
    if let UpstreamError::Denied { missing, remedy, .. } = error {
        return (missing.clone(), Some(remedy.clone()));
    }
    let remedy = if let UpstreamError::Rejected { remedy, .. } = error { Some(remedy.clone()) } else { None };
    (Vec::new(), remedy)
}

/// What is reached of each of a cloud's types, or of the one that is asked for:
/// side by side, so that a slow one hides no quick one.
pub async fn reach_each<F>(types: [&'static str; 4], ask: &ListAsk, of_one: impl Fn(&'static str) -> F) -> Vec<Reach>
where
    F: Future<Output = Option<Reach>>,
{
    let one = |name| {
        let wanted = ask.resource_type.as_ref().is_none_or(|wanted| wanted.as_str() == name);
        let asked = wanted.then(|| of_one(name));
        async move { asked?.await }
    };
    let [first, second, third, fourth] = types;
    let all = tokio::join!(one(first), one(second), one(third), one(fourth));
    [all.0, all.1, all.2, all.3].into_iter().flatten().collect()
}

/// What is reached of a type, asked in at most `pages_max` pages. What was
/// found stands beside the error that ended the search.
pub async fn reach_of(search: &dyn Search, resource_type: ResourceTypeName, ask: &ListAsk, pages_max: usize) -> Reach {
    let mut found = Found::default();
    let outcome = tokio::time::timeout(LIST_DEADLINE, run(search, ask, pages_max, &mut found)).await;
    let error = outcome.unwrap_or(Err(UpstreamError::DeadlineExceeded)).err();
    let (missing_permissions, remedy) = error.as_ref().map(missing).unwrap_or_default();
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

/// A page token of ours: which of the cloud's pages is next, and after which
/// id in it when we cut it because it was more than was asked for. Other pages
/// are in an order of their own: the id says nothing of them.
#[derive(Default)]
struct Page<'a> {
    token: Option<&'a str>,
    after: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// Of `t:TOKEN`, `a:ID` for the first page, or `c:LENGTH:ID` and TOKEN.
    fn parse(text: &'a str) -> Option<Self> {
        let cut = |text: &'a str| {
            let (length, rest) = text.split_once(':')?;
            let (id, token) = rest.split_at_checked(length.parse().ok()?)?;
            Some(Self { token: Some(token), after: Some(id) })
        };
        let whole = text.strip_prefix("t:").map(|token| Self { token: Some(token), after: None });
        let first = || text.strip_prefix("a:").map(|id| Self { token: None, after: Some(id) });
        whole.or_else(first).or_else(|| text.strip_prefix("c:").and_then(cut))
    }
}

fn cut_after(id: &ResourceId, token: Option<&str>) -> String {
    match token {
        Some(token) => format!("c:{}:{id}{token}", id.as_str().len()),
        None => format!("a:{id}"),
    }
}

async fn run(search: &dyn Search, ask: &ListAsk, pages_max: usize, found: &mut Found) -> Result<(), UpstreamError> {
    if let Some(resource) = &ask.resource {
        search.look(resource).await?;
        found.ids.push(resource.clone());
        return Ok(());
    }
    let limit = usize::try_from(ask.limit).unwrap_or(IDS_MAX).clamp(1, IDS_MAX);
    let Page { token, mut after } = ask.page.as_deref().and_then(Page::parse).unwrap_or_default();
    let mut token = token.map(str::to_owned);
    for _ in 0..pages_max {
        let room = limit.saturating_sub(found.ids.len());
        let (mut ids, next) = search.page(room, token.as_deref()).await?;
        ids.sort_unstable();
        ids.dedup();
        let cut_before = after.take();
        ids.retain(|id| cut_before.is_none_or(|after| id.as_str() > after));
        let cut = ids.len() > room;
        ids.truncate(room);
        found.ids.extend(ids);
        found.next = match found.ids.last() {
            Some(last) if cut => Some(cut_after(last, token.as_deref())),
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

    /// A cloud of whole pages in no order: whatever is asked for, ten at a time.
    struct Piles;

    #[async_trait]
    impl Search for Piles {
        async fn look(&self, _: &ResourceId) -> Result<(), UpstreamError> {
            Ok(())
        }

        async fn page(&self, _: usize, page: Option<&str>) -> Result<Listed, UpstreamError> {
            Ok(match page {
                None => (ids(20..30), Some("second: pile".to_owned())),
                Some("second: pile") => (ids(0..10), Some("third".to_owned())),
                Some(_) => (ids(10..20), None),
            })
        }
    }

    #[tokio::test]
    async fn a_page_that_we_cut_hides_nothing_of_the_pages_after_it() {
        for limit in [3, 7, 10, 12, 100] {
            let (mut seen, mut page) = (Vec::new(), None);
            loop {
                let ask = ListAsk { resource_type: None, resource: None, limit, page };
                let reach = reach_of(&Piles, ResourceTypeName::parse("paper-shelf").unwrap(), &ask, 20).await;
                assert!(reach.error.is_none() && reach.resource_ids.len() <= limit as usize);
                seen.extend(reach.resource_ids);
                page = reach.next_page;
                if page.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), 30, "{limit}: each once");
            seen.sort();
            assert_eq!(seen, ids(0..30), "{limit}");
        }
    }

    #[test]
    fn tokens_that_we_never_wrote_begin_anew() {
        for text in ["", "x", "c:", "c:9:short", "c:x:id", "c:-1:id"] {
            assert!(Page::parse(text).is_none(), "{text}");
        }
    }

    #[tokio::test]
    async fn what_a_search_went_on_without_stands_beside_what_was_found() {
        let shelf = Shelf { paged: true, refused: false };
        let denied = || {
            let missing = vec!["list".to_owned()];
            let error = UpstreamError::Denied { code: "NO".to_owned(), missing, remedy: "grant it".to_owned() };
            Some(("not listed: shelf 3".to_owned(), error))
        };
        let said = beside(reach(&shelf, 100, None, None).await, denied());
        assert!(said.error.unwrap().starts_with("not listed: shelf 3: "));
        assert_eq!((said.resource_ids.len(), said.remedy.as_deref()), (30, Some("grant it")));
        let ended = beside(reach(&shelf, 9, None, Some("r08")).await, denied());
        assert!(!ended.error.unwrap().contains("shelf 3"), "what ended it is said");
        assert_eq!(beside(reach(&shelf, 100, None, None).await, None).error, None);
    }

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

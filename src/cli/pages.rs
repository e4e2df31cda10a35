//! Follows the pages of a list up to a limit.
//!
//! Owns `--limit`. It never loops on a server that sends the same page token
//! again, and says on standard error when there was more.

use clap::Args;

use super::failure::Failure;

/// Items asked for at once; a page of these stays far below a message's bound.
const PAGE_ITEMS: u32 = 200;
/// Empty pages in a row before it is a fault of the server.
const EMPTY_PAGES_MAX: u32 = 100;

/// How long a list may get.
#[derive(Debug, Clone, Args)]
pub(super) struct LimitArgs {
    /// Stop after this many
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) limit: u32,
}

/// Which page to fetch.
pub(super) struct PageAsk {
    /// At most this many items.
    pub(super) size: i32,
    /// Of the page before; empty for the first.
    pub(super) token: String,
}

/// All items of all pages, at most the limit.
///
/// # Errors
/// What a page failed with; or the server sends pages without end.
pub(super) async fn gather<T>(
    limit: &LimitArgs,
    fetch: impl AsyncFn(PageAsk) -> Result<(Vec<T>, String), Failure>,
) -> Result<Vec<T>, Failure> {
    let limit = usize::try_from(limit.limit).unwrap_or(usize::MAX);
    let mut items: Vec<T> = Vec::new();
    let mut token = String::new();
    let mut empty = 0;
    loop {
        let missing = u32::try_from(limit.saturating_sub(items.len())).unwrap_or(u32::MAX);
        let size = i32::try_from(missing.min(PAGE_ITEMS)).unwrap_or(i32::MAX);
        let (page, next) = fetch(PageAsk { size, token: token.clone() }).await?;
        empty = if page.is_empty() { empty + 1 } else { 0 };
        items.extend(page);
        let more = !next.is_empty();
        if items.len() >= limit && (more || items.len() > limit) {
            items.truncate(limit);
            eprintln!("note: there is more; this list ends at {limit}");
            return Ok(items);
        }
        if !more {
            return Ok(items);
        }
        if next == token || empty >= EMPTY_PAGES_MAX {
            return Err(Failure::failed("the server sends pages without end"));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn numbers(limit: u32, all: u32, page: u32) -> Vec<u32> {
        gather(&LimitArgs { limit }, async |ask: PageAsk| {
            let from: u32 = ask.token.parse().unwrap_or(0);
            let to = (from + page.min(ask.size.unsigned_abs())).min(all);
            Ok(((from..to).collect(), if to < all { to.to_string() } else { String::new() }))
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn pages_are_followed_to_the_end_or_the_limit() {
        assert_eq!(numbers(1000, 25, 10).await.len(), 25);
        assert_eq!(numbers(25, 25, 10).await.len(), 25);
        assert_eq!(numbers(24, 25, 10).await.len(), 24);
        assert_eq!(numbers(1, 25, 10).await, [0]);
        assert_eq!(numbers(10, 0, 10).await, [0_u32; 0]);
    }

    #[tokio::test]
    async fn a_page_token_that_comes_again_is_refused() {
        let same = gather(&LimitArgs { limit: 10 }, async |_| Ok((vec![1], "again".to_owned()))).await;
        assert!(same.is_err());
        let count = std::cell::Cell::new(0);
        let empty = gather(&LimitArgs { limit: 10 }, async |_| {
            count.set(count.get() + 1);
            Ok((Vec::<u8>::new(), count.get().to_string()))
        })
        .await;
        assert!(empty.is_err());
    }
}

//! Between Rust's values and SQLite's: integers, JSON bodies, prefixes of ids
//! and the keys of pages. Checks what comes from outside; builds no SQL.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{Page, PageAsk, Timestamp};
use crate::store::StoreError;
use crate::store::limits::ID_PREFIX_LENGTH_MIN;

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const PAGE_KEY: StoreError = StoreError::Corrupt { what: "the key of a page" };

/// SQLite's integers are signed; ours never come near the limit.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn to_body<T: Serialize>(record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|_| StoreError::Corrupt { what: "a record that has no stored form" })
}

pub(super) fn from_body<T: DeserializeOwned>(body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|_| StoreError::Corrupt { what: "a record" })
}

/// How many to read for a page: one more than is shown, to know of more.
pub(super) fn rows_for(page: &PageAsk) -> i64 {
    i64::from(shown(page)) + 1
}

fn shown(page: &PageAsk) -> u32 {
    page.size.clamp(1, PAGE_SIZE_MAX)
}

/// A page of what was read, whose last item's key is where the next begins.
pub(super) fn page_of<T>(mut items: Vec<T>, page: &PageAsk, key: impl Fn(&T) -> String) -> Page<T> {
    let shown = shown(page) as usize;
    let more = items.len() > shown;
    items.truncate(shown);
    let next = if more { items.last().map(key) } else { None };
    Page { items, next }
}

/// The sort key of records that are ordered by time.
pub(super) fn time_key(at: Timestamp, id: &[u8; 16]) -> String {
    format!("{}/{}", at.millis(), hex::encode(id))
}

pub(super) fn parse_time_key(key: &str) -> Result<(i64, [u8; 16]), StoreError> {
    let (at, id) = key.split_once('/').ok_or(PAGE_KEY)?;
    let at = at.parse().map_err(|_| PAGE_KEY)?;
    let mut bytes = [0; 16];
    hex::decode_to_slice(id, &mut bytes).map_err(|_| PAGE_KEY)?;
    Ok((at, bytes))
}

pub(super) fn parse_seq_key(key: &str) -> Result<i64, StoreError> {
    key.parse().map_err(|_| PAGE_KEY)
}

/// The lowest and the highest id that begin with `text`, when it is the
/// beginning of an id in its one spelling.
pub(super) fn id_range(text: &str) -> Option<([u8; 16], [u8; 16])> {
    if text.len() < ID_PREFIX_LENGTH_MIN || text.len() > 36 {
        return None;
    }
    let fits = |(at, byte): (usize, u8)| match HYPHENS.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    if !text.bytes().enumerate().all(fits) {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let filled = |with: &str| {
        let mut bytes = [0; 16];
        let missing = 32 - digits.len();
        hex::decode_to_slice(format!("{digits}{}", with.repeat(missing)), &mut bytes).ok().map(|()| bytes)
    };
    Some((filled("0")?, filled("f")?))
}

/// The id that `text` is, in its one spelling.
pub(super) fn whole_id(text: &str) -> Option<[u8; 16]> {
    id_range(text).filter(|(low, high)| low == high).map(|(id, _)| id)
}

/// The only one of at most two found.
pub(super) fn only<T>(found: Vec<T>) -> Result<T, StoreError> {
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(StoreError::NotFound),
        (Some(_), Some(_)) => Err(StoreError::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_spans_exactly_the_ids_that_begin_with_it() {
        let (low, high) = id_range("6f1c6d3a-5").unwrap();
        assert_eq!(hex::encode(low), "6f1c6d3a500000000000000000000000");
        assert_eq!(hex::encode(high), "6f1c6d3a5fffffffffffffffffffffff");
        let whole = id_range("6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11").unwrap();
        assert_eq!(whole.0, whole.1);
    }

    #[test]
    fn what_is_not_the_beginning_of_an_id_is_no_prefix() {
        for bad in ["6f1", "6F1C", "6f1%", "____", "6f1c6d3a5", "6f1c-", "", "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a110"] {
            assert!(id_range(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_key_of_a_page_is_read_back_and_nothing_else_is() {
        let key = time_key(Timestamp::from_millis(-5), &[9; 16]);
        assert_eq!(parse_time_key(&key), Ok((-5, [9; 16])));
        for bad in ["", "5", "5/", "x/00", "5/zz", "5/0909"] {
            assert_eq!(parse_time_key(bad), Err(PAGE_KEY), "{bad}");
        }
    }
}

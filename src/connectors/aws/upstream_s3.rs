//! S3: which buckets there are, and whether one of them, or what is below a
//! prefix of it, can be looked into.

use aws_credential_types::Credentials;
use percent_encoding::utf8_percent_encode;

use crate::connectors::{Upstream, UpstreamError};

use super::errors::Doing;
use super::place::{Place, Service};
use super::upstream_signed::{Plain, QUERY, send};
use super::xml::{Piece, pieces};

/// XML events of one answer: those of 10,000 buckets, the most of a page.
const EVENTS_MAX: usize = 200_000;
/// What a list of buckets is in.
pub const LIST: &str = "ListAllMyBucketsResult";
/// XML events before the first element.
const PROLOG_EVENTS_MAX: usize = 8;

const LISTING: Doing = Doing {
    permissions: &["s3:ListAllMyBuckets"],
    remedy: "allow s3:ListAllMyBuckets on * to the role or user, or fix the connector to one bucket",
};
const LOOKING_INTO: Doing = Doing {
    permissions: &["s3:ListBucket"],
    remedy: "allow s3:ListBucket on the bucket, with this prefix, to the role or user",
};

/// Whether a bucket, or what is below a prefix of it, may be listed. Not by
/// HeadBucket: its refusals have no body, so no code that says why, and it
/// fails where rights are for a prefix.
pub async fn look(
    upstream: &Upstream,
    place: &Place<'_>,
    credentials: &Credentials,
    bucket: &str,
    prefix: Option<&str>,
) -> Result<(), UpstreamError> {
    let mut url = format!("{}/{bucket}?list-type=2&max-keys=1", place.endpoint(Service::S3));
    if let Some(prefix) = prefix {
        url.push_str("&prefix=");
        url.extend(utf8_percent_encode(prefix, QUERY));
        url.extend(utf8_percent_encode("/", QUERY));
    }
    let plain = Plain { method: "GET", url, headers: Vec::new(), body: String::new() };
    let answer = send(upstream, place, Service::S3, credentials, &plain, LOOKING_INTO).await?;
    let listed = root(answer.body()).is_some_and(|name| name == "ListBucketResult");
    if listed { Ok(()) } else { Err(UpstreamError::BadAnswer { what: "not a list of objects" }) }
}

/// The name of the element that everything else is in.
pub fn root(body: &[u8]) -> Option<String> {
    for piece in pieces(body, PROLOG_EVENTS_MAX) {
        match piece {
            Piece::Start(tag) | Piece::Empty(tag) => return Some(tag.local_name().as_ref().to_owned()),
            Piece::Over => return None,
            Piece::End(_) | Piece::Text(_) => {}
        }
    }
    None
}

/// One page of bucket names, and where the next begins. Implementations
/// without pages ignore the limit and give all.
pub async fn buckets(
    upstream: &Upstream,
    place: &Place<'_>,
    credentials: &Credentials,
    limit: usize,
    page: Option<&str>,
) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    // The query is sorted: S3 signs it as it is.
    let mut url = format!("{}/?", place.endpoint(Service::S3));
    if let Some(page) = page {
        url.push_str("continuation-token=");
        url.extend(utf8_percent_encode(page, QUERY));
        url.push('&');
    }
    url.push_str(&format!("max-buckets={}", limit.max(1)));
    let plain = Plain { method: "GET", url, headers: Vec::new(), body: String::new() };
    let answer = send(upstream, place, Service::S3, credentials, &plain, LISTING).await?;
    names(answer.body()).ok_or(UpstreamError::BadAnswer { what: "not a list of buckets" })
}

/// The names and the continuation token of a `ListAllMyBucketsResult`.
pub fn names(body: &[u8]) -> Option<(Vec<String>, Option<String>)> {
    let (mut path, mut names, mut next) = (Vec::<String>::new(), Vec::new(), None);
    let mut rooted = false;
    for piece in pieces(body, EVENTS_MAX) {
        match piece {
            // A page without a word in it is no empty list.
            Piece::Start(tag) | Piece::Empty(tag) if path.is_empty() && tag.local_name().as_ref() != LIST => {
                return None;
            }
            Piece::Start(tag) => {
                rooted = true;
                path.push(tag.local_name().as_ref().to_owned());
            }
            Piece::End(_) => drop(path.pop()),
            Piece::Text(text) => {
                let steps: Vec<&str> = path.iter().map(String::as_str).collect();
                match steps.as_slice() {
                    [LIST, "Buckets", "Bucket", "Name"] => names.push(text.to_string()),
                    [LIST, "ContinuationToken"] => next = Some(text.to_string()),
                    _ => {}
                }
            }
            Piece::Over => return (rooted && path.is_empty()).then_some((names, next)),
            Piece::Empty(_) => rooted = true,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_an_answer_is_found_and_none_in_junk() {
        let list = b"<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3\"><Name>a</Name></ListBucketResult>";
        assert_eq!(root(list).as_deref(), Some("ListBucketResult"));
        assert_eq!(root(b"<html/>").as_deref(), Some("html"));
        for junk in [b"".as_slice(), b"text", b"\xff"] {
            assert_eq!(root(junk), None);
        }
    }

    #[test]
    fn a_list_of_buckets_is_read_and_a_page_is_not() {
        let list = b"<?xml version=\"1.0\"?><ListAllMyBucketsResult xmlns=\"http://s3\"><Owner><ID>x</ID><DisplayName>Name</DisplayName></Owner>\
            <Buckets><Bucket><CreationDate>d</CreationDate><Name>a-b</Name></Bucket><Bucket><Name>c.d</Name></Bucket></Buckets>\
            <ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>";
        assert_eq!(names(list), Some((vec!["a-b".to_owned(), "c.d".to_owned()], Some("t".to_owned()))));
        let none = b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>";
        assert_eq!(names(none), Some((Vec::new(), None)));
        for bad in [
            b"<html><body>hello</body></html>".as_slice(),
            b"<html><body></body></html>",
            b"<ListAllMyBucketsResult><Buckets>",
            b"<html/>",
            b"",
            b"text",
        ] {
            assert_eq!(names(bad), None);
        }
    }
}

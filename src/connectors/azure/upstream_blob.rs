//! Blob storage: delegation keys, and which containers there are.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::events::Event;
use zeroize::Zeroizing;

use crate::connectors::answer::unanswered;
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::domain::Timestamp;
use crate::outbound::{Call, Response};

use super::place::Place;
use super::sas::{DelegationKey, VERSION, moment, read_moment};
use super::settings_check::guid;
use super::upstream_entra::Token;

/// XML events of one answer: those of 5,000 containers, the most of a page.
const EVENTS_MAX: usize = 200_000;
/// What the service takes for one page.
const PAGE_MAX: usize = 5000;
/// How long before now a key begins: clocks differ.
const START_SLACK: i64 = 300;
/// How much later than asked a key may end.
const END_SLACK: i64 = 60;

const DELEGATING: Doing = Doing {
    permissions: &["Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action"],
    remedy: "assign Storage Blob Delegator, or a Storage Blob Data role, on the storage account",
};
const LISTING: Doing = Doing {
    permissions: &["Microsoft.Storage/storageAccounts/blobServices/containers/read"],
    remedy: "assign Storage Blob Data Reader on the storage account, or fix the connector to one container",
};
const LOOKING: Doing = Doing {
    permissions: &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"],
    remedy: "assign Storage Blob Data Reader, or more, on the container",
};

/// A key that signs until `expires_at`.
pub async fn delegation_key(
    upstream: &Upstream,
    place: &Place<'_>,
    account: &str,
    token: &Token,
    expires_at: Timestamp,
) -> Result<DelegationKey, UpstreamError> {
    let now = upstream.clock.now();
    let moments = moment(Timestamp::from_seconds(now.seconds() - START_SLACK)).zip(moment(expires_at));
    let (start, expiry) = moments.ok_or(UpstreamError::StoredSettings)?;
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>"
    );
    let url = format!("{}/?restype=service&comp=userdelegationkey", place.blobs(account));
    let answer = send(upstream, "POST", url, token, body, DELEGATING).await?;
    delegated(answer.body(), now, expires_at)
}

/// The key of an answer, which was asked for until `expires_at`.
pub fn delegated(body: &[u8], now: Timestamp, expires_at: Timestamp) -> Result<DelegationKey, UpstreamError> {
    let fields = texts(body, "UserDelegationKey").ok_or(NO_KEY)?;
    let key = key(fields).ok_or(NO_KEY)?;
    let late = key.expires_at.seconds() > expires_at.seconds() + END_SLACK;
    if late || key.expires_at <= now {
        return Err(UpstreamError::BadAnswer { what: "an impossible expiry" });
    }
    Ok(key)
}

const NO_KEY: UpstreamError = UpstreamError::BadAnswer { what: "not a delegation key" };

fn key(mut fields: BTreeMap<String, Vec<Zeroizing<String>>>) -> Option<DelegationKey> {
    let mut one = |name: &str| {
        let mut values = fields.remove(&format!("UserDelegationKey/{name}"))?;
        if values.len() == 1 { values.pop() } else { None }
    };
    let (object, tenant) = (one("SignedOid")?, one("SignedTid")?);
    let (start, expiry) = (one("SignedStart")?, one("SignedExpiry")?);
    let (service, version, value) = (one("SignedService")?, one("SignedVersion")?, one("Value")?);
    let dated = |text: &str| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let plain = |text: &str| text.len() <= 40 && text.bytes().all(|b| b.is_ascii_graphic());
    let fits = guid(&object) && guid(&tenant) && *service == "b" && dated(&version) && plain(&start) && plain(&expiry);
    read_moment(&start)?;
    let expires_at = read_moment(&expiry)?;
    let value = Zeroizing::new(STANDARD.decode(value.as_bytes()).ok()?);
    let text = |text: Zeroizing<String>| text.as_str().to_owned();
    (fits && value.len() == 32).then(|| DelegationKey {
        object: text(object),
        tenant: text(tenant),
        start: text(start),
        expiry: text(expiry),
        expires_at,
        version: text(version),
        value,
    })
}

/// One page of an account's containers, and where the next begins.
pub async fn containers(
    upstream: &Upstream,
    place: &Place<'_>,
    account: &str,
    token: &Token,
    limit: usize,
    page: Option<&str>,
) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    let mut url = format!("{}/?comp=list&maxresults={}", place.blobs(account), limit.clamp(1, PAGE_MAX));
    if let Some(page) = page {
        url.push_str("&marker=");
        url.extend(utf8_percent_encode(page, NON_ALPHANUMERIC));
    }
    listed(send(upstream, "GET", url, token, String::new(), LISTING).await?.body())
}

/// The names and the marker of the next page.
pub fn listed(body: &[u8]) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    let no_list = UpstreamError::BadAnswer { what: "not a list of containers" };
    let mut found = texts(body, "EnumerationResults").ok_or(no_list)?;
    let mut all = |path: &str| found.remove(path).unwrap_or_default();
    let names = all("EnumerationResults/Containers/Container/Name").into_iter().map(|name| name.to_string()).collect();
    let next = all("EnumerationResults/NextMarker").into_iter().next().map(|text| text.to_string());
    Ok((names, next))
}

/// Whether a container, or what is below a directory of it, may be listed.
pub async fn look(
    upstream: &Upstream,
    place: &Place<'_>,
    (account, container, directory): (&str, &str, Option<&str>),
    token: &Token,
) -> Result<(), UpstreamError> {
    let mut url = format!("{}/{container}?restype=container&comp=list&maxresults=1", place.blobs(account));
    if let Some(directory) = directory {
        url.push_str("&prefix=");
        url.extend(utf8_percent_encode(directory, NON_ALPHANUMERIC));
        url.push_str("%2F");
    }
    let answer = send(upstream, "GET", url, token, String::new(), LOOKING).await?;
    let listed = texts(answer.body(), "EnumerationResults").is_some();
    if listed { Ok(()) } else { Err(UpstreamError::BadAnswer { what: "not a list of blobs" }) }
}

async fn send(
    upstream: &Upstream,
    method: &'static str,
    url: String,
    token: &Token,
    body: String,
    doing: Doing,
) -> Result<Response, UpstreamError> {
    let mut headers = vec![
        ("authorization".to_owned(), format!("Bearer {}", token.text.reveal())),
        ("x-ms-version".to_owned(), VERSION.to_owned()),
    ];
    if !body.is_empty() {
        headers.push(("content-type".to_owned(), "application/xml".to_owned()));
    }
    let call = Call { method, url, headers, body: body.into_bytes() };
    let answer = upstream.outbound.call(call).await.map_err(unanswered)?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let mut found = texts(answer.body(), "Error").unwrap_or_default();
    let code = found.remove("Error/Code").and_then(|values| values.into_iter().next());
    Err(doing.refused(answer.status, code.as_deref().map(String::as_str), answer.retry_after))
}

/// The texts of a document by the path of their element; nothing when it is
/// not well formed or has another root.
fn texts(body: &[u8], root: &str) -> Option<BTreeMap<String, Vec<Zeroizing<String>>>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut path, mut found) = (Vec::<String>::new(), BTreeMap::<_, Vec<_>>::new());
    let mut rooted = false;
    for _ in 0..EVENTS_MAX {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                let name = tag.local_name().as_ref().to_owned();
                if path.is_empty() && name != root {
                    return None;
                }
                rooted = true;
                path.push(name);
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) => {
                if !path.is_empty() && !text.trim().is_empty() {
                    found.entry(path.join("/")).or_default().push(Zeroizing::new(text.to_string()));
                }
            }
            Event::Empty(tag) if path.is_empty() && tag.local_name().as_ref() != root => return None,
            Event::Eof => return (rooted && path.is_empty()).then_some(found),
            Event::Empty(_) => rooted = true,
            // No answer of the service has any; an entity would be a second spelling.
            Event::GeneralRef(_) | Event::DocType(_) | Event::CData(_) => return None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_by_path_and_pages_of_html_are_none() {
        let list = "\u{feff}<?xml version=\"1.0\"?><EnumerationResults A=\"x\"><Containers><Container><Name>a</Name><Properties><Etag>e</Etag></Properties></Container>\
            <Container><Name>b</Name></Container></Containers><NextMarker /></EnumerationResults>";
        let found = texts(list.as_bytes(), "EnumerationResults").unwrap();
        let names = &found["EnumerationResults/Containers/Container/Name"];
        assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(!found.contains_key("EnumerationResults/NextMarker"));
        for bad in ["", "text", "<html><body>hi</body></html>", "<EnumerationResults><Containers>", "<html/>", "\u{0}"]
        {
            assert!(texts(bad.as_bytes(), "EnumerationResults").is_none(), "{bad}");
        }
        let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><EnumerationResults>&b;</EnumerationResults>";
        assert!(texts(bomb.as_bytes(), "EnumerationResults").is_none());
    }
}

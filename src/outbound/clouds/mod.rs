//! The clouds' own API hosts, one file for each cloud: what may be called over
//! https without being named in the config.
//!
//! A host belongs here only when nobody but its cloud can answer on it: not
//! where customers put servers, buckets or gateways of their own.

mod aws;
mod azure;
mod google;
mod registries;

/// Whether this host, in lower case, is one of a cloud's own.
pub(super) fn host(host: &str) -> bool {
    aws::host(host) || google::host(host) || azure::host(host) || registries::host(host)
}

/// One label of DNS: letters, digits and inner hyphens.
fn label(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(letter) && !text.starts_with('-') && !text.ends_with('-')
}

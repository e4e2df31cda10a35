//! What the types of the settings cannot say. Errors name fields, never
//! contents.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::connectors::refusals::Refusals;
use crate::domain::FieldErrors;

use super::hosts::{self, HostGlob};
use super::public_key::{self, Pin};
use super::settings::{CaKey, PrivateKey, Settings};

/// Hosts and globs of one connector.
const HOSTS_MAX: usize = 256;
/// Lines of pinned keys: two for each host.
const PINS_MAX: usize = 512;
/// Addresses of one certificate.
const ADDRESSES_MAX: usize = 32;
/// Principals of one level; OpenSSH takes 256 in a certificate.
const PRINCIPALS_MAX: usize = 64;
/// The longest forced command.
const COMMAND_LENGTH_MAX: usize = 1024;
/// The longest name of a user or a principal.
const NAME_LENGTH_MAX: usize = 64;
/// Where the host's name goes in a principal.
pub const HOST_PLACE: &str = "{host}";
/// Where its port goes.
pub const PORT_PLACE: &str = "{port}";

/// Checks settings; see `ConnectorType::check`.
pub fn check(settings: &Settings) -> Result<(), FieldErrors> {
    let mut refusals = Refusals::default();
    let hosts = settings.hosts();
    refusals.unless((1..=HOSTS_MAX).contains(&hosts.len()), "settings.hosts", "1 to 256 hosts");
    let parsed = hosts.iter().all(|host| HostGlob::parse(host).is_some());
    let problem = "must be names, addresses or globs such as *.gpu.example.com, each host or host:port";
    refusals.unless(parsed, "settings.hosts", problem);
    match settings {
        Settings::CaKey(own) => check_ca(own, &mut refusals),
        Settings::PrivateKey(own) => check_private(own, &mut refusals),
    }
    refusals.into_result()
}

fn check_ca(own: &CaKey, refusals: &mut Refusals) {
    let field = "settings.principals";
    let levels = [&own.principals.read, &own.principals.write, &own.principals.admin];
    refusals.unless(levels.iter().any(|level| !level.is_empty()), field, "name some for one access level at least");
    refusals.unless(levels.iter().all(|level| level.len() <= PRINCIPALS_MAX), field, "at most 64 for each level");
    let fits = own.principals.all().all(|principal| principal_fits(principal));
    let problem =
        "must be 1 to 64 letters, digits or any of ._@:+/-, with {host} for the host's name and {port} for its port";
    refusals.unless(fits, field, problem);
    let apart = own.principals.all().all(|principal| port_apart(principal));
    refusals.unless(apart, field, "{port} must stand apart from {host} by something that is no digit: {host}:{port}");
    let field = "settings.source_address";
    refusals.unless(own.source_address.len() <= ADDRESSES_MAX, field, "at most 32 addresses");
    let fits = own.source_address.iter().all(|text| network(text));
    refusals.unless(fits, field, "must be addresses or networks such as 10.0.0.0/8, with no bits set after the prefix");
    let fits = own
        .force_command
        .as_ref()
        .is_none_or(|text| (1..=COMMAND_LENGTH_MAX).contains(&text.len()) && !text.chars().any(char::is_control));
    refusals.unless(fits, "settings.force_command", "must be 1 to 1,024 bytes with no control characters");
    let once: BTreeSet<_> = own.extensions.iter().collect();
    refusals.unless(once.len() == own.extensions.len(), "settings.extensions", "each at most once");
}

fn principal_fits(text: &str) -> bool {
    let bare = text.replace(HOST_PLACE, "").replace(PORT_PLACE, "");
    (1..=NAME_LENGTH_MAX).contains(&text.len()) && bare.bytes().all(name_letter)
}

/// Whether no two hosts can come to the same principal: `{host}{port}` is one
/// for `gpu:12` and for `gpu1:2`.
fn port_apart(text: &str) -> bool {
    let apart = |beside: Option<char>| beside.is_none_or(|one| !one.is_ascii_digit() && !matches!(one, '{' | '}'));
    let at = |(at, _): (usize, &str)| {
        let (before, rest) = text.split_at(at);
        let after = rest.strip_prefix(PORT_PLACE).unwrap_or_default();
        apart(before.chars().next_back()) && apart(after.chars().next())
    };
    text.match_indices(PORT_PLACE).all(at)
}

const fn name_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b':' | b'+' | b'/' | b'-')
}

/// An address, or a network whose host bits are zero: sshd takes no other.
fn network(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let (bits, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let Some(prefix) = prefix else { return true };
    let digits = !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = prefix.parse::<u32>().ok().filter(|prefix| digits && *prefix <= width);
    prefix.is_some_and(|prefix| bits.checked_shl(prefix).unwrap_or(0) == 0)
}

fn check_private(own: &PrivateKey, refusals: &mut Refusals) {
    let first = own.username.bytes().next();
    let fits = (1..=NAME_LENGTH_MAX).contains(&own.username.len())
        && first.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && own.username.bytes().all(|byte| name_letter(byte) || byte == b'\\');
    refusals.unless(fits, "settings.username", "must be 1 to 64 letters, digits or any of ._@:+/\\-");
    let field = "settings.host_keys";
    let lines = public_key::pin_lines(&own.host_keys).count();
    refusals.unless((1..=PINS_MAX).contains(&lines), field, "1 to 512 lines");
    let mut all: Vec<Pin> = Vec::new();
    for line in public_key::pin_lines(&own.host_keys).take(PINS_MAX) {
        match public_key::pins(line) {
            Ok(pins) => all.extend(pins),
            Err(problem) => refusals.unless(false, field, problem),
        }
    }
    let known = all.iter().all(|pin| hosts::served(&own.hosts, &pin.host));
    refusals.unless(known, field, "name a host that is not in hosts");
    let pinned = hosts::named(&own.hosts).iter().all(|host| all.iter().any(|pin| pin.host == *host));
    refusals.unless(pinned, field, "every host named in hosts needs a key: ssh-keyscan HOST, checked by other means");
}

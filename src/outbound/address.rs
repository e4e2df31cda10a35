//! Which addresses a public name may resolve to: none that lies inside the
//! machine, its network or its cloud's metadata service (SECURITY: SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the address is one of the public internet.
pub(super) fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => public_v4(address),
        IpAddr::V6(address) => public_v6(address),
    }
}

fn public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b); // RFC 6598, carrier-grade NAT
    let protocol = a == 192 && b == 0 && c == 0; // RFC 6890
    let benchmark = a == 198 && (b == 18 || b == 19); // RFC 2544
    let this_network = a == 0; // RFC 1122
    let reserved = a >= 240; // RFC 1112, and broadcast
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local() // with 169.254.169.254, the metadata service
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || protocol
        || benchmark
        || this_network
        || reserved)
}

/// Only global unicast (2000::/3, RFC 4291), less what tunnels or documents.
/// That leaves out loopback, unspecified, v4-mapped, NAT64 (64:ff9b::/96),
/// unique-local (with fd00:ec2::254), link-local and multicast.
fn public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let six_to_four = first == 0x2002; // RFC 3056: carries any v4 address
    let ietf = first == 0x2001 && second < 0x0200; // RFC 2928, with Teredo
    let documentation = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    global && !six_to_four && !ietf && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_may_not_resolve_to_any_inner_address() {
        let inner = [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "169.254.170.2",
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "2001:db8::1",
            "3fff::1",
            "100::1",
        ];
        for text in inner {
            assert!(!public(text.parse().unwrap()), "{text} must be refused");
        }
    }

    #[test]
    fn neighbours_of_inner_addresses_are_public() {
        let outer = [
            "52.94.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "169.253.255.255",
            "100.63.255.255",
            "100.128.0.0",
            "198.17.255.255",
            "223.255.255.255",
            "2600:1f18::1",
            "2a05:d018::1",
        ];
        for text in outer {
            assert!(public(text.parse().unwrap()), "{text} must be allowed");
        }
    }
}

//! Every host that a connector goes to by itself is one that the way out lets
//! through without being named, in each cloud; its neighbours are none.

use super::super::place::{Cloud, Place};
use super::*;
use crate::outbound::{Detours, Outbound, OutboundRules};

fn outbound() -> Outbound {
    let second = Duration::from_secs(1);
    let (implicit_identities, allowed_endpoints) = (Vec::new(), Vec::new());
    let rules = OutboundRules {
        allowed_endpoints,
        extra_roots_pem: None,
        connect_timeout: second,
        call_timeout: second,
        implicit_identities,
        detours: Detours::default(),
    };
    Outbound::new(rules).ok().unwrap()
}

#[test]
fn each_host_of_each_place_is_let_out_and_its_neighbours_are_not() {
    let outbound = outbound();
    let passes = |url: &str| outbound.check_endpoint(url).is_ok();
    for cloud in [Cloud::Public, Cloud::China, Cloud::UsGov] {
        let place = Place {
            cloud,
            authority_url: None,
            management_url: None,
            blob_url: None,
            registry_url: None,
            identity_url: None,
        };
        let registry = place.registry(&format!("team.{}", cloud.registry_domain()));
        for url in [place.authority(), place.management(), place.blobs("acct"), registry] {
            assert!(passes(&url), "{url}");
            for other in [
                url.replace("https://", "http://"),
                url.replace("https://", "https://user@"),
                format!("{url}:8443"),
                format!("{url}.evil.example"),
                format!("{url}."),
                url.replacen('.', ".evil.", 1),
                url.replacen('.', "-evil.", 2).replacen("-evil.", ".", 1),
            ] {
                assert!(!passes(&other), "{other}");
            }
        }
    }
}

#[test]
fn an_identity_endpoint_over_http_is_a_danger_and_azures_own_is_none() {
    let said = |url: &str| {
        let told = Azure.dangers(&settings(&format!(r#"{{"auth_method":"implicit","identity_url":"{url}"}}"#)));
        told.first().is_some_and(|first| first.starts_with("IN THE CLEAR: "))
    };
    assert!(said("http://identity.example.com:8080"));
    for safe in ["http://169.254.169.254", "http://127.0.0.1:8080", "https://identity.example.com"] {
        assert!(!said(safe), "{safe}");
    }
    assert!(Azure.dangers(&application("")).is_empty());
}

//! What the design promises of the catalog: every type with its auth methods
//! and resource types. Kept as data here, because the design is a document of
//! its own.

use std::collections::BTreeSet;

use super::CATALOG;

/// Type, auth methods, resource types.
const PROMISED: &[(&str, &[&str], &[&str])] = &[
    (
        "aws",
        &["secret-key", "iam-role", "session-token", "federation-token", "sts-token", "web-identity", "implicit"],
        &["aws-generic", "s3-bucket", "kubernetes-cluster", "docker-registry"],
    ),
    (
        "gcp",
        &["service-account", "impersonation", "user-account", "external-account", "oauth2-token", "implicit"],
        &["gcp-generic", "gcs-bucket", "kubernetes-cluster", "docker-registry"],
    ),
    (
        "azure",
        &["service-principal", "access-token", "implicit"],
        &["azure-generic", "blob-container", "kubernetes-cluster", "docker-registry"],
    ),
    ("kubernetes", &["token", "password"], &["kubernetes-cluster"]),
    ("docker", &["password"], &["docker-registry"]),
    ("ssh", &["ca-key", "private-key"], &["ssh-host"]),
    ("oauth2", &["client-credentials", "refresh-token", "token"], &["oauth2-api"]),
];

#[test]
fn every_type_method_and_resource_type_that_is_promised_is_in_the_catalog() {
    let promised: BTreeSet<String> =
        PROMISED.iter().flat_map(|(kind, methods, resources)| rows(kind, methods, resources)).collect();
    let there: BTreeSet<String> = CATALOG
        .iter()
        .flat_map(|kind| {
            let described = kind.description();
            let methods: Vec<&str> = described.methods.iter().map(|method| method.name).collect();
            let resources: Vec<&str> = described.resources.iter().map(|resource| resource.name).collect();
            rows(described.name, &methods, &resources)
        })
        .collect();
    let missing: Vec<&String> = promised.difference(&there).collect();
    assert!(missing.is_empty(), "promised and not in the catalog: {missing:#?}");
    let beyond: Vec<&String> = there.difference(&promised).collect();
    assert!(beyond.is_empty(), "in the catalog and not promised; say so here: {beyond:#?}");
}

fn rows(kind: &str, methods: &[&str], resources: &[&str]) -> Vec<String> {
    methods
        .iter()
        .flat_map(|method| resources.iter().map(move |resource| format!("{kind} {method} {resource}")))
        .collect()
}

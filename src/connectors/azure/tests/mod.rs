//! The Azure type as a whole: settings, ids, secrets and narrowing here,
//! minting and looking against a strict Azure beside.

mod ends;
mod looking;
mod minting;
mod places;

use std::collections::BTreeMap;

use super::*;
use crate::connectors::workbench::{self, attribution, secret};
use crate::domain::{AccessLevel, Downscope};

use super::fake::{CLIENT, TENANT};
use super::fake_cloud::SUBSCRIPTION;

fn settings(json: &str) -> Settings {
    let settings: Settings = serde_json::from_str(json).unwrap();
    Azure.check(&settings).unwrap();
    settings
}

/// Of an application, with more.
fn application(more: &str) -> Settings {
    settings(&format!(
        r#"{{"auth_method":"service-principal","tenant_id":"{TENANT}","client_id":"{CLIENT}","subscription_id":"{SUBSCRIPTION}"{more}}}"#
    ))
}

fn handed_in(more: &str) -> Settings {
    settings(&format!(r#"{{"auth_method":"access-token"{more}}}"#))
}

fn kind(name: &str) -> ResourceTypeName {
    ResourceTypeName::parse(name).unwrap()
}

fn ask(resource_type: &str, id: &str, access: AccessLevel) -> Ask {
    ask_with(resource_type, id, access, &[])
}

fn ask_with(resource_type: &str, id: &str, access: AccessLevel, parameters: &[(&str, &str)]) -> Ask {
    let pairs = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Ask {
        resource_type: kind(resource_type),
        resource: ResourceId::canonical(id).unwrap(),
        access,
        parameters: pairs.collect(),
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_by_field() {
    let base = BTreeMap::from([("tenant_id", TENANT), ("client_id", CLIENT)]);
    for (field, value) in [
        ("tenant_id", "../x"),
        ("tenant_id", "72F988BF-86F1-41AF-91AB-2D7CD011DB47"),
        ("tenant_id", "common"),
        ("client_id", "app"),
        ("subscription_id", "ml"),
        ("resource_group", "a/b"),
        ("resource_group", "ML"),
        ("storage_account", "my-account"),
        ("authority_url", "http://login.example.com"),
        ("authority_url", "https://login.example.com/path"),
        ("management_url", "https://a@b"),
        ("blob_url", "file:///etc"),
        ("registry_url", "registry.example.com"),
        ("subscription_name", "ml-production"),
    ] {
        let mut all = base.clone();
        all.insert(field, value);
        let method = AuthMethodName::parse("service-principal").unwrap();
        let json = serde_json::to_string(&all).unwrap();
        let refused = crate::connectors::AnyConnectorType::parse_settings(&Azure, &method, &json).unwrap_err();
        assert_eq!(refused.0[0].field, format!("settings.{field}"), "{value}");
        assert!(!refused.to_string().contains(value) || value == "ml", "{refused}");
    }
    for audience in ["ftp://x", "https://", "https://a b", "https://a/.default", "api://../x?y", "vault"] {
        let json = format!(r#"{{"audiences":["{audience}"]}}"#);
        let method = AuthMethodName::parse("access-token").unwrap();
        let refused = crate::connectors::AnyConnectorType::parse_settings(&Azure, &method, &json).unwrap_err();
        assert_eq!(refused.0[0].field, "settings.audiences", "{audience}");
    }
}

#[test]
fn where_a_secret_goes_is_told_apart() {
    let own = Azure.destination(&application(""));
    for other in [
        r#","cloud":"china""#,
        r#","authority_url":"https://login.example.com""#,
        r#","management_url":"https://m.example.com""#,
        r#","blob_url":"https://b.example.com""#,
        r#","registry_url":"https://r.example.com""#,
    ] {
        assert_ne!(Azure.destination(&application(other)), own, "{other}");
    }
    assert_eq!(Azure.destination(&application(r#","resource_group":"ml""#)), own);
}

#[test]
fn each_method_takes_its_own_secrets_and_no_others() {
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let soon = Some(now.plus(Duration::from_secs(3600)));
    let refused = |settings: &Settings, fields: &[(&str, &str)], ends| {
        Azure.check_secret(settings, &secret(fields), ends, now).map_err(|errors| errors.0[0].field.clone()).err()
    };
    let pem = fake::certificate_pem();
    let (by_secret, by_certificate) = (("client_secret", fake::SECRET), ("client_certificate", pem.as_str()));
    let own = application("");
    assert_eq!(refused(&own, &[by_secret], None), None);
    assert_eq!(refused(&own, &[by_certificate], None), None);
    for (fields, field) in [
        (&[][..], "secrets.client_secret"),
        (&[by_secret, by_certificate], "secrets.client_certificate"),
        (&[("client_secret", "short")], "secrets.client_secret"),
        (&[("client_secret", "with blanks in it")], "secrets.client_secret"),
        (&[("client_certificate", "hunter2")], "secrets.client_certificate"),
        (&[by_secret, ("token", "tttttttttttttttttttt")], "secrets.token"),
    ] {
        assert_eq!(refused(&own, fields, None).as_deref(), Some(field));
    }
    let federated = application(r#","federated":true"#);
    assert_eq!(refused(&federated, &[], None), None);
    assert_eq!(refused(&federated, &[by_secret], None).as_deref(), Some("secrets.client_secret"));
    let token = ("token", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln");
    assert_eq!(refused(&handed_in(""), &[token], soon), None);
    assert_eq!(refused(&handed_in(""), &[token], None).as_deref(), Some("secret_expires_at"));
    assert_eq!(refused(&handed_in(""), &[token], Some(now)).as_deref(), Some("secret_expires_at"));
    assert_eq!(refused(&handed_in(""), &[], soon).as_deref(), Some("secrets.token"));
    let implicit = settings(r#"{"auth_method":"implicit"}"#);
    assert_eq!(refused(&implicit, &[], None), None);
    assert_eq!(refused(&implicit, &[by_secret], None).as_deref(), Some("secrets.client_secret"));
}

fn canonical(settings: &Settings, resource_type: &str, raw: &str) -> Option<String> {
    Azure.canonical(settings, &kind(resource_type), Some(raw)).ok().map(|id| id.to_string())
}

#[test]
fn every_spelling_of_an_id_becomes_the_canonical_one() {
    let own = application(r#","storage_account":"mldata","resource_group":"ml","subscription_name":"Production""#);
    for (resource_type, raws, id) in [
        ("azure-generic", vec![SUBSCRIPTION, "Production", "0B1F6471-1BF0-4DDA-AEC3-CB9272F09590"], SUBSCRIPTION),
        (
            "blob-container",
            vec![
                "az://mldata/datasets",
                "az://mldata/datasets/",
                "az://datasets",
                "datasets",
                "abfs://datasets@mldata.dfs.core.windows.net",
                "abfss://datasets@mldata.dfs.core.windows.net/",
                "https://mldata.blob.core.windows.net/datasets",
            ],
            "az://mldata/datasets",
        ),
        (
            "blob-container",
            vec![
                "az://mldata/datasets/train/a b",
                "abfss://datasets@mldata.dfs.core.windows.net/train/a b",
                "https://mldata.blob.core.windows.net/datasets/train/a b",
            ],
            "az://mldata/datasets/train/a b",
        ),
        (
            "kubernetes-cluster",
            vec![
                "ml/train",
                "train",
                "ML/Train",
                "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/ML/providers/Microsoft.ContainerService/managedClusters/train",
            ],
            "ml/train",
        ),
        ("docker-registry", vec!["mlteam.azurecr.io", "https://mlteam.azurecr.io/", "MLteam"], "mlteam.azurecr.io"),
        ("docker-registry", vec!["mlteam.azurecr.io/base/model"], "mlteam.azurecr.io/base/model"),
    ] {
        for raw in raws {
            assert_eq!(canonical(&own, resource_type, raw).as_deref(), Some(id), "{raw}");
        }
    }
    assert_eq!(Azure.canonical(&own, &kind("azure-generic"), None).unwrap().as_str(), SUBSCRIPTION);
    let bare = handed_in("");
    for (resource_type, raw) in [("blob-container", "az://datasets"), ("kubernetes-cluster", "train")] {
        assert_eq!(canonical(&bare, resource_type, raw), None, "{raw} is ambiguous");
    }
    assert!(Azure.canonical(&bare, &kind("azure-generic"), None).is_err());
    let china = application(r#","cloud":"china""#);
    let blob = "https://mldata.blob.core.chinacloudapi.cn/datasets";
    assert_eq!(canonical(&china, "blob-container", blob).as_deref(), Some("az://mldata/datasets"));
    assert_eq!(canonical(&china, "docker-registry", "mlteam").as_deref(), Some("mlteam.azurecr.cn"));
}

#[test]
fn f17_a_name_alone_is_refused_with_what_to_write_and_which_setting_to_set() {
    let bare = application("");
    for (resource_type, raw, write, setting) in [
        ("blob-container", "az://datasets", "az://ACCOUNT/CONTAINER", "storage_account"),
        ("blob-container", "abfss://datasets/", "az://ACCOUNT/CONTAINER", "storage_account"),
        ("blob-container", "datasets", "az://ACCOUNT/CONTAINER", "storage_account"),
        ("kubernetes-cluster", "train", "RESOURCE_GROUP/CLUSTER", "resource_group"),
        ("azure-generic", "Production", "a GUID", "subscription_name"),
    ] {
        let said = Azure.canonical(&bare, &kind(resource_type), Some(raw)).unwrap_err().to_string();
        let set = format!("--set {setting}=");
        assert!(said.contains(write) && said.contains(&set) && said.contains("list-resources"), "{raw}: {said}");
    }
    // With the setting it is the form that is wrong, and it is said so.
    let own = application(r#","storage_account":"mldata","resource_group":"ml","subscription_name":"Production""#);
    for (resource_type, raw) in [("blob-container", "Data"), ("kubernetes-cluster", "-"), ("azure-generic", "Other")] {
        let said = Azure.canonical(&own, &kind(resource_type), Some(raw)).unwrap_err().to_string();
        assert!(!said.contains("--set"), "{raw}: {said}");
    }
}

#[test]
fn ids_of_others_and_ids_that_lie_are_refused() {
    let own = application(r#","storage_account":"mldata","resource_group":"ml""#);
    for (resource_type, raw) in [
        ("azure-generic", "1b1f6471-1bf0-4dda-aec3-cb9272f09590"),
        ("azure-generic", "production"),
        ("blob-container", "az://other/datasets"),
        ("blob-container", "az://mldata/data--sets"),
        ("blob-container", "az://mldata/Datasets"),
        ("blob-container", "az://mldata/datasets/../models"),
        ("blob-container", "az://mldata/datasets//a"),
        ("blob-container", "az://mldata/datasets/a?sig=x"),
        ("blob-container", "az://mldata/datasets/a%2fb"),
        ("blob-container", "https://mldata.blob.core.windows.net.evil.example/datasets"),
        ("blob-container", "https://mldata.blob.core.chinacloudapi.cn/datasets"),
        ("blob-container", "http://mldata.blob.core.windows.net/datasets"),
        ("blob-container", "s3://datasets"),
        ("kubernetes-cluster", "ml/train/x"),
        ("kubernetes-cluster", "../train"),
        (
            "kubernetes-cluster",
            "/subscriptions/1b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/ml/providers/Microsoft.ContainerService/managedClusters/train",
        ),
        ("docker-registry", "mlteam.azurecr.cn"),
        ("docker-registry", "evil.example"),
        ("docker-registry", "mlteam.azurecr.io.evil.example"),
        ("docker-registry", "a.mlteam.azurecr.io"),
        ("docker-registry", "mlteam.azurecr.io/Model"),
        ("docker-registry", "mlteam.azurecr.io/a:pull"),
        ("docker-registry", "mlteam/model"),
    ] {
        assert_eq!(canonical(&own, resource_type, raw), None, "{raw}");
    }
    let within = |outer: &str, inner: &str| {
        let id = |text: &str| ResourceId::canonical(text).unwrap();
        Azure.contains(&kind("blob-container"), &id(outer), &id(inner))
    };
    assert!(within("az://mldata/datasets", "az://mldata/datasets/a"));
    assert!(
        !within("az://mldata/datasets", "az://mldata/datasets2")
            && !within("az://mldata/datasets/a", "az://mldata/datasets")
    );
}

#[test]
fn what_cannot_be_narrowed_is_refused_and_says_why() {
    let refused = |settings: &Settings, ask: &Ask| Azure.narrow(settings, ask).map_err(|error| error.field).err();
    let own = application("");
    let (container, directory) = ("az://mldata/datasets", "az://mldata/datasets/train");
    let write = AccessLevel::Write;
    assert_eq!(refused(&own, &ask("blob-container", container, write)), None);
    assert_eq!(refused(&own, &ask("blob-container", directory, write)).as_deref(), Some("resource_id"));
    let deep = application(r#","hierarchical_namespace":true"#);
    assert_eq!(refused(&deep, &ask("blob-container", directory, write)), None);
    let token = |access, value| ask_with("blob-container", container, access, &[("token", value)]);
    assert_eq!(refused(&own, &token(write, "aad")).as_deref(), Some("access"));
    assert_eq!(refused(&own, &token(AccessLevel::Admin, "aad")), None);
    assert_eq!(refused(&own, &token(AccessLevel::Admin, "sas")).as_deref(), Some("parameters.token"));
    let registry = "mlteam.azurecr.io";
    assert_eq!(refused(&own, &ask("docker-registry", registry, write)).as_deref(), Some("access"));
    assert_eq!(refused(&own, &ask("docker-registry", registry, AccessLevel::Admin)), None);
    assert_eq!(refused(&own, &ask("docker-registry", "mlteam.azurecr.io/a", write)), None);
    assert_eq!(refused(&own, &ask("azure-generic", SUBSCRIPTION, write)).as_deref(), Some("access"));
    let cluster = ask("kubernetes-cluster", "ml/train", AccessLevel::Read);
    assert_eq!(refused(&own, &cluster), None);
    let other = format!(r#","subscription_id":"{SUBSCRIPTION}""#);
    assert_eq!(refused(&handed_in(&other), &cluster).as_deref(), Some("resource_type"));
    assert_eq!(refused(&handed_in(""), &cluster).as_deref(), Some("resource_type"));
}

#[test]
fn an_audience_is_of_a_form_and_of_the_connectors_list() {
    let narrow = |settings: &Settings, audience: Option<&str>| {
        let parameters: Vec<_> = audience.into_iter().map(|text| ("audience", text)).collect();
        let ask = ask_with("azure-generic", SUBSCRIPTION, AccessLevel::Admin, &parameters);
        Azure.narrow(settings, &ask).map(|scope| scope.audience.unwrap()).map_err(|error| error.field)
    };
    let own = application("");
    assert_eq!(narrow(&own, None).as_deref(), Ok("https://management.azure.com"));
    assert_eq!(
        narrow(&application(r#","cloud":"usgov""#), None).as_deref(),
        Ok("https://management.usgovcloudapi.net")
    );
    assert_eq!(narrow(&own, Some("https://vault.azure.net/.default")).as_deref(), Ok("https://vault.azure.net"));
    assert_eq!(narrow(&own, Some("api://ml-scoring/x")).as_deref(), Ok("api://ml-scoring/x"));
    for bad in [
        "",
        "vault",
        "http://vault.azure.net",
        "https://a b",
        "https://a.example openid",
        "https://a#b",
        &"https://a".repeat(99),
    ] {
        assert_eq!(narrow(&own, Some(bad)).unwrap_err(), "parameters.audience", "{bad}");
    }
    let listed = application(r#","audiences":["https://vault.azure.net"]"#);
    assert!(narrow(&listed, Some("https://vault.azure.net/")).is_ok());
    assert_eq!(narrow(&listed, Some("https://graph.microsoft.com")).unwrap_err(), "parameters.audience");
    assert_eq!(narrow(&listed, None).unwrap_err(), "parameters.audience");
}

#[test]
fn the_reply_is_truthful_about_how_far_it_is_narrowed() {
    let deep = application(r#","hierarchical_namespace":true"#);
    let enforced = |settings: &Settings, ask: &Ask| Azure.enforced(settings, &Azure.narrow(settings, ask).unwrap());
    let of = |id: &str, access| enforced(&deep, &ask("blob-container", id, access));
    let directory = of("az://mldata/datasets/train", AccessLevel::Read);
    assert!(directory.downscope == Downscope::Prefix && directory.words.contains("(rl)"));
    assert_eq!(of("az://mldata/datasets", AccessLevel::Write).downscope, Downscope::Resource);
    let entra = ask_with("blob-container", "az://mldata/datasets", AccessLevel::Admin, &[("token", "aad")]);
    assert_eq!(enforced(&deep, &entra).downscope, Downscope::None);
    let generic = enforced(&deep, &ask("azure-generic", SUBSCRIPTION, AccessLevel::Admin));
    assert!(generic.downscope == Downscope::None && generic.words.contains("not narrowed"));
    let login = enforced(&deep, &ask("docker-registry", "mlteam.azurecr.io", AccessLevel::Admin));
    assert!(login.words.contains("whole registry"));
}

#[test]
fn a_handed_in_token_counts_as_long_lived_beyond_a_day_and_a_half() {
    let own = handed_in("");
    let now = Timestamp::from_seconds(1_000_000);
    let hours = |hours: u64| Some(now.plus(Duration::from_secs(hours * 3600)));
    let scope = |ask: &Ask| Azure.narrow(&own, ask).unwrap();
    let generic = scope(&ask("azure-generic", SUBSCRIPTION, AccessLevel::Admin));
    assert!(!Azure.passthrough(&own, &generic, hours(36), now));
    assert!(Azure.passthrough(&own, &generic, hours(37), now) && Azure.passthrough(&own, &generic, None, now));
    // What is signed with it is not it.
    let container = scope(&ask("blob-container", "az://mldata/datasets", AccessLevel::Read));
    assert!(!Azure.passthrough(&own, &container, None, now));
    assert!(!Azure.passthrough(&application(""), &generic, None, now));
}

#[test]
fn the_handed_in_token_for_one_container_is_wider_than_that_and_so_a_passthrough() {
    let own = handed_in("");
    let now = Timestamp::from_seconds(1_000_000);
    let soon = Some(now.plus(Duration::from_secs(1800)));
    let container = |parameters: &[(&str, &str)]| {
        ask_with("blob-container", "az://mldata/datasets", AccessLevel::Admin, parameters)
    };
    let whole = container(&[("token", "aad")]);
    let passthrough =
        |settings: &Settings, ask: &Ask| Azure.passthrough(settings, &Azure.narrow(settings, ask).unwrap(), soon, now);
    assert!(passthrough(&own, &whole), "however soon it ends");
    assert!(!passthrough(&own, &container(&[])), "a signed URL is for that container alone");
    assert!(!passthrough(&application(""), &whole), "a token that Entra makes is not what is stored");
}

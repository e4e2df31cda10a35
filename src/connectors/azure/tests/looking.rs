//! Verifying and listing against a strict Azure on loopback.

use super::super::fake::{self, Fake, Manner, OBJECT};
use super::minting::{at, upstream};
use super::*;

fn by_secret() -> SourceCredential {
    secret(&[("client_secret", fake::SECRET)])
}

const ALL: ListAsk = ListAsk { resource_type: None, resource: None, limit: 100, page: None };

fn only(resource_type: &str, limit: u32, page: Option<String>) -> ListAsk {
    ListAsk { resource_type: Some(kind(resource_type)), resource: None, limit, page }
}

fn ids(reach: &Reach) -> Vec<&str> {
    reach.resource_ids.iter().map(ResourceId::as_str).collect()
}

#[tokio::test]
async fn verification_says_who_it_is_and_what_it_reaches() {
    let fake = Fake::start(Manner::default()).await;
    let verified = Azure.verify(&upstream(&fake, &[]), &application(&at(&fake)), &by_secret(), &ALL).await.unwrap();
    assert_eq!(verified.identity, format!("application {CLIENT}, principal {OBJECT}, tenant {TENANT}"));
    let found: Vec<_> = verified.reach.iter().map(|reach| (reach.resource_type.as_str(), ids(reach))).collect();
    assert_eq!(
        found,
        [
            ("azure-generic", vec![SUBSCRIPTION]),
            ("blob-container", vec!["az://mldata/datasets"]),
            ("kubernetes-cluster", vec!["ml/train", "ml/serve"]),
            ("docker-registry", vec!["mlteam.azurecr.io"]),
        ]
    );
    assert!(verified.reach.iter().all(|reach| reach.error.is_none()));
}

#[tokio::test]
async fn pages_are_followed_and_cut_where_it_was_asked() {
    let fake = Fake::start(Manner::default()).await;
    let (upstream, own) = (upstream(&fake, &[]), application(&(at(&fake) + r#","storage_account":"mldata""#)));
    for (resource_type, first, second) in [
        ("kubernetes-cluster", "ml/train", "ml/serve"),
        ("blob-container", "az://mldata/datasets", "az://mldata/models"),
    ] {
        let one = Azure.list_resources(&upstream, &own, &by_secret(), &only(resource_type, 1, None)).await.unwrap();
        assert_eq!(ids(&one[0]), [first]);
        let next = one[0].next_page.clone();
        assert!(next.is_some());
        let two = Azure.list_resources(&upstream, &own, &by_secret(), &only(resource_type, 1, next)).await.unwrap();
        assert_eq!((ids(&two[0]), &two[0].next_page), (vec![second], &None));
    }
}

#[tokio::test]
async fn a_link_to_another_host_or_list_is_not_followed() {
    for link in ["https://evil.example/x?y", "URL/subscriptions/other?y", "URL.evil.example/x?y", "//evil.example?y"] {
        let clusters = "managedClusters";
        let body = format!(r#"{{"value":[],"nextLink":"{}"}}"#, link.replace("URL", "https://127.0.0.1:1"));
        let fake = Fake::start(Manner { instead: vec![(clusters, 200, body)], ..Manner::default() }).await;
        let ask = only(ids::KUBERNETES_CLUSTER, 10, None);
        let found =
            Azure.list_resources(&upstream(&fake, &[]), &application(&at(&fake)), &by_secret(), &ask).await.unwrap();
        assert!(found[0].error.as_deref().unwrap().contains("leads away"), "{link}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_remedy_and_hides_nothing_else() {
    let refused = r#"{"error":{"code":"AuthorizationFailed","message":"the client 'x' s3cr3t"}}"#.to_owned();
    let fake = Fake::start(Manner { instead: vec![("registries", 403, refused)], ..Manner::default() }).await;
    let verified = Azure.verify(&upstream(&fake, &[]), &application(&at(&fake)), &by_secret(), &ALL).await.unwrap();
    let registries = &verified.reach[3];
    assert_eq!(registries.missing_permissions, ["Microsoft.ContainerRegistry/registries/read"]);
    assert!(registries.remedy.as_deref().unwrap().contains("Reader") && !format!("{verified:?}").contains("s3cr3t"));
    assert_eq!(ids(&verified.reach[2]), ["ml/train", "ml/serve"]);
}

#[tokio::test]
async fn one_resource_is_looked_at_by_itself() {
    let fake = Fake::start(Manner::default()).await;
    let (upstream, own) = (upstream(&fake, &[]), application(&at(&fake)));
    for (resource_type, id, there) in [
        ("azure-generic", SUBSCRIPTION, true),
        ("blob-container", "az://mldata/datasets", true),
        ("blob-container", "az://mldata/datasets/train", true),
        ("blob-container", "az://mldata/secrets", false),
        ("kubernetes-cluster", "ml/train", true),
        ("kubernetes-cluster", "ml/none", false),
        ("docker-registry", "mlteam.azurecr.io", true),
        ("docker-registry", "mlteam.azurecr.io/base/model", true),
        ("docker-registry", "mlteam.azurecr.io/other", false),
    ] {
        let resource = Some(ResourceId::canonical(id).unwrap());
        let focus = ListAsk { resource_type: Some(kind(resource_type)), resource, limit: 10, page: None };
        let verified = Azure.verify(&upstream, &own, &by_secret(), &focus).await.unwrap();
        let reach = &verified.reach[0];
        assert_eq!((reach.error.is_none(), ids(reach) == [id]), (there, there), "{id}: {:?}", reach.error);
        assert!(there || !reach.missing_permissions.is_empty(), "{id}: {reach:?}");
    }
}

#[tokio::test]
async fn a_wrong_secret_fails_verification_as_a_whole() {
    let fake = Fake::start(Manner::default()).await;
    let wrong = secret(&[("client_secret", "8Q~another-secret")]);
    let error = Azure.verify(&upstream(&fake, &[]), &application(&at(&fake)), &wrong, &ALL).await.err().unwrap();
    assert_eq!(error.code(), "SOURCE_CREDENTIAL_REFUSED");
}

/// All pages of the containers, and what was said beside each.
async fn all_containers(fake: &Fake, limit: u32) -> (Vec<String>, Vec<String>, usize) {
    let (upstream, own) = (upstream(fake, &[]), application(&at(fake)));
    let (mut seen, mut said, mut page, mut pages) = (Vec::new(), Vec::new(), None, 0);
    loop {
        let ask = only("blob-container", limit, page);
        let reach = Azure.list_resources(&upstream, &own, &by_secret(), &ask).await.unwrap().remove(0);
        assert!(reach.resource_ids.len() <= limit as usize);
        seen.extend(ids(&reach).into_iter().map(str::to_owned));
        said.extend(reach.error);
        pages += 1;
        page = reach.next_page;
        if page.is_none() {
            seen.sort();
            return (seen, said, pages);
        }
    }
}

#[tokio::test]
async fn f7_the_containers_of_every_account_and_of_every_page_are_listed() {
    let accounts: Vec<String> = (10..40).map(|number| format!("mlteam{number}")).collect();
    let mut expected: Vec<String> = Vec::new();
    for account in &accounts {
        expected.extend(["first", "models", "more"].map(|name| format!("az://{account}/{name}")));
    }
    expected.sort();
    let fake = Fake::start(Manner { accounts, ..Manner::default() }).await;
    for limit in [5, 40, 1000] {
        let (seen, said, pages) = all_containers(&fake, limit).await;
        assert_eq!((seen.as_slice(), said.len()), (expected.as_slice(), 0), "{limit}");
        assert!(pages >= expected.len() / limit as usize, "{limit}: {pages}");
    }
    // One answer is bounded, and says that there is more.
    let (upstream, own) = (upstream(&fake, &[]), application(&at(&fake)));
    let verified = Azure.verify(&upstream, &own, &by_secret(), &only("blob-container", 50, None)).await.unwrap();
    assert_eq!(verified.reach[0].resource_ids.len(), 50);
    assert!(verified.reach[0].next_page.is_some());
}

#[tokio::test]
async fn f7_an_account_that_cannot_be_looked_into_is_named_and_hides_no_other() {
    let accounts = ["mldata", "closed1", "mlteam1", "closed2", "closed3"].map(str::to_owned).to_vec();
    let fake = Fake::start(Manner { accounts, ..Manner::default() }).await;
    let (upstream, own) = (upstream(&fake, &[]), application(&at(&fake)));
    let ask = only("blob-container", 100, None);
    let reach = Azure.list_resources(&upstream, &own, &by_secret(), &ask).await.unwrap().remove(0);
    let found =
        ["az://mldata/datasets", "az://mlteam1/first", "az://mlteam1/models", "az://mlteam1/more"].map(str::to_owned);
    let mut seen: Vec<String> = ids(&reach).into_iter().map(str::to_owned).collect();
    seen.sort();
    assert_eq!((seen.as_slice(), &reach.next_page), (found.as_slice(), &None));
    let said = reach.error.unwrap();
    assert!(said.starts_with("the containers of the storage account closed1 and 2 more are not listed: "), "{said}");
    assert_eq!(reach.missing_permissions, ["Microsoft.Storage/storageAccounts/blobServices/containers/read"]);
    assert!(reach.remedy.unwrap().contains("Reader"));
    let (_, said, _) = all_containers(&fake, 1).await;
    assert!(
        said.iter().any(|said| said.contains("closed1"))
            && said.iter().any(|said| said.contains("closed2 and one more"))
    );
}

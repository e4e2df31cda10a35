//! What a source credential reaches: pages, and what a refusal says.

use serde_json::json;

use super::super::fake::Manner;
use super::tokens::House;
use super::*;

async fn listed(manner: Manner, resource_type: &str, limit: u32, page: Option<String>) -> Reach {
    let house = House::new(manner, "service-account", "").await;
    let ask = ListAsk { resource_type: Some(kind(resource_type)), resource: None, limit, page };
    Gcp.list_resources(&house.upstream, &house.settings, &house.secret, &ask).await.unwrap().remove(0)
}

fn ids(reach: &Reach) -> Vec<&str> {
    reach.resource_ids.iter().map(ResourceId::as_str).collect()
}

#[tokio::test]
async fn googles_pages_are_followed_and_a_cut_answer_goes_on_where_it_was_cut() {
    let buckets: Manner = |asked| {
        let page = |names: &[&str], next: Option<&str>| {
            let items: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"items": items, "nextPageToken": next}).to_string()
        };
        let second = asked.line.contains("&pageToken=to%2Bgo");
        let text = if second { page(&["three"], None) } else { page(&["one", "Not-Ours", "two"], Some("to+go")) };
        asked.line.starts_with("GET /storage/v1/b?project=ml-prod-123456").then_some((200, text))
    };
    let all = listed(buckets, "gcs-bucket", 1000, None).await;
    assert_eq!((ids(&all), all.next_page.clone()), (vec!["gs://one", "gs://two", "gs://three"], None));
    let first = listed(buckets, "gcs-bucket", 2, None).await;
    assert_eq!((ids(&first), first.next_page.as_deref()), (vec!["gs://one", "gs://two"], Some("t:to+go")));
    let rest = listed(buckets, "gcs-bucket", 2, first.next_page).await;
    assert_eq!((ids(&rest), rest.next_page.clone()), (vec!["gs://three"], None));

    let clusters: Manner = |asked| {
        let one = |name: &str| json!({"name": name, "location": "us"});
        let text = json!({"clusters": [one("b"), one("a"), one("c")]}).to_string();
        asked.line.contains("/locations/-/clusters").then_some((200, text))
    };
    let first = listed(clusters, "kubernetes-cluster", 2, None).await;
    assert_eq!((ids(&first), first.next_page.as_deref()), (vec!["us/a", "us/b"], Some("a:us/b")));
    let rest = listed(clusters, "kubernetes-cluster", 2, first.next_page).await;
    assert_eq!((ids(&rest), rest.next_page.clone()), (vec!["us/c"], None));
}

/// Whole clusters with their node pools are some 15 KB each: 80 are beyond
/// what is taken of an answer. Google gives what `fields` names.
#[tokio::test]
async fn lists_ask_for_what_is_read_of_them_and_no_more() {
    let many: Manner = |asked| {
        let masked = |mask: &str| asked.line.contains(&format!("fields={mask}"));
        let rest = |masked: bool| if masked { json!(null) } else { json!("x".repeat(15_000)) };
        let (clusters, buckets) = (masked("clusters(name,location)"), masked("items(name),nextPageToken"));
        let cluster = |n: usize| json!({"name": format!("c{n}"), "location": "us", "nodePools": rest(clusters)});
        let bucket = |n: usize| json!({"name": format!("b-{n}"), "labels": rest(buckets)});
        let text = if asked.line.contains("/locations/-/clusters") {
            json!({"clusters": (100..180).map(cluster).collect::<Vec<_>>()}).to_string()
        } else {
            json!({"items": (100..180).map(bucket).collect::<Vec<_>>()}).to_string()
        };
        asked.line.starts_with("GET /").then_some((200, text))
    };
    for resource_type in ["kubernetes-cluster", "gcs-bucket"] {
        let reach = listed(many, resource_type, 1000, None).await;
        assert_eq!((reach.resource_ids.len(), reach.error), (80, None), "{resource_type}");
    }
}

#[tokio::test]
async fn each_refusal_of_google_says_what_to_do_and_repeats_nothing() {
    let manners: [(Manner, &str, &str); 5] = [
        (|asked| storage(&asked.line, 403, "SERVICE_DISABLED"), "SERVICE_DISABLED", "enable this API"),
        (
            |asked| storage(&asked.line, 403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
            "SCOPE",
            "needs the scope cloud-platform",
        ),
        (|asked| storage(&asked.line, 403, "hunter2 hunter2"), "unreadable code", "storage.buckets.list"),
        (|asked| storage(&asked.line, 404, "notFound"), "notFound", "does not exist"),
        (|asked| storage(&asked.line, 429, "rateLimitExceeded"), "slow down", ""),
    ];
    for (manner, code, remedy) in manners {
        let reach = listed(manner, "gcs-bucket", 10, None).await;
        let error = reach.error.unwrap();
        assert!(error.contains(code) && !error.contains("hunter2"), "{error}");
        assert!(reach.remedy.unwrap_or_default().contains(remedy), "{error}");
    }
}

fn storage(line: &str, status: u16, reason: &str) -> Option<(u16, String)> {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
    let error = json!({"error": {"code": status, "message": "hunter2", "status": "X", "details": details}});
    line.contains("/storage/v1/b?").then(|| (status, error.to_string()))
}

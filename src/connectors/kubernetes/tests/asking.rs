//! Who the source credential is, what it may mint for, and the pages of a list.

use super::super::fake::{Asked, honest, refusal};
use super::*;

fn focus(resource: Option<&str>) -> ListAsk {
    ListAsk { resource_type: Some(kind()), resource: resource.map(id), limit: 1000, page: None }
}

async fn verified(fake: &Fake, more: Value, resource: Option<&str>) -> Result<Verified, UpstreamError> {
    let (upstream, settings) = (upstream(fake, Duration::from_secs(20)), settings_at(fake, more));
    Kubernetes.verify(&upstream, &settings, &secret(&[("token", SOURCE)]), &focus(resource)).await
}

fn ids(reach: &Reach) -> Vec<&str> {
    reach.resource_ids.iter().map(ResourceId::as_str).collect()
}

#[tokio::test]
async fn verification_names_the_user_and_the_accounts_it_may_mint_for() {
    let fake = Fake::start(honest).await;
    let found = verified(&fake, json!({}), None).await.unwrap();
    assert_eq!(found.identity, format!("valetkey at {}", fake.url));
    assert_eq!(ids(&found.reach[0]), ["train", "train/ml/reader", "train/ml/writer"]);
    assert_eq!(found.reach[0].error, None);
    let one = verified(&fake, json!({}), Some("train/ml/writer")).await.unwrap();
    assert_eq!(ids(&one.reach[0]), ["train/ml/writer"]);
    let blind = verified(&fake, json!({"insecure": true}), None).await.unwrap();
    assert!(blind.identity.contains("INSECURE"), "{}", blind.identity);
}

/// May do everything but this.
fn without(verb: &'static str, resource: &'static str, name: &'static str) -> impl Fn(&Asked) -> (u16, Value) {
    move |asked| {
        let asks = &asked.body["spec"]["resourceAttributes"];
        let denied = asks["verb"] == verb && asks["resource"] == resource && asks["name"] == name;
        if denied { (201, json!({"status": {"allowed": false}})) } else { honest(asked) }
    }
}

#[tokio::test]
async fn missing_rights_are_named_with_their_remedy() {
    let fake = Fake::start(without("create", "serviceaccounts", "writer")).await;
    let found = verified(&fake, json!({}), None).await.unwrap();
    let reach = &found.reach[0];
    assert_eq!(ids(reach), ["train", "train/ml/reader"]);
    assert_eq!(reach.missing_permissions, ["create serviceaccounts/token ml/writer"]);
    assert!(reach.remedy.as_ref().unwrap().contains("--resource-name=writer"));
    let fake = Fake::start(without("delete", "secrets", "")).await;
    let bound = verified(&fake, json!({"bind_to_secret": true}), None).await.unwrap();
    assert_eq!(bound.reach[0].missing_permissions, ["delete secrets ml", "delete secrets ml"]);
    assert!(bound.reach[0].resource_ids.is_empty(), "it could mint what it could not revoke");
    assert!(verified(&fake, json!({}), None).await.unwrap().reach[0].error.is_none());
}

#[tokio::test]
async fn older_servers_answer_by_their_older_names() {
    let beta = |asked: &Asked| {
        let old = asked.line.contains("/authentication.k8s.io/v1/");
        if old { refusal(404, "NotFound") } else { honest(asked) }
    };
    let fake = Fake::start(beta).await;
    assert!(verified(&fake, json!({}), None).await.unwrap().identity.starts_with("valetkey at"));
    for (status, reason) in [(404, "NotFound"), (403, "Forbidden")] {
        let none = move |asked: &Asked| {
            if asked.line.contains("/selfsubjectreviews") { refusal(status, reason) } else { honest(asked) }
        };
        let fake = Fake::start(none).await;
        assert!(verified(&fake, json!({}), None).await.unwrap().identity.contains("does not name"));
    }
    let fake = Fake::start(|asked| {
        if asked.line.contains("/selfsubjectreviews") { refusal(404, "NotFound") } else { refusal(401, "Unauthorized") }
    })
    .await;
    let error = verified(&fake, json!({}), None).await.unwrap_err();
    assert!(matches!(error, UpstreamError::CredentialRefused { .. }), "{error}");
}

#[tokio::test]
async fn nobody_is_no_identity() {
    for (name, due) in [
        ("system:anonymous", "SOURCE_CREDENTIAL_REFUSED"),
        ("", "UPSTREAM_BAD_ANSWER"),
        ("a\nb", "UPSTREAM_BAD_ANSWER"),
    ] {
        let fake = Fake::start(move |_| (201, json!({"status": {"userInfo": {"username": name}}}))).await;
        assert_eq!(verified(&fake, json!({}), None).await.unwrap_err().code(), due, "{name:?}");
    }
}

/// A cluster with this many accounts, which gives pages as they are asked for.
fn listing(count: usize) -> impl Fn(&Asked) -> (u16, Value) {
    move |asked| {
        let number = |name: &str| {
            let value = asked.line.split(name).nth(1).unwrap().split('&').next().unwrap();
            value.parse::<usize>().unwrap_or(0)
        };
        let (limit, from) = (number("limit="), number("continue="));
        let until = (from + limit).min(count);
        let item = |n: usize| json!({"metadata": {"namespace": "ml", "name": format!("a{n:04}"), "uid": "u"}});
        let next = if until < count { until.to_string() } else { String::new() };
        (200, json!({"metadata": {"continue": next}, "items": (from..until).map(item).collect::<Vec<_>>()}))
    }
}

async fn listed(fake: &Fake, limit: u32, page: Option<String>) -> Reach {
    let (upstream, settings) = (upstream(fake, Duration::from_secs(20)), settings_at(fake, json!({})));
    let ask = ListAsk { resource_type: None, resource: None, limit, page };
    let found = Kubernetes.list_resources(&upstream, &settings, &secret(&[("token", SOURCE)]), &ask).await;
    found.unwrap().remove(0)
}

#[tokio::test]
async fn lists_go_on_where_they_ended() {
    let fake = Fake::start(listing(250)).await;
    let first = listed(&fake, 120, None).await;
    assert_eq!((first.resource_ids.len(), first.next_page.as_deref()), (120, Some("120")));
    assert_eq!(first.resource_ids[0].as_str(), "train/ml/a0000");
    let rest = listed(&fake, 1000, first.next_page).await;
    assert_eq!((rest.resource_ids.len(), rest.next_page, rest.error), (130, None, None));
    assert!(fake.asked().iter().all(|asked| asked.line.contains("limit=100") || asked.line.contains("limit=20&")));
}

#[tokio::test]
async fn who_may_not_list_still_sees_the_accounts_that_are_set() {
    let fake = Fake::start(|_| refusal(403, "Forbidden")).await;
    let reach = listed(&fake, 10, None).await;
    assert_eq!(ids(&reach), ["train/ml/reader", "train/ml/writer"]);
    assert_eq!(reach.missing_permissions, ["list serviceaccounts"]);
    assert!(reach.error.is_some() && reach.remedy.unwrap().contains("--verb=list"));
}

#[tokio::test]
async fn hostile_lists_are_bounded() {
    let fake = Fake::start(|_| refusal(410, "Expired")).await;
    assert!(listed(&fake, 10, Some("7 &limit=9".to_owned())).await.remedy.unwrap().contains("from its start"));
    assert!(fake.asked()[0].line.ends_with("?limit=10&continue=7%20%26limit%3D9"), "{:?}", fake.asked());
    let item = json!({"metadata": {"namespace": "ml", "name": "a"}});
    let fake = Fake::start(move |_| (200, json!({"metadata": {}, "items": vec![item.clone(); 11]}))).await;
    assert!(listed(&fake, 10, None).await.error.unwrap().contains("longer page"));
    let fake = Fake::start(|_| (200, json!({"metadata": {"continue": "x".repeat(5000)}, "items": []}))).await;
    assert!(listed(&fake, 10, None).await.error.unwrap().contains("longer page"));
    let odd = json!({"metadata": {"namespace": "ML", "name": "../a"}});
    let fake = Fake::start(move |_| (200, json!({"metadata": {}, "items": [odd.clone()]}))).await;
    assert!(listed(&fake, 10, None).await.resource_ids.is_empty());
}

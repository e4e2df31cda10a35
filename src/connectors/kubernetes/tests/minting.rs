//! What is asked of TokenRequest, what of its answers is believed, and how a
//! bound token ends.

use super::super::fake::{Asked, UID, claims, honest, refusal, token_answer};
use super::*;
use crate::domain::{ConnectorId, Downscope, Issuance, IssuanceState, Minted, MintedShape, Revocable, RunId};

const AUDIENCE: &str = "https://vault.example";
const LONG: Duration = Duration::from_secs(20);

fn attribution() -> Attribution {
    workbench::attribution_of("bob", 1, 7)
}

async fn mint_within(
    fake: &Fake,
    more: Value,
    audience: Option<&str>,
    timeout: Duration,
) -> Result<Minted, UpstreamError> {
    let settings = settings_at(fake, more);
    let scope = Kubernetes.narrow(&settings, &ask("train", AccessLevel::Read, audience)).unwrap();
    let (upstream, secret) = (upstream(fake, timeout), secret(&[("token", SOURCE)]));
    let minted = Kubernetes.mint(&upstream, &settings, &secret, None, &scope, Ttl::seconds(900), &attribution()).await;
    minted.and_then(|outcome| outcome.minted)
}

async fn mint(fake: &Fake, more: Value, audience: Option<&str>) -> Result<Minted, UpstreamError> {
    mint_within(fake, more, audience, LONG).await
}

#[tokio::test]
async fn a_minted_token_is_the_accounts_and_comes_with_address_and_ca() {
    let fake = Fake::start(honest).await;
    let minted = mint(&fake, json!({}), None).await.ok().unwrap();
    let MintedShape::Bearer { token, endpoint, certificate_authority } = &minted.shape else { panic!("a bearer") };
    assert!(token.reveal().starts_with("ey") && token.reveal() != SOURCE);
    assert_eq!((endpoint.as_deref(), certificate_authority.as_deref()), (Some(&*fake.url), Some(&*fake.ca)));
    assert_eq!(minted.expires_at, Timestamp::from_seconds(NOW + 900));
    assert_eq!((minted.revocable, minted.enforced.downscope), (Revocable::No, Downscope::Resource));
    assert_eq!(minted.attribution, "system:serviceaccount:ml:reader");
    let [asked] = &fake.asked()[..] else { panic!("one request") };
    assert_eq!(asked.line, "POST /api/v1/namespaces/ml/serviceaccounts/reader/token");
    assert_eq!(asked.authorization.as_deref(), Some(&*format!("Bearer {SOURCE}")));
    assert_eq!(asked.body["spec"], json!({"audiences": [], "expirationSeconds": 900}));
}

#[tokio::test]
async fn an_earlier_end_of_the_servers_is_believed() {
    let fake = Fake::start(|asked| {
        let mut claims = claims(asked);
        claims["exp"] = json!(NOW + 700);
        (201, token_answer(asked, &claims))
    })
    .await;
    let minted = mint(&fake, json!({}), None).await.ok().unwrap();
    assert_eq!(minted.expires_at, Timestamp::from_seconds(NOW + 700));
}

#[tokio::test]
async fn a_password_goes_as_basic_and_no_verification_needs_no_ca() {
    let fake = Fake::start(honest).await;
    let mut settings = settings_at(&fake, json!({"insecure": true}));
    if let Settings::Token(cluster) = settings {
        settings = Settings::Password(cluster);
    }
    let scope = Kubernetes.narrow(&settings, &ask("train", AccessLevel::Read, None)).unwrap();
    let login = secret(&[("username", "admin"), ("password", "hunter 2")]);
    let (upstream, who) = (upstream(&fake, LONG), attribution());
    let minted = Kubernetes.mint(&upstream, &settings, &login, None, &scope, Ttl::seconds(600), &who).await;
    let minted = minted.ok().unwrap().minted.unwrap();
    assert!(minted.enforced.words.contains("NOT verified"));
    assert!(matches!(minted.shape, MintedShape::Bearer { certificate_authority: None, .. }));
    assert_eq!(fake.asked()[0].authorization.as_deref(), Some("Basic YWRtaW46aHVudGVyIDI="));
}

#[tokio::test]
async fn a_ca_that_is_not_the_servers_gets_nothing_sent() {
    let (fake, other) = (Fake::start(honest).await, Fake::start(honest).await);
    let error = mint(&fake, json!({"certificate_authority": other.ca}), None).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Unavailable { what } if what.contains("not trusted")), "{error}");
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_stored_secret_that_has_ended_is_not_sent() {
    let fake = Fake::start(honest).await;
    let settings = settings_at(&fake, json!({}));
    let scope = Kubernetes.narrow(&settings, &ask("train", AccessLevel::Read, None)).unwrap();
    let (upstream, secret) = (upstream(&fake, LONG), secret(&[("token", SOURCE)]));
    let ended = Some(Timestamp::from_seconds(NOW));
    let who = attribution();
    let minted = Kubernetes.mint(&upstream, &settings, &secret, ended, &scope, Ttl::seconds(600), &who).await;
    assert_eq!(minted.err(), Some(UpstreamError::Expired));
    assert!(fake.asked().is_empty());
}

/// What a lie about the token's claims comes to.
async fn lie(audience: Option<&str>, change: impl Fn(&mut Value) + Send + Sync + 'static) -> String {
    let fake = Fake::start(move |asked: &Asked| {
        if !asked.line.ends_with("/token") {
            return honest(asked);
        }
        let mut claims = claims(asked);
        change(&mut claims);
        (201, token_answer(asked, &claims))
    })
    .await;
    let more = json!({"audiences": [AUDIENCE]});
    mint(&fake, more, audience).await.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_token_that_is_more_than_was_asked_for_is_refused() {
    let longer = "a longer life";
    assert_eq!(lie(None, |_| {}).await, "");
    assert!(lie(None, |claims| claims["exp"] = json!(NOW + 960)).await.contains(longer));
    assert!(lie(None, |claims| claims["exp"] = json!(NOW + 31_536_000)).await.contains(longer));
    let shifted = |claims: &mut Value| (claims["iat"], claims["exp"]) = (json!(NOW + 3600), json!(NOW + 4500));
    assert!(lie(None, shifted).await.contains(longer), "however the clocks differ");
    assert!(lie(None, |claims| claims["exp"] = json!(NOW)).await.contains("ended already"));
    let admin = |claims: &mut Value| claims["sub"] = json!("system:serviceaccount:kube-system:admin");
    assert!(lie(None, admin).await.contains("another service account"));
    let another = "another audience";
    assert_eq!(lie(Some(AUDIENCE), |_| {}).await, "");
    assert_eq!(lie(Some(AUDIENCE), |claims| claims["aud"] = json!(AUDIENCE)).await, another_spec());
    assert!(lie(Some(AUDIENCE), |claims| claims["aud"] = json!(["https://kube"])).await.contains(another));
    assert!(lie(Some(AUDIENCE), |claims| claims["aud"] = json!([AUDIENCE, "https://kube"])).await.contains(another));
    assert!(lie(None, |claims| claims["kubernetes.io"]["secret"] = json!({"uid": UID})).await.contains("not bound"));
    assert!(
        lie(None, |claims| drop(claims.as_object_mut().unwrap().remove("sub"))).await.contains("no service account")
    );
}

/// The API always answers with a list; a text there does not parse.
fn another_spec() -> String {
    UpstreamError::BadAnswer { what: "not the JSON it should be" }.to_string()
}

#[tokio::test]
async fn the_end_in_the_answer_and_the_end_in_the_token_both_count() {
    for (named, expected) in [(NOW + 600, NOW + 600), (NOW + 5000, 0)] {
        let fake = Fake::start(move |asked| {
            let mut answer = token_answer(asked, &claims(asked));
            let end = jiff::Timestamp::from_second(named).unwrap();
            answer["status"]["expirationTimestamp"] = json!(end.to_string());
            (201, answer)
        })
        .await;
        let end = mint(&fake, json!({}), None).await.map_or(0, |minted| minted.expires_at.seconds());
        assert_eq!(end, expected);
    }
}

#[tokio::test]
async fn the_stored_token_is_never_what_is_handed_out() {
    let fake = Fake::start(|asked| {
        let mut answer = token_answer(asked, &claims(asked));
        answer["status"]["token"] = json!(SOURCE);
        (201, answer)
    })
    .await;
    let error = mint(&fake, json!({}), None).await.err().unwrap().to_string();
    assert!(error.contains("makes no sense") && !error.contains(SOURCE), "{error}");
}

#[tokio::test]
async fn refusals_say_what_to_do_and_repeat_nothing() {
    for (status, reason, expected) in [
        (401, "Unauthorized", "rotate it"),
        (403, "Forbidden", "--resource=serviceaccounts/token --resource-name=reader"),
        (404, "NotFound", "the service account does not exist"),
        (422, "Invalid", "check the settings"),
        (429, "TooManyRequests", "slow down"),
        (500, "InternalError", "fails"),
        (307, "hunter2", "redirect"),
        (403, "hunter2", "HTTP 403"),
    ] {
        let fake = Fake::start(move |_| refusal(status, reason)).await;
        let error = mint(&fake, json!({}), None).await.err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{status} {reason}: {error}");
    }
    for text in ["<html>hunter2</html>", "", "{}", "[]", "{\"status\":{\"token\":\"hunter2\"}}", "null"] {
        let fake = Fake::start_raw(|_| (200, text.to_owned())).await;
        let error = mint(&fake, json!({}), None).await.err().unwrap();
        assert!(matches!(error, UpstreamError::BadAnswer { .. }) && !error.to_string().contains("hunter2"), "{text}");
    }
    let fake = Fake::start_raw(|_| (200, "x".repeat(2 * 1024 * 1024))).await;
    let error = mint(&fake, json!({}), None).await.err().unwrap();
    assert_eq!(error, UpstreamError::BadAnswer { what: "too long" });
}

#[tokio::test]
async fn a_missing_right_is_named_as_rbac_has_it() {
    let fake = Fake::start(|_| refusal(403, "Forbidden")).await;
    let Err(UpstreamError::Denied { code, missing, .. }) = mint(&fake, json!({}), None).await else {
        panic!("must be denied")
    };
    assert_eq!((code.as_str(), missing), ("Forbidden", vec!["create serviceaccounts/token ml/reader".to_owned()]));
}

#[tokio::test]
async fn a_bound_token_has_a_secret_named_after_its_issuance() {
    let fake = Fake::start(honest).await;
    let minted = mint(&fake, json!({"bind_to_secret": true}), None).await.ok().unwrap();
    assert_eq!(minted.revocable, Revocable::Single);
    let asked = fake.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(
        lines,
        ["POST /api/v1/namespaces/ml/secrets", "POST /api/v1/namespaces/ml/serviceaccounts/reader/token"]
    );
    let name = format!("vk-{}", attribution().issuance);
    let made = &asked[0].body;
    assert_eq!((&made["metadata"]["name"], made.get("data"), made.get("stringData")), (&json!(name), None, None));
    assert_eq!(made["metadata"]["labels"]["app.kubernetes.io/managed-by"], "valetkey");
    let annotations = &made["metadata"]["annotations"];
    assert_eq!(annotations["valetkey/principal"], "bob");
    assert!(annotations.get("valetkey/run").is_none(), "outside of a run");
    let bond = json!({"kind": "Secret", "apiVersion": "v1", "name": name, "uid": UID});
    assert_eq!(asked[1].body["spec"]["boundObjectRef"], bond);
}

#[tokio::test]
async fn a_bound_token_of_a_run_says_which_in_its_secret() {
    let fake = Fake::start(honest).await;
    let settings = settings_at(&fake, json!({"bind_to_secret": true}));
    let scope = Kubernetes.narrow(&settings, &ask("train", AccessLevel::Read, None)).unwrap();
    let (upstream, secret) = (upstream(&fake, LONG), secret(&[("token", SOURCE)]));
    let run = RunId::from_bytes([9; 16]);
    let who = Attribution { run: Some(run), ..attribution() };
    assert!(Kubernetes.mint(&upstream, &settings, &secret, None, &scope, Ttl::seconds(900), &who).await.is_ok());
    let made = &fake.asked()[0].body;
    assert_eq!(made["metadata"]["annotations"]["valetkey/run"], run.to_string());
}

#[tokio::test]
async fn a_token_that_is_not_bound_as_asked_for_is_refused_and_its_secret_deleted() {
    let fake = Fake::start(|asked| {
        if !asked.line.ends_with("/token") {
            return honest(asked);
        }
        let mut claims = claims(asked);
        claims["kubernetes.io"].as_object_mut().unwrap().remove("secret");
        (201, token_answer(asked, &claims))
    })
    .await;
    let error = mint(&fake, json!({"bind_to_secret": true}), None).await.err().unwrap().to_string();
    assert!(error.contains("not bound"), "{error}");
    let last = fake.asked().last().unwrap().line.clone();
    assert_eq!(last, format!("DELETE /api/v1/namespaces/ml/secrets/vk-{}", attribution().issuance));
}

fn issuance(settings: &Settings, revocable: Revocable) -> Issuance {
    let scope = Kubernetes.narrow(settings, &ask("train", AccessLevel::Read, None)).unwrap();
    let who = attribution();
    Issuance {
        id: who.issuance,
        project: who.project,
        connector: ConnectorId::from_bytes([3; 16]),
        connector_name: "kube".parse().unwrap(),
        component: None,
        principal: who.principal.id,
        principal_name: who.principal.name,
        run: who.run,
        resource_type: kind(),
        resource_id: id("train"),
        access: AccessLevel::Read,
        enforced: Kubernetes.enforced(settings, &scope),
        revocable,
        passthrough: false,
        destination: None,
        issued_at: Timestamp::from_seconds(NOW),
        expires_at: Timestamp::from_seconds(NOW + 900),
        fingerprint: String::new(),
        state: IssuanceState::Active,
        ended_at: None,
    }
}

async fn revoke(
    answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static,
    revocable: Revocable,
) -> (Result<bool, UpstreamError>, Vec<Asked>) {
    let fake = Fake::start(answer).await;
    let issuance = issuance(&settings_at(&fake, json!({})), revocable);
    // The connector's accounts have moved since.
    let settings = settings_at(&fake, json!({"service_accounts": {"read": "other/reader"}}));
    let (upstream, secret) = (upstream(&fake, LONG), secret(&[("token", SOURCE)]));
    (Kubernetes.revoke(&upstream, &settings, &secret, &issuance).await, fake.asked())
}

#[tokio::test]
async fn a_revoke_deletes_the_secret_wherever_the_accounts_are_now() {
    let (revoked, asked) = revoke(honest, Revocable::Single).await;
    assert_eq!(revoked, Ok(true));
    assert_eq!(asked[0].line, format!("DELETE /api/v1/namespaces/ml/secrets/vk-{}", attribution().issuance));
    let (revoked, asked) = revoke(honest, Revocable::No).await;
    assert_eq!((revoked, asked.len()), (Ok(false), 0));
}

#[tokio::test]
async fn a_revoke_is_true_only_when_the_secret_is_gone() {
    let (revoked, _) = revoke(|_| refusal(404, "NotFound"), Revocable::Single).await;
    assert_eq!(revoked, Ok(true), "somebody was quicker");
    let (revoked, _) = revoke(|_| (404, json!({"message": "404 page not found"})), Revocable::Single).await;
    assert_eq!(revoked, Ok(false), "that was no API server");
    let waiting = json!({"kind": "Secret", "metadata": {"name": "vk", "deletionTimestamp": "2030-01-01T00:00:00Z"}});
    let (revoked, _) = revoke(move |_| (200, waiting.clone()), Revocable::Single).await;
    assert_eq!(revoked, Ok(false), "it waits for a finalizer");
    let (revoked, _) = revoke(|_| refusal(403, "Forbidden"), Revocable::Single).await;
    assert!(matches!(revoked, Err(UpstreamError::Denied { missing, .. }) if missing == ["delete secrets ml"]));
}

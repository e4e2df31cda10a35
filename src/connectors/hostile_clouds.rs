//! Hostile clouds (SECURITY J9): slow, huge, HTML with 200, a wrong content
//! length, a redirect, a lying expiry, errors full of secrets, each told to
//! every pair of the catalog at every request that a mint makes.
//!
//! A pair is lied to by being listed; one that asks nobody must be named in
//! [`ASK_NOBODY`]. What comes of a lie is an error of ours, in time, with
//! nothing of the answer in it, or a credential that the lie did not change.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::hostile::tells_little;
use super::loopback::{Honest, Instead, Lie};
use super::matrix::{Cell, cells};
use super::stage::{Registered, Stage, stage};
use super::workbench::within;
use super::*;
use crate::domain::{Minted, Timestamp};

/// Type, method and resource type of which no cloud is asked when something is
/// minted: what was handed in leaves as it is, or our own key signs.
const ASK_NOBODY: &[(&str, &str, &str)] = &[
    ("aws", "sts-token", "aws-generic"),
    ("aws", "sts-token", "s3-bucket"),
    ("azure", "access-token", "azure-generic"),
    ("oauth2", "token", "oauth2-api"),
    ("ssh", "ca-key", "ssh-host"),
    ("ssh", "private-key", "ssh-host"),
];

/// In every answer that a lie makes up, and never in what is told of it.
const CANARY: &str = "canary-AKIA-ya29.leak";
/// How long a call may take, where the cloud is slow.
const IMPATIENT: Duration = Duration::from_secs(2);
/// More than any of the calls of one mint together, tried again or not.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const BAD_ANSWER: &str = "UPSTREAM_BAD_ANSWER";
const UNAVAILABLE: &str = "UPSTREAM_UNAVAILABLE";
const TOO_LATE: &str = "UPSTREAM_DEADLINE_EXCEEDED";
/// Of an ask that uses the source credential up, and that may have been done.
const IN_DOUBT: &str = "SOURCE_CREDENTIAL_IN_DOUBT";

fn head(status: u16, more: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{more}\r\n")
}

/// These bytes, with the length that they have.
pub(super) fn whole(status: u16, more: &str, body: &str) -> Option<Instead> {
    let more = format!("{more}content-length: {}\r\n", body.len());
    Some(Instead::Bytes(format!("{}{body}", head(status, &more)).into_bytes()))
}

/// A lie that does not look at the truth.
fn always(instead: impl Fn() -> Instead + Send + Sync + 'static) -> Lie {
    Arc::new(move |_| Some(instead()))
}

/// A lie about answers that something is read of; of others only the status
/// and the headers count, which it would leave as they are.
pub(super) fn about_what_is_read(lie: impl Fn(&Honest<'_>) -> Option<Instead> + Send + Sync + 'static) -> Lie {
    Arc::new(move |honest| if honest.status < 300 { lie(honest) } else { None })
}

fn name_of(cell: &Cell) -> String {
    format!("{} {} {} {}", cell.kind, cell.method.name, cell.resource, cell.access)
}

/// One cell of each pair that anything is minted of: what is asked of a cloud
/// does not change with the access level.
pub(super) fn pairs() -> Vec<Cell> {
    let mut pairs: Vec<Cell> = Vec::new();
    for cell in cells() {
        let same =
            |one: &Cell| (one.kind, one.method.name, one.resource) == (cell.kind, cell.method.name, cell.resource);
        if cell.minted.is_ok() && !pairs.iter().any(same) {
            pairs.push(cell);
        }
    }
    pairs
}

/// A stage with a connector that is registered on it, to be lied to.
struct Scene {
    stage: Stage,
    registered: Registered,
}

impl Scene {
    async fn of(cell: &Cell) -> Self {
        let stage = stage(cell).await.unwrap_or_else(|| panic!("{}: give it a stage", name_of(cell)));
        let ask = &cell.minted.as_ref().unwrap_or_else(|_| unreachable!()).ask;
        let registered = Registered::on(&stage, cell, ask).unwrap_or_else(|why| panic!("{}: {why}", name_of(cell)));
        Self { stage, registered }
    }
}

/// How many requests an honest mint makes.
async fn honest(cell: &Cell) -> usize {
    let Scene { stage, registered } = Scene::of(cell).await;
    let minted = registered.mint(&stage.upstream).await.and_then(|outcome| outcome.minted);
    assert!(minted.is_ok(), "{}: {:?}", name_of(cell), minted.err());
    let asked = stage.gate.asked().len();
    let nobody = ASK_NOBODY.contains(&(cell.kind, cell.method.name, cell.resource));
    assert_eq!(asked == 0, nobody, "{}: {asked} requests; is it in ASK_NOBODY?", name_of(cell));
    asked
}

/// An error of ours that holds nothing of the answer nor of the secret.
fn clean(stage: &Stage, error: &UpstreamError) -> Result<(), String> {
    tells_little(error);
    let said = format!("{error} {error:?}");
    let told = [CANARY, "<html"].into_iter().chain(stage.confidential()).any(|secret| said.contains(secret));
    if told { Err(format!("repeats what it was told: {said}")) } else { Ok(()) }
}

/// What came of one lie.
pub(super) struct Told {
    /// The outcome.
    pub(super) minted: Result<Minted, UpstreamError>,
    /// When it was asked for.
    pub(super) at: Timestamp,
    /// How often the lie was told.
    pub(super) told: usize,
    /// The longest that it may live, where the settings decide that.
    pub(super) longest: Option<u64>,
}

/// Mints with a lie told at this request and from there on.
async fn lied_to(scene: &Scene, step: usize, lie: &Lie, patience: Option<Duration>) -> Result<Told, String> {
    let Scene { stage, registered } = scene;
    let upstream = patience.map_or_else(|| stage.upstream.clone(), |limit| within(&stage.upstream, limit));
    stage.gate.turn(step, Arc::clone(lie));
    let started = Instant::now();
    let minted = registered.mint(&upstream).await.and_then(|outcome| outcome.minted);
    let error = minted.as_ref().err();
    let told = stage.gate.told();
    let ensure = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
    ensure(started.elapsed() < PATIENCE, "took too long".to_owned())?;
    // One try, and at most one more.
    ensure(error.is_none() || told <= 2, format!("asked {told} times"))?;
    error.map_or(Ok(()), |error| clean(stage, error))?;
    let longest = registered.scope.obeys_ttl.then(|| registered.settings.ttl.max.as_seconds().into());
    Ok(Told { minted, at: upstream.clock.now(), told, longest })
}

/// Tells lies to every pair at every request, and says what was wrong; returns
/// the types that they were told to, in order.
pub(super) async fn tell(
    pairs: &[Cell],
    lies: &[(String, Lie)],
    judge: impl Fn(&Told) -> Result<(), String>,
) -> Vec<&'static str> {
    let (mut wrong, mut reached) = (Vec::new(), Vec::new());
    for cell in pairs {
        for step in 1..=honest(cell).await {
            let mut scene = Scene::of(cell).await;
            for (what, lie) in lies {
                match lied_to(&scene, step, lie, None).await.and_then(|told| judge(&told).map(|()| told.told)) {
                    Ok(0) => {}
                    Ok(_) => reached.push(cell.kind),
                    Err(why) => wrong.push(format!("{} at request {step}: {what}: {why}", name_of(cell))),
                }
                // What an honest answer used up is used up.
                if scene.registered.settings.exclusive {
                    scene = Scene::of(cell).await;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    reached.sort_unstable();
    reached.dedup();
    reached
}

fn named(lies: impl IntoIterator<Item = (&'static str, Lie)>) -> Vec<(String, Lie)> {
    lies.into_iter().map(|(what, lie)| (what.to_owned(), lie)).collect()
}

/// Tells each of these lies to all, and expects one of these codes.
async fn refused(lies: impl IntoIterator<Item = (&'static str, Lie)>, codes: &[&str]) {
    let (pairs, lies) = (pairs(), named(lies));
    let reached = tell(&pairs, &lies, |Told { minted, told, .. }| {
        let code = minted.as_ref().err().map_or("minted", UpstreamError::code);
        if *told == 0 || codes.contains(&code) { Ok(()) } else { Err(format!("{code}, {:?}", minted.as_ref().err())) }
    });
    assert_eq!(reached.await, asking(&pairs), "every type that asks somebody was lied to");
}

/// The types that ask somebody, in order.
pub(super) fn asking(pairs: &[Cell]) -> Vec<&'static str> {
    let asks = |cell: &&Cell| !ASK_NOBODY.contains(&(cell.kind, cell.method.name, cell.resource));
    let mut kinds: Vec<&str> = pairs.iter().filter(asks).map(|cell| cell.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn who_asks_nobody_is_in_the_catalog() {
    let pairs = pairs();
    for named in ASK_NOBODY {
        let there = pairs.iter().any(|cell| (cell.kind, cell.method.name, cell.resource) == *named);
        assert!(there, "{named:?}");
    }
    assert_eq!(asking(&pairs), ["aws", "azure", "docker", "gcp", "kubernetes", "oauth2"]);
}

#[tokio::test]
async fn a_slow_cloud_is_left_at_the_deadline() {
    let pairs = pairs();
    let trickle = always(|| Instead::Trickle(head(200, "content-length: 100000\r\n").into_bytes()));
    let lies = [("silence", always(|| Instead::Silence)), ("a trickle", trickle)];
    let mut waiting = tokio::task::JoinSet::new();
    for cell in pairs {
        // All wait at once; what is shared between them is the clock alone.
        let (cell, lies) = (Arc::new(cell), lies.clone());
        waiting.spawn(async move {
            let mut told_to = None;
            for step in 1..=honest(&cell).await {
                for (what, lie) in &lies {
                    let scene = Scene::of(&cell).await;
                    let told = lied_to(&scene, step, lie, Some(IMPATIENT)).await;
                    let told = told.unwrap_or_else(|why| panic!("{} at request {step}: {what}: {why}", name_of(&cell)));
                    let code = told.minted.err().map(|error| error.code());
                    let wanted = if scene.registered.settings.exclusive { IN_DOUBT } else { TOO_LATE };
                    assert_eq!(code, Some(wanted), "{} {step} {what}", name_of(&cell));
                    told_to = Some(cell.kind);
                }
            }
            told_to
        });
    }
    let mut reached: Vec<&str> = waiting.join_all().await.into_iter().flatten().collect();
    reached.sort_unstable();
    reached.dedup();
    assert_eq!(reached, asking(&self::pairs()));
}

#[tokio::test]
async fn a_huge_answer_is_cut_at_the_cap() {
    let endless = always(|| Instead::Flood(head(200, "connection: close\r\n").into_bytes()));
    let announced = always(|| Instead::Flood(head(200, "content-length: 10000000000\r\n").into_bytes()));
    let in_an_error = always(|| Instead::Flood(head(403, "connection: close\r\n").into_bytes()));
    let lies = [("endless", endless), ("announced", announced), ("in an error", in_an_error)];
    refused(lies, &[BAD_ANSWER]).await;
}

#[tokio::test]
async fn a_page_of_html_with_200_is_no_answer() {
    let page = || whole(200, "", &format!("<!doctype html><html><body>{CANARY}</body></html>"));
    let empty = || whole(200, "", "");
    let lies = [
        ("a page", about_what_is_read(move |_| page())),
        ("nothing", about_what_is_read(move |_| empty())),
        ("an array", about_what_is_read(|_| whole(200, "", &format!("[\"{CANARY}\"]")))),
        ("an object", about_what_is_read(|_| whole(200, "", &format!("{{\"x\":\"{CANARY}\"}}")))),
    ];
    refused(lies, &[BAD_ANSWER]).await;
}

/// Where a challenge is due, a page is no challenge: a registry that wants no
/// login is not one that can be asked for a narrow one.
#[tokio::test]
async fn a_page_in_place_of_a_challenge_is_no_challenge() {
    let lie: Lie = Arc::new(|honest| if honest.status == 401 { whole(200, "", CANARY) } else { None });
    let pairs = pairs();
    let lies = named([("a page", lie)]);
    let reached = tell(
        &pairs,
        &lies,
        |Told { minted, told, .. }| {
            if *told > 0 && minted.is_ok() { Err("minted".to_owned()) } else { Ok(()) }
        },
    );
    assert_eq!(reached.await, ["docker"]);
}

#[tokio::test]
async fn a_wrong_content_length_is_no_answer() {
    let longer = |honest: &Honest<'_>| {
        let more = format!("content-length: {}\r\n", honest.body.len() + 7);
        Some(Instead::Bytes([head(200, &more).as_bytes(), honest.body].concat()))
    };
    // A cloud that says less than it sends: what is read ends in the middle.
    let shorter = |honest: &Honest<'_>| {
        let more = format!("content-length: {}\r\n", honest.body.len() / 2);
        Some(Instead::Bytes([head(200, &more).as_bytes(), honest.body].concat()))
    };
    let nonsense = |length: &'static str| always(move || Instead::Bytes(head(200, length).into_bytes()));
    let lies = [
        ("longer", about_what_is_read(longer)),
        ("shorter", about_what_is_read(shorter)),
        ("negative", nonsense("content-length: -5\r\n")),
        ("two", nonsense("content-length: 5\r\ncontent-length: 7\r\n")),
        ("no HTTP", always(|| Instead::Bytes(CANARY.as_bytes().to_vec()))),
        ("nothing", always(|| Instead::Bytes(Vec::new()))),
    ];
    refused(lies, &[BAD_ANSWER, UNAVAILABLE, IN_DOUBT]).await;
}

/// Neither the credential nor anything else follows.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let place = format!("location: http://{}/{CANARY}\r\n", trap.local_addr().unwrap());
    let to = |status: u16| {
        let place = place.clone();
        let lie: Lie = Arc::new(move |_| whole(status, &place, CANARY));
        lie
    };
    let lies = [("301", to(301)), ("302", to(302)), ("307", to(307)), ("308", to(308))];
    refused(lies, &[BAD_ANSWER]).await;
    assert_eq!(trap.accept().err().map(|error| error.kind()), Some(std::io::ErrorKind::WouldBlock));
}

/// What a cloud says of an error, in each of the forms that clouds have, with
/// what it was shown and with what it should not know in every part.
fn confessions(shown: &str) -> [String; 4] {
    let all = format!("{CANARY} was shown {shown}");
    let flat = json!({
        "error": "invalid_request", "error_description": all, "error_uri": all, "message": all, "details": all,
        "errors": [{"code": "DENIED", "message": all, "detail": all}], "reason": all, "__type": all,
    });
    let nested = json!({
        "error": {"code": 403, "status": all, "message": all, "details": [{"reason": all}], "errors": [{"reason": all}]},
        "kind": "Status", "reason": all, "message": all,
    });
    let prose = json!({"error": all, "code": all});
    let text = all.replace(['<', '&'], "_");
    let xml = format!("<ErrorResponse><Error><Code>{text}</Code><Message>{text}</Message></Error></ErrorResponse>");
    [flat.to_string(), nested.to_string(), prose.to_string(), xml]
}

#[tokio::test]
async fn the_secrets_in_the_body_of_an_error_are_not_repeated() {
    let mut lies = Vec::new();
    for (at, status) in [400, 401, 403, 404, 409, 429, 500, 503].into_iter().enumerate() {
        // Two for each status, so that each form comes with four of them.
        for form in [at % 4, (at + 2) % 4] {
            let lie: Lie = Arc::new(move |honest| whole(status, "", &confessions(honest.shown)[form]));
            lies.push((format!("{status} in form {form}"), lie));
        }
    }
    let pairs = pairs();
    let reached = tell(
        &pairs,
        &lies,
        |Told { minted, told, .. }| {
            if *told > 0 && minted.is_ok() { Err("minted".to_owned()) } else { Ok(()) }
        },
    );
    assert_eq!(reached.await, asking(&pairs));
}

/// Looking around meets the same clouds: whatever they say, it comes to an
/// end, and neither the error nor what was found repeats it.
#[tokio::test]
async fn verifying_and_listing_repeat_nothing_either() {
    let focus = ListAsk { resource_type: None, resource: None, limit: 10, page: None };
    let page: Lie = Arc::new(|_| whole(200, "", &format!("<html>{CANARY}</html>")));
    let flood: Lie = Arc::new(|_| Some(Instead::Flood(head(200, "connection: close\r\n").into_bytes())));
    let cut: Lie = Arc::new(|_| Some(Instead::Bytes(head(200, "content-length: 9\r\n").into_bytes())));
    let moved: Lie = Arc::new(|_| whole(307, "location: http://127.0.0.1:1/\r\n", CANARY));
    let errors = [401, 403, 500].map(|status| {
        let lie: Lie = Arc::new(move |honest| whole(status, "", &confessions(honest.shown)[usize::from(status % 4)]));
        lie
    });
    let mut last = ("", "");
    for cell in &pairs() {
        // What is looked at is the connector's, not the ask's.
        if std::mem::replace(&mut last, (cell.kind, cell.method.name)) == (cell.kind, cell.method.name) {
            continue;
        }
        let Scene { stage, registered } = &Scene::of(cell).await;
        let (up, Registered { kind, settings, secret, .. }) = (&stage.upstream, registered);
        for lie in [&page, &flood, &cut, &moved].into_iter().chain(&errors) {
            for step in 1..=3 {
                stage.gate.turn(step, Arc::clone(lie));
                let verified = kind.verify(up, &settings.json, secret, &focus).await;
                stage.gate.turn(step, Arc::clone(lie));
                let listed = kind.list_resources(up, &settings.json, secret, &focus).await;
                for error in verified.as_ref().err().into_iter().chain(listed.as_ref().err()) {
                    clean(stage, error).unwrap_or_else(|why| panic!("{}: {why}", name_of(cell)));
                }
                let found = format!("{:?} {:?}", verified.ok(), listed.ok());
                let told = [CANARY, "<html"].into_iter().chain(stage.confidential()).any(|text| found.contains(text));
                assert!(!told, "{}: {found}", name_of(cell));
            }
        }
    }
}

#[tokio::test]
async fn what_repeats_an_answer_is_found() {
    let pairs = pairs();
    let Scene { stage, .. } = Scene::of(&pairs[0]).await;
    let said = |code: &str| clean(&stage, &UpstreamError::CredentialRefused { code: code.to_owned() });
    assert!(said("invalid_grant").is_ok());
    assert!(said(CANARY).is_err() && said(&stage.secrets[1].1).is_err());
}

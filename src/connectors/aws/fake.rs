//! A strict STS on loopback, for tests: it checks the signature by making it
//! again, and what real ones let pass: policy size and JSON, names, durations.
//! It records what it was asked. ECR and EKS answer beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};

use crate::connectors::loopback::{Answer, Gate, Loopback, answer};

/// The source key of the tests.
pub const KEY: (&str, &str) = ("AKIATESTTESTTESTTEST", "source/secret+source/secret+source/secre");
/// The key of every session that the fake makes.
pub const SESSION: (&str, &str) = ("ASIATESTTESTTESTTEST", "session/secret+session/secret+session/se");
/// The token of those sessions.
pub const TOKEN: &str = "session-token-session-token";
/// What is asked of a bucket to look below the prefix `train/a_b`.
const ONE_OBJECT: &str = "list-type=2&max-keys=1&prefix=train%2Fa_b%2F";

/// What the fake does besides being strict.
#[derive(Clone, Default)]
pub struct Manner {
    /// Answered to every STS call, with this status.
    pub always: Option<(u16, String)>,
    /// Added to the lifetime that was asked for.
    pub longer_seconds: i64,
    /// PackedPolicySize.
    pub packed: u32,
}

/// A running fake.
pub struct Fake {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Where it can be had lie.
    pub gate: Gate,
    asked: Log,
}

impl Fake {
    /// Starts; ends with the test's runtime.
    pub async fn start(manner: Manner) -> Self {
        let place = Loopback::plain().await;
        let (url, asked) = (place.url(), Log::default());
        let log = Arc::clone(&asked);
        let gate = place.serve(move |parts, body| std::future::ready(reply(&parts, &body, &manner, &log)));
        Self { url, gate, asked }
    }

    /// The parameters of each STS call so far; `key` is who signed it.
    pub fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.asked.lock().unwrap().clone()
    }
}

type Log = Arc<Mutex<Vec<BTreeMap<String, String>>>>;

fn reply(parts: &http::request::Parts, body: &[u8], manner: &Manner, log: &Log) -> Answer {
    let (status, text) = match signer(parts, body) {
        // The one call that nobody signs.
        None if vouched(parts, body) => sts("", body, manner, log),
        None => error(403, "SignatureDoesNotMatch"),
        Some((key, service)) if service == "sts" => sts(&key, body, manner, log),
        Some((key, service)) if key == SESSION.0 || service == "s3" => other(&service, parts),
        Some(_) => error(403, "AccessDenied"),
    };
    answer(status, text)
}

fn vouched(parts: &http::request::Parts, body: &[u8]) -> bool {
    let action = url::form_urlencoded::parse(body).find(|(name, _)| name == "Action").map(|(_, value)| value);
    action.as_deref() == Some("AssumeRoleWithWebIdentity") && !parts.headers.contains_key("authorization")
}

/// Who signed, and for which service; nothing when the signature is wrong.
fn signer(parts: &http::request::Parts, body: &[u8]) -> Option<(String, String)> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| authorization.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let credential: Vec<&str> = field("Credential")?.split('/').collect();
    let [key, date, region, service, "aws4_request"] = credential.as_slice() else {
        return None;
    };
    let secret = match *key {
        id if id == KEY.0 => KEY.1,
        id if id == SESSION.0 && header("x-amz-security-token") == Some(TOKEN) => SESSION.1,
        _ => return None,
    };
    let signed = field("SignedHeaders")?;
    let headers: String =
        signed.split(';').map(|name| format!("{name}:{}\n", header(name).unwrap_or_default().trim())).collect();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let hash = hex::encode(Sha256::digest(body));
    let canonical = format!("{}\n{path}\n{query}\n{headers}\n{signed}\n{hash}", parts.method);
    let time = header("x-amz-date")?;
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let day: jiff::civil::Date = jiff::civil::Date::strptime("%Y%m%d", date).ok()?;
    let day = SystemTime::from(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    let expected = calculate_signature(generate_signing_key(secret, day, region, service), text.as_bytes());
    (field("Signature")? == expected).then(|| ((*key).to_owned(), (*service).to_owned()))
}

fn sts(key: &str, body: &[u8], manner: &Manner, log: &Log) -> (u16, String) {
    let mut ask: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    ask.insert("key".to_owned(), key.to_owned());
    log.lock().unwrap().push(ask.clone());
    if let Some((status, text)) = &manner.always {
        return (*status, text.clone());
    }
    let action = ask.get("Action").cloned().unwrap_or_default();
    if action == "GetCallerIdentity" {
        let arn = if key == KEY.0 { "user/broker" } else { "assumed-role/ml-data/vk-verify" };
        return ok(&action, &format!("<Arn>arn:aws:iam::123456789012:{arn}</Arn><Account>123456789012</Account>"));
    }
    if let Err(code) = strict(&action, key, &ask) {
        return error(400, code);
    }
    let asked: i64 = ask["DurationSeconds"].parse().unwrap();
    let end = jiff::Timestamp::now() + Duration::from_secs(u64::try_from(asked + manner.longer_seconds).unwrap_or(0));
    let session = format!(
        "<Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{TOKEN}</SessionToken><Expiration>{end:.0}</Expiration></Credentials>\
         <PackedPolicySize>{}</PackedPolicySize>",
        SESSION.0, SESSION.1, manner.packed
    );
    ok(&action, &session)
}

fn strict(action: &str, key: &str, ask: &BTreeMap<String, String>) -> Result<(), &'static str> {
    let name = |key: &str, max: usize| {
        ask.get(key).is_some_and(|name| (2..=max).contains(&name.len()) && name.bytes().all(super::place::iam_letter))
    };
    let seconds: u32 = ask.get("DurationSeconds").and_then(|text| text.parse().ok()).ok_or("ValidationError")?;
    let policy = ask.get("Policy");
    let fits = policy.is_none_or(|text| text.len() <= 2048 && serde_json::from_str::<serde_json::Value>(text).is_ok());
    let named = match action {
        "AssumeRole" => name("RoleSessionName", 64) && name("SourceIdentity", 64) && (900..=43_200).contains(&seconds),
        "AssumeRoleWithWebIdentity" => {
            let bare =
                ask.keys().all(|name| !name.starts_with("Tags") && name != "SourceIdentity" && name != "ExternalId");
            let token = ask.get("WebIdentityToken").is_some_and(|token| (4..=20_000).contains(&token.len()));
            name("RoleSessionName", 64) && bare && token && (900..=43_200).contains(&seconds)
        }
        "GetFederationToken" => name("Name", 32) && (900..=129_600).contains(&seconds) && key == KEY.0,
        "GetSessionToken" => (900..=129_600).contains(&seconds) && key == KEY.0,
        _ => false,
    };
    match (named, fits) {
        (true, true) => Ok(()),
        (_, false) => Err("MalformedPolicyDocument"),
        (false, true) => Err("ValidationError"),
    }
}

fn other(service: &str, parts: &http::request::Parts) -> (u16, String) {
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let soon = jiff::Timestamp::now().as_second() + 12 * 3600;
    match (service, parts.uri.path(), target.rsplit('.').next().unwrap_or_default()) {
        ("ecr", "/", "GetAuthorizationToken") => {
            let data =
                format!("{{\"authorizationToken\":\"QVdTOnBhc3M=\",\"expiresAt\":{soon}.5,\"proxyEndpoint\":\"x\"}}");
            (200, format!("{{\"authorizationData\":[{data}]}}"))
        }
        ("ecr", "/", "DescribeRepositories") => {
            (400, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}".to_owned())
        }
        ("eks", "/clusters/train" | "/clusters/serve", _) => (
            200,
            "{\"cluster\":{\"endpoint\":\"https://x.eks\",\"certificateAuthority\":{\"data\":\"bm8=\"}}}".to_owned(),
        ),
        ("eks", "/clusters", _) => clusters(parts.uri.query().unwrap_or_default()),
        ("s3", "/datasets", _) if parts.uri.query() == Some(ONE_OBJECT) => {
            (200, "<ListBucketResult><Name>datasets</Name></ListBucketResult>".to_owned())
        }
        ("s3", "/models", _) => error(403, "AccessDenied"),
        ("s3", "/", _) => {
            let names =
                ["models", "datasets", "OLD_bucket"].map(|name| format!("<Bucket><Name>{name}</Name></Bucket>"));
            (200, format!("<ListAllMyBucketsResult><Buckets>{}</Buckets></ListAllMyBucketsResult>", names.concat()))
        }
        _ => error(404, "NotFound"),
    }
}

fn clusters(query: &str) -> (u16, String) {
    let second = query.contains("nextToken=more%20please");
    let text = if second { r#"{"clusters":["b"]}"# } else { r#"{"clusters":["a"],"nextToken":"more please"}"# };
    (200, text.to_owned())
}

fn ok(action: &str, inner: &str) -> (u16, String) {
    (200, format!("<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"))
}

/// An error in STS's shape.
pub fn error(status: u16, code: &str) -> (u16, String) {
    (
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
        ),
    )
}

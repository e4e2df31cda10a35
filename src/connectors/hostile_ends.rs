//! Clouds that lie about when a credential ends: everything in an answer that
//! is an end or a life becomes one that cannot be. It is refused, or what is
//! handed out says an end that the lie did not move.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::hostile_clouds::{BAD_ANSWER, Told, about_what_is_read, asking, pairs, tell, whole};
use super::loopback::Lie;

/// The names of ends and lives in the answers of the clouds.
const ENDS: &[&str] = &[
    "expires_in",
    "expires_on",
    "expireTime",
    "expirationTimestamp",
    "expiresAt",
    "exp",
    "Expiration",
    "SignedExpiry",
];

/// More than a call may take of what was asked for.
const SLACK: Duration = Duration::from_secs(60);
/// The longest that anything handed in or given freely may live.
const YEAR: u64 = 366 * 24 * 3600;

/// What an end is made to be.
#[derive(Clone, Copy)]
struct End {
    what: &'static str,
    /// A life in seconds.
    life: i64,
    /// A moment in seconds since 1970.
    moment: i64,
    /// A moment in RFC 3339.
    written: &'static str,
}

const LIES: &[End] = &[
    End { what: "the last century", life: -1, moment: 946_684_799, written: "1999-12-31T23:59:59Z" },
    End { what: "no life at all", life: 0, moment: 0, written: "1970-01-01T00:00:00Z" },
    End { what: "a thousand years", life: 31_556_952_000, moment: 33_000_000_000, written: "3015-09-21T00:00:00Z" },
    End { what: "the end of time", life: i64::MAX, moment: i64::MAX, written: "9999-12-31T23:59:59Z" },
    End { what: "a year that is none", life: i64::MIN, moment: i64::MIN, written: "99999-99-99T99:99:99Z" },
    End { what: "prose", life: -7, moment: -7, written: "soon" },
];

/// The same value, with another end in the form that it has.
fn moved(value: &Value, end: End) -> Value {
    match value {
        Value::Number(number) => {
            let life = number.as_f64().is_some_and(|number| number < 1e8);
            json!(if life { end.life } else { end.moment })
        }
        Value::String(text) if text.parse::<i64>().is_ok() => {
            let life = text.parse::<i64>().is_ok_and(|number| number < 100_000_000);
            json!(if life { end.life } else { end.moment }.to_string())
        }
        Value::String(_) => json!(end.written),
        other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => other.clone(),
    }
}

/// Every end within a value, those in the claims of a token among them.
fn lie_within(value: &mut Value, end: End) -> usize {
    match value {
        Value::Object(fields) => {
            let mut told = 0;
            for (name, value) in fields.iter_mut() {
                if ENDS.contains(&name.as_str()) {
                    *value = moved(value, end);
                    told += 1;
                } else {
                    told += lie_within(value, end);
                }
            }
            told
        }
        Value::Array(values) => values.iter_mut().map(|value| lie_within(value, end)).sum(),
        Value::String(token) => {
            let Some(lying) = lie_in_token(token, end) else { return 0 };
            *token = lying;
            1
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn lie_in_token(token: &str, end: End) -> Option<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else { return None };
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let told = lie_within(&mut claims, end);
    (told > 0).then(|| format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string())))
}

fn lie_in_xml(body: &str, end: End) -> Option<String> {
    let mut lying = body.to_owned();
    for name in ENDS {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let Some((before, rest)) = lying.split_once(&open) else { continue };
        let (_, after) = rest.split_once(&close)?;
        lying = format!("{before}{open}{}{close}{after}", end.written);
    }
    (lying != body).then_some(lying)
}

fn lying(end: End) -> Lie {
    about_what_is_read(move |honest| {
        let body = std::str::from_utf8(honest.body).ok()?;
        let body = match serde_json::from_str::<Value>(body) {
            Ok(mut value) => (lie_within(&mut value, end) > 0).then(|| value.to_string())?,
            Err(_) => lie_in_xml(body, end)?,
        };
        whole(200, "", &body)
    })
}

#[tokio::test]
async fn an_end_that_cannot_be_is_refused_or_moves_nothing() {
    let pairs = pairs();
    let lies: Vec<(String, Lie)> = LIES.iter().map(|end| (end.what.to_owned(), lying(*end))).collect();
    let reached = tell(&pairs, &lies, believable);
    assert_eq!(reached.await, asking(&pairs), "every type that asks somebody is told an end");
}

fn believable(Told { minted, at, told, longest }: &Told) -> Result<(), String> {
    let minted = match minted {
        Ok(minted) => minted,
        Err(error) if *told == 0 || error.code() == BAD_ANSWER => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", error.code())),
    };
    let latest = at.plus(Duration::from_secs(longest.unwrap_or(YEAR)) + SLACK);
    let within = *at < minted.expires_at && minted.expires_at <= latest;
    if within { Ok(()) } else { Err(format!("said to end at {}", minted.expires_at)) }
}

#[test]
fn every_form_of_an_end_is_moved() {
    let end = LIES[0];
    let told = |body: &str| {
        let mut value: Value = serde_json::from_str(body).unwrap();
        assert!(lie_within(&mut value, end) > 0, "{body}");
        value.to_string()
    };
    assert_eq!(told(r#"{"expires_in":3600}"#), r#"{"expires_in":-1}"#);
    assert_eq!(told(r#"{"expires_in":"3600"}"#), r#"{"expires_in":"-1"}"#);
    assert_eq!(told(r#"[{"expiresAt":1800000000.5}]"#), r#"[{"expiresAt":946684799}]"#);
    assert_eq!(
        told(r#"{"status":{"expireTime":"2026-01-01T00:00:00Z"}}"#),
        format!(r#"{{"status":{{"expireTime":"{}"}}}}"#, end.written)
    );
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"exp":1800000000}"#));
    let lying = told(&format!(r#"{{"token":"{token}"}}"#));
    assert!(lying.contains(&URL_SAFE_NO_PAD.encode(r#"{"exp":946684799}"#)), "{lying}");
    let xml = lie_in_xml("<A><Expiration>2026-01-01T00:00:00Z</Expiration></A>", end).unwrap();
    assert_eq!(xml, format!("<A><Expiration>{}</Expiration></A>", end.written));
}

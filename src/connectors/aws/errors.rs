//! AWS's error codes in our own words. A message of AWS's is looked at for
//! words that we know, and goes no further; a body never travels at all.

use std::time::Duration;

use crate::connectors::UpstreamError;
pub use crate::connectors::answer::{Doing, unanswered};

use super::xml::{Piece, pieces};

/// The longest code that is repeated.
const CODE_LENGTH_MAX: usize = 64;
/// How STS begins when it does not take a code of an MFA device.
const MFA_FAILED: &str = "MultiFactorAuthentication failed";
const MFA_REMEDY: &str = "it does not take the MFA code: a code works once, so ask again in 30 seconds; if that fails too, \
                          check mfa_serial, the seed, and this server's clock";
const NO_KEYS: &str = "it cannot fetch the keys of this server's issuer: its [issuer] url must be reachable from there";
const NOT_THERE: &str = "it does not exist, or not in this region";
/// XML events looked at before an error body is given up.
const EVENTS_MAX: usize = 64;

/// An error answer.
#[derive(Clone, Copy)]
pub struct Refusal<'a> {
    /// The HTTP status.
    pub status: u16,
    /// AWS's code, if one was found.
    pub code: Option<&'a str>,
    /// AWS's message; hostile, never repeated.
    pub message: &'a str,
    /// How long AWS asks to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal<'_> {
    /// The error for the caller.
    pub fn explain(&self, doing: Doing) -> UpstreamError {
        let code = self.code.map_or_else(|| format!("HTTP {}", self.status), printable);
        match self.code.unwrap_or_default() {
            "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "InvalidToken"
            | "AuthFailure"
            | "MissingAuthenticationToken"
            | "InvalidIdentityToken"
            | "InvalidIdentityTokenException" => UpstreamError::CredentialRefused { code },
            "IDPRejectedClaim" | "IDPRejectedClaimException" => self.denied(code, doing),
            "IDPCommunicationError" | "IDPCommunicationErrorException" => UpstreamError::Unavailable { what: NO_KEYS },
            "RepositoryNotFoundException" => rejected(code, NOT_THERE),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                rejected(code, "the bucket is in another region: set the connector's region")
            }
            "ExpiredToken" | "ExpiredTokenException" => UpstreamError::Expired,
            "RequestExpired" | "RequestTimeTooSkewed" => rejected(code, "the clocks differ: set this server's clock"),
            "RegionDisabledException" => rejected(code, "enable this region's STS endpoint in the account settings"),
            "MalformedPolicyDocument" | "MalformedPolicyDocumentException" => {
                rejected(code, "AWS does not take the session policy; look at the connector's own policy")
            }
            "PackedPolicyTooLarge" | "PackedPolicyTooLargeException" => {
                UpstreamError::PolicyTooLarge { percent: percent(self.message) }
            }
            "ValidationError" | "ValidationException" | "InvalidParameterValue" | "InvalidParameterException" => {
                rejected(code, "check the lifetime against the role's maximum session duration, and the settings")
            }
            "AccessDenied" if self.message.contains(MFA_FAILED) => rejected(code, MFA_REMEDY),
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => self.denied(code, doing),
            text if throttling(text) => UpstreamError::Throttled { retry_after: self.retry_after },
            _ => self.by_status(code, doing),
        }
    }

    /// Refused by the identity's rights or by a trust policy: which of the
    /// permissions it was, AWS says in its message alone.
    fn denied(&self, code: String, doing: Doing) -> UpstreamError {
        let named: Vec<&str> = doing.permissions.iter().copied().filter(|name| self.message.contains(name)).collect();
        let missing = if named.is_empty() { doing.permissions.to_vec() } else { named };
        let missing = missing.into_iter().map(str::to_owned).collect();
        UpstreamError::Denied { code, missing, remedy: doing.remedy.to_owned() }
    }

    /// Not every implementation sends codes where an STS client looks.
    fn by_status(&self, code: String, doing: Doing) -> UpstreamError {
        match self.status {
            300..=399 => UpstreamError::BadAnswer { what: "a redirect" },
            401 => UpstreamError::CredentialRefused { code },
            403 => self.denied(code, doing),
            404 => rejected(code, NOT_THERE),
            429 => UpstreamError::Throttled { retry_after: self.retry_after },
            500..=599 => UpstreamError::Unavailable { what: "an error of its own" },
            _ => rejected(code, "look at the connector's settings"),
        }
    }
}

fn rejected(code: String, remedy: &str) -> UpstreamError {
    UpstreamError::Rejected { code, remedy: remedy.to_owned() }
}

fn throttling(code: &str) -> bool {
    let known = ["SlowDown", "TooManyRequestsException", "RequestLimitExceeded", "ServiceUnavailable"];
    code.starts_with("Throttl") || known.contains(&code)
}

/// A code is letters; anything else is somebody's prose.
fn printable(code: &str) -> String {
    let fits = code.len() <= CODE_LENGTH_MAX && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if fits { code.to_owned() } else { "unreadable code".to_owned() }
}

/// `... by packed size ... 112% ...`; 100 when it is not there.
fn percent(message: &str) -> u32 {
    let digits: String = message
        .split('%')
        .next()
        .unwrap_or_default()
        .chars()
        .rev()
        .take_while(char::is_ascii_digit)
        .take(4)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    digits.parse().unwrap_or(100)
}

/// The code and message of an XML error body, wherever they are in it.
pub fn xml_error(body: &[u8]) -> (Option<String>, String) {
    (xml_text(body, "Code"), xml_text(body, "Message").unwrap_or_default())
}

/// The first text of an element with this name.
pub fn xml_text(body: &[u8], name: &str) -> Option<String> {
    let mut inside = false;
    for piece in pieces(body, EVENTS_MAX) {
        match piece {
            Piece::Start(tag) => inside = tag.local_name().as_ref() == name,
            Piece::Text(text) if inside => return Some(text.to_string()),
            Piece::Over => return None,
            Piece::Empty(_) | Piece::Text(_) | Piece::End(_) => {}
        }
    }
    None
}

/// The code of a JSON error body: `x#Code`, `Code` or `Code:...`.
pub fn json_error(body: &[u8]) -> (Option<String>, String) {
    let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(body) else {
        return xml_error(body);
    };
    let text = |name: &str| object.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let code = text("__type").or_else(|| text("code")).or_else(|| text("Code"));
    let code =
        code.map(|code| code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned());
    (code, text("message").or_else(|| text("Message")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSUME: Doing =
        Doing { permissions: &["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], remedy: "grant it" };

    fn refusal<'a>(status: u16, code: &'a str, message: &'a str) -> Refusal<'a> {
        Refusal { status, code: (!code.is_empty()).then_some(code), message, retry_after: None }
    }

    #[test]
    fn a_denial_names_what_is_missing_and_repeats_no_message() {
        let message = "User: arn:aws:iam::1:user/x is not authorized to perform: sts:TagSession on resource: secret";
        let UpstreamError::Denied { missing, remedy, code } = refusal(403, "AccessDenied", message).explain(ASSUME)
        else {
            panic!("must be denied");
        };
        assert_eq!(
            (missing, remedy.as_str(), code.as_str()),
            (vec!["sts:TagSession".to_owned()], "grant it", "AccessDenied")
        );
    }

    #[test]
    fn each_code_says_what_to_do() {
        let explain = |status, code, message| refusal(status, code, message).explain(ASSUME);
        let mfa = explain(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.");
        assert!(matches!(&mfa, UpstreamError::Rejected { remedy, .. } if remedy.contains("30 seconds")), "{mfa}");
        assert!(matches!(explain(403, "InvalidClientTokenId", ""), UpstreamError::CredentialRefused { .. }));
        assert!(matches!(explain(403, "ExpiredToken", ""), UpstreamError::Expired));
        assert!(matches!(explain(400, "Throttling", ""), UpstreamError::Throttled { .. }));
        assert!(matches!(explain(503, "SlowDown", ""), UpstreamError::Throttled { .. }));
        assert!(matches!(explain(500, "", ""), UpstreamError::Unavailable { .. }));
        assert!(matches!(explain(302, "", ""), UpstreamError::BadAnswer { .. }));
        assert!(matches!(explain(403, "", ""), UpstreamError::Denied { .. }));
        let region = explain(301, "PermanentRedirect", "");
        assert!(matches!(&region, UpstreamError::Rejected { remedy, .. } if remedy.contains("region")), "{region}");
        assert!(explain(400, "RepositoryNotFoundException", "").to_string().contains("does not exist"));
        assert_eq!(
            explain(400, "PackedPolicyTooLarge", "Packed size is 112% of it"),
            UpstreamError::PolicyTooLarge { percent: 112 }
        );
        let odd = explain(400, "<script>alert(1)</script>", "");
        assert!(odd.to_string().contains("unreadable code"), "{odd}");
    }

    #[test]
    fn codes_are_found_in_every_shape_and_nothing_in_a_page() {
        let wrapped = b"<ErrorResponse xmlns=\"u\"><Error><Type>S</Type><Code>AccessDenied</Code><Message>m</Message></Error></ErrorResponse>";
        assert_eq!(xml_error(wrapped), (Some("AccessDenied".to_owned()), "m".to_owned()));
        assert_eq!(
            xml_error(b"<Error><Code>SignatureDoesNotMatch</Code></Error>").0.as_deref(),
            Some("SignatureDoesNotMatch")
        );
        assert_eq!(
            json_error(br#"{"__type":"a.b#ThrottlingException","message":"m"}"#).0.as_deref(),
            Some("ThrottlingException")
        );
        assert_eq!(json_error(wrapped).0.as_deref(), Some("AccessDenied"));
        assert_eq!(xml_error(b"<html><body>hello</body></html>").0, None);
        assert_eq!(xml_error(b"\xff\xfe<").0, None);
    }
}

//! What a token of Entra or of a registry says of itself. Read without its
//! keys: nothing is decided in favour of anybody on such a claim, it only
//! shortens, names or refuses.

use serde::Deserialize;

use crate::domain::{Timestamp, claims_text};

use super::settings_check::guid;

/// Claims that we look at.
#[derive(Deserialize)]
pub struct Claims {
    /// Whom it is for.
    #[serde(default)]
    pub aud: Option<String>,
    /// Who made it. Repeated of our own tokens only.
    pub iss: Option<String>,
    /// Whom it is about. Repeated of our own tokens only.
    pub sub: Option<String>,
    exp: Option<i64>,
    oid: Option<String>,
    tid: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    /// What a registry's token is good for.
    #[serde(default)]
    pub access: Option<Vec<Grant>>,
}

/// Something that a registry's token is good for.
#[derive(Deserialize)]
pub struct Grant {
    /// `repository`.
    #[serde(rename = "type", alias = "Type")]
    pub kind: String,
    /// Its name.
    #[serde(alias = "Name")]
    pub name: String,
    /// For example `pull`.
    #[serde(alias = "Actions")]
    pub actions: Vec<String>,
}

impl Claims {
    /// The claims of a compact token; nothing when it is none.
    pub fn read(token: &str) -> Option<Self> {
        serde_json::from_slice(&claims_text(token)?).ok()
    }

    /// When it ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.exp.filter(|seconds| (0..=MOMENT_MAX).contains(seconds)).map(Timestamp::from_seconds)
    }

    /// The tenant.
    pub fn tenant(&self) -> Option<&str> {
        self.tid.as_deref().filter(|text| guid(text))
    }

    /// The application.
    pub fn application(&self) -> Option<&str> {
        self.appid.as_deref().or(self.azp.as_deref()).filter(|text| guid(text))
    }

    /// The principal.
    pub fn principal(&self) -> Option<&str> {
        self.oid.as_deref().filter(|text| guid(text))
    }
}

/// The last second of the year 9999.
const MOMENT_MAX: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(payload: &str) -> String {
        format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn what_is_no_guid_is_not_repeated_and_what_is_no_token_is_none() {
        let claims =
            Claims::read(&token(r#"{"exp":5,"oid":"<b>","tid":"72f988bf-86f1-41af-91ab-2d7cd011db47"}"#)).unwrap();
        assert_eq!(claims.expires_at(), Some(Timestamp::from_seconds(5)));
        assert_eq!((claims.principal(), claims.tenant().is_some()), (None, true));
        assert_eq!(Claims::read(&token(r#"{"exp":9223372036854775807}"#)).unwrap().expires_at(), None);
        for text in ["", "a.b", "a.b.c.d", "h.e30", "h.!!.s", &token("[]"), &token(r#"{"exp":"soon"}"#)] {
            assert!(Claims::read(text).is_none(), "{text}");
        }
    }
}

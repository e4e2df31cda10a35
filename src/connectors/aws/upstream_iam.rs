//! The keys of a user in IAM, for a rotation: makes the second one, tells
//! which there are when there are too many, deletes one by its id.
//!
//! Source keys are plaintext here, for one call. A new key is asked for once:
//! an answer that was lost may have made one.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::connectors::{MadeKey, Upstream, UpstreamError, unsupported};
use crate::domain::SecretFieldName;
use crate::sealing::{Plaintext, SourceCredential};

use super::errors::{self, Doing};
use super::place::{Place, Service, iam_letter};
use super::settings::{Settings, Way};
use super::settings_check::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use super::upstream::source;
use super::upstream_signed::{Plain, send, send_once};
use super::upstream_sts::Sts;
use super::xml::{Piece, pieces};

/// The version of IAM's API.
const API_VERSION: &str = "2010-05-08";
/// XML events of one list; a user has two keys.
const EVENTS_MAX: usize = 512;
/// Keys that are told of; AWS allows two.
const KEYS_TOLD_MAX: usize = 8;

const REMEDY: &str = "allow iam:CreateAccessKey, iam:ListAccessKeys and iam:DeleteAccessKey to the user whose key this \
                      is, on itself: arn:aws:iam::ACCOUNT:user/NAME";
const MAKING: Doing = Doing { permissions: &["iam:CreateAccessKey"], remedy: REMEDY };
const LISTING: Doing = Doing { permissions: &["iam:ListAccessKeys"], remedy: REMEDY };
const DELETING: Doing = Doing { permissions: &["iam:DeleteAccessKey"], remedy: REMEDY };

/// See `ConnectorType::make_key`.
pub async fn make_key(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
) -> Result<MadeKey, UpstreamError> {
    let iam = Iam::of(upstream, settings, secret).await?;
    let plain = iam.ask("CreateAccessKey", None);
    let answer = match send_once(upstream, &iam.place, Service::Iam, &iam.source, &plain, MAKING).await {
        Ok(answer) => answer,
        Err(UpstreamError::Rejected { code, .. }) if code == "LimitExceeded" => return Err(iam.too_many(code).await),
        Err(error) => return Err(error),
    };
    let text = |name: &str| errors::xml_text(answer.body(), name).map(Zeroizing::new);
    let found = text("AccessKeyId").zip(text("SecretAccessKey"));
    let (id, key) = found.filter(|(id, key)| key_id(id) && one_word(key)).ok_or(HALF_A_KEY)?;
    Ok(MadeKey {
        secret: with_key(secret, &id, &key)?,
        key_id: id.to_string(),
        old_key_id: iam.source.access_key_id().to_owned(),
    })
}

/// See `ConnectorType::delete_key`.
pub async fn delete_key(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    id: &str,
) -> Result<(), UpstreamError> {
    let iam = Iam::of(upstream, settings, secret).await?;
    if iam.source.access_key_id() == id {
        return Err(unsupported("this is the key in use; it is not deleted"));
    }
    let plain = iam.ask("DeleteAccessKey", Some(id));
    match send(upstream, &iam.place, Service::Iam, &iam.source, &plain, DELETING).await {
        Ok(_) => Ok(()),
        Err(UpstreamError::Rejected { code, .. }) if code == "NoSuchEntity" => Ok(()),
        Err(error) => Err(error),
    }
}

/// IAM, as the user whose key is stored.
struct Iam<'a> {
    upstream: &'a Upstream,
    place: Place<'a>,
    source: Credentials,
    user: String,
}

impl<'a> Iam<'a> {
    async fn of(
        upstream: &'a Upstream,
        settings: &'a Settings,
        secret: &SourceCredential,
    ) -> Result<Self, UpstreamError> {
        let stored = match settings.way() {
            Way::Role(_) | Way::Key | Way::Session | Way::Federation => !matches!(settings, Settings::Implicit(_)),
            Way::HandedIn | Way::WebIdentity(_) => false,
        };
        if !stored {
            return Err(unsupported("only a user's stored key is rotated; hand in another with rotate-secret"));
        }
        let source = source(upstream, settings, secret)?;
        let place = settings.place();
        let arn = Sts::new(upstream, &place, &source).caller().await?;
        let user =
            user_of(&arn).ok_or_else(|| unsupported("only the key of an IAM user is rotated, not the root's"))?;
        Ok(Self { upstream, place, source, user: user.to_owned() })
    }

    fn ask(&self, action: &str, id: Option<&str>) -> Plain {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", API_VERSION).append_pair("UserName", &self.user);
        if let Some(id) = id {
            form.append_pair("AccessKeyId", id);
        }
        Plain {
            method: "POST",
            url: format!("{}/", self.place.endpoint(Service::Iam)),
            headers: vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())],
            body: form.finish(),
        }
    }

    /// The limit, with the keys there are: one of them is nobody's.
    async fn too_many(&self, code: String) -> UpstreamError {
        let plain = self.ask("ListAccessKeys", None);
        let listed = send(self.upstream, &self.place, Service::Iam, &self.source, &plain, LISTING).await;
        let keys = listed.ok().and_then(|answer| keys(answer.body()));
        let told = match keys {
            Some(keys) => keys.iter().take(KEYS_TOLD_MAX).map(|key| self.told(key)).collect::<Vec<_>>().join(", "),
            None => "which iam:ListAccessKeys would tell".to_owned(),
        };
        let remedy = format!(
            "the user {} has as many keys as it may have: {told}; delete the one that nobody uses (after a rotation \
             that stopped, the one that it made), then run this again",
            self.user
        );
        UpstreamError::Rejected { code, remedy }
    }

    fn told(&self, key: &Listed) -> String {
        let Listed { id, made_at, status } = key;
        let whose = if self.source.access_key_id() == id { ", in use by this connector" } else { "" };
        format!("{id} (made {made_at}, {}{whose})", status.to_lowercase())
    }
}

/// The user's name in an ARN such as `arn:aws:iam::123456789012:user/PATH/NAME`.
fn user_of(arn: &str) -> Option<&str> {
    let user = arn.splitn(6, ':').nth(5)?.strip_prefix("user/")?;
    user.rsplit('/').next().filter(|name| !name.is_empty() && name.len() <= 64 && name.bytes().all(iam_letter))
}

/// The whole credential with this key in it; a seed beside it stays.
fn with_key(secret: &SourceCredential, id: &str, key: &str) -> Result<SourceCredential, UpstreamError> {
    let mut fields: BTreeMap<SecretFieldName, Plaintext> = BTreeMap::new();
    for (name, value) in secret.fields() {
        fields.insert(name.clone(), Plaintext::new(value.expose().to_vec()));
    }
    for (name, value) in [(ACCESS_KEY_ID, id), (SECRET_ACCESS_KEY, key)] {
        let name = SecretFieldName::parse(name).map_err(|_| UpstreamError::StoredSettings)?;
        fields.insert(name, Plaintext::new(value.as_bytes().to_vec()));
    }
    Ok(SourceCredential::new(fields))
}

/// A key as `ListAccessKeys` tells of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    id: String,
    made_at: String,
    status: String,
}

/// The keys of a `ListAccessKeysResponse`; hostile input, printable parts only.
fn keys(body: &[u8]) -> Option<Vec<Listed>> {
    let (mut inside, mut current, mut found) = (String::new(), Listed::default(), Vec::new());
    for piece in pieces(body, EVENTS_MAX) {
        match piece {
            Piece::Start(tag) => inside = tag.local_name().as_ref().to_owned(),
            Piece::Text(text) => match inside.as_str() {
                "AccessKeyId" => current.id = text.to_string(),
                "CreateDate" => current.made_at = text.to_string(),
                "Status" => current.status = text.to_string(),
                _ => {}
            },
            Piece::End(tag) if tag.local_name().as_ref() == "member" => {
                let listed = std::mem::take(&mut current);
                let fits = key_id(&listed.id) && one_word(&listed.made_at) && one_word(&listed.status);
                found.extend(fits.then_some(listed));
            }
            Piece::End(_) => inside.clear(),
            Piece::Over => return (!found.is_empty()).then_some(found),
            Piece::Empty(_) => {}
        }
    }
    None
}

/// IAM: 16 to 128 letters, digits and underscores.
fn key_id(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn one_word(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

const HALF_A_KEY: UpstreamError = UpstreamError::BadAnswer { what: "not a new key" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_in_its_arn_and_in_no_other() {
        assert_eq!(user_of("arn:aws:iam::123456789012:user/broker"), Some("broker"));
        assert_eq!(user_of("arn:aws:iam::123456789012:user/ml/platform/broker"), Some("broker"));
        for other in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:sts::123456789012:assumed-role/a/b",
            "arn:aws:sts::123456789012:federated-user/a",
            "arn:aws:iam::123456789012:user/",
            "arn:aws:iam::123456789012:user/a b",
            "",
        ] {
            assert_eq!(user_of(other), None, "{other}");
        }
    }

    #[test]
    fn listed_keys_are_read_and_junk_is_left_out() {
        let one = |id: &str| {
            format!(
                "<member><UserName>broker</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status>\
                 <CreateDate>2026-01-02T03:04:05Z</CreateDate></member>"
            )
        };
        let body = format!(
            "<ListAccessKeysResponse><ListAccessKeysResult><AccessKeyMetadata>{}{}</AccessKeyMetadata>\
             </ListAccessKeysResult></ListAccessKeysResponse>",
            one("AKIA0000000000000001"),
            one("hostile\u{1b}[2J")
        );
        let listed = keys(body.as_bytes()).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].id.as_str(), listed[0].status.as_str()), ("AKIA0000000000000001", "Active"));
        for junk in ["", "<html>hello</html>", "<member></member>", "\u{0}"] {
            assert_eq!(keys(junk.as_bytes()), None, "{junk:?}");
        }
    }

    #[test]
    fn a_seed_beside_the_key_stays() {
        let field =
            |name: &str, text: &str| (SecretFieldName::parse(name).unwrap(), Plaintext::new(text.as_bytes().to_vec()));
        let old = SourceCredential::new(
            [field(ACCESS_KEY_ID, "old"), field(SECRET_ACCESS_KEY, "old"), field("mfa_totp_seed", "seed")].into(),
        );
        let new = with_key(&old, "id", "key").unwrap();
        let text = |name: &str| new.field(name).and_then(Plaintext::expose_text).unwrap();
        assert_eq!((text(ACCESS_KEY_ID), text(SECRET_ACCESS_KEY), text("mfa_totp_seed")), ("id", "key", "seed"));
    }
}

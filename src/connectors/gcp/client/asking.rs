//! Google's own client: the identities that google-cloud-auth serves, each
//! built to ask at a URL, asked once, and let go with the runtime it is on.
//!
//! Nothing of its errors is ever looked at or formatted: they hold answers.

use std::sync::Arc;

use google_cloud_auth::credentials::external_account::ProgrammaticBuilder;
use google_cloud_auth::credentials::subject_token::{self, SubjectToken, SubjectTokenProvider};
use google_cloud_auth::credentials::{CacheableResource, mds, user_account};
use google_cloud_auth::errors::CredentialsError;
use http::Extensions;
use http::header::AUTHORIZATION;
use serde_json::json;

use super::{StandIn, Wish};

/// The token that the client gets at `url`; nothing when it gets none. Its
/// refreshing begins as a task of the runtime this runs on.
pub async fn token(wish: Wish, url: String) -> Option<String> {
    let credentials = match wish {
        Wish::Login { client_id, client_secret, refresh_token, scopes } => {
            let login = json!({
                "type": "authorized_user",
                "client_id": client_id,
                "client_secret": client_secret.word(),
                "refresh_token": refresh_token.word(),
            });
            let builder = user_account::Builder::new(login).with_token_uri(url);
            // Without one, a token has all that the login was granted.
            let builder = if scopes.is_empty() { builder } else { builder.with_scopes(scopes) };
            builder.build()
        }
        Wish::Federation { audience, subject, subject_type, scopes } => {
            let builder = ProgrammaticBuilder::new(Arc::new(subject)).with_token_url(url).with_audience(audience);
            builder.with_subject_token_type(subject_type).with_scopes(scopes).build()
        }
        Wish::Machine => mds::Builder::default().with_endpoint(url).build(),
    };
    let CacheableResource::New { data, .. } = credentials.ok()?.headers(Extensions::new()).await.ok()? else {
        return None;
    };
    data.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned)
}

impl SubjectTokenProvider for StandIn {
    type Error = CredentialsError;

    async fn subject_token(&self) -> Result<SubjectToken, CredentialsError> {
        Ok(subject_token::Builder::new(self.word()).build())
    }
}

//! Who are you: what a caller presents, before anything is looked up.
//!
//! Owns the form of our own tokens. Holds no store and no key: the digest of
//! a token is made by `sealing` and looked up by `broker`.

pub mod api_token;
mod base62;

pub use api_token::{
    BEARER_LENGTH_MAX, IssuedToken, PresentedToken, TOKEN_LENGTH, TOKEN_REGEX, TokenError, TokenKind, bearer,
    digest_matches, issue, parse,
};

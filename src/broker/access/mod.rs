//! Use cases of people, service accounts, their tokens and their roles, one
//! verb a file. Nobody does anything here to its own advantage: roles come
//! from another owner, and the last owner stays.

mod create_binding;
mod create_principal;
mod create_token;
mod delete_binding;
mod delete_principal;
mod list_bindings;
mod list_mintable;
mod list_principals;
mod list_roles;
mod list_tokens;
mod revoke_token;
mod who_am_i;

pub(super) use create_binding::binding_line;
pub use create_binding::{NewBinding, WishedTarget};
pub use create_principal::NewPrincipal;
pub use create_token::{NewToken, NewTokenSecret, TOKEN_DAYS_DEFAULT, TOKEN_DAYS_MAX};
pub use list_mintable::Mintable;
pub use list_roles::RoleSeen;
pub use list_tokens::TokenSeen;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_mintable;
#[cfg(test)]
mod tests_standing;

//! Use cases of stack components, one verb a file: what pipelines use, and
//! what it is linked to.

mod connect;
mod delete;
mod list;
mod register;
mod visible;

pub use connect::{Connect, Link};
pub use list::ComponentFilter;
pub use register::NewComponent;

#[cfg(test)]
mod tests;

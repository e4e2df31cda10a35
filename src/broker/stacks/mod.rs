//! Use cases of stacks, one verb a file: named lists of components.

mod delete;
mod list;
mod register;
mod update;

pub use register::NewStack;

#[cfg(test)]
mod tests;

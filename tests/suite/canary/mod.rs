//! Canaries: secrets that are each unique, and a search for every one of them, in every encoding, in everything that
//! the daemon and the command line leave behind (SECURITY 2.3).
//!
//! A search that finds nothing proves nothing until the same search has found something: `controls` plants canaries
//! where the search must find them, and runs the daemon without its wiping allocator.

mod controls;
mod encodings;
mod memory;
mod misuse;
mod scanner;
mod shred;
mod sinks;
mod story;

//! The floor, the mint and what lies between: a bench of whole processes over TLS.

fn main() {}

//! Who may import whom, as data: the table of DESIGN.md section 3.
//!
//! A change here is a change of the architecture: it needs a reason in its commit.

/// How much of another room may be used.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// Everything that is public.
    All,
    /// What stands at the room's root: traits and values, but nothing through its inner modules.
    Root,
    /// These items at the room's root.
    Only(&'static [&'static str]),
}

use Part::{All, Only, Root};

/// What one room may use.
pub struct Room {
    /// Its name.
    pub name: &'static str,
    /// Which other rooms, and how much of each.
    pub may: &'static [(&'static str, Part)],
}

/// Every room. `proto` is the generated code; `main` is the binary's one file.
pub const ROOMS: &[Room] = &[
    Room { name: "domain", may: &[] },
    Room { name: "telemetry", may: &[] },
    Room { name: "config", may: &[("domain", All)] },
    Room { name: "authz", may: &[("domain", All)] },
    Room { name: "audit", may: &[("domain", All)] },
    Room { name: "outbound", may: &[("domain", All)] },
    Room { name: "authn", may: &[("domain", All), ("outbound", All)] },
    Room {
        name: "sealing",
        may: &[
            ("domain", All),
            // The proofs that something may be opened; not the means to make them.
            ("authz", Only(&["Permit", "Permission"])),
            ("audit", Only(&["OpenEntry"])),
        ],
    },
    Room {
        name: "connectors",
        may: &[("domain", All), ("outbound", All), ("sealing", Only(&["Plaintext", "SourceCredential"]))],
    },
    Room {
        name: "store",
        may: &[
            ("domain", All),
            ("audit", All),
            // Sealed values are opaque to it.
            ("sealing", Only(&["Sealed", "SealedCredential", "WrappedKek", "KekState", "SealedIssuerKey"])),
        ],
    },
    Room {
        // Keys that are no project's, on a schedule, and documents for strangers: no use case, and no cloud's.
        name: "issuer",
        may: &[
            ("domain", All),
            ("audit", All),
            // What seals its own keys; a source credential it never sees.
            ("sealing", Only(&["Keyring", "SealedIssuerKey", "SealingError"])),
            ("store", Root),
        ],
    },
    Room {
        name: "broker",
        may: &[
            ("domain", All),
            ("outbound", All),
            ("authn", All),
            ("authz", All),
            ("audit", All),
            ("sealing", All),
            // The ports, never a backend and never one cloud.
            ("store", Root),
            ("connectors", Root),
            ("issuer", Root),
        ],
    },
    Room {
        name: "api",
        may: &[
            ("domain", All),
            ("broker", All),
            ("authn", All),
            ("authz", Only(&["Permission", "METHOD_RULES", "MethodRule", "rule_of"])),
            // It takes the secret out of the request at once; that it never looks inside is for plaintext.rs.
            ("sealing", Only(&["Plaintext", "SourceCredential"])),
            ("proto", All),
        ],
    },
    Room { name: "agent", may: &[("proto", All), ("config", All)] },
    Room {
        name: "cli",
        may: &[
            ("proto", All),
            ("config", All),
            // `ssh-agent` serves the socket of that room, and is the port behind it: it holds the connection.
            ("agent", All),
        ],
    },
    Room {
        name: "daemon",
        may: &[
            ("domain", All),
            ("telemetry", All),
            ("config", All),
            ("authz", All),
            ("audit", All),
            ("outbound", All),
            ("authn", All),
            ("sealing", All),
            ("connectors", All),
            ("store", All),
            ("issuer", All),
            ("broker", All),
            ("api", All),
            // What was asked for on the command line of `init`, `serve` and `audit verify`.
            ("cli", Only(&["args"])),
            ("proto", All),
            // What was said on the command line; cli itself does not know the daemon.
            ("cli", Only(&["args"])),
        ],
    },
    Room { name: "manual", may: &[] },
    Room { name: "main", may: &[("cli", All), ("daemon", All), ("config", All)] },
];

/// Names and tracing set-up, which every room may use.
pub const FOR_EVERYONE: &str = "telemetry";

/// The generated code, declared in `lib.rs`.
pub const GENERATED: &str = "proto";

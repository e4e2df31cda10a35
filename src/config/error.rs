//! Why the config was refused. Names the file and the key, never the value:
//! whoever mistakes a key for another may have put a secret there.

use std::path::PathBuf;

use figment::error::Kind;

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the file {} cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may write the file, or it is no regular file.
    #[error("{} must be a regular file of yours or root's that nobody else may write (chmod go-w)", path.display())]
    Loose {
        /// Which file.
        path: PathBuf,
    },
    /// A secret's file that others may read.
    #[error("{} must be readable by its owner alone (chmod 600)", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no TOML.
    #[error("{} is not valid TOML{place}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, when the parser says so.
        place: String,
    },
    /// A key is unknown, or its value does not fit.
    #[error("{key}: {problem}")]
    Key {
        /// For example `server.listen`.
        key: String,
        /// What to do about it.
        problem: String,
    },
    /// An environment variable is not UTF-8.
    #[error("the environment variable {name} is not UTF-8")]
    Environment {
        /// Its name.
        name: String,
    },
}

impl ConfigError {
    /// A refusal of a key.
    pub(super) fn key(key: &str, problem: &str) -> Self {
        Self::Key { key: key.to_owned(), problem: problem.to_owned() }
    }

    /// What figment found, without the value it found.
    pub(super) fn of(error: figment::Error) -> Self {
        let problem = problem(&error.kind);
        let mut path = error.path;
        if let Kind::UnknownField(name, _) = &error.kind
            && path.last() != Some(name)
        {
            path.push(name.clone());
        }
        Self::Key { key: path.join("."), problem }
    }
}

#[allow(clippy::wildcard_enum_match_arm)] // a foreign enum, and whatever else there is says no more
fn problem(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(_, known) => format!("there is no such key; known here: {}", known.join(", ")),
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        Kind::InvalidType(_, due) | Kind::InvalidValue(_, due) | Kind::InvalidLength(_, due) => {
            format!("must be {due}")
        }
        Kind::Message(own) if own.starts_with("not a length of time") => {
            "must be a length of time such as \"30s\" or \"5m\"".to_owned()
        }
        _ => "its value does not fit; see config.example.toml".to_owned(),
    }
}

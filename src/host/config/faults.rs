//! What is wrong with a configuration, for the person who wrote it.

use crate::secret::SecretError;
use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

/// One thing that is wrong with a configuration. It prints as `FILE:LINE: KEY: WHY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub file: PathBuf,
    /// Its line, from 1. A missing key has the nearest line. A fault of the whole file has no line.
    pub line: Option<usize>,
    /// The key as a path: `item[0].price`, counted from 0.
    pub key: Option<String>,
    /// The rule for its value, or the fault of the value.
    pub why: String,
    pub about: About,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    UnknownKey,
    /// A file that is not there.
    Missing,
    /// A file that this user may not read.
    Denied,
    /// A secret by the plain name of a credential. Only its service is given that.
    Credential,
    Value,
}

impl About {
    /// What an error is about. It looks through the whole chain of causes.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if matches!(error.downcast_ref(), Some(SecretError::NoFile)) {
            return Self::Credential;
        }
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => Self::Missing,
            Some(io::ErrorKind::PermissionDenied) => Self::Denied,
            Some(_) => Self::Value,
            None => error.source().map_or(Self::Value, Self::of),
        }
    }
}

/// Everything that is wrong with a configuration: one fault or more, one on each line, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub(super) Vec<Fault>);

impl Faults {
    pub(super) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Self(faults)
    }

    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl Fault {
    /// Whether the other fault only says that this value is missing. The value was there, but could not be read.
    pub(super) fn explains(&self, other: &Self) -> bool {
        let (Some(here), Some(there)) = (&self.key, &other.key) else { return false };
        let holds =
            |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.about != About::UnknownKey && (holds(here, there) || holds(there, here))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if let Some(key) = &self.key {
            write!(f, " {key}:")?;
        }
        write!(f, " {}", self.why)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Error for Faults {}

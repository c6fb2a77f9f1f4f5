//! Where the files of a configuration really are.

use crate::rooted::within;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files may lie below the root of another system, or not be in their places yet. The default takes every path as it is written.
#[derive(Debug, Clone, Default)]
pub struct Places {
    root: Option<PathBuf>,
    instead: BTreeMap<PathBuf, Instead>,
}

#[derive(Debug, Clone)]
struct Instead {
    file: PathBuf,
    is_temporary: bool,
}

impl Places {
    /// Absolute paths are paths of the system below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: Some(root.into()), instead: BTreeMap::new() }
    }

    /// The content of `path` is read from `file`. `path` is absolute, or the plain name of a credential.
    pub fn put(&mut self, path: impl Into<PathBuf>, file: impl Into<PathBuf>) {
        self.instead.insert(path.into(), Instead { file: file.into(), is_temporary: false });
    }

    /// The same for a file that is gone soon: its faults name `path`.
    pub fn put_for_now(&mut self, path: impl Into<PathBuf>, file: impl Into<PathBuf>) {
        self.instead.insert(path.into(), Instead { file: file.into(), is_temporary: true });
    }

    #[must_use]
    pub fn of(&self, path: &Path) -> PathBuf {
        match (self.instead.get(path), &self.root) {
            (Some(instead), _) => instead.file.clone(),
            (None, Some(root)) if path.is_absolute() => within(root, path),
            (None, _) => path.into(),
        }
    }

    pub(super) fn as_written(&self, text: &str) -> String {
        let temporary = self.instead.iter().filter(|(_, instead)| instead.is_temporary);
        temporary.fold(text.to_owned(), |text, (path, instead)| text.replace(&*instead.file.to_string_lossy(), &path.to_string_lossy()))
    }
}

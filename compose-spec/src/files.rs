//! The only way to the outside: what the loader asks of a file system.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The file system as the loader sees it. Paths are absolute, except `-` for standard input.
pub trait Files {
    /// The content of a file. An implementation stops with an error of kind
    /// [`io::ErrorKind::FileTooLarge`] once more than `limit` bytes were read.
    ///
    /// # Errors
    /// What the file system says.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Whether it can be read as a file (links are followed).
    fn is_file(&self, path: &Path) -> bool;

    /// Whether it is a folder (links are followed).
    fn is_dir(&self, path: &Path) -> bool;

    /// Whether there is anything.
    fn exists(&self, path: &Path) -> bool {
        self.is_file(path) || self.is_dir(path)
    }
}

/// Files in memory, for tests and for stacks that come from elsewhere than a disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl MemoryFiles {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `--- NAME` lines, each followed by that file's text, as files below `root`. A text without
    /// such a line is `compose.yaml`.
    #[must_use]
    pub fn fixture(root: &Path, text: &str) -> Self {
        let mut files = Self::new();
        let mut name = String::from("compose.yaml");
        let mut content = String::new();
        for line in text.lines() {
            if let Some(next) = line.strip_prefix("--- ") {
                if !content.is_empty() {
                    files.insert(root.join(&name), std::mem::take(&mut content));
                }
                next.clone_into(&mut name);
            } else {
                content.push_str(line);
                content.push('\n');
            }
        }
        files.insert(root.join(name), content);
        files
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let content = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        if content.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(content.clone())
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        !self.is_file(path) && self.files.keys().any(|file| file.starts_with(path))
    }
}

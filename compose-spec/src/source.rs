//! The texts that were read, and places in them.

use std::path::{Path, PathBuf};

/// Which of the [`Sources`] a place is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A place in a text: one stretch of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The text.
    pub file: FileId,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// Length in characters; may be 0 where nothing stands (an empty value).
    pub length: u32,
}

/// Every text that was read for one project, in the order of reading.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    shown: String,
    text: String,
}

impl Sources {
    /// Keeps a text; `shown` is how messages name it.
    pub fn add(&mut self, path: &Path, shown: String, text: String) -> FileId {
        // More texts than u32::MAX cannot be in memory; the limit on files is far lower.
        let id = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(Source { path: path.to_owned(), shown, text });
        FileId(id)
    }

    /// How messages name the text: the path relative to the folder of the call where that is shorter.
    #[must_use]
    pub fn shown(&self, file: FileId) -> &str {
        self.get(file).map_or("?", |source| &source.shown)
    }

    /// The path it was read from; `-` is standard input.
    #[must_use]
    pub fn path(&self, file: FileId) -> &Path {
        self.get(file).map_or(Path::new(""), |source| &source.path)
    }

    /// The first text that was read from a path.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<FileId> {
        let index = self.sources.iter().position(|source| source.path == path)?;
        u32::try_from(index).ok().map(FileId)
    }

    /// The paths of all texts, in the order of reading.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(|source| source.path.as_path())
    }

    /// The text itself.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.get(file).map_or("", |source| &source.text)
    }

    /// One line of a text, counted from 1, without its line end.
    #[must_use]
    pub fn line(&self, file: FileId, line: u32) -> Option<&str> {
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        self.text(file).lines().nth(index)
    }

    fn get(&self, file: FileId) -> Option<&Source> {
        self.sources.get(file.0 as usize)
    }
}

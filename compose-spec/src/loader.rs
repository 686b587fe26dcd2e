//! Reads files for all phases: keeps their texts, their limits, and where their values come from.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Code, Diagnostic};
use crate::dotenv;
use crate::environment::Environment;
use crate::files::Files;
use crate::interpolate::{self, Context, Uses};
use crate::limits;
use crate::node::{Map, Node, Value};
use crate::paths::{Origin, Origins};
use crate::place::Place;
use crate::report::Report;
use crate::request::LoadRequest;
use crate::source::{FileId, Sources, Span};
use crate::yaml;

/// What messages call a file that `extends` names.
pub(crate) const EXTENDED: &str = "extended file";
/// What messages call a file that `include` names.
pub(crate) const INCLUDED: &str = "included file";

/// The state that loading one project needs.
pub(crate) struct Loader<'a> {
    pub(crate) request: &'a LoadRequest,
    pub(crate) files: &'a dyn Files,
    pub(crate) sources: Sources,
    pub(crate) report: Report,
    pub(crate) uses: Uses,
    pub(crate) origins: Origins,
    /// For files that others led to: where, and how.
    pub(crate) brought: BTreeMap<FileId, (Span, &'static str)>,
    /// Services of extended files, each read once.
    pub(crate) extended: BTreeMap<PathBuf, Map>,
    /// Services that are known to extend one another in a circle.
    pub(crate) circles: BTreeSet<(PathBuf, String)>,
    bytes: usize,
    reads: usize,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(request: &'a LoadRequest, files: &'a dyn Files) -> Self {
        Self {
            request,
            files,
            sources: Sources::default(),
            report: Report::default(),
            uses: Uses::default(),
            origins: Origins::default(),
            brought: BTreeMap::new(),
            extended: BTreeMap::new(),
            circles: BTreeSet::new(),
            bytes: 0,
            reads: 0,
        }
    }

    /// Reads a text that is wanted at `at`; what goes wrong is reported.
    pub(crate) fn read(&mut self, path: &Path, what: &str, at: Option<Span>) -> Option<FileId> {
        match self.try_read(path) {
            Ok(text) => {
                let shown = self.shown(path);
                Some(self.sources.add(path, shown, text))
            }
            Err(reason) => {
                let message = format!("cannot read the {what} {}: {reason}", self.shown(path));
                let mut finding = Diagnostic::error(Code::File, at, message);
                if self.files.is_dir(path) {
                    finding = finding.hint("name the file in it");
                }
                self.report.add(finding);
                None
            }
        }
    }

    fn try_read(&mut self, path: &Path) -> Result<String, String> {
        self.reads += 1;
        if self.reads > limits::FILES {
            return Err(format!("more than {} files are read", limits::FILES));
        }
        if self.files.is_dir(path) {
            return Err("it is a folder".to_owned());
        }
        let bytes = self.files.read(path, limits::FILE_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "it does not exist".to_owned(),
            io::ErrorKind::FileTooLarge => format!("it is larger than {} MiB", limits::FILE_BYTES >> 20),
            _ => error.to_string(),
        })?;
        self.bytes += bytes.len();
        if self.bytes > limits::TOTAL_BYTES {
            return Err(format!("all files together are larger than {} MiB", limits::TOTAL_BYTES >> 20));
        }
        decode(bytes)
    }

    /// How messages name a path: relative to the folder of the call, if it is below.
    pub(crate) fn shown(&self, path: &Path) -> String {
        if path.as_os_str() == "-" {
            return "<stdin>".to_owned();
        }
        match path.strip_prefix(&self.request.working_dir) {
            Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
            Ok(below) => below.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }

    /// Reads and parses a Compose file into its documents.
    pub(crate) fn documents(
        &mut self,
        path: &Path,
        what: &'static str,
        at: Option<Span>,
        origin: Origin,
    ) -> Option<Vec<Node>> {
        let file = self.read(path, what, at)?;
        self.origins.insert(file, origin);
        if let Some(at) = at {
            let how =
                if what == EXTENDED { "the file is extended here" } else { "the file is included here" };
            self.brought.insert(file, (at, how));
        }
        let documents = yaml::parse(self.sources.text(file), file, &mut self.report)?;
        let mut kept = Vec::with_capacity(documents.len());
        for document in documents {
            match document.value {
                Value::Map(_) => kept.push(document),
                _ => {
                    let message = format!(
                        "{} must be a mapping at the top, not {}",
                        self.sources.shown(file),
                        document.kind()
                    );
                    self.report.add(
                        Diagnostic::error(Code::Schema, document.span, message)
                            .hint("begin with `services:`, and indent what belongs to it"),
                    );
                }
            }
        }
        Some(kept)
    }

    /// Replaces variables, unless they are to stay.
    pub(crate) fn interpolate(&mut self, document: &mut Node, environment: &Environment) {
        if self.request.no_interpolate {
            self.uses.survey(document);
            return;
        }
        let mut context = Context { environment, uses: &mut self.uses, report: &mut self.report };
        interpolate::interpolate(document, Some(&interpolate::PROJECT), &Place::TOP, &mut context);
    }

    /// Reads an environment file on top of what is set outside: the file's variables, later lines winning.
    pub(crate) fn environment_file(
        &mut self,
        path: &Path,
        outside: &Environment,
        at: Option<Span>,
    ) -> Option<Vec<dotenv::Assignment>> {
        let file = self.read(path, "environment file", at)?;
        let lookup = |name: &str| outside.get(name).map(str::to_owned);
        match dotenv::parse(self.sources.text(file), file, &lookup) {
            Ok(assignments) => {
                for nameless in assignments.iter().filter(|a| a.name.is_empty() && a.value.is_some()) {
                    let message = "this sets a variable without a name";
                    self.report.add(Diagnostic::warning(Code::Suspicious, nameless.span, message).hint(
                        "write `NAME=value`; end a line that only hands a variable on with a line break",
                    ));
                }
                Some(assignments)
            }
            Err(finding) => {
                self.report.add(match at {
                    Some(at) => finding.related(at, "the file is used here"),
                    None => finding,
                });
                None
            }
        }
    }

    /// Adds the variables of environment files to those set outside, which win; later files beat earlier.
    pub(crate) fn with_environment_files(&mut self, outside: &Environment, paths: &[PathBuf]) -> Environment {
        let mut from_files = Environment::default();
        for path in paths {
            let mut known = outside.clone();
            known.fill(&from_files);
            for assignment in self.environment_file(path, &known, None).unwrap_or_default() {
                if let Some(value) = assignment.value {
                    from_files.set(&assignment.name, value, Some(assignment.span));
                }
            }
        }
        let mut environment = outside.clone();
        environment.fill(&from_files);
        environment
    }

    /// Says that the files hold nothing; the place is where the first one begins.
    pub(crate) fn empty(&mut self, files: &[PathBuf]) {
        let file = files.first().and_then(|path| self.sources.find(path));
        let at = file.map(|file| Span { file, line: 1, column: 1, length: 0 });
        self.report.add(
            Diagnostic::error(Code::Request, at, "the Compose file is empty")
                .hint("a project needs at least `services:` with one service below it"),
        );
    }
}

/// Text from bytes: UTF-8, or UTF-16 where a byte order mark says so.
fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let wide = match bytes.as_slice() {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
        _ => None,
    };
    if let Some(read) = wide {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        return String::from_utf16(&units).map_err(|_| "it is not valid UTF-16".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        format!("line {} is not valid UTF-8", line + 1)
    })
}

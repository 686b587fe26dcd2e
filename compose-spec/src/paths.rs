//! Makes relative paths absolute. Each is relative to the folder of the project that its file belongs to, or,
//! in a file that is only extended, to that file's folder; so the place of a text decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::environment::Environment;
use crate::format::{PathKind, Rule};
use crate::node::{Node, Value};
use crate::short::clean_path;
use crate::source::{FileId, Span};

/// What the values of one file are relative to.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The folder of relative paths; `None` leaves them as they are.
    pub(crate) base: Option<PathBuf>,
    /// The variables.
    pub(crate) environment: Rc<Environment>,
}

/// The origins of all files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    by_file: BTreeMap<FileId, Origin>,
}

impl Origins {
    pub(crate) fn insert(&mut self, file: FileId, origin: Origin) {
        self.by_file.insert(file, origin);
    }

    /// Replaces the variables of the files read so far, once the project's name is known among them.
    pub(crate) fn set_environment(&mut self, environment: &Rc<Environment>) {
        for origin in self.by_file.values_mut() {
            origin.environment = Rc::clone(environment);
        }
    }

    pub(crate) fn of(&self, span: Span) -> Option<&Origin> {
        self.by_file.get(&span.file)
    }

    /// A path in a file, made absolute.
    pub(crate) fn absolute(&self, text: &str, span: Span) -> String {
        let Some(origin) = self.of(span) else { return text.to_owned() };
        let text = expand_home(text, &origin.environment);
        match &origin.base {
            Some(base) if !is_absolute(&text) => join(base, &text),
            Some(_) => text,
            None => text,
        }
    }
}

/// Resolves every path in a settled tree.
pub(crate) fn resolve(node: &mut Node, rule: &'static Rule, origins: &Origins) {
    match &mut node.value {
        Value::Map(map) => {
            for (key, entry) in map.iter_mut() {
                match (rule.path, rule.shape.entry(key)) {
                    (Some(PathKind::NamedContext), _) => {
                        resolve_text(&mut entry.node, PathKind::Context, origins);
                    }
                    (_, Some(rule)) => resolve(&mut entry.node, rule, origins),
                    (_, None) => {}
                }
            }
            if rule.form == Some(crate::format::Form::Mount) {
                resolve_mount(node, origins);
            }
        }
        Value::Seq(items) => {
            if let Some(rule) = rule.shape.item() {
                items.iter_mut().for_each(|item| resolve(item, rule, origins));
            }
        }
        Value::String(_) => {
            if let Some(kind) = rule.path {
                resolve_text(node, kind, origins);
            }
        }
        _ => {}
    }
}

fn resolve_text(node: &mut Node, kind: PathKind, origins: &Origins) {
    let span = node.span;
    if let Value::String(text) = &mut node.value
        && (kind == PathKind::Plain || !(text.is_empty() || is_remote(text)))
    {
        *text = origins.absolute(text, span);
    }
}

fn resolve_mount(node: &mut Node, origins: &Origins) {
    if node.get_str("type") == Some("bind")
        && let Some(source) = node.get_mut("source")
    {
        resolve_text(source, PathKind::Plain, origins);
    }
}

/// A local volume that binds a folder of the host names it in its options.
pub(crate) fn resolve_volume(node: &mut Node, origins: &Origins) {
    let local = matches!(node.get_str("driver"), None | Some("local"));
    if let Some(options) = node.get_mut("driver_opts")
        && local
        && options.get_str("o").is_some_and(|o| o.split(',').any(|part| part == "bind"))
        && let Some(device) = options.get_mut("device")
    {
        resolve_text(device, PathKind::Plain, origins);
    }
}

/// Whether a build context is not on this machine.
fn is_remote(text: &str) -> bool {
    text.contains("://")
        || text.starts_with("git@")
        || text.starts_with("github.com/")
        || text.starts_with("service:")
        || text.starts_with("target:")
}

/// What begins with `~` begins at the caller's home.
fn expand_home(text: &str, environment: &Environment) -> String {
    match (text.strip_prefix('~'), environment.get("HOME")) {
        (Some(rest), Some(home)) => clean_path(&format!("{home}/{rest}")),
        _ => text.to_owned(),
    }
}

/// Absolute here, or on Windows.
pub(crate) fn is_absolute(text: &str) -> bool {
    let bytes = text.as_bytes();
    let drive = matches!(bytes, [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    text.starts_with('/') || text.starts_with(r"\\") || drive
}

/// `base/text`, cleaned.
pub(crate) fn join(base: &Path, text: &str) -> String {
    clean_path(&format!("{}/{text}", base.to_string_lossy()))
}

/// The same for paths of the request.
pub(crate) fn absolute(base: &Path, path: &Path) -> PathBuf {
    if path.as_os_str() == "-" || path.is_absolute() {
        return path.to_owned();
    }
    PathBuf::from(join(base, &path.to_string_lossy()))
}

/// The folder of a file.
pub(crate) fn folder(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

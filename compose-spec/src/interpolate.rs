//! Replaces variables in the values of a tree, and casts what must not stay text.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::cast::{self, Cast};
use crate::diagnostic::{Code, Diagnostic};
use crate::environment::Environment;
use crate::format::{Rule, Shape};
use crate::limits;
use crate::node::{Node, Tag, Value};
use crate::place::Place;
use crate::report::Report;
use crate::request::Variable;
use crate::source::Span;
use crate::template::{Lookup, TemplateError, Use, substitute};

/// What was learnt about variables while replacing them.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// How each variable is used.
    pub(crate) variables: BTreeMap<String, Variable>,
    /// For values that came from environment files: the lines that set their variables.
    pub(crate) origins: BTreeMap<Span, Vec<(Span, String)>>,
    bytes: usize,
}

/// Replaces variables in every value of the tree; keys stay as they are.
pub(crate) fn interpolate(
    node: &mut Node,
    rule: Option<&'static Rule>,
    place: &Place<'_>,
    context: &mut Context<'_>,
) {
    if node.tag == Tag::Reset {
        // What is to vanish need not mean anything.
        return;
    }
    match &mut node.value {
        Value::Map(map) => {
            for (key, entry) in map.iter_mut() {
                let rule = rule.and_then(|rule| rule.shape.entry(key));
                interpolate(&mut entry.node, rule, &place.key(key), context);
            }
        }
        Value::Seq(items) => {
            let rule = rule.and_then(|rule| rule.shape.item());
            for (index, item) in items.iter_mut().enumerate() {
                interpolate(item, rule, &place.index(index), context);
            }
        }
        Value::String(text) => {
            if text.contains('$') {
                match context.replace(text, node.span) {
                    Some(replaced) => node.value = Value::String(replaced),
                    None => return,
                }
            }
            if let Some(cast) = rule.and_then(|rule| rule.cast) {
                cast_node(node, cast, place, context.report);
            }
        }
        _ => {}
    }
}

/// What replacing needs to know and to tell.
pub(crate) struct Context<'a> {
    /// The variables.
    pub(crate) environment: &'a Environment,
    /// What is learnt about them.
    pub(crate) uses: &'a mut Uses,
    /// What is wrong.
    pub(crate) report: &'a mut Report,
}

impl Context<'_> {
    fn replace(&mut self, text: &str, span: Span) -> Option<String> {
        let mut lookup =
            Recorder { environment: self.environment, uses: self.uses, span, text, unset: Vec::new() };
        let replaced = substitute(text, &mut lookup);
        let unset = std::mem::take(&mut lookup.unset);
        for (name, range) in unset {
            let message = format!("variable `{name}` is not set; an empty text stands in for it");
            let finding = Diagnostic::warning(Code::Interpolation, part(span, text, &range), message);
            self.report.add(match self.environment.similar(&name) {
                Some((near, origin)) => {
                    finding.related(origin, "but this is set").hint(format!("did you mean `{near}`?"))
                }
                None => finding.hint(format!("write `${{{name}:-}}` if it may be empty")),
            });
        }
        match replaced {
            Ok(replaced) => {
                self.uses.bytes += replaced.len();
                if self.uses.bytes <= limits::INTERPOLATED_TOTAL {
                    return Some(replaced);
                }
                let message = format!("interpolation yields more than {} bytes", limits::INTERPOLATED_TOTAL);
                self.report.error(Code::Limit, None, message);
            }
            Err(TemplateError { range, message, hint }) => {
                let mut finding = Diagnostic::error(Code::Interpolation, part(span, text, &range), message);
                finding.hint = hint;
                self.report.add(finding);
            }
        }
        None
    }
}

/// The place of a part of a value, where the value stands in the file as it reads; else the whole value's.
fn part(span: Span, text: &str, range: &Range<usize>) -> Span {
    let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let quotes = span.length.saturating_sub(count(text));
    if text.contains('\n') || !(quotes == 0 || quotes == 2) {
        return span;
    }
    let (Some(before), Some(inside)) = (text.get(..range.start), text.get(range.clone())) else {
        return span;
    };
    Span { column: span.column + quotes / 2 + count(before), length: count(inside), ..span }
}

struct Recorder<'a> {
    environment: &'a Environment,
    uses: &'a mut Uses,
    span: Span,
    text: &'a str,
    unset: Vec<(String, Range<usize>)>,
}

impl Lookup for Recorder<'_> {
    fn value(&mut self, name: &str) -> Option<String> {
        let setting = self.environment.setting(name)?;
        if let Some(origin) = setting.origin {
            let origins = self.uses.origins.entry(self.span).or_default();
            if !origins.iter().any(|(known, _)| *known == origin) {
                origins.push((origin, name.to_owned()));
            }
        }
        Some(setting.value.clone())
    }

    fn used(&mut self, name: &str, how: Use<'_>, range: Range<usize>, missed: bool) {
        self.uses.note(name, how);
        if how == Use::Plain && missed && self.text.get(range.clone()).is_some() {
            self.unset.push((name.to_owned(), range));
        }
    }
}

impl Uses {
    /// Learns which variables a tree uses, those in defaults and alternatives included, and replaces nothing.
    pub(crate) fn survey(&mut self, node: &Node) {
        match &node.value {
            Value::Map(map) => map.iter().for_each(|(_, entry)| self.survey(&entry.node)),
            Value::Seq(items) => items.iter().for_each(|item| self.survey(item)),
            // What is malformed stays as it stands, and so do the variables in it.
            Value::String(text) if text.contains('$') => drop(substitute(text, &mut Survey { uses: self })),
            _ => {}
        }
    }

    fn note(&mut self, name: &str, how: Use<'_>) {
        let variable = self.variables.entry(name.to_owned()).or_default();
        match how {
            Use::Plain => {}
            Use::Default(text) => variable.default = Some(text.to_owned()),
            Use::Alternative(text) => variable.alternative = Some(text.to_owned()),
            Use::Required(_) => variable.required = true,
        }
    }
}

/// A look at every variable, as if all were set: then nothing is missed.
struct Survey<'a> {
    uses: &'a mut Uses,
}

impl Lookup for Survey<'_> {
    fn value(&mut self, _: &str) -> Option<String> {
        Some("set".to_owned())
    }

    fn used(&mut self, name: &str, how: Use<'_>, _: Range<usize>, _: bool) {
        self.uses.note(name, how);
    }
}

/// Turns text into what the attribute wants to be; what cannot be turned is reported.
fn cast_node(node: &mut Node, cast: Cast, place: &Place<'_>, report: &mut Report) {
    let Value::String(text) = &node.value else { return };
    let value = match cast {
        Cast::Bool => cast::to_bool(text).map(Value::Bool),
        Cast::Int => cast::to_int(text).map(Value::Int),
        Cast::Float => cast::to_float(text).map(Value::Float),
    };
    match value {
        Some(value) => {
            if let Value::Bool(value) = value
                && !matches!(text.as_str(), "true" | "false" | "True" | "False" | "TRUE" | "FALSE")
            {
                let message = format!("`{place}: {text}` is read as `{value}`");
                report.add(
                    Diagnostic::warning(Code::Suspicious, node.span, message)
                        .hint(format!("write `{value}`; YAML 1.2 knows no other word for it")),
                );
            }
            node.value = value;
        }
        None => {
            let message = format!("`{place}` must be {}, not `{text}`", cast.expected());
            report.error(Code::Value, node.span, message);
            // Reported once: nothing of the wrong type is left for the schema to find.
            node.value = match cast {
                Cast::Bool => Value::Bool(false),
                Cast::Int => Value::Int(0),
                Cast::Float => Value::Float(0.0),
            };
        }
    }
}

/// The rule of a whole file.
pub(crate) static PROJECT: Rule = Rule::new(Shape::Object(&crate::format::PROJECT));

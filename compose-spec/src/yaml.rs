//! From YAML text to trees: places, tags, anchors, merge keys, duplicate keys, and the budget that keeps
//! alias bombs small.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag as YamlTag};

use crate::diagnostic::{Code, Diagnostic};
use crate::limits;
use crate::node::{Entry, Key, Map, Node, Tag, Value};
use crate::report::Report;
use crate::source::{FileId, Span};
use crate::yaml_indent::{BadIndent, Indents};
use crate::yaml_scalar::{resolve_plain, resolve_tagged};

/// Reads all documents of a text. Syntax errors end the reading; duplicate keys and the like are reported
/// all at once.
pub(crate) fn parse(text: &str, file: FileId, report: &mut Report) -> Option<Vec<Node>> {
    if let Err(finding) = check_text(text, file) {
        report.add(finding);
        return None;
    }
    let mut indents = Indents::default();
    let mut padded = Cow::Borrowed(text);
    loop {
        let mut builder = Builder::new(file, &indents);
        let result = builder.documents(&mut Parser::new_from_str(&padded));
        let (findings, failed_at) = (builder.findings, builder.failed_at);
        match result {
            Err(_) if failed_at.is_some_and(|place| indents.deepen(text, place)) => {
                padded = Cow::Owned(indents.apply(text));
            }
            Err(finding) => {
                report.add(finding);
                return None;
            }
            Ok(documents) => {
                findings.into_iter().for_each(|finding| report.add(finding));
                return Some(documents);
            }
        }
    }
}

/// Refuses what the parser would let through: control characters and the version directive, which the
/// reference does not read either.
fn check_text(text: &str, file: FileId) -> Result<(), Diagnostic> {
    for (index, line) in text.lines().enumerate() {
        let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let at = |column: usize| Span {
            file,
            line: line_number,
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
            length: 1,
        };
        if line.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
            && let Some((column, c)) =
                line.chars().enumerate().find(|(_, c)| c.is_ascii_control() && !matches!(c, '\t' | '\r'))
        {
            let message = format!("control character U+{:04X} is not allowed in YAML", u32::from(c));
            return Err(Diagnostic::error(Code::Yaml, at(column), message));
        }
        if line.starts_with("%YAML") && !line.starts_with("%YAML 1.1") {
            return Err(Diagnostic::error(Code::Yaml, at(0), "the `%YAML` directive is not supported")
                .hint("leave the line out; files are read as YAML 1.2 in any case"));
        }
    }
    Ok(())
}

type Events<'input> = Parser<'input, StrInput<'input>>;

struct Builder<'a> {
    file: FileId,
    indents: &'a Indents,
    /// What is wrong beside the syntax.
    findings: Vec<Diagnostic>,
    /// Where the parser stopped for a line's indentation.
    failed_at: Option<BadIndent>,
    /// Nodes by anchor, with the number of nodes that each expands to.
    anchors: BTreeMap<usize, (Node, usize)>,
    /// Nodes made so far.
    nodes: usize,
    /// Those of them that aliases made.
    aliased: usize,
    /// Those of them that may be multiplied by further aliases.
    aliased_again: usize,
    /// How many anchored lists and mappings are open.
    open_anchors: usize,
    /// The key whose value is being read, to say where a syntax error began.
    last_key: Option<Span>,
}

impl<'a> Builder<'a> {
    fn new(file: FileId, indents: &'a Indents) -> Self {
        Self {
            file,
            indents,
            findings: Vec::new(),
            failed_at: None,
            anchors: BTreeMap::new(),
            nodes: 0,
            aliased: 0,
            aliased_again: 0,
            open_anchors: 0,
            last_key: None,
        }
    }

    fn documents(&mut self, events: &mut Events<'_>) -> Result<Vec<Node>, Diagnostic> {
        let mut documents = Vec::new();
        loop {
            match self.next(events)? {
                (Event::StreamEnd, _) => return Ok(documents),
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
                (event, span) => documents.push(self.node(event, span, events, 0)?),
            }
        }
    }

    fn next<'input>(
        &mut self,
        events: &mut Events<'input>,
    ) -> Result<(Event<'input>, saphyr_parser::Span), Diagnostic> {
        match events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                self.failed_at = BadIndent::of(&error);
                Err(self.syntax_error(&error))
            }
            None => Ok((Event::StreamEnd, saphyr_parser::Span::empty(Marker::new(0, 1, 0)))),
        }
    }

    fn node(
        &mut self,
        event: Event<'_>,
        span: saphyr_parser::Span,
        events: &mut Events<'_>,
        depth: usize,
    ) -> Result<Node, Diagnostic> {
        let place = self.span(span);
        self.count(1, place)?;
        if depth > limits::DEPTH {
            let message = format!("lists and mappings are nested more than {} deep", limits::DEPTH);
            return Err(Diagnostic::error(Code::Limit, place, message));
        }
        let before = self.nodes;
        let (anchor, tag, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, compose_tag(tag.as_ref()), self.scalar(text, style, tag.as_ref(), place)?)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open_anchors += usize::from(anchor > 0);
                let value = self.sequence(events, depth)?;
                self.open_anchors -= usize::from(anchor > 0);
                (anchor, compose_tag(tag.as_ref()), value)
            }
            Event::MappingStart(anchor, tag) => {
                self.open_anchors += usize::from(anchor > 0);
                let value = self.mapping(events, depth)?;
                self.open_anchors -= usize::from(anchor > 0);
                (anchor, compose_tag(tag.as_ref()), value)
            }
            Event::Alias(anchor) => return self.alias(anchor, place),
            _ => (0, Tag::None, Value::Null),
        };
        let node = Node { value, span: place, tag };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn scalar(
        &self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Cow<'_, YamlTag>>,
        span: Span,
    ) -> Result<Value, Diagnostic> {
        if let Some(tag) = tag.filter(|tag| tag.is_yaml_core_schema()) {
            return resolve_tagged(&tag.suffix, &text).ok_or_else(|| {
                let message = format!("`{text}` cannot be read as `!!{}`", tag.suffix);
                Diagnostic::error(Code::Yaml, span, message)
            });
        }
        let resolved = if style == ScalarStyle::Plain { resolve_plain(&text) } else { None };
        Ok(resolved.unwrap_or_else(|| Value::String(text.into_owned())))
    }

    fn sequence(&mut self, events: &mut Events<'_>, depth: usize) -> Result<Value, Diagnostic> {
        let mut items = Vec::new();
        loop {
            match self.next(events)? {
                (Event::SequenceEnd, _) => {
                    items.shrink_to_fit();
                    return Ok(Value::Seq(items));
                }
                (event, span) => items.push(self.node(event, span, events, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, events: &mut Events<'_>, depth: usize) -> Result<Value, Diagnostic> {
        let mut entries: Vec<(Key, Entry)> = Vec::new();
        let mut merge: Option<(Span, Node)> = None;
        loop {
            let (event, span) = self.next(events)?;
            if event == Event::MappingEnd {
                break;
            }
            let place = self.span(span);
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.key(event, span, events, depth)?;
            self.last_key = Some(place);
            let (event, span) = self.next(events)?;
            let node = self.node(event, span, events, depth + 1)?;
            if is_merge {
                if let Some((first, _)) = merge.replace((place, node)) {
                    self.duplicate("<<", first, place);
                }
            } else if let Some(key) = key {
                entries.push((key, Entry { key: place, node }));
            }
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        for pair in entries.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            self.duplicate(&pair[0].0, pair[0].1.key, pair[1].1.key);
        }
        let mut map = Map::from_pairs(entries);
        if let Some((key, node)) = merge {
            self.merge_key(&mut map, key, node);
        }
        Ok(Value::Map(map))
    }

    /// The text of a key; other things than text are reported.
    fn key(
        &mut self,
        event: Event<'_>,
        span: saphyr_parser::Span,
        events: &mut Events<'_>,
        depth: usize,
    ) -> Result<Option<Key>, Diagnostic> {
        let event = match event {
            Event::Scalar(text, ScalarStyle::Plain, 0, None) if resolve_plain(&text).is_none() => {
                self.count(1, self.span(span))?;
                return Ok(Some(text.into()));
            }
            other => other,
        };
        let node = self.node(event, span, events, depth + 1)?;
        if let Value::String(text) = node.value {
            return Ok(Some(text.into()));
        }
        let finding = Diagnostic::error(
            Code::Yaml,
            self.span(span),
            format!("a key must be text, but this is {}", node.kind()),
        );
        self.findings.push(match node.to_text() {
            Some(text) => finding.hint(format!("put it in quotes: \"{text}\"")),
            None => finding,
        });
        Ok(None)
    }

    fn duplicate(&mut self, key: &str, first: Span, second: Span) {
        self.findings.push(
            Diagnostic::error(Code::Yaml, second, format!("the key `{key}` is defined twice"))
                .related(first, "first defined here"),
        );
    }

    /// Adds the entries of `<<` that the mapping does not have itself; of several, the first counts. A key that is
    /// tagged `!reset` takes away what earlier files say, and has no value of its own: the value of `<<` stays.
    fn merge_key(&mut self, map: &mut Map, key: Span, node: Node) {
        let sources = match node.value {
            Value::Seq(items) => items,
            _ => vec![node],
        };
        for source in sources {
            if let Value::Map(entries) = source.value {
                map.merge(entries, |_, own, merged| match (own.node.tag, merged.node.tag) {
                    (Tag::Reset, Tag::None | Tag::Override) => {
                        let node = Node { tag: Tag::Override, ..merged.node };
                        Entry { key: merged.key, node }
                    }
                    _ => own,
                });
            } else {
                let message = format!("`<<` takes a mapping or a list of mappings, not {}", source.kind());
                self.findings.push(Diagnostic::error(Code::Yaml, key, message));
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Diagnostic> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error(Code::Yaml, span, "an alias stands inside what it refers to"));
        };
        let size = *size;
        self.aliased += size;
        if self.aliased > limits::ALIASED {
            let message = format!("aliases stand for more than {} values", limits::ALIASED);
            return Err(Diagnostic::error(Code::Limit, span, message));
        }
        if self.open_anchors > 0 {
            self.aliased_again += size;
        }
        if self.aliased_again > limits::ALIASED_AGAIN {
            let message =
                format!("aliases inside of anchors stand for more than {} values", limits::ALIASED_AGAIN);
            return Err(Diagnostic::error(Code::Limit, span, message));
        }
        let node = node.clone();
        self.count(size, span)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes > limits::NODES {
            let message = format!("the file has more than {} values", limits::NODES);
            return Err(Diagnostic::error(Code::Limit, span, message));
        }
        Ok(())
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let one_line = span.start.line() == span.end.line();
        let length = if one_line { span.end.col().saturating_sub(span.start.col()) } else { 1 };
        self.place(&span.start, length)
    }

    fn place(&self, marker: &Marker, length: usize) -> Span {
        let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let column = marker.col().saturating_sub(self.indents.of(marker.line()));
        Span {
            file: self.file,
            line: bounded(marker.line()).max(1),
            column: bounded(column + 1),
            length: bounded(length),
        }
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let finding = Diagnostic::error(Code::Yaml, self.place(error.marker(), 1), explain(error.info()));
        let finding = match hint_for(error.info()) {
            Some(hint) => finding.hint(hint),
            None => finding,
        };
        match self.last_key {
            Some(key) if key.line as usize != error.marker().line() => {
                finding.related(key, "while reading what belongs to this key")
            }
            _ => finding,
        }
    }
}

fn compose_tag(tag: Option<&Cow<'_, YamlTag>>) -> Tag {
    match tag {
        Some(tag) if tag.handle == "!" && tag.suffix == "reset" => Tag::Reset,
        Some(tag) if tag.handle == "!" && tag.suffix == "override" => Tag::Override,
        _ => Tag::None,
    }
}

/// The parser's message as a sentence of ours.
fn explain(info: &str) -> String {
    format!("this is not valid YAML: {info}")
}

/// What most often causes a syntax error.
fn hint_for(info: &str) -> Option<&'static str> {
    if info.contains("tab") {
        Some("indent with spaces; YAML does not allow tabs")
    } else if info.contains("mapping values are not allowed") {
        Some("a `:` may be missing in the line above; a value with `: ` in it needs quotes")
    } else if info.contains("simple key") || info.contains("expected ':'") {
        Some("a `:` may be missing after the key, or the indentation is off")
    } else if info.contains("quoted scalar") {
        Some("a quote may not be closed")
    } else if info.contains("unknown anchor") {
        Some("define it first with `&name`")
    } else {
        None
    }
}

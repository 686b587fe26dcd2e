//! Brings every attribute into its one canonical form, whatever way it was written.

use crate::diagnostic::{Code, Diagnostic};
use crate::format::{Form, Object, Rule};
use crate::merge::{into_build, into_dependencies, into_names};
use crate::node::{Entry, Map, Node, Value};
use crate::place::Place;
use crate::report::Report;
use crate::scalar;
use crate::short;
use crate::source::Span;

/// Walks a tree and settles the forms.
pub(crate) struct Canonical<'a> {
    /// What is wrong.
    pub(crate) report: &'a mut Report,
    /// Whether variables still stand in the text: then values keep their types, and what cannot be read stays
    /// as it is.
    pub(crate) lenient: bool,
}

impl Canonical<'_> {
    /// Settles a node; says whether it may stay.
    pub(crate) fn settle(&mut self, node: &mut Node, rule: &'static Rule, place: &Place<'_>) -> bool {
        match &mut node.value {
            Value::Map(_) if rule.shape.object().is_some() => {
                if let Some(object) = rule.shape.object() {
                    self.object(node, object, place);
                }
            }
            Value::Map(map) => map.retain(|key, entry| {
                rule.shape.entry(key).is_none_or(|rule| self.settle(&mut entry.node, rule, &place.key(key)))
            }),
            Value::Seq(items) => {
                if let Some(rule) = rule.shape.item() {
                    let mut index = 0;
                    items.retain_mut(|item| {
                        index += 1;
                        self.settle(item, rule, &place.index(index - 1))
                    });
                }
            }
            _ => {}
        }
        let Some(form) = rule.form else { return true };
        match self.apply(node, form, place) {
            Ok(()) => true,
            Err(_) if self.lenient => true,
            Err(finding) => {
                self.report.add(*finding);
                false
            }
        }
    }

    fn object(&mut self, node: &mut Node, object: &'static Object, place: &Place<'_>) {
        self.settle_external(node, place);
        let keeps_extensions = matches!(object.name, "project" | "service");
        let lenient = self.lenient;
        let Some(map) = node.as_map_mut() else { return };
        map.retain(|key, entry| {
            let Some(rule) = object.field(key) else {
                return lenient || (keeps_extensions && key.starts_with("x-"));
            };
            self.settle(&mut entry.node, rule, &place.key(key))
        });
    }

    /// `external: {name: x}` is the old way to write `external: true` and `name: x`.
    fn settle_external(&mut self, node: &mut Node, place: &Place<'_>) {
        let Some(external) = node.get("external").filter(|external| external.as_map().is_some()) else {
            return;
        };
        let span = external.span;
        let name = external.get("name").cloned();
        if let Some(name) = name {
            self.report.add(
                Diagnostic::warning(Code::Suspicious, span, format!("`{place}.external.name` is obsolete"))
                    .hint("write `external: true` and `name` beside it"),
            );
            match node.get("name") {
                Some(known) if *known != name => {
                    let message = format!("`{place}` has two names");
                    self.report.add(
                        Diagnostic::error(Code::Consistency, name.span, message)
                            .related(known.span, "the other name"),
                    );
                }
                Some(_) => {}
                None => {
                    if let Some(map) = node.as_map_mut() {
                        map.insert("name".to_owned(), Entry { key: name.span, node: name });
                    }
                }
            }
        }
        node.set("external", Value::Bool(true));
    }

    fn apply(&mut self, node: &mut Node, form: Form, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
        match form {
            Form::Names => replace(node, into_names),
            Form::Dependencies => settle_dependencies(node),
            Form::Build => replace(node, into_build),
            Form::EnvFiles => settle_env_files(node),
            Form::Reference => replace(node, |node| from_text(node, "source")),
            Form::Gpus => settle_gpus(node),
            Form::DeviceRequest => settle_device_request(node, place)?,
            Form::Device => settle_device(node, place)?,
            Form::Ports => self.settle_ports(node, place)?,
            Form::Mount => settle_mount(node, place, self.report)?,
            Form::External => {}
            _ if self.lenient => {}
            Form::Text => settle_text(node, place)?,
            Form::Texts => replace(node, |node| match node.value {
                Value::Seq(_) => node,
                _ => {
                    let span = node.span;
                    Node::new(Value::Seq(vec![node]), span)
                }
            }),
            Form::Whole => settle_whole(node, place)?,
            Form::Count => settle_count(node, place)?,
            Form::Bytes => settle_bytes(node, place, self.report)?,
            Form::Number | Form::Duration | Form::Pause | Form::Mode => settle_scalar(node, form, place)?,
            Form::Variables => {
                settle_pairs(node, Value::Null);
                check_names(node, place)?;
            }
            Form::Labels => settle_pairs(node, Value::String(String::new())),
            Form::Hosts => settle_hosts(node, place)?,
            Form::Command => settle_command(node, place, self.report)?,
            Form::HealthTest => settle_health_test(node),
            Form::Options => settle_options(node),
        }
        Ok(())
    }

    fn settle_ports(&mut self, node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
        let lenient = self.lenient;
        let Some(items) = node.as_seq_mut() else { return Ok(()) };
        let mut ports = Vec::with_capacity(items.len());
        for (index, item) in items.drain(..).enumerate() {
            let here = place.index(index);
            let Some(text) = item.to_text() else {
                ports.push(check_long_port(item, &here, self.report));
                continue;
            };
            match short::parse_ports(&text) {
                Ok(found) => ports.extend(found.into_iter().map(|port| port_node(port, item.span))),
                Err(_) if lenient => ports.push(item),
                Err(reason) => {
                    let message = format!("`{here}` cannot be `{text}`: {reason}");
                    self.report.add(
                        Diagnostic::error(Code::Value, item.span, message)
                            .hint("expected `[[ADDRESS:]HOST_PORT:]CONTAINER_PORT[/PROTOCOL]`"),
                    );
                }
            }
            if ports.len() > crate::limits::PORTS {
                let message = format!("`{place}` publishes more than {} ports", crate::limits::PORTS);
                return Err(Box::new(Diagnostic::error(Code::Limit, item_span(&ports), message)));
            }
        }
        *items = ports;
        Ok(())
    }
}

fn item_span(items: &[Node]) -> Option<Span> {
    items.last().map(|item| item.span)
}

fn replace(node: &mut Node, with: impl FnOnce(Node) -> Node) {
    let span = node.span;
    let old = std::mem::replace(node, Node::new(Value::Null, span));
    *node = with(old);
}

/// Text becomes a mapping that has it under `key`.
fn from_text(node: Node, key: &str) -> Node {
    if node.as_str().is_none() {
        return node;
    }
    let mut map = Node::empty_map(node.span);
    map.set(key, node.value);
    map
}

fn wrong(node: &Node, place: &Place<'_>, reason: impl std::fmt::Display) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(Code::Value, node.span, format!("`{place}`: {reason}")))
}

fn settle_text(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let text = match node.value {
        Value::String(_) => return Ok(()),
        Value::Null => String::new(),
        _ => {
            node.to_text().ok_or_else(|| wrong(node, place, format!("expected text, not {}", node.kind())))?
        }
    };
    node.value = Value::String(text);
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off, as wished")]
fn settle_whole(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    match &node.value {
        Value::Float(value) => node.value = Value::Int(*value as i64),
        Value::String(text) => {
            return Err(wrong(node, place, format!("expected a whole number, not the text `{text}`")));
        }
        _ => {}
    }
    Ok(())
}

fn settle_count(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    settle_whole(node, place)?;
    match node.value {
        Value::Int(value) if value < 0 => Err(wrong(node, place, format!("{value} is negative"))),
        Value::Int(value) if value > i64::from(u32::MAX) => {
            Err(wrong(node, place, format!("{value} is too large")))
        }
        _ => Ok(()),
    }
}

fn settle_bytes(node: &mut Node, place: &Place<'_>, report: &mut Report) -> Result<(), Box<Diagnostic>> {
    let bytes = match &node.value {
        Value::Int(value) => *value,
        Value::Float(_) => {
            // The reference reads whole numbers and text, and passes over anything else.
            let message = format!("`{place}` is ignored, since it is a number with a fraction");
            report.add(
                Diagnostic::warning(Code::Suspicious, node.span, message).hint("add a unit, as in `1.5g`"),
            );
            0
        }
        Value::String(text) => match scalar::parse_bytes(text) {
            Ok(bytes) if bytes < 0 => {
                return Err(wrong(node, place, format!("invalid size `{text}`: it is negative")));
            }
            Ok(bytes) => bytes,
            Err(reason) => return Err(wrong(node, place, reason)),
        },
        _ => return Ok(()),
    };
    node.value = Value::String(bytes.to_string());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "whole numbers of CPUs are small")]
#[expect(clippy::cast_possible_truncation, reason = "a mode beyond the range saturates")]
fn settle_scalar(node: &mut Node, form: Form, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let value = match (form, &node.value) {
        (Form::Number, Value::Int(value)) => Value::Float(*value as f64),
        (Form::Duration | Form::Pause, Value::String(text)) => {
            let nanos = scalar::parse_duration(text).map_err(|reason| wrong(node, place, reason))?;
            Value::String(scalar::format_duration(nanos))
        }
        (Form::Mode, Value::Int(value)) => Value::String(format!("0{value:o}")),
        (Form::Mode, Value::Float(value)) => Value::String(format!("0{:o}", *value as i64)),
        (Form::Mode, Value::String(text)) => {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let mode = u32::from_str_radix(digits, 8)
                .map_err(|_| wrong(node, place, format!("`{text}` is not an octal number such as `0440`")))?;
            Value::String(format!("0{mode:o}"))
        }
        _ => return Ok(()),
    };
    node.value = value;
    Ok(())
}

/// A list of `key=value` becomes a mapping; `missing` stands where there is no value.
fn settle_pairs(node: &mut Node, missing: Value) {
    match &mut node.value {
        Value::Seq(items) => {
            let mut map = Map::new();
            for item in std::mem::take(items) {
                let Value::String(text) = item.value else { continue };
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Value::String(value.to_owned())),
                    None => (text, missing.clone()),
                };
                map.insert(key, Entry { key: item.span, node: Node::new(value, item.span) });
            }
            node.value = Value::Map(map);
        }
        Value::Map(map) => {
            for entry in map.values_mut() {
                entry.node.value = match entry.node.to_text() {
                    Some(text) => Value::String(text),
                    None => missing.clone(),
                };
            }
        }
        _ => {}
    }
}

/// A name that ends with a space is a `NAME = value` that was meant otherwise.
fn check_names(node: &Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    match node.entries().find(|(name, _)| name.ends_with(' ')) {
        Some((name, entry)) => Err(Box::new(
            Diagnostic::error(
                Code::Value,
                entry.key,
                format!("`{place}`: the name `{name}` ends with a space"),
            )
            .hint("write `NAME=value` without spaces"),
        )),
        None => Ok(()),
    }
}

fn settle_hosts(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let mut hosts = Vec::new();
    match &node.value {
        Value::Seq(items) => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let (name, address) = short::parse_host(text).ok_or_else(|| {
                    wrong(item, place, format!("`{text}` has no address; expected `name=address`"))
                })?;
                hosts.push(Node::text(format!("{name}={address}"), item.span));
            }
        }
        Value::Map(map) => {
            for (name, entry) in map {
                let addresses = entry.node.as_seq().unwrap_or(std::slice::from_ref(&entry.node));
                for address in addresses {
                    let text = short::bare_address(address.as_str().unwrap_or_default());
                    hosts.push(Node::text(format!("{name}={text}"), address.span));
                }
            }
        }
        _ => return Ok(()),
    }
    node.value = Value::Seq(hosts);
    Ok(())
}

fn settle_command(node: &mut Node, place: &Place<'_>, report: &mut Report) -> Result<(), Box<Diagnostic>> {
    let Value::String(line) = &node.value else { return Ok(()) };
    let split = short::split_command(line)
        .map_err(|reason| wrong(node, place, format!("`{line}` cannot be split into words: {reason}")))?;
    if let Some(at) = split.cut {
        let rest = line[at..].trim_end().to_owned();
        report.add(
            Diagnostic::warning(
                Code::Suspicious,
                node.span,
                format!("`{place}` is no shell line: `{rest}` is cut off"),
            )
            .hint("run a shell: `[\"sh\", \"-c\", \"...\"]`"),
        );
    }
    let words = split.words.into_iter().map(|word| Node::text(word, node.span)).collect();
    node.value = Value::Seq(words);
    Ok(())
}

fn settle_health_test(node: &mut Node) {
    if let Value::String(text) = &node.value {
        let kind = Node::text("CMD-SHELL", node.span);
        node.value = Value::Seq(vec![kind, Node::text(text.clone(), node.span)]);
    }
}

fn settle_options(node: &mut Node) {
    let Some(map) = node.as_map_mut() else { return };
    for entry in map.values_mut() {
        let items = match std::mem::replace(&mut entry.node.value, Value::Null) {
            Value::Seq(items) => items,
            value => vec![Node::new(value, entry.node.span)],
        };
        let texts = items.iter().filter_map(|item| Some(Node::text(item.to_text()?, item.span)));
        entry.node.value = Value::Seq(texts.collect());
    }
}

fn settle_dependencies(node: &mut Node) {
    replace(node, into_dependencies);
    for (_, entry) in node.entries_mut() {
        entry.node.set_default("required", Value::Bool(true));
        if entry.node.get("restart").and_then(Node::as_bool) == Some(false) {
            entry.node.take("restart");
        }
    }
}

fn settle_env_files(node: &mut Node) {
    replace(node, |node| match node.value {
        Value::Seq(items) => {
            let files = items.into_iter().map(|item| from_text(item, "path")).collect();
            Node::new(Value::Seq(files), node.span)
        }
        _ => {
            let span = node.span;
            Node::new(Value::Seq(vec![from_text(node, "path")]), span)
        }
    });
}

fn settle_gpus(node: &mut Node) {
    if node.as_str().is_some() {
        let mut request = Node::empty_map(node.span);
        request.set("count", Value::Int(-1));
        node.value = Value::Seq(vec![request]);
    }
}

fn settle_device_request(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    if node.has("count") && node.has("device_ids") {
        return Err(wrong(node, place, "`count` and `device_ids` exclude one another"));
    }
    if !node.has("count") && !node.has("device_ids") {
        node.set("count", Value::Int(-1));
    }
    if let Some(count) = node.get("count")
        && let Some(text) = count.as_str()
    {
        let number = match text {
            "all" => -1,
            _ => text.parse().map_err(|_| {
                wrong(count, place, format!("`count` must be a whole number or `all`, not `{text}`"))
            })?,
        };
        node.set("count", Value::Int(number));
    }
    Ok(())
}

fn settle_device(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let Some(text) = node.as_str() else {
        return if node.has("target") {
            Ok(())
        } else {
            Err(wrong(node, place, "the path in the container (`target`) is missing"))
        };
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => return Err(wrong(node, place, format!("`{text}` has too many colons"))),
    };
    let target = if target.is_empty() { source } else { target };
    let mut device = Node::empty_map(node.span);
    for (key, value) in [("source", source), ("target", target), ("permissions", permissions)] {
        device.set(key, Value::String(value.to_owned()));
    }
    *node = device;
    Ok(())
}

fn check_long_port(mut port: Node, place: &Place<'_>, report: &mut Report) -> Node {
    match port.get("target").and_then(Node::as_int) {
        None => report.error(Code::Value, port.span, format!("`{place}` needs `target`")),
        Some(target) if u16::try_from(target).is_err() => {
            report.error(Code::Value, port.span, format!("`{place}.target`: {target} is not a port number"));
            port.set("target", Value::Int(0));
        }
        Some(_) => {}
    }
    if let Some(address) = port.get("host_ip").filter(|node| !node.as_str().is_some_and(str::is_empty))
        && address.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_err())
    {
        let text = address.as_str().unwrap_or_default();
        report.error(Code::Value, address.span, format!("`{place}.host_ip`: `{text}` is not an IP address"));
    }
    port.set_default("mode", Value::String("ingress".to_owned()));
    port.set_default("protocol", Value::String("tcp".to_owned()));
    port
}

fn port_node(port: short::ShortPort, span: Span) -> Node {
    let mut node = Node::empty_map(span);
    node.set("mode", Value::String("ingress".to_owned()));
    node.set("protocol", Value::String(port.protocol));
    node.set("target", Value::Int(i64::from(port.target)));
    for (key, text) in [("host_ip", port.host_ip), ("published", port.published)] {
        if !text.is_empty() {
            node.set(key, Value::String(text));
        }
    }
    node
}

fn settle_mount(node: &mut Node, place: &Place<'_>, report: &mut Report) -> Result<(), Box<Diagnostic>> {
    let Some(text) = node.as_str() else {
        return if node.has("target") {
            Ok(())
        } else {
            Err(wrong(node, place, "the path in the container (`target`) is missing"))
        };
    };
    let mount = short::parse_mount(text).map_err(|reason| {
        Box::new(
            wrong(node, place, format!("`{text}` is not a mount: {reason}"))
                .hint("expected `[SOURCE:]TARGET[:OPTIONS]`"),
        )
    })?;
    for option in &mount.unknown {
        report.warning(node.span, format!("`{place}`: the mount option `{option}` is unknown and ignored"));
    }
    *node = mount_node(mount, node.span);
    Ok(())
}

fn mount_node(mount: short::ShortMount, span: Span) -> Node {
    let kind = if mount.is_bind() { "bind" } else { "volume" };
    let mut node = Node::empty_map(span);
    node.set("type", Value::String(kind.to_owned()));
    if !mount.source.is_empty() {
        node.set("source", Value::String(mount.source));
    }
    node.set("target", Value::String(mount.target));
    if mount.read_only {
        node.set("read_only", Value::Bool(true));
    }
    let mut bind = Node::empty_map(span);
    for (key, value) in [("propagation", mount.propagation), ("selinux", mount.selinux)] {
        if let Some(value) = value {
            bind.set(key, Value::String(value));
        }
    }
    let mut volume = Node::empty_map(span);
    if mount.nocopy {
        volume.set("nocopy", Value::Bool(true));
    }
    if let Some(path) = mount.subpath {
        volume.set("subpath", Value::String(path));
    }
    for (key, options) in [("bind", bind), ("volume", volume)] {
        let given = options.as_map().is_some_and(|map| !map.is_empty());
        if key == kind || given {
            node.set(key, options.value);
        }
    }
    node
}

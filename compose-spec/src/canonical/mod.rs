//! Brings every attribute into its one canonical form, whatever way it was written.

mod lists;
mod ports;
mod values;

use crate::diagnostic::{Code, Diagnostic};
use crate::format::{Form, Object, Rule};
use crate::merge::{into_build, into_names};
use crate::node::{Entry, Node, Value};
use crate::place::Place;
use crate::report::Report;
use crate::short;
pub(crate) use lists::settle_gpus_of;
use lists::{
    check_names, require_values, settle_dependencies, settle_device, settle_device_request, settle_env_files,
    settle_gpus, settle_hosts, settle_options, settle_pairs,
};
use ports::{check_long_port, item_span, port_node, settle_mount};
use values::{
    settle_bytes, settle_command, settle_count, settle_digits, settle_health_test, settle_limit,
    settle_scalar, settle_text, settle_whole, wrong,
};

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
                        map.insert("name", Entry { key: name.span, node: name });
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
            Form::Extends => replace(node, |node| from_text(node, "service")),
            Form::Gpus => settle_gpus(node),
            Form::DeviceRequest => settle_device_request(node, place)?,
            Form::Device => settle_device(node, place)?,
            Form::Ports => self.settle_ports(node, place)?,
            Form::Mount => settle_mount(node, place, self.report)?,
            Form::External | Form::Unused => {}
            _ if self.lenient => {}
            Form::Text => settle_text(node, place)?,
            Form::Digits => settle_digits(node, place)?,
            Form::Texts => replace(node, into_list),
            Form::Servers => {
                replace(node, into_list);
                if let Some(items) = node.as_seq_mut() {
                    items.retain(|item| item.as_str() != Some(""));
                }
            }
            Form::Whole => settle_whole(node, place)?,
            Form::Count => settle_count(node, place)?,
            Form::Ulimit => {
                settle_limit(node, place)?;
                if node.as_int() == Some(0) {
                    *node = Node::empty_map(node.span);
                }
            }
            Form::Bytes => settle_bytes(node, place, self.report)?,
            Form::Number | Form::Duration | Form::Pause | Form::Mode => settle_scalar(node, form, place)?,
            Form::Variables => {
                settle_pairs(node, Value::Null);
                check_names(node, place)?;
            }
            Form::Labels => settle_pairs(node, Value::String(String::new())),
            Form::Contexts => {
                require_values(node, place, None)?;
                settle_pairs(node, Value::String(String::new()));
            }
            Form::Keys => {
                require_values(node, place, Some("default"))?;
                settle_pairs(node, Value::Null);
            }
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
            if matches!(item.value, Value::Float(_) | Value::Large(_)) {
                self.report.add(*wrong(&item, &here, "a port is a whole number or text"));
                continue;
            }
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

fn replace(node: &mut Node, with: impl FnOnce(Node) -> Node) {
    let span = node.span;
    let old = std::mem::replace(node, Node::new(Value::Null, span));
    *node = with(old);
}

fn into_list(node: Node) -> Node {
    let span = node.span;
    match node.value {
        Value::Seq(_) => node,
        _ => Node::new(Value::Seq(vec![node]), span),
    }
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

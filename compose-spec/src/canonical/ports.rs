//! The canonical forms of ports and mounts.

use super::values::wrong;
use crate::diagnostic::{Code, Diagnostic};
use crate::node::{Node, Value};
use crate::place::Place;
use crate::report::Report;
use crate::short;
use crate::source::Span;

pub(super) fn item_span(items: &[Node]) -> Option<Span> {
    items.last().map(|item| item.span)
}

pub(super) fn check_long_port(mut port: Node, place: &Place<'_>, report: &mut Report) -> Node {
    match port.get("target").and_then(Node::as_int) {
        None => report.error(Code::Value, port.span, format!("`{place}` needs `target`")),
        // What is beyond 65535 passes here, as it does in the reference; `up` refuses it.
        Some(target) if u32::try_from(target).is_err() => {
            report.error(Code::Value, port.span, format!("`{place}.target`: {target} is not a port number"));
            port.set("target", Value::Int(0));
        }
        Some(_) => {}
    }
    if let Some(address) = port.get("host_ip")
        && address.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_err())
    {
        let text = address.as_str().unwrap_or_default();
        report.error(Code::Value, address.span, format!("`{place}.host_ip`: `{text}` is not an IP address"));
    }
    port.set_default("mode", Value::String("ingress".to_owned()));
    port.set_default("protocol", Value::String("tcp".to_owned()));
    port
}

pub(super) fn port_node(port: short::ShortPort, span: Span) -> Node {
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

pub(super) fn settle_mount(
    node: &mut Node,
    place: &Place<'_>,
    report: &mut Report,
) -> Result<(), Box<Diagnostic>> {
    let Some(text) = node.as_str() else {
        return check_long_mount(node, place);
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
    if mount.source.is_empty() && mount.target.as_bytes().get(1) == Some(&b':') {
        let message =
            format!("`{place}`: `{text}` is an anonymous volume, since one letter is taken for a drive");
        report.add(
            Diagnostic::warning(Code::Suspicious, node.span, message)
                .hint("give the volume a name of two letters or more"),
        );
    }
    *node = mount_node(&mount, node.span);
    Ok(())
}

fn mount_node(mount: &short::ShortMount<'_>, span: Span) -> Node {
    let kind = if mount.is_bind() { "bind" } else { "volume" };
    let mut node = Node::empty_map(span);
    node.set("type", Value::String(kind.to_owned()));
    if !mount.source.is_empty() {
        node.set("source", Value::String(mount.source.to_owned()));
    }
    node.set("target", Value::String(mount.target.to_owned()));
    if mount.read_only {
        node.set("read_only", Value::Bool(true));
    }
    let mut bind = Node::empty_map(span);
    for (key, value) in [("propagation", mount.propagation), ("selinux", mount.selinux)] {
        if let Some(value) = value {
            bind.set(key, Value::String(value.to_owned()));
        }
    }
    let mut volume = Node::empty_map(span);
    if mount.nocopy {
        volume.set("nocopy", Value::Bool(true));
    }
    for (key, options) in [("bind", bind), ("volume", volume)] {
        let given = options.as_map().is_some_and(|map| !map.is_empty());
        if key == kind || given {
            node.set(key, options.value);
        }
    }
    node
}

fn check_long_mount(node: &Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    if !node.has("target") {
        return Err(wrong(node, place, "the path in the container (`target`) is missing"));
    }
    if node.get_str("type") == Some("bind") && !node.has("source") {
        return Err(wrong(node, place, "the path on the host (`source`) is missing"));
    }
    Ok(())
}
